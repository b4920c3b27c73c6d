//! New connections to backends.

use tokio::net::TcpStream;

use crate::proxy::io::Io;
use crate::proxy::stats::count;
use crate::proxy::tier::Server;
use crate::proxy::watch::Watch;
use crate::proxy::worker::Worker;
use crate::traffic::Upstream;

use super::Why;

/// A new connection to a backend, made within the connect timeout.
///
/// # Errors
/// Why there is none; nothing of the request was sent.
pub async fn connect(worker: &Worker, upstream: &Upstream, server: &Server) -> Result<Io, Why> {
    count(&worker.stats.connects);
    let watch = Watch::new(&worker.watches);
    watch.set(upstream.timeouts.connect);
    let connected = watch.bound(TcpStream::connect(server.address)).await;
    let tcp = connected
        .ok_or(Why::ConnectTimeout)?
        .map_err(|_| Why::Refused)?;
    // Small writes are whole messages here.
    let _ = tcp.set_nodelay(true);
    Ok(Io::Tcp(tcp))
}
