//! The certificates that probes of this node saw, by endpoint.

use std::net::SocketAddr;

use crate::snapshot::Snapshot;
use crate::telemetry::ProbeStats;

/// For each endpoint when the certificate that it showed last expires, in seconds since
/// 1970-01-01T00:00:00Z.
pub fn not_after(snapshot: &Snapshot, probes: &ProbeStats) -> Vec<Option<u64>> {
    let mut by_endpoint = vec![None; snapshot.target_of.len()];
    for target in &snapshot.targets {
        let monitor = &snapshot.monitors[target.monitor.index()];
        if monitor.kind.warn_days().is_none() {
            continue;
        }
        let place = SocketAddr::new(target.addr, target.port);
        let Some(not_after) = probes.certificate_not_after(place, &monitor.name) else {
            continue;
        };
        for endpoint in &target.endpoints {
            by_endpoint[endpoint.index()] = Some(not_after);
        }
    }
    by_endpoint
}

/// Whole days from `now` until `not_after`, both in seconds; negative when it has passed.
pub fn days_left(not_after: u64, now: u64) -> i64 {
    (not_after.cast_signed() - now.cast_signed()).div_euclid(86_400)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_whole_and_negative_once_it_has_expired() {
        let table = [
            (86_400 * 3, 0, 3),
            (86_400 * 3 - 1, 0, 2),
            (10, 10, 0),
            (9, 10, -1),
        ];
        for (not_after, now, days) in table {
            assert_eq!(days_left(not_after, now), days);
        }
    }
}
