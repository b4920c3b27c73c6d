//! `[routes.NAME]`

use crate::config::Marked;
use crate::config::spec::FeaturesSpec;
use crate::traffic::route::{Action, Rewrite, Rule};
use crate::traffic::waf::RuleSet;
use crate::traffic::{Compression, HashKey};

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
    /// `forward.mirror` and `forward.mirror-percent`, 1 to 100.
    pub mirror: Option<(Marked<String>, u32)>,
    /// `rewrite`
    pub rewrite: Option<Rewrite>,
    /// `waf`
    pub waf: Option<Marked<String>>,
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
    /// `forward = { split = { stable = 95, canary = 5 }, by = "cookie:uid" }`
    Split {
        /// `by`
        by: Option<HashKey>,
        /// `split`, not all 0.
        shares: Vec<(Marked<String>, u32)>,
    },
    /// `redirect`, `respond`, `deny`, `drop`: what refers to nothing.
    Own(Action),
}

/// `[waf.NAME]`
#[derive(Clone, PartialEq, Debug)]
pub struct WafSpec {
    /// Table key.
    pub name: Marked<String>,
    /// What it says.
    pub rules: RuleSet,
}
