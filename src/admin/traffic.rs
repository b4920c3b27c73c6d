//! What the API needs of whoever knows the traffic of this node's proxy; `app` implements it.

use std::net::SocketAddr;

use crate::health::clients::{ClientPath, Order};
use crate::net::Prefix;
use crate::telemetry::Before;

/// Knows the traffic of this node's proxy.
pub trait TrafficDesk: Send + Sync + 'static {
    /// The listeners, and the backends of layer 4.
    fn listeners(&self) -> TrafficFacts;

    /// The same, with what earlier processes of this node counted.
    fn listeners_since(&self, before: &Before) -> TrafficFacts;

    /// The way to client prefixes; `None` where nothing is remembered.
    fn clients(&self, wanted: &ClientsWanted) -> Option<ClientsFacts>;
}

/// The listeners, and the backends of layer 4.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct TrafficFacts {
    /// In the order of the configuration.
    pub listeners: Vec<ListenerFacts>,
    /// Those that connections or sessions of layer 4 went to.
    pub backends: Vec<BackendFacts>,
}

/// A listener.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct ListenerFacts {
    /// Its name.
    pub name: String,
    /// `http`, `tcp` or `udp`.
    pub protocol: &'static str,
    /// Where it listens.
    pub addresses: Vec<SocketAddr>,
    /// The upstream that it forwards to; of layer 4.
    pub forward: Option<String>,
    /// Connections or sessions open now.
    pub open: u64,
    /// Requests answered; of HTTP.
    pub requests: Option<u64>,
    /// What is counted of layer 4.
    pub flows: Option<FlowFacts>,
}

/// A backend.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct BackendFacts {
    /// Its upstream.
    pub upstream: String,
    /// Its name.
    pub backend: String,
    /// What is counted of layer 4.
    pub flows: FlowFacts,
    /// Connections to it that were made.
    pub connects: u64,
    /// How long that took, all together, in microseconds.
    pub connect_us: u64,
}

/// What is counted of connections and sessions.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct FlowFacts {
    /// That began.
    pub total: u64,
    /// Under way.
    pub open: u64,
    /// Octets from clients.
    pub octets_in: u64,
    /// Octets to clients.
    pub octets_out: u64,
    /// Refused, by the option that says so.
    pub refused: Vec<(&'static str, u64)>,
    /// Ended, by the reason.
    pub ended: Vec<(&'static str, u64)>,
    /// How long they lasted, all together, in microseconds.
    pub lasted_us: u64,
}

/// Which prefixes are asked for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ClientsWanted {
    /// In which order.
    pub order: Order,
    /// Only those within this prefix, or the one that holds it.
    pub within: Option<Prefix>,
    /// So many at most.
    pub limit: usize,
}

/// The way to client prefixes.
#[derive(Clone, PartialEq, Debug)]
pub struct ClientsFacts {
    /// Prefixes that are known.
    pub known: usize,
    /// Most of them.
    pub capacity: usize,
    /// Samples so far.
    pub samples: u64,
    /// Prefixes that gave way to others.
    pub displaced: u64,
    /// Prefixes that are meant, those not told among them.
    pub matching: usize,
    /// The first of them.
    pub clients: Vec<(Prefix, ClientPath)>,
}
