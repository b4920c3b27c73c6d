//! The worst-case failover time of a steered name (requirement O11).
//!
//! From the moment an endpoint dies to the moment the last cached answer that names it expires:
//! detection (probe phase, the further failures needed, the last timeout), publication, and the TTL of
//! the answers given last.

use std::time::Duration;

use crate::health::{Monitor, worst_case_detection};
use crate::ids::NameId;
use crate::units::Ttl;

use super::Snapshot;

/// Longest time between a changed verdict and answers that obey it: half of it at most is waited after
/// another publication, and the publication itself fits in the rest.
pub const PUBLISH: Duration = Duration::from_millis(20);

/// In a fleet: longest time until the vote that decides has reached a node. Votes are looked at every
/// 200 ms, and gossip carries one to all members within 1.4 s at most where 30 members are up to 240 ms
/// apart and lose 2 % (`cargo bench --bench fleet`); the rest is in reserve.
pub const SPREAD: Duration = Duration::from_secs(3);

/// The parts of a name's worst-case failover time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FailoverTime {
    /// Until the slowest of its monitors has brought a dead endpoint down.
    pub detection: Duration,
    /// Until answers obey ([`PUBLISH`], and in a fleet [`SPREAD`]).
    pub publish: Duration,
    /// Until the last cached answer from before expires: the name's smallest TTL.
    pub ttl: Ttl,
}

impl FailoverTime {
    /// The sum.
    pub fn total(&self) -> Duration {
        self.detection + self.publish + self.ttl.duration()
    }
}

/// The worst case for `name`; `None` when none of its endpoints is monitored, so that it never
/// fails over by itself.
pub fn worst_case(snapshot: &Snapshot, name: NameId) -> Option<FailoverTime> {
    let group = snapshot.steering.group_of(name);
    let monitors = group
        .members
        .iter()
        .flat_map(|m| &snapshot.steering.pools[m.pool.index()].endpoints)
        .filter_map(|e| snapshot.target_of[e.index()])
        .map(|t| &snapshot.monitors[snapshot.targets[t.index()].monitor.index()]);
    worst_of(monitors, group.ttl_min, snapshot.settings.council.alone())
}

/// The worst case of a name with this smallest TTL whose endpoints `monitors` check; `None` when
/// there is no monitor. `alone`: no votes of others are waited for.
pub fn worst_of<'m>(
    monitors: impl IntoIterator<Item = &'m Monitor>,
    ttl_min: Ttl,
    alone: bool,
) -> Option<FailoverTime> {
    monitors
        .into_iter()
        .map(|m| of_monitor(m, ttl_min, alone))
        .max_by_key(FailoverTime::total)
}

/// Where probes by `m` notice the death.
///
/// A larger TTL than the smallest is only given where it ends before probes can change the answer
/// (requirement T1), so only answers with the smallest one can outlive the switch.
fn of_monitor(m: &Monitor, ttl_min: Ttl, alone: bool) -> FailoverTime {
    let spread = if alone { Duration::ZERO } else { SPREAD };
    FailoverTime {
        detection: worst_case_detection(m),
        publish: spread + PUBLISH,
        ttl: ttl_min,
    }
}

#[cfg(test)]
mod tests;
