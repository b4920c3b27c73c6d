//! Listeners of connections: DNS over TCP (RFC 7766), over TLS (RFC 7858) and over HTTPS (RFC 8484),
//! with bounds on connections, on idling and on slowness.
//!
//! When all places are taken, a new connection is not refused: the one that has been idle the
//! longest makes room (RFC 7766 section 6.2.3). So a crowd of idle or dawdling clients can never
//! keep others out.

mod conversation;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::engine::Transport;
use crate::telemetry::DnsEvent;

use self::conversation::{End, Talk};
use super::hall::{Hall, Lease, REST, Service, until_left};
use super::https;

/// Connections that may wait to be accepted; beyond, the kernel makes clients try again.
const BACKLOG: i32 = 1_024;

/// Pauses after the system refused to accept: they double from the first to the second.
const PAUSES: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));

/// What a listener speaks.
#[derive(Clone, Debug)]
pub enum Speech {
    /// DNS in the clear.
    Tcp,
    /// DNS over TLS.
    Tls(Arc<ServerConfig>),
    /// DNS over HTTPS, at this path.
    Https(Arc<ServerConfig>, Arc<str>),
}

/// Binds `addr` for TCP. IPv6 sockets take IPv6 only. The listener does not block, as
/// [`TcpListener::from_std`] wants.
///
/// # Errors
/// When the address cannot be bound.
pub fn bind(addr: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // A restart must not wait for the old connections' TIME-WAIT. On Linux this lets no second
    // process listen at the same time.
    socket.set_reuse_address(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Serves `listener` until [`Service::stopped`] holds `true` or its sender is gone. Each message is
/// answered by [`crate::engine::answer()`]. Ends when the last connection has, at most
/// [`super::hall::TcpLimits::stop_timeout`] after it was told to stop.
pub async fn serve(listener: TcpListener, service: Service, speech: Speech) {
    let hall = Hall::new(&service);
    serve_in(&hall, listener, speech, (service.stopped, service.left)).await;
}

async fn serve_in(
    hall: &Arc<Hall>,
    listener: TcpListener,
    speech: Speech,
    (mut stopped, mut left): (watch::Receiver<bool>, watch::Receiver<bool>),
) {
    let mut tasks = JoinSet::new();
    let mut pause = Pause::default();
    let told = (stopped.clone(), left.clone());
    let mut rest = interval(REST);
    loop {
        let resume = pause.until;
        tokio::select! {
            biased;
            // An error means that the sender is gone, and with it whoever could say stop.
            _ = stopped.wait_for(|stop| *stop) => break,
            () = until_left(&mut left) => break,
            Some(_) = tasks.join_next() => {}
            _ = rest.tick() => hall.at_desk(|desk, _| desk.rest()),
            accepted = async { sleep_until(resume).await; listener.accept().await } => {
                match accepted {
                    Ok((stream, peer)) => {
                        pause = Pause::default();
                        admit(hall, &mut tasks, stream, peer, &speech, &told);
                    }
                    Err(error) => pause.after(&error, hall),
                }
            }
        }
    }
    drop(listener);
    // Another process accepts: those who are here go when they are done.
    hall.see_off();
    while !tasks.is_empty() {
        tokio::select! {
            _ = stopped.wait_for(|stop| *stop) => break,
            _ = tasks.join_next() => {}
            _ = rest.tick() => hall.at_desk(|desk, _| desk.rest()),
        }
    }
    let all_ended = async { while tasks.join_next().await.is_some() {} };
    if timeout(hall.limits.stop_timeout, all_ended).await.is_err() {
        tasks.shutdown().await;
    }
}

fn admit(
    hall: &Arc<Hall>,
    tasks: &mut JoinSet<()>,
    stream: TcpStream,
    peer: SocketAddr,
    speech: &Speech,
    told: &(watch::Receiver<bool>, watch::Receiver<bool>),
) {
    let lease = Arc::new(hall.admit(peer.ip()));
    // Answers are written whole, so waiting to fill a segment only delays them.
    drop(stream.set_nodelay(true));
    let (hall, speech, told) = (hall.clone(), speech.clone(), told.clone());
    tasks.spawn(async move {
        let end = tokio::select! {
            () = lease.evicted() => End::Evicted,
            end = converse(&hall, &lease, stream, peer, speech, told) => end,
        };
        tracing::trace!(%peer, ?end, "connection closed");
    });
}

/// One connection from its first octet to its last.
async fn converse(
    hall: &Arc<Hall>,
    lease: &Arc<Lease>,
    mut stream: TcpStream,
    peer: SocketAddr,
    speech: Speech,
    (stopped, left): (watch::Receiver<bool>, watch::Receiver<bool>),
) -> End {
    let header = hall.proxies.stream(&mut stream, peer);
    let peer = match timeout(hall.limits.handshake_timeout, header).await {
        Ok(Ok(who)) => who,
        other => {
            hall.count(DnsEvent::ProxyRefused);
            let error = other.map_or_else(|slow| slow.to_string(), |r| format!("{:?}", r.err()));
            tracing::debug!(%peer, error, "a trusted proxy sent no PROXY header");
            return End::Proxy;
        }
    };
    match speech {
        Speech::Tcp => {
            let mut talk = Talk::new(hall, lease, peer, Transport::Tcp, stream);
            talk.run((stopped, left)).await
        }
        Speech::Tls(settings) => {
            let Some(stream) = shake_hands(hall, stream, peer, settings).await else {
                hall.count(DnsEvent::TlsHandshake);
                return End::Handshake;
            };
            let mut talk = Talk::new(hall, lease, peer, Transport::Tls, stream);
            let end = talk.run((stopped, left)).await;
            talk.close().await;
            end
        }
        Speech::Https(settings, path) => {
            let Some(stream) = shake_hands(hall, stream, peer, settings).await else {
                hall.count(DnsEvent::HttpsHandshake);
                return End::Handshake;
            };
            https::serve(hall, lease, stream, (peer, path), (stopped, left)).await;
            End::Client
        }
    }
}

async fn shake_hands(
    hall: &Hall,
    stream: TcpStream,
    peer: SocketAddr,
    settings: Arc<ServerConfig>,
) -> Option<TlsStream<TcpStream>> {
    let handshake = TlsAcceptor::from(settings).accept(stream);
    match timeout(hall.limits.handshake_timeout, handshake).await {
        Ok(Ok(stream)) => return Some(stream),
        Ok(Err(error)) => tracing::debug!(%peer, %error, "no TLS handshake"),
        Err(slow) => tracing::debug!(%peer, %slow, "no TLS handshake"),
    }
    None
}

/// Rests after failed accepts.
struct Pause {
    until: Instant,
    next: Duration,
}

impl Default for Pause {
    fn default() -> Self {
        Pause {
            until: Instant::now(),
            next: PAUSES.0,
        }
    }
}

impl Pause {
    fn after(&mut self, error: &io::Error, hall: &Hall) {
        let code = error.raw_os_error();
        if let Some(libc::ECONNABORTED | libc::EINTR) = code {
            return; // the client gave up before we came: no reason to rest
        }
        let exhausted = matches!(
            code,
            Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM)
        );
        // Give back what we can.
        if exhausted {
            hall.make_room();
        }
        tracing::warn!(
            %error,
            pause = ?self.next,
            "cannot accept a DNS connection; if files are exhausted, raise the limit of open files or lower the number of TCP connections"
        );
        self.until = Instant::now() + self.next;
        self.next = (self.next * 2).min(PAUSES.1);
    }
}

#[cfg(test)]
mod tests;
