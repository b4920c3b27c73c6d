//! Checks: one run of a monitor against one target.

mod conversation;
pub mod dns;
pub mod exec;
mod expect;
mod expiry;
pub mod grpc;
pub mod http;
pub mod icmp;
mod retry;
pub mod secure;
mod shared;
pub mod socket;
mod source;
pub mod tcp;
pub mod tls;
pub mod udp;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use self::dns::DnsProbe;
use self::exec::ExecProbe;
use self::grpc::GrpcProbe;
use self::http::HttpProbe;
use self::icmp::IcmpProbe;
pub use self::shared::Shared;
use self::tcp::TcpProbe;
use self::tls::TlsProbe;
use self::udp::UdpProbe;
use super::schedule::TargetKey;
use crate::health::{Failure, Monitor, MonitorKind};
use crate::time::Clock;

/// A target's check, made ready once and run many times.
#[derive(Debug)]
pub struct Check {
    addr: SocketAddr,
    monitor: Arc<Monitor>,
    kind: Kind,
}

/// What is done.
#[derive(Debug)]
enum Kind {
    Tcp(TcpProbe),
    Http(Box<HttpProbe>),
    Tls(Box<TlsProbe>),
    Grpc(Box<GrpcProbe>),
    Udp(UdpProbe),
    Dns(DnsProbe),
    Icmp(IcmpProbe),
    Exec(ExecProbe),
    /// A composite follows from its parts; no plan has one.
    Nothing,
}

impl Check {
    /// Makes the check of `key` ready, with what other targets of the same plan have in common with
    /// it. Costs no I/O.
    pub fn prepare(key: &TargetKey, shared: &mut Shared) -> Check {
        let addr = SocketAddr::new(key.addr, key.port);
        let kind = match &key.monitor.kind {
            MonitorKind::Tcp(tcp) => Kind::Tcp(TcpProbe::new(tcp, addr)),
            MonitorKind::Http(http) => {
                Kind::Http(Box::new(HttpProbe::new(shared.template(http), addr)))
            }
            MonitorKind::Tls(tls) => {
                let client = shared.tls(&tls.trust, &tls.alpn);
                Kind::Tls(Box::new(TlsProbe::new(tls, client, addr)))
            }
            MonitorKind::Grpc(grpc) => {
                let client = grpc.tls.as_ref().map(|t| shared.tls(t, &["h2"]));
                Kind::Grpc(Box::new(GrpcProbe::new(grpc, client, addr)))
            }
            MonitorKind::Udp(udp) => Kind::Udp(UdpProbe::new(udp, addr)),
            MonitorKind::Dns(dns) => Kind::Dns(DnsProbe::new(dns, addr)),
            MonitorKind::Icmp(_) => Kind::Icmp(IcmpProbe::new(addr.ip())),
            MonitorKind::Exec(exec) => Kind::Exec(ExecProbe::new(exec, &key.monitor, addr)),
            MonitorKind::Composite(_) => Kind::Nothing,
        };
        Check {
            addr,
            monitor: key.monitor.clone(),
            kind,
        }
    }

    /// The target.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Runs it once, with its retries; gives the time to connect. Has no time limit of its own: the
    /// caller's, which is the monitor's timeout, covers the whole run.
    ///
    /// # Errors
    /// When the target does not pass.
    pub async fn run(&self, clock: &dyn Clock) -> Result<Duration, Failure> {
        let limits = (self.monitor.retries, self.monitor.timeout);
        retry::within(limits, clock, || self.once(clock)).await
    }

    async fn once(&self, clock: &dyn Clock) -> Result<Duration, Failure> {
        let source = source::pick(&self.monitor.source, self.addr.ip())?;
        match &self.kind {
            Kind::Tcp(tcp) => tcp.run(source, clock).await,
            // Boxed, so that a run of the simplest check stays small.
            Kind::Http(http) => Box::pin(http.run(source, clock)).await,
            Kind::Tls(tls) => Box::pin(tls.run(source, clock)).await,
            Kind::Grpc(grpc) => Box::pin(grpc.run(source, clock)).await,
            Kind::Udp(udp) => udp.run(source, clock).await,
            Kind::Dns(dns) => dns.run(source, clock).await,
            Kind::Icmp(icmp) => icmp.run(source, clock).await,
            Kind::Exec(exec) => exec.run(clock).await,
            Kind::Nothing => Err(Failure::Unable("it follows from other monitors".to_owned())),
        }
    }
    /// When the certificate that the target showed last expires, in seconds since
    /// 1970-01-01T00:00:00Z; `None` while none was seen.
    pub fn certificate_not_after(&self) -> Option<u64> {
        match &self.kind {
            Kind::Http(http) => http.expiry.get(),
            Kind::Tls(tls) => tls.expiry.get(),
            Kind::Grpc(grpc) => grpc.expiry.get(),
            _ => None,
        }
    }
}
