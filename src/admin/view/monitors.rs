//! Monitors as shown.

use serde::Serialize;
use utoipa::ToSchema;

use super::condition::{Counts, Ordered};
use crate::config::quantity::show_duration;
use crate::health::{Monitor, MonitorKind, worst_case_detection};
use crate::ids::EndpointId;
use crate::snapshot::View;
use crate::time::Moment;

/// All monitors at one generation.
#[derive(Debug, Serialize, ToSchema)]
pub struct Monitors {
    /// The view's number.
    pub generation: u64,
    /// Whether the node that was asked probes.
    pub probes_here: bool,
    /// In the order of the configuration; parts of others are not among them.
    pub monitors: Vec<MonitorNow>,
}

/// A monitor.
#[derive(Debug, Serialize, ToSchema)]
pub struct MonitorNow {
    /// Name.
    pub name: String,
    /// `tcp`, `http`, `tls`, `grpc`, `udp`, `dns`, `icmp`, `exec` or `composite`.
    pub kind: &'static str,
    /// Time between two probes of a target, as the configuration writes it.
    pub interval: String,
    /// A probe that takes longer fails.
    pub timeout: String,
    /// Consecutive passes that bring an endpoint up.
    pub rise: u32,
    /// Failures that bring it down.
    pub fall: u32,
    /// How often a failure is looked at again at once.
    pub retries: u32,
    /// Longest time from death to the verdict.
    pub worst_case_detection_seconds: f64,
    /// Addresses and ports that are probed with it.
    pub targets: usize,
    /// Probes per second from each node that probes.
    pub probes_per_second: f64,
    /// The endpoints that it checks, by condition.
    pub endpoints: Counts,
}

impl Monitors {
    /// The monitors of `view` as of `now`.
    pub fn of(view: &View, now: Moment) -> Monitors {
        let snapshot = &view.snapshot;
        let ordered = Ordered::of(view, now);
        let mut endpoints: Vec<Vec<EndpointId>> = vec![Vec::new(); snapshot.monitors.len()];
        let mut targets = vec![0_usize; snapshot.monitors.len()];
        for target in &snapshot.targets {
            let at = target.monitor.index();
            targets[at] += 1;
            endpoints[at].extend(&target.endpoints);
        }
        let all = snapshot.monitors.iter().zip(endpoints).zip(targets);
        Monitors {
            generation: view.generation.0,
            probes_here: snapshot.settings.council.probes_here(),
            monitors: all
                .map(|((monitor, endpoints), targets)| {
                    let rate = match monitor.kind.is_composite() {
                        true => 0.0,
                        false => targets as f64 / monitor.interval.as_secs_f64(),
                    };
                    MonitorNow {
                        name: monitor.name.to_string(),
                        kind: kind(monitor),
                        interval: show_duration(monitor.interval),
                        timeout: show_duration(monitor.timeout),
                        rise: monitor.rise,
                        fall: monitor.fall,
                        retries: monitor.retries,
                        worst_case_detection_seconds: worst_case_detection(monitor).as_secs_f64(),
                        targets,
                        probes_per_second: rate,
                        endpoints: ordered.count(endpoints).0,
                    }
                })
                .collect(),
        }
    }
}

fn kind(monitor: &Monitor) -> &'static str {
    match monitor.kind {
        MonitorKind::Tcp(_) => "tcp",
        MonitorKind::Http(_) => "http",
        MonitorKind::Tls(_) => "tls",
        MonitorKind::Grpc(_) => "grpc",
        MonitorKind::Udp(_) => "udp",
        MonitorKind::Dns(_) => "dns",
        MonitorKind::Icmp(_) => "icmp",
        MonitorKind::Exec(_) => "exec",
        MonitorKind::Composite(_) => "composite",
    }
}
