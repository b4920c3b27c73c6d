//! The worst-case failover time of a steered name (requirement O11).
//!
//! From the moment an endpoint dies to the moment the last cached answer that names it expires:
//! detection (probe phase, the further failures needed, the last timeout), publication, and the TTL.

use std::time::Duration;

use crate::health::{Monitor, worst_case_detection};
use crate::ids::NameId;
use crate::units::Ttl;

use super::Snapshot;

/// Longest time between a changed verdict and answers that obey it: observations are gathered this
/// long before a view is published, and the publication itself fits in the rest.
pub const PUBLISH: Duration = Duration::from_millis(20);

/// The parts of a name's worst-case failover time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FailoverTime {
    /// Until the slowest of its monitors has brought a dead endpoint down.
    pub detection: Duration,
    /// Until answers obey ([`PUBLISH`]).
    pub publish: Duration,
    /// Until the longest-cached answer from before expires.
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
    worst_of(monitors, group.ttl_min, group.ttl_max)
}

/// The worst case of a name with these TTL bounds whose endpoints `monitors` check; `None` when there
/// is no monitor.
pub fn worst_of<'m>(
    monitors: impl IntoIterator<Item = &'m Monitor>,
    ttl_min: Ttl,
    ttl_max: Ttl,
) -> Option<FailoverTime> {
    let mut worst: Option<FailoverTime> = None;
    for m in monitors {
        // A healthy endpoint's TTL is bounded by the failures it may still have (requirement T1).
        let steady = Ttl::floor(m.interval.saturating_mul(m.fall - 1));
        let time = FailoverTime {
            detection: worst_case_detection(m),
            publish: PUBLISH,
            ttl: steady.clamp(ttl_min, ttl_max),
        };
        if worst.is_none_or(|w| w.total() < time.total()) {
            worst = Some(time);
        }
    }
    worst
}
