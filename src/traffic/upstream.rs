//! Upstreams: named groups of servers behind the proxy.

use std::net::SocketAddr;
use std::time::Duration;

use super::algorithm::Algorithm;
use super::orders::Word;
use super::origin::Origin;
use super::proxy_protocol::ProxyVersion;
use super::resilience::Resilience;
use super::session::Session;
use super::tls::UpstreamTls;

/// A named group of servers.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Upstream {
    /// Its name.
    pub name: Box<str>,
    /// By [`crate::ids::BackendId`], sorted by name; those that this node uses.
    pub backends: Vec<Backend>,
    /// How one of them is chosen.
    pub algorithm: Algorithm,
    /// Backends of the node's own zone come first while at least this share of them is healthy, 0 to
    /// 100 percent.
    pub zone_first: u32,
    /// How the requests of one client are kept with one backend; `None`: they are not.
    pub session: Option<Session>,
    /// Whether backends are spoken to in HTTP/2 (prior knowledge, or ALPN over TLS).
    pub http2: bool,
    /// How long a backend may take.
    pub timeouts: UpstreamTimeouts,
    /// What is done about backends that fail or are full.
    pub resilience: Resilience,
    /// `None`: backends are spoken to without TLS.
    pub tls: Option<Box<UpstreamTls>>,
    /// How backends are told whom a connection is for; a connection then serves one client's only.
    pub proxy_protocol: Option<ProxyVersion>,
    /// Which address connections to backends come from.
    pub origin: Origin,
}

/// One server of an upstream.
#[derive(Clone, PartialEq, Debug)]
pub struct Backend {
    /// Its name, unique within the upstream.
    pub name: Box<str>,
    /// Where it is.
    pub address: SocketAddr,
    /// Its share beside the others'; 0: none, unless a session is bound to it.
    pub weight: u32,
    /// Whether it serves only while no other can.
    pub backup: bool,
    /// The zone it stands in, for locality.
    pub zone: Option<Box<str>>,
    /// Requests under way at once; `None`: as the upstream says.
    pub max_connections: Option<u32>,
    /// An operator's word.
    pub word: Word,
}

impl Backend {
    /// A backend of weight 1, in no zone.
    pub fn new(name: &str, address: SocketAddr) -> Backend {
        Backend {
            name: name.into(),
            address,
            weight: 1,
            backup: false,
            zone: None,
            max_connections: None,
            word: Word::Serve,
        }
    }
}

/// How long a backend may take.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UpstreamTimeouts {
    /// To accept a connection, TLS included.
    pub connect: Duration,
    /// From the end of the request to the first octet of the answer.
    pub first_byte: Duration,
    /// Between two parts of an answer, or of a request that it takes in.
    pub idle: Duration,
    /// For the whole exchange; `None`: no bound.
    pub total: Option<Duration>,
    /// How long a connection is kept for the next request.
    pub keep: Duration,
}

impl Default for UpstreamTimeouts {
    fn default() -> UpstreamTimeouts {
        UpstreamTimeouts {
            connect: Duration::from_secs(2),
            first_byte: Duration::from_secs(30),
            idle: Duration::from_secs(60),
            total: None,
            keep: Duration::from_secs(30),
        }
    }
}
