//! Monitors: what a check does and when a result counts. Plain data; `probe` runs it.

use std::net::IpAddr;
use std::time::Duration;

use super::checks::{DnsCheck, ExecCheck, IcmpCheck, TcpCheck, UdpCheck};
use super::composite::CompositeCheck;
use super::grpc_check::GrpcCheck;
use super::tls_check::{TlsCheck, TlsTrust};
use crate::net::Family;

/// A check's definition.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Monitor {
    /// Name in the configuration.
    pub name: Box<str>,
    /// What is done.
    pub kind: MonitorKind,
    /// Time between the starts of two probes of one target, 100 ms to 1 h.
    pub interval: Duration,
    /// A probe that takes longer fails; less than `interval`.
    pub timeout: Duration,
    /// Consecutive passes that bring a target up, or clear its failures, 1 to 100.
    pub rise: u32,
    /// Accumulated failures that bring a target down, 1 to 100.
    pub fall: u32,
    /// Largest random delay of a probe's start as a share of the interval in percent, 0 to 50.
    pub jitter_percent: u32,
    /// Probe this port instead of the endpoint's own.
    pub port: Option<u16>,
    /// Probes leave from the first of these that is of the target's family and this machine has; from
    /// where the kernel likes when there is none of that family.
    pub source: Vec<IpAddr>,
    /// Only endpoints of this family are probed; the others count as having no monitor.
    pub family: Option<Family>,
    /// How often a failure is looked at again at once before it counts, 0 to 5. All tries of a run
    /// share its `timeout`.
    pub retries: u32,
}

impl Monitor {
    /// Whether an endpoint at `addr` is probed by it.
    pub fn probes(&self, addr: IpAddr) -> bool {
        let family = self.family.is_none_or(|f| f == Family::of(addr));
        family
            && match &self.kind {
                MonitorKind::Composite(c) => c.parts_of(addr).next().is_some(),
                _ => true,
            }
    }

    /// The port of the target when the endpoint's, or the whole's of which this is a part, is
    /// `inherited`; 0 is none.
    pub fn probed_port(&self, inherited: u16) -> u16 {
        match self.kind {
            // An address is probed once, whatever is served there.
            MonitorKind::Icmp(_) => 0,
            _ => self.port.unwrap_or(inherited),
        }
    }

    /// Whether the endpoint must have a port for it.
    pub fn needs_port(&self) -> bool {
        self.port.is_none()
            && match &self.kind {
                MonitorKind::Icmp(_) | MonitorKind::Exec(_) => false,
                MonitorKind::Composite(c) => c.parts.iter().any(|p| p.needs_port()),
                _ => true,
            }
    }

    /// The longest a probe's start may be shifted.
    pub fn largest_jitter(&self) -> Duration {
        self.interval.saturating_mul(self.jitter_percent) / 100
    }
}

/// What a check does.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum MonitorKind {
    /// Connects.
    Tcp(TcpCheck),
    /// Asks over HTTP or HTTPS.
    Http(HttpCheck),
    /// Shakes hands over TLS.
    Tls(TlsCheck),
    /// Asks over gRPC.
    Grpc(GrpcCheck),
    /// Sends a datagram.
    Udp(UdpCheck),
    /// Asks a name server.
    Dns(DnsCheck),
    /// Sends an echo request.
    Icmp(IcmpCheck),
    /// Runs a command.
    Exec(ExecCheck),
    /// Follows from other monitors and asks nothing itself.
    Composite(CompositeCheck),
}

impl MonitorKind {
    /// Days before its expiry from which on a certificate is warned of; `None` where there is no TLS.
    pub fn warn_days(&self) -> Option<u32> {
        let trust = match self {
            MonitorKind::Http(http) => http.tls.as_ref(),
            MonitorKind::Tls(tls) => Some(&tls.trust),
            MonitorKind::Grpc(grpc) => grpc.tls.as_ref(),
            _ => None,
        };
        trust.map(|t| t.warn_days)
    }

    /// Whether it is never probed itself.
    pub fn is_composite(&self) -> bool {
        matches!(self, MonitorKind::Composite(_))
    }

    /// Whether the time a run reports is the network's distance.
    pub fn measures_distance(&self) -> bool {
        !matches!(self, MonitorKind::Exec(_) | MonitorKind::Composite(_))
    }
}

/// An HTTP(S) check (requirement H8).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct HttpCheck {
    /// HTTPS, and whom to trust; HTTP when `None`.
    pub tls: Option<TlsTrust>,
    /// Version of HTTP.
    pub version: HttpVersion,
    /// `Host` header (`:authority` of HTTP/2); the address when `None`.
    pub host: Option<Box<str>>,
    /// Request method.
    pub method: Box<str>,
    /// Path and query, starting with `/`.
    pub path: Box<str>,
    /// Further request headers.
    pub headers: Vec<(Box<str>, Box<str>)>,
    /// Request body.
    pub body: Option<Box<str>>,
    /// Accepted status codes as inclusive ranges.
    pub expect_status: Vec<(u16, u16)>,
    /// Text the body must contain.
    pub expect_body: Option<Box<str>>,
    /// Regular expression the body must match (checked at compile time).
    pub expect_body_regex: Option<Box<str>>,
    /// Redirects followed, 0 to 10; with 0 a redirect's own status is judged.
    pub follow_redirects: u32,
    /// Body bytes read at most; the rest is not read.
    pub max_body: usize,
}

/// Which HTTP a check speaks.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum HttpVersion {
    /// HTTP/1.1.
    #[default]
    Http11,
    /// HTTP/2: over TLS by ALPN, in cleartext by prior knowledge (RFC 9113 section 3.3).
    Http2,
    /// Over TLS what the server chooses of both (ALPN), in cleartext HTTP/1.1.
    Auto,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// TCP, interval 10 s, timeout 2 s, rise 5, fall 3, jitter 10 %.
    pub(crate) fn monitor() -> Monitor {
        Monitor {
            name: "m".into(),
            kind: MonitorKind::Tcp(TcpCheck::default()),
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(2),
            rise: 5,
            fall: 3,
            jitter_percent: 10,
            port: None,
            source: Vec::new(),
            family: None,
            retries: 0,
        }
    }

    #[test]
    fn jitter_is_a_share_of_the_interval() {
        assert_eq!(monitor().largest_jitter(), Duration::from_secs(1));
        assert_eq!(
            Monitor {
                jitter_percent: 0,
                ..monitor()
            }
            .largest_jitter(),
            Duration::ZERO
        );
    }
}
