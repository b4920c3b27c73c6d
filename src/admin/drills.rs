//! What the API needs of whoever runs drills; `app` implements it.

use std::time::Duration;

use async_trait::async_trait;

use super::desk::Refusal;
use crate::drill::Report;
use crate::overrides::{Effect, Mark, Reach, ScopeKind};

/// Runs drills and knows those that were run.
#[async_trait]
pub trait DrillDesk: Send + Sync + 'static {
    /// Begins a drill, if it is safe. Returns when every node that can be reached obeys, or after a
    /// few seconds.
    async fn begin(&self, wanted: WantedDrill) -> Result<Report, Refusal>;

    /// Ends a drill now. Returns when every node that can be reached obeys, or after a few seconds.
    async fn abort(&self, id: &str, owner: &str, reason: &str) -> Result<Report, NotAborted>;

    /// The drills that are known, the latest first.
    fn list(&self) -> Vec<Report>;

    /// One drill.
    fn get(&self, id: &str) -> Option<Report>;
}

/// Why a drill was not aborted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NotAborted {
    /// There is none of this name.
    Unknown(String),
    /// It is over.
    Over(String),
    /// It could not be tried, or not be told to all.
    Failed(String),
}

/// A drill as somebody wants it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WantedDrill {
    /// What to do.
    pub effect: Effect,
    /// To what kind of thing.
    pub scope: ScopeKind,
    /// Which one.
    pub name: String,
    /// For how long.
    pub length: Duration,
    /// Whom it concerns.
    pub reach: Reach,
    /// Who.
    pub owner: String,
    /// Why.
    pub reason: String,
    /// The share of each name's capacity that must go on serving, in percent.
    pub demand: Option<u8>,
    /// Most requests that may be answered with 5xx, in percent.
    pub max_errors: u8,
    /// Why rules may be broken.
    pub break_glass: Option<String>,
    /// The request that begins it, where that bears a key of its own.
    pub mark: Option<Mark>,
}
