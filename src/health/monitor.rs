//! Monitors: what a check does and when a result counts. Plain data; `probe` runs it.

use std::time::Duration;

use super::grpc_check::GrpcCheck;
use super::tls_check::{TlsCheck, TlsTrust};

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
}

impl Monitor {
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
}

/// A TCP check: passes when the connection is established.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct TcpCheck {}

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
            kind: MonitorKind::Tcp(TcpCheck {}),
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(2),
            rise: 5,
            fall: 3,
            jitter_percent: 10,
            port: None,
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
