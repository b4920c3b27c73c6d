//! Listeners and client prefixes of the proxy as shown.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;

use crate::admin::traffic::{BackendFacts, ClientsFacts, FlowFacts, ListenerFacts, TrafficFacts};
use crate::health::clients::ClientPath;
use crate::net::Prefix;
use crate::time::Moment;

/// The listeners of this node's proxy.
#[derive(Debug, Serialize, ToSchema)]
pub struct Listeners {
    /// In the order of the configuration.
    pub listeners: Vec<Listener>,
    /// Backends that connections (TCP) or sessions (UDP) of layer 4 went to.
    pub backends: Vec<Backend>,
}

/// A listener.
#[derive(Debug, Serialize, ToSchema)]
pub struct Listener {
    /// Its name.
    pub name: String,
    /// `http`, `tcp` or `udp`.
    pub protocol: &'static str,
    /// Where it listens.
    pub addresses: Vec<String>,
    /// The upstream that it forwards to; of layer 4.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forward: Option<String>,
    /// Connections or sessions open now.
    pub open: u64,
    /// Requests answered; of HTTP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<u64>,
    /// What is counted of layer 4.
    #[serde(flatten)]
    #[schema(value_type = MaybeFlows)]
    pub flows: Option<Flows>,
}

/// [`Flows`] as they stand in the document, where layer 7 has none of it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only the document reads it")]
struct MaybeFlows {
    /// That began.
    total: Option<u64>,
    /// Octets from clients.
    received_bytes: Option<u64>,
    /// Octets to clients.
    sent_bytes: Option<u64>,
    /// Refused, by the option that says so.
    refused: Option<BTreeMap<&'static str, u64>>,
    /// Ended, by the reason.
    ended: Option<BTreeMap<&'static str, u64>>,
    /// Mean time that they lasted; null before the first end.
    duration_ms: Option<f64>,
}

/// A backend.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FlowBackend)]
pub struct Backend {
    /// Its upstream.
    pub upstream: String,
    /// Its name.
    pub backend: String,
    /// Connections or sessions open now.
    pub open: u64,
    /// What is counted of layer 4.
    #[serde(flatten)]
    pub flows: Flows,
    /// Mean time that it took to connect; null before the first.
    pub connect_ms: Option<f64>,
}

/// What is counted of connections and sessions.
#[derive(Debug, Serialize, ToSchema)]
pub struct Flows {
    /// That began.
    pub total: u64,
    /// Octets from clients.
    pub received_bytes: u64,
    /// Octets to clients.
    pub sent_bytes: u64,
    /// Refused, by the option that says so.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub refused: BTreeMap<&'static str, u64>,
    /// Ended, by the reason.
    pub ended: BTreeMap<&'static str, u64>,
    /// Mean time that they lasted; null before the first end.
    pub duration_ms: Option<f64>,
}

/// The way to client prefixes.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ClientPrefixes)]
pub struct Clients {
    /// Prefixes that are known.
    pub known: usize,
    /// Most of them.
    pub capacity: usize,
    /// Samples so far.
    pub samples: u64,
    /// Prefixes that gave way to others.
    pub displaced: u64,
    /// Prefixes that are meant, those not shown among them.
    pub matching: usize,
    /// The first of them.
    pub clients: Vec<Client>,
}

/// A client prefix.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ClientPrefix)]
pub struct Client {
    /// /24, or /48 of IPv6.
    pub prefix: String,
    /// Mean of the smoothed round-trip times, newer ones weighing more.
    pub rtt_ms: f64,
    /// The lowest of the last five to ten minutes with samples.
    pub min_rtt_ms: f64,
    /// Mean deviation within connections.
    pub rtt_var_ms: f64,
    /// Standard deviation between samples.
    pub spread_ms: f64,
    /// What steering may go by; null where too little is known.
    pub distance_ms: Option<f64>,
    /// Share of the segments that were sent again.
    pub retransmit_percent: f64,
    /// Samples so far.
    pub samples: u64,
    /// Connections that were looked at so far.
    pub connections: u64,
    /// Seconds since the newest sample.
    pub last_seen_seconds_ago: f64,
    /// Seconds since the oldest sample.
    pub first_seen_seconds_ago: f64,
}

/// A mean in milliseconds.
fn mean(sum_us: u64, n: u64) -> Option<f64> {
    (n > 0).then(|| sum_us as f64 / n as f64 / 1e3)
}

impl From<FlowFacts> for Flows {
    fn from(f: FlowFacts) -> Flows {
        let ends = f.ended.iter().map(|(_, n)| n).sum();
        Flows {
            total: f.total,
            received_bytes: f.octets_in,
            sent_bytes: f.octets_out,
            refused: f.refused.into_iter().filter(|(_, n)| *n > 0).collect(),
            duration_ms: mean(f.lasted_us, ends),
            ended: f.ended.into_iter().collect(),
        }
    }
}

impl From<ListenerFacts> for Listener {
    fn from(l: ListenerFacts) -> Listener {
        Listener {
            name: l.name,
            protocol: l.protocol,
            addresses: l.addresses.iter().map(ToString::to_string).collect(),
            forward: l.forward,
            open: l.open,
            requests: l.requests,
            flows: l.flows.map(Flows::from),
        }
    }
}

impl From<BackendFacts> for Backend {
    fn from(b: BackendFacts) -> Backend {
        Backend {
            upstream: b.upstream,
            backend: b.backend,
            open: b.flows.open,
            connect_ms: mean(b.connect_us, b.connects),
            flows: b.flows.into(),
        }
    }
}

impl From<TrafficFacts> for Listeners {
    fn from(facts: TrafficFacts) -> Listeners {
        Listeners {
            listeners: facts.listeners.into_iter().map(Listener::from).collect(),
            backends: facts.backends.into_iter().map(Backend::from).collect(),
        }
    }
}

impl Clients {
    /// As they are at `now`.
    pub fn of(facts: ClientsFacts, now: Moment) -> Clients {
        let clients = facts.clients.iter();
        Clients {
            known: facts.known,
            capacity: facts.capacity,
            samples: facts.samples,
            displaced: facts.displaced,
            matching: facts.matching,
            clients: clients.map(|(p, path)| Client::of(p, path, now)).collect(),
        }
    }
}

impl Client {
    fn of(prefix: &Prefix, path: &ClientPath, now: Moment) -> Client {
        let ms = |d: Duration| d.as_secs_f64() * 1e3;
        let ago = |at: Moment| now.since(at).as_secs_f64();
        Client {
            prefix: prefix.to_string(),
            rtt_ms: ms(path.rtt()),
            min_rtt_ms: ms(path.min_rtt()),
            rtt_var_ms: ms(path.rtt_var()),
            spread_ms: ms(path.spread()),
            distance_ms: path.distance(now).map(ms),
            retransmit_percent: path.retransmit_share() * 100.0,
            samples: path.samples(),
            connections: path.connections(),
            last_seen_seconds_ago: ago(path.at()),
            first_seen_seconds_ago: ago(path.since()),
        }
    }
}
