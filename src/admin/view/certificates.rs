//! The certificates that probes of this node saw, by endpoint.

use std::net::{IpAddr, SocketAddr};

use crate::health::{Monitor, MonitorKind};
use crate::ids::EndpointId;
use crate::snapshot::Snapshot;
use crate::telemetry::ProbeStats;

/// For each endpoint when the certificate that it showed last expires, in seconds since
/// 1970-01-01T00:00:00Z.
pub fn not_after(snapshot: &Snapshot, probes: &ProbeStats) -> Vec<Option<u64>> {
    let mut by_endpoint = vec![None; snapshot.target_of.len()];
    for target in &snapshot.targets {
        let monitor = &snapshot.monitors[target.monitor.index()];
        let not_after = of(monitor, target.addr, target.port, probes);
        for endpoint in &target.endpoints {
            by_endpoint[endpoint.index()] = not_after;
        }
    }
    by_endpoint
}

/// When the certificate that one endpoint showed last expires, in seconds since 1970-01-01T00:00:00Z.
pub fn of_endpoint(snapshot: &Snapshot, probes: &ProbeStats, endpoint: EndpointId) -> Option<u64> {
    let target = snapshot
        .target_of
        .get(endpoint.index())
        .copied()
        .flatten()?;
    let target = &snapshot.targets[target.index()];
    let monitor = &snapshot.monitors[target.monitor.index()];
    of(monitor, target.addr, target.port, probes)
}

/// Of a check; of a composite the one that expires first among its parts'.
fn of(monitor: &Monitor, addr: IpAddr, port: u16, probes: &ProbeStats) -> Option<u64> {
    match &monitor.kind {
        MonitorKind::Composite(check) => check
            .parts_of(addr)
            .filter_map(|part| of(part, addr, part.probed_port(port), probes))
            .min(),
        kind => {
            kind.warn_days()?;
            probes.certificate_not_after(SocketAddr::new(addr, port), &monitor.name)
        }
    }
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
