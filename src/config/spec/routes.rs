//! `[routes.NAME]`

use crate::config::Marked;
use crate::config::spec::FeaturesSpec;
use crate::traffic::Compression;
use crate::traffic::route::Rule;

/// `[routes.NAME]`
#[derive(Clone, PartialEq, Debug)]
pub struct RouteSpec {
    /// Table key.
    pub name: Marked<String>,
    /// `listeners`; empty: all.
    pub listeners: Vec<Marked<String>>,
    /// Which requests it is for; its listeners are above.
    pub rule: Rule,
    /// What is done with them.
    pub action: ActionSpec,
    /// `cache`: the cache that keeps its responses.
    pub cache: Option<Marked<String>>,
    /// `compression`; `None`: as its listener says.
    pub compression: Option<Compression>,
    /// What else is done with them.
    pub features: FeaturesSpec,
    /// Whether all of it was read.
    pub complete: bool,
}

/// What a route does: exactly one.
#[derive(Clone, PartialEq, Debug)]
pub enum ActionSpec {
    /// It could not be read.
    Unread,
    /// `forward = "api"`
    Forward(Marked<String>),
}
