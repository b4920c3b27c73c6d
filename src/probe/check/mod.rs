//! Checks: one run of a monitor against one target.

mod conversation;
mod expiry;
pub mod grpc;
pub mod http;
pub mod secure;
mod shared;
pub mod socket;
pub mod tcp;
pub mod tls;
mod unverified;

use std::net::SocketAddr;
use std::time::Duration;

use self::grpc::GrpcProbe;
use self::http::HttpProbe;
pub use self::shared::Shared;
use self::tls::TlsProbe;
use super::schedule::TargetKey;
use crate::health::{Failure, MonitorKind};
use crate::time::Clock;

/// A target's check, made ready once and run many times.
#[derive(Debug)]
pub enum Check {
    /// Connects.
    Tcp(SocketAddr),
    /// Asks over HTTP or HTTPS.
    Http(Box<HttpProbe>),
    /// Shakes hands over TLS.
    Tls(Box<TlsProbe>),
    /// Asks over gRPC.
    Grpc(Box<GrpcProbe>),
}

impl Check {
    /// Makes the check of `key` ready, with what other targets of the same plan have in common with
    /// it. Costs no I/O.
    pub fn prepare(key: &TargetKey, shared: &mut Shared) -> Check {
        let addr = SocketAddr::new(key.addr, key.port);
        match &key.monitor.kind {
            MonitorKind::Tcp(_) => Check::Tcp(addr),
            MonitorKind::Http(http) => {
                Check::Http(Box::new(HttpProbe::new(shared.template(http), addr, None)))
            }
            MonitorKind::Tls(tls) => {
                let client = shared.tls(&tls.trust, &tls.alpn);
                Check::Tls(Box::new(TlsProbe::new(tls, client, addr, None)))
            }
            MonitorKind::Grpc(grpc) => {
                let client = grpc.tls.as_ref().map(|t| shared.tls(t, &["h2"]));
                Check::Grpc(Box::new(GrpcProbe::new(grpc, client, addr, None)))
            }
        }
    }

    /// Runs it once; gives the time to connect. Has no time limit of its own: the caller's covers
    /// the whole run.
    ///
    /// # Errors
    /// When the target does not pass.
    pub async fn run(&self, clock: &dyn Clock) -> Result<Duration, Failure> {
        match self {
            Check::Tcp(addr) => tcp::connect(*addr, clock).await,
            // Boxed, so that a run of the simplest check stays small.
            Check::Http(http) => Box::pin(http.run(clock)).await,
            Check::Tls(tls) => Box::pin(tls.run(clock)).await,
            Check::Grpc(grpc) => Box::pin(grpc.run(clock)).await,
        }
    }

    /// When the certificate that the target showed last expires, in seconds since
    /// 1970-01-01T00:00:00Z; `None` while none was seen.
    pub fn certificate_not_after(&self) -> Option<u64> {
        match self {
            Check::Tcp(_) => None,
            Check::Http(http) => http.expiry.get(),
            Check::Tls(tls) => tls.expiry.get(),
            Check::Grpc(grpc) => grpc.expiry.get(),
        }
    }
}
