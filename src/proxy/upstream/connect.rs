//! New connections to backends: TCP, then the PROXY protocol, then TLS.

use std::sync::Arc;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::net::proxy_v2::Endpoints;
use crate::proxy::dial::{self, NotReached};
use crate::proxy::io::Io;
use crate::proxy::message::Peer;
use crate::proxy::proxy_protocol;
use crate::proxy::stats::count;
use crate::proxy::tier::Server;
use crate::proxy::tls::UpstreamTls;
use crate::proxy::watch::Watch;
use crate::proxy::worker::Worker;
use crate::time::Moment;
use crate::traffic::Upstream;

use super::Why;

/// The way to a server.
pub struct Way<'a> {
    /// When the whole exchange must be over.
    pub until: Option<Moment>,
    /// The upstream it belongs to.
    pub upstream: &'a Upstream,
    /// How it is spoken to over TLS; `None`: without.
    pub tls: Option<&'a UpstreamTls>,
    /// The server.
    pub server: &'a Arc<Server>,
    /// Whom a connection is for, where its server is told.
    pub peer: &'a Peer,
    /// What is known of a connection that carries no HTTP; `None`: it does.
    pub bare: Option<Bare<'a>>,
}

/// What is known of a connection that carries no HTTP.
#[derive(Clone, Copy, Default)]
pub struct Bare<'a> {
    /// The server name that its TLS asks for, where it was looked at.
    pub sni: Option<&'a str>,
    /// The protocol that was agreed on within the client's TLS, where it ends here.
    pub alpn: Option<&'a [u8]>,
}

impl Way<'_> {
    /// Whether a connection belongs to one client's connection, whose address it comes from or began
    /// with.
    pub fn is_told(&self) -> bool {
        self.upstream.proxy_protocol.is_some() || self.upstream.origin.is_of_one_client()
    }
}

/// A new connection to a backend, made within the connect timeout.
///
/// # Errors
/// Why there is none; nothing of the request was sent.
pub async fn connect(worker: &Worker, way: &Way<'_>) -> Result<Io, Why> {
    count(&worker.stats.connects);
    let watch = Watch::new(&worker.watches);
    watch.set(way.upstream.timeouts.connect);
    let connecting = dial::connect(way.upstream.origin, way.peer.source, way.server.address);
    let connected = watch.bound(connecting).await;
    let tcp = connected
        .ok_or(Why::ConnectTimeout)?
        .map_err(|error| failed(worker, way, &error))?;
    // Small writes are whole messages here.
    let _ = tcp.set_nodelay(true);
    if way.upstream.proxy_protocol.is_none() && way.tls.is_none() {
        return Ok(Io::Tcp(tcp));
    }
    let secured = Box::pin(watch.bound(secure(tcp, way))).await;
    secured.ok_or(Why::ConnectTimeout)?
}

/// What it means that there is no connection.
fn failed(worker: &Worker, way: &Way<'_>, error: &NotReached) -> Why {
    let NotReached::NoSocket(error) = error else {
        return Why::Refused;
    };
    if worker.may_warn() {
        let (upstream, backend) = (&way.upstream.name, &way.server.name);
        tracing::warn!(%upstream, %backend, %error, "no socket for a connection to a backend");
    }
    Why::NoSocket
}

/// What stands before HTTP on a connection to a backend: the PROXY protocol, then TLS.
async fn secure(mut tcp: TcpStream, way: &Way<'_>) -> Result<Io, Why> {
    if let Some(version) = way.upstream.proxy_protocol {
        let said = Endpoints {
            source: way.peer.source,
            destination: way.peer.local,
        };
        let sni = way.bare.and_then(|bare| bare.sni);
        let header = proxy_protocol::header(version, Some(&said), way.peer.tls.as_deref(), sni);
        tcp.write_all(&header).await.map_err(|_| Why::Closed)?;
    }
    let Some(tls) = way.tls else {
        return Ok(Io::Tcp(tcp));
    };
    // What goes wrong is told there, once.
    let shaken = match way.bare {
        None => tls.connect(tcp, way.server.address).await,
        Some(bare) => tls.connect_for(tcp, way.server.address, bare.alpn).await,
    };
    let stream = shaken.map_err(|_| Why::Tls)?;
    Ok(Io::Tls(Box::new(stream.into())))
}
