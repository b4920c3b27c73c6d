//! Health as shown.

use std::collections::BTreeSet;

use serde::Serialize;
use utoipa::ToSchema;

use super::endpoints::{cause, rtt_ms};
use crate::health::{ProbeTarget, State};
use crate::ids::EndpointId;
use crate::snapshot::View;
use crate::telemetry::ProbeStats;
use crate::time::{Moment, Wall};

use super::certificates;

use super::votes::Votes;

/// All verdicts at one generation.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    /// The view's number.
    pub generation: u64,
    /// By endpoint name.
    pub endpoints: Vec<Endpoint>,
    /// What probing costs the targets of these endpoints.
    pub targets: Vec<Target>,
    /// Give it as `after` for the endpoints that follow; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// An endpoint with its verdict.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EndpointHealth)]
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
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProbeTarget)]
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
    /// The health of `view` as of `now` on the calendar `wall`, with the certificates that `probes` saw:
    /// of the endpoints after a name, so many at most.
    pub fn of(
        view: &View,
        probes: &ProbeStats,
        (after, limit): (Option<&str>, usize),
        now: Moment,
        wall: Wall,
    ) -> Health {
        let snapshot = &view.snapshot;
        let steering = &snapshot.steering;
        let first = after.map_or(0, |after| {
            steering.endpoints.partition_point(|e| *e.name <= *after)
        });
        let end = (first + limit).min(steering.endpoints.len());
        let shown = (first..end).map(EndpointId::from_index);
        let next = (end < steering.endpoints.len() && end > first)
            .then(|| steering.endpoints[end - 1].name.to_string());
        let endpoints = shown
            .clone()
            .map(|id| {
                let v = view.board.verdict(id);
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
                    cause: cause(v, e.enabled),
                    for_seconds: now.since(v.since).as_secs_f64(),
                    last_probe_seconds_ago: v.last_probe.map(|at| now.since(at).as_secs_f64()),
                    last_error: v.last_error.as_deref().map(str::to_owned),
                    failures: v.failures,
                    passes: v.passes,
                    stale: v.stale,
                    held: v.held.map(|guard| guard.to_string()),
                    share_percent: v.share,
                    votes: Votes::of(view, v, now),
                    rtt_ms: rtt_ms(view, id),
                    certificate_days: certificates::of_endpoint(snapshot, probes, id)
                        .map(|t| certificates::days_left(t, wall.unix(now))),
                }
            })
            .collect();
        let addresses: BTreeSet<_> = shown
            .clone()
            .filter_map(|e| steering.endpoints[e.index()].address)
            .collect();
        // The parts of composites give no verdict of their own.
        let is_of_these = |t: &&ProbeTarget| match t.endpoints.is_empty() {
            true => addresses.contains(&t.addr),
            false => t
                .endpoints
                .iter()
                .any(|e| (first..end).contains(&e.index())),
        };
        let targets = snapshot
            .targets
            .iter()
            .filter(|_| snapshot.settings.council.probes_here())
            .filter(is_of_these)
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
            next,
        }
    }
}
