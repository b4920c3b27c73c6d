//! New connections to backends: TCP, then the PROXY protocol, then TLS.

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::proxy::io::Io;
use crate::proxy::message::Told;
use crate::proxy::proxy_protocol;
use crate::proxy::stats::count;
use crate::proxy::tier::Server;
use crate::proxy::watch::Watch;
use crate::proxy::worker::Worker;
use crate::traffic::Upstream;

use super::Why;

/// A new connection to a backend, made within the connect timeout, TLS included. `told`: whom it is for,
/// where the backend is told.
///
/// # Errors
/// Why there is none; nothing of the request was sent.
pub async fn connect(
    worker: &Worker,
    upstream: &Upstream,
    server: &Server,
    told: Option<&Told>,
) -> Result<Io, Why> {
    count(&worker.stats.connects);
    let watch = Watch::new(&worker.watches);
    watch.set(upstream.timeouts.connect);
    let connected = watch.bound(TcpStream::connect(server.address)).await;
    let tcp = connected
        .ok_or(Why::ConnectTimeout)?
        .map_err(|_| Why::Refused)?;
    // Small writes are whole messages here.
    let _ = tcp.set_nodelay(true);
    if told.is_none() && server.tls.is_none() {
        return Ok(Io::Tcp(tcp));
    }
    // Boxed: the room it needs is not that of an exchange.
    let begun = Box::pin(watch.bound(begin(tcp, upstream, server, told))).await;
    begun.ok_or(Why::ConnectTimeout)?
}

async fn begin(
    mut tcp: TcpStream,
    upstream: &Upstream,
    server: &Server,
    told: Option<&Told>,
) -> Result<Io, Why> {
    if let (Some(version), Some(told)) = (upstream.proxy_protocol, told) {
        let header = proxy_protocol::header(version, Some(&told.endpoints), told.tls.as_deref());
        tcp.write_all(&header).await.map_err(|_| Why::Closed)?;
    }
    let Some(tls) = &server.tls else {
        return Ok(Io::Tcp(tcp));
    };
    let address = server.address;
    match tls.connect(tcp, address.ip()).await {
        Ok(stream) => Ok(Io::Tls(Box::new(stream.into()))),
        Err(error) => {
            let (upstream, server) = (&upstream.name, &server.name);
            tracing::warn!(%upstream, %server, %address, "no TLS with a backend: {error}");
            Err(Why::Tls)
        }
    }
}
