//! Datagrams, carried to a backend and back by sessions.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use tokio::net::UdpSocket;

use super::worker::Worker;

/// Serves the datagrams of one socket. `open` counts the sessions of the listener.
pub async fn serve(
    _worker: Rc<Worker>,
    listener: Rc<str>,
    socket: UdpSocket,
    _open: Arc<AtomicU32>,
) {
    let mut space = [0; 2048];
    loop {
        let got: Result<(usize, SocketAddr), _> = socket.recv_from(&mut space).await;
        if let Err(error) = got {
            tracing::warn!(%listener, %error, "cannot take a datagram");
        }
    }
}
