//! Listeners: where traffic comes in, and what is taken there.

use std::net::SocketAddr;
use std::time::Duration;

use super::access_log::AccessLog;
use super::features::ListenerFeatures;
use super::protocol::Protocol;
use super::proxy_protocol::ProxyProtocol;
use super::tls::ListenerTls;
use super::xdp::XdpRules;

use super::compression::Compression;

/// Where traffic comes in.
#[derive(Clone, PartialEq, Debug)]
pub struct Listener {
    /// Its name.
    pub name: Box<str>,
    /// Addresses; port 0 picks a free one.
    pub bind: Vec<SocketAddr>,
    /// What comes in: HTTP, connections or datagrams.
    pub protocol: Protocol,
    /// Its packets are forwarded in the kernel; `None`: what comes in ends here.
    pub xdp: Option<Box<XdpRules>>,
    /// Whether HTTP/2 is spoken: after ALPN over TLS, with prior knowledge without.
    pub http2: bool,
    /// Bounds of what a client may send.
    pub limits: HttpLimits,
    /// How long a client may take.
    pub timeouts: HttpTimeouts,
    /// What of the responses is compressed, where their route says nothing of it.
    pub compression: Option<Compression>,
    /// Protocols that a client of HTTP/1.1 may go on with, in lower case.
    pub upgrades: Vec<Box<[u8]>>,
    /// Where exchanges are written down.
    pub access_log: Option<AccessLog>,
    /// `None`: plain HTTP.
    pub tls: Option<Box<ListenerTls>>,
    /// What stands before HTTP and TLS; `None`: nothing.
    pub proxy_protocol: Option<Box<ProxyProtocol>>,
    /// What else is done with what comes in here.
    pub features: ListenerFeatures,
}

/// Bounds of what a client may send.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HttpLimits {
    /// Connections open at once.
    pub connections: u32,
    /// Octets of a request's head.
    pub head: usize,
    /// Header fields of a request.
    pub fields: usize,
    /// Octets of a request's target.
    pub target: usize,
    /// Octets of a request's body.
    pub body: u64,
    /// Requests under way on one HTTP/2 connection.
    pub streams: u32,
}

impl Default for HttpLimits {
    fn default() -> HttpLimits {
        HttpLimits {
            connections: 100_000,
            head: 32 << 10,
            fields: 100,
            target: 8 << 10,
            body: 64 << 20,
            streams: 128,
        }
    }
}

/// How long a client may take.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HttpTimeouts {
    /// For a whole head, from its first octet on; also for the TLS handshake.
    pub head: Duration,
    /// Between two parts of a body.
    pub body: Duration,
    /// Between two requests.
    pub idle: Duration,
    /// To take in what is sent to it.
    pub write: Duration,
    /// Without an octet in either direction, once the protocol was switched (WebSocket).
    pub tunnel: Duration,
}

impl Default for HttpTimeouts {
    fn default() -> HttpTimeouts {
        HttpTimeouts {
            head: Duration::from_secs(10),
            body: Duration::from_secs(30),
            idle: Duration::from_secs(60),
            write: Duration::from_secs(30),
            tunnel: Duration::from_secs(3600),
        }
    }
}
