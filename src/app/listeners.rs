//! The encrypted listeners of a node: bound before anything else runs, served once DNS is.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::compile::Node;
use crate::server::hall::Service;
use crate::server::proxied::Proxies;
use crate::server::tcp::Speech;
use crate::server::tls::{Application, Identity, settings};
use crate::server::{quic, tcp};
use crate::telemetry::DnsCounters;
use crate::telemetry::stats::EncryptedConnections;

use super::run::{RunError, is_missing};
use super::takeover::{Kind, Sockets};

/// Sockets of one node, not yet served.
#[derive(Debug, Default)]
pub(super) struct EncryptedListeners {
    tls: Vec<std::net::TcpListener>,
    https: Vec<std::net::TcpListener>,
    quic: Vec<std::net::UdpSocket>,
}

/// Where the encrypted listeners listen.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct EncryptedAddresses {
    /// DNS over TLS.
    pub tls: Vec<SocketAddr>,
    /// DNS over HTTPS.
    pub https: Vec<SocketAddr>,
    /// DNS over QUIC.
    pub quic: Vec<SocketAddr>,
}

impl std::fmt::Display for EncryptedAddresses {
    /// ` dot=… doh=… doq=…`, only of what there is.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (name, addresses) in [
            ("dot", &self.tls),
            ("doh", &self.https),
            ("doq", &self.quic),
        ] {
            for (i, a) in addresses.iter().enumerate() {
                if i == 0 {
                    write!(f, " {name}={a}")?;
                } else {
                    write!(f, ",{a}")?;
                }
            }
        }
        Ok(())
    }
}

/// Binds all addresses of the node's encrypted listeners.
pub(super) fn bind(
    node: &Node,
    skip_missing: bool,
    sockets: &mut Sockets,
) -> Result<EncryptedListeners, RunError> {
    let e = &node.encrypted;
    let mut stream = |kind, word, addresses: &[SocketAddr]| {
        bind_each(addresses, skip_missing, word, |addr| {
            sockets.one(kind, addr, tcp::bind)
        })
    };
    let tls = stream(Kind::Dot, "tls", &e.tls)?;
    let https = stream(Kind::Doh, "https", &e.https)?;
    let quic = bind_each(&e.quic, skip_missing, "quic", |addr| {
        sockets.one(Kind::Doq, addr, quic::bind)
    })?;
    Ok(EncryptedListeners { tls, https, quic })
}

fn bind_each<L>(
    addresses: &[SocketAddr],
    skip_missing: bool,
    kind: &str,
    mut bind: impl FnMut(SocketAddr) -> io::Result<L>,
) -> Result<Vec<L>, RunError> {
    let mut bound = Vec::new();
    for addr in addresses {
        match bind(*addr) {
            Ok(listener) => bound.push(listener),
            Err(e) if skip_missing && is_missing(&e) => {
                tracing::warn!(%addr, "this machine does not have the address; not listening on it");
            }
            Err(e) => {
                let help = match e.kind() {
                    io::ErrorKind::AddrInUse => {
                        "another process has the port; stop it or choose another"
                    }
                    io::ErrorKind::PermissionDenied => {
                        "ports below 1024 need the capability CAP_NET_BIND_SERVICE"
                    }
                    _ => "check the address",
                };
                return Err(RunError::Other(format!(
                    "cannot listen on {addr}: {e}; {help} (`dns.{kind}.listen` of the node)"
                )));
            }
        }
    }
    Ok(bound)
}

impl EncryptedListeners {
    /// Number of listeners; each wants counters of its own.
    pub(super) fn len(&self) -> usize {
        self.tls.len() + self.https.len() + self.quic.len()
    }

    /// Where they listen.
    pub(super) fn addresses(&self) -> EncryptedAddresses {
        let streams = |listeners: &[std::net::TcpListener]| {
            listeners.iter().flat_map(|l| l.local_addr()).collect()
        };
        EncryptedAddresses {
            tls: streams(&self.tls),
            https: streams(&self.https),
            quic: self.quic.iter().flat_map(|s| s.local_addr()).collect(),
        }
    }

    /// Starts serving streams. `service` makes what a listener is given from its counters and its gauge.
    /// QUIC is served by what this gives.
    pub(super) fn start(
        self,
        node: &Node,
        identity: &Arc<Identity>,
        open: &EncryptedConnections,
        mut counters: impl Iterator<Item = Arc<DnsCounters>>,
        service: impl Fn(Arc<DnsCounters>, Arc<AtomicU64>) -> Service,
    ) -> Result<QuicListeners, RunError> {
        let failed =
            |e: &dyn std::fmt::Display| RunError::Other(format!("cannot serve encrypted DNS: {e}"));
        let tls = |application| {
            settings(identity, application)
                .map(Arc::new)
                .map_err(|e| failed(&e))
        };
        let mut own = || counters.next().unwrap_or_default();
        let path: Arc<str> = node.encrypted.https_path.as_str().into();
        let mut streams = Vec::new();
        if !self.tls.is_empty() {
            let speech = Speech::Tls(tls(Application::Dot)?);
            streams.extend(self.tls.into_iter().map(|l| (l, speech.clone(), &open.tls)));
        }
        if !self.https.is_empty() {
            let speech = Speech::Https(tls(Application::Doh)?, path);
            let listeners = self.https.into_iter();
            streams.extend(listeners.map(|l| (l, speech.clone(), &open.https)));
        }
        for (listener, speech, gauge) in streams {
            let listener = TcpListener::from_std(listener).map_err(|e| failed(&e))?;
            let service = service(own(), gauge.clone());
            tokio::spawn(tcp::serve(listener, service, speech));
        }
        let mut quic = Vec::new();
        for socket in self.quic {
            let mut service = service(own(), open.quic.clone());
            // A QUIC packet has no place for a header before it.
            service.proxies = Proxies::default();
            let settings = settings(identity, Application::Doq).map_err(|e| failed(&e))?;
            quic.push((socket, service, settings));
        }
        Ok(QuicListeners(quic))
    }
}

/// Listeners of DNS over QUIC, not yet served: only one process at a time can use such a socket.
#[derive(Debug, Default)]
pub(super) struct QuicListeners(Vec<(std::net::UdpSocket, Service, rustls::ServerConfig)>);

impl QuicListeners {
    /// Serves, in `tasks` that end with the listeners.
    pub(super) fn start(self, tasks: &mut JoinSet<()>) -> Result<(), RunError> {
        for (socket, service, settings) in self.0 {
            let endpoint = quic::open(socket, &service.limits, settings)
                .map_err(|e| RunError::Other(format!("cannot serve DNS over QUIC: {e}")))?;
            tasks.spawn(quic::serve(endpoint, service));
        }
        Ok(())
    }
}
