//! What listeners and routes do besides finding a backend: `[rate-limits]`, `[error-pages]`, `[auth]`,
//! and the options that refer to them.

use std::path::PathBuf;

use crate::config::Marked;
use crate::traffic::Features;
use crate::traffic::guards::{ForwardAuth, RateRule};

/// The options of one listener or route.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct FeaturesSpec {
    /// What they say by themselves.
    pub settings: Features,
    /// `error-pages`
    pub error_pages: Option<Marked<String>>,
    /// `rate-limits`
    pub rate_limits: Vec<Marked<String>>,
    /// `auth`
    pub auth: Option<Marked<String>>,
}

/// `[rate-limits.NAME]`
#[derive(Clone, PartialEq, Debug)]
pub struct RateRuleSpec {
    /// Table key.
    pub name: Marked<String>,
    /// What it says.
    pub rule: RateRule,
}

/// `[error-pages.NAME]`
#[derive(Clone, PartialEq, Debug)]
pub struct ErrorPagesSpec {
    /// Table key.
    pub name: Marked<String>,
    /// `pages`
    pub pages: Vec<PageSpec>,
    /// `intercept`, default false.
    pub intercept: bool,
}

/// One of `pages`.
#[derive(Clone, PartialEq, Debug)]
pub struct PageSpec {
    /// `status`, each from, to.
    pub statuses: Vec<(u16, u16)>,
    /// `file`, relative to the configuration file that says so.
    pub file: Marked<PathBuf>,
    /// `content-type`, or that of the file's extension.
    pub media: String,
}

/// `[auth.NAME]`
#[derive(Clone, PartialEq, Debug)]
pub struct AuthSpec {
    /// Table key.
    pub name: Marked<String>,
    /// `upstream`
    pub upstream: Marked<String>,
    /// What it says by itself.
    pub settings: ForwardAuth,
}
