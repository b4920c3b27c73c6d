//! DNS over QUIC (RFC 9250): a connection per client, a stream per query.
//!
//! Places are bounded as those of TCP are (`hall`). Once half of them are taken, newcomers must
//! first show that they receive at the address they send from (a QUIC Retry), so that forged
//! packets can take no places.

mod stream;

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::QuicServerConfig;
use quinn::{
    Connection, Endpoint, EndpointConfig, Incoming, TokioRuntime, TransportConfig, VarInt,
};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, timeout, timeout_at};

use crate::telemetry::DnsEvent;

use super::hall::{Hall, Lease, REST, Service, TcpLimits, until_left};

/// Error codes of RFC 9250 section 4.3.
mod code {
    use quinn::VarInt;

    /// DOQ_NO_ERROR
    pub(super) const NO_ERROR: VarInt = VarInt::from_u32(0x0);
    /// DOQ_PROTOCOL_ERROR
    pub(super) const PROTOCOL_ERROR: VarInt = VarInt::from_u32(0x2);
    /// DOQ_REQUEST_CANCELLED
    pub(super) const REQUEST_CANCELLED: VarInt = VarInt::from_u32(0x3);
    /// DOQ_EXCESSIVE_LOAD
    pub(super) const EXCESSIVE_LOAD: VarInt = VarInt::from_u32(0x4);
}

/// Queries that one connection may have under way.
const STREAMS: u32 = 100;

/// Octets that a client may send ahead of what is read: the longest query with its length.
const WINDOW: u32 = 2 + 65_535;

/// Octets of answers kept per connection until the client has them; more wait for room.
const UNACKNOWLEDGED: u64 = 256 * 1024;

/// Binds `addr` for QUIC. IPv6 sockets take IPv6 only.
///
/// # Errors
/// When the address cannot be bound.
pub fn bind(addr: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&addr.into())?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// An endpoint on `socket`; must be called within the runtime. `settings` are those of TLS.
///
/// # Errors
/// When the TLS settings lack what QUIC needs, or the system refuses.
pub fn open(
    socket: UdpSocket,
    limits: &TcpLimits,
    settings: rustls::ServerConfig,
) -> io::Result<Endpoint> {
    let crypto = QuicServerConfig::try_from(settings).map_err(io::Error::other)?;
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(crypto));
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(STREAMS))
        // RFC 9250 section 4.2: queries come on client-initiated bidirectional streams only.
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None)
        .stream_receive_window(VarInt::from_u32(WINDOW))
        .receive_window(VarInt::from_u32(2 * WINDOW))
        .send_window(UNACKNOWLEDGED)
        .max_idle_timeout(limits.idle_timeout.try_into().ok());
    config.transport_config(Arc::new(transport));
    config.max_incoming(limits.max_connections as usize);
    Endpoint::new(
        EndpointConfig::default(),
        Some(config),
        socket,
        Arc::new(TokioRuntime),
    )
}

/// Serves `endpoint` until [`Service::stopped`] holds `true` or its sender is gone. Ends when the
/// last connection has, at most [`TcpLimits::stop_timeout`] after it was told to stop.
pub async fn serve(endpoint: Endpoint, service: Service) {
    let hall = Hall::new(&service);
    let (mut stopped, mut left) = (service.stopped, service.left);
    let told = (stopped.clone(), left.clone());
    let mut tasks = JoinSet::new();
    let mut rest = interval(REST);
    let mut leaves = false;
    while !leaves {
        tokio::select! {
            biased;
            // An error means that the sender is gone, and with it whoever could say stop.
            _ = stopped.wait_for(|stop| *stop) => break,
            () = until_left(&mut left) => leaves = true,
            Some(_) = tasks.join_next() => {}
            _ = rest.tick() => hall.at_desk(|desk, _| desk.rest()),
            incoming = endpoint.accept() => match incoming {
                Some(incoming) => admit(&hall, &mut tasks, incoming, &told),
                None => break,
            }
        }
    }
    if leaves {
        return leave(&hall, endpoint, tasks).await;
    }
    let all_ended = async { while tasks.join_next().await.is_some() {} };
    drop(timeout(hall.limits.stop_timeout, all_ended).await);
    endpoint.close(code::NO_ERROR, b"");
    drop(timeout(hall.limits.stop_timeout, endpoint.wait_idle()).await);
}

