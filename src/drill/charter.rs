//! What a drill is to do: fixed when it is planned.

use std::sync::Arc;
use std::time::Duration;

use super::demand::Measured;
use crate::overrides::{Drill, Effect, Reach, ScopeKind};

/// What a drill is to do, for whom, until when, and who wants it.
#[derive(Clone, PartialEq, Debug)]
pub struct Charter {
    /// Its name and whom it concerns.
    pub drill: Drill,
    /// What is done.
    pub effect: Effect,
    /// To what kind of thing.
    pub scope: ScopeKind,
    /// Which one, as the configuration calls it.
    pub name: Arc<str>,
    /// Who wants it.
    pub owner: Arc<str>,
    /// Why.
    pub reason: Arc<str>,
    /// Why rules may be broken.
    pub break_glass: Option<Arc<str>>,
    /// The share of each name's capacity that must go on serving, in percent: as somebody said, or as
    /// traffic measured it.
    pub demand: Option<u8>,
    /// What that was measured by; `None`: somebody said so, or nothing is demanded.
    pub measured: Option<Measured>,
    /// Most requests that proxies may answer with 5xx, in percent, before it is rolled back.
    pub max_errors: u8,
    /// The node that was asked for it.
    pub node: Arc<str>,
    /// When it was planned, in milliseconds since 1970-01-01T00:00:00Z.
    pub planned_ms: u64,
    /// When it ends at the latest.
    pub ends_ms: u64,
}

impl Charter {
    /// Shortest drill: below it nothing can be seen.
    pub const SHORTEST: Duration = Duration::from_secs(1);

    /// Longest drill: who needs more wants an order, not a drill.
    pub const LONGEST: Duration = Duration::from_secs(24 * 3600);

    /// Share of errors at which a drill is rolled back unless something else is said, in percent.
    pub const MAX_ERRORS: u8 = 5;

    /// `fail of region eu`.
    pub fn what(&self) -> String {
        format!(
            "{} of {} {}",
            self.effect.word(),
            self.scope.word(),
            self.name
        )
    }

    /// Whom it concerns, in words.
    pub fn whom(&self) -> String {
        match self.drill.reach {
            Reach::Everybody => "all clients".to_owned(),
            Reach::Canary(prefix) => format!("clients in {prefix}"),
            Reach::Label => format!("who asks for {}.NAME", self.drill.label()),
        }
    }
}
