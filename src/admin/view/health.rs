//! Health as shown.

use serde::Serialize;

use crate::health::{Cause, State};
use crate::snapshot::View;
use crate::telemetry::ProbeStats;
use crate::time::{Moment, Wall};

use super::certificates;

use super::votes::Votes;

/// All verdicts at one generation.
#[derive(Debug, Serialize)]
pub struct Health {
    /// The view's number.
    pub generation: u64,
    /// By endpoint name.
    pub endpoints: Vec<Endpoint>,
    /// What probing costs each target.
    pub targets: Vec<Target>,
}

/// An endpoint with its verdict.
#[derive(Debug, Serialize)]
pub struct Endpoint {
    /// Name.
    pub name: String,
    /// Pool.
    pub pool: String,
    /// Address, where it has one.
    pub address: Option<String>,
    /// `up`, `down` or `unknown`.
    pub state: &'static str,
    /// Whether clients may be sent here as far as health goes.
    pub serves: bool,
    /// `false`: out of service by configuration.
    pub enabled: bool,
    /// What the state rests on.
    pub cause: String,
    /// Seconds since the state changed.
    pub for_seconds: f64,
    /// Seconds since the last probe ended.
    pub last_probe_seconds_ago: Option<f64>,
    /// The last failure, also of an endpoint that is up.
    pub last_error: Option<String>,
    /// Failures so far; `fall` of them bring an endpoint down that is up.
    pub failures: u32,
    /// Consecutive passes so far; `rise` of them bring an endpoint up that is down.
    pub passes: u32,
    /// Nobody has a vote now: this is what was believed last.
    pub stale: bool,
    /// Why the state is not what votes or probes say.
    pub held: Option<String>,
    /// Percent of its clients that it gets while it is let in by steps.
    pub share_percent: u8,
    /// The votes of a fleet's vantages.
    pub votes: Option<Votes>,
    /// Smoothed connect time from this node.
    pub rtt_ms: Option<f64>,
    /// Whole days until the certificate that it showed last expires; negative once it has.
    pub certificate_days: Option<i64>,
}

/// A probe target.
#[derive(Debug, Serialize)]
pub struct Target {
    /// Address and port.
    pub target: String,
    /// Monitor.
    pub monitor: String,
    /// Probes per second from this node.
    pub probes_per_second: f64,
    /// The endpoints that share it.
    pub endpoints: Vec<String>,
}

impl Health {
    /// The health of `view` as of `now` on the calendar `wall`, with the certificates that `probes` saw.
    pub fn of(view: &View, probes: &ProbeStats, now: Moment, wall: Wall) -> Health {
        let snapshot = &view.snapshot;
        let not_after = certificates::not_after(snapshot, probes);
        let steering = &snapshot.steering;
        let endpoints = view
            .board
            .iter()
            .map(|(id, v)| {
                let e = &steering.endpoints[id.index()];
                Endpoint {
                    name: e.name.to_string(),
                    pool: steering.pools[e.pool.index()].name.to_string(),
                    address: e.address.map(|a| a.to_string()),
                    state: match v.state {
                        _ if !e.enabled => "unknown",
                        State::Up => "up",
                        State::Down => "down",
                        State::Unknown { .. } => "unknown",
                    },
                    serves: e.enabled && v.state.serves(),
                    enabled: e.enabled,
                    cause: match &v.cause {
                        _ if !e.enabled => "disabled in the configuration: not probed".to_owned(),
                        Cause::Unmonitored => {
                            "not probed (no monitor, or this node does not probe): counts as up"
                                .to_owned()
                        }
                        Cause::NotProbed => v.state.to_string(),
                        Cause::Passing => "probes pass".to_owned(),
                        Cause::Failing(error) => format!("probes fail: {error}"),
                    },
                    for_seconds: now.since(v.since).as_secs_f64(),
                    last_probe_seconds_ago: v.last_probe.map(|at| now.since(at).as_secs_f64()),
                    last_error: v.last_error.as_deref().map(str::to_owned),
                    failures: v.failures,
                    passes: v.passes,
                    stale: v.stale,
                    held: v.held.map(|guard| guard.to_string()),
                    share_percent: v.share,
                    votes: Votes::of(view, v, now),
                    rtt_ms: view
                        .measurements
                        .rtt
                        .get(id.index())
                        .copied()
                        .flatten()
                        .map(|d| d.as_secs_f64() * 1000.0),
                    certificate_days: not_after
                        .get(id.index())
                        .copied()
                        .flatten()
                        .map(|t| certificates::days_left(t, wall.unix(now))),
                }
            })
            .collect();
        let targets = snapshot
            .targets
            .iter()
            .filter(|_| snapshot.settings.council.probes_here())
            .map(|t| (t, &snapshot.monitors[t.monitor.index()]))
            // Composites ask nothing.
            .filter(|(_, m)| !m.kind.is_composite())
            .map(|(t, m)| Target {
                target: std::net::SocketAddr::new(t.addr, t.port).to_string(),
                monitor: m.name.to_string(),
                probes_per_second: 1.0 / m.interval.as_secs_f64(),
                endpoints: t
                    .endpoints
                    .iter()
                    .map(|e| steering.endpoints[e.index()].name.to_string())
                    .collect(),
            })
            .collect();
        Health {
            generation: view.generation.0,
            endpoints,
            targets,
        }
    }
}