/// Leaves the socket to another process. Two of them cannot share it: each would get packets of the
/// other's connections. So queries under way are answered and connections ended, which clients meet by
/// a new one; and whoever comes meanwhile hears nothing, so that the packet it sends again finds the
/// other process.
async fn leave(hall: &Hall, endpoint: Endpoint, mut tasks: JoinSet<()>) {
    let ignore = async {
        while let Some(incoming) = endpoint.accept().await {
            incoming.ignore();
        }
    };
    let all_ended = async {
        while tasks.join_next().await.is_some() {}
        endpoint.wait_idle().await;
    };
    let ended = timeout(hall.limits.stop_timeout, async {
        tokio::select! {
            () = all_ended => {}
            () = ignore => {}
        }
    });
    drop(ended.await);
}

fn admit(
    hall: &Arc<Hall>,
    tasks: &mut JoinSet<()>,
    incoming: Incoming,
    told: &(watch::Receiver<bool>, watch::Receiver<bool>),
) {
    let peer = incoming.remote_address();
    if incoming.may_retry() && hall.is_half_full(peer.ip()) {
        // Cannot fail: it may be retried.
        drop(incoming.retry());
        return;
    }
    let lease = Arc::new(hall.admit(peer.ip()));
    let (hall, told) = (hall.clone(), told.clone());
    tasks.spawn(async move {
        let handshake = async { incoming.accept()?.await };
        match timeout(hall.limits.handshake_timeout, handshake).await {
            Ok(Ok(connection)) => converse(&hall, &lease, &connection, told).await,
            other => {
                hall.count(DnsEvent::QuicHandshake);
                tracing::debug!(%peer, error = ?other.err(), "no QUIC handshake");
            }
        }
    });
}

/// One connection: every query has a task of its own.
async fn converse(
    hall: &Arc<Hall>,
    lease: &Arc<Lease>,
    connection: &Connection,
    (mut stopped, mut left): (watch::Receiver<bool>, watch::Receiver<bool>),
) {
    let mut queries: JoinSet<Result<(), stream::Ending>> = JoinSet::new();
    let idle = hall.limits.idle_timeout;
    let mut deadline = after(idle);
    let code = loop {
        tokio::select! {
            biased;
            _ = stopped.wait_for(|stop| *stop) => break code::NO_ERROR,
            () = until_left(&mut left) => break code::NO_ERROR,
            () = lease.evicted() => break code::EXCESSIVE_LOAD,
            Some(ended) = queries.join_next() => match ended {
                Ok(Err(stream::Ending::Refused)) => break code::EXCESSIVE_LOAD,
                Ok(Err(stream::Ending::Breach(breach))) => {
                    tracing::debug!(peer = %connection.remote_address(), ?breach, "DoQ protocol error");
                    connection.close(code::PROTOCOL_ERROR, breach.as_str().as_bytes());
                    return;
                }
                _ => deadline = after(idle),
            },
            // What QUIC itself exchanges keeps no connection open, queries do.
            opened = timeout_at(deadline, connection.accept_bi()) => match opened {
                Ok(Ok((send, receive))) => {
                    let (hall, lease) = (hall.clone(), lease.clone());
                    // The client may have moved since (RFC 9000 section 9).
                    let peer = connection.remote_address();
                    queries.spawn(stream::serve(hall, lease, peer, send, receive));
                    deadline = after(idle);
                }
                Ok(Err(_)) => return,
                Err(_) if queries.is_empty() => break code::NO_ERROR,
                Err(_) => deadline = after(idle),
            },
        }
    };
    let answered = async { while queries.join_next().await.is_some() {} };
    drop(timeout(hall.limits.stop_timeout, answered).await);
    connection.close(code, b"");
}

fn after(time: Duration) -> Instant {
    Instant::now() + time
}
