//! DNS over TCP (RFC 7766): a listener with bounds on connections, on idling and on slowness.
//!
//! When all places are taken, a new connection is not refused: the one that has been idle the
//! longest makes room (RFC 7766 section 6.2.3). So a crowd of idle or dawdling clients can never
//! keep others out.

mod conversation;
mod table;

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep_until, timeout};

use crate::snapshot::Publisher;
use crate::telemetry::{DnsCounters, DnsEvent};
use crate::time::Clock;

use self::conversation::Place;
use self::table::Table;
use super::desk::Desk;

/// Connections that may wait to be accepted; beyond, the kernel makes clients try again.
const BACKLOG: i32 = 1_024;

/// A listener without queries looks for the newest view so often, or it would keep an old
/// configuration in memory.
const REST: Duration = Duration::from_millis(200);

/// Pauses after the system refused to accept: they double from the first to the second.
const PAUSES: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));

/// Bounds of one listener.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TcpLimits {
    /// Open connections at most, at least 1.
    pub max_connections: u32,
    /// Open connections of one source at most: an IPv4 address or an IPv6 /64. `None`: a quarter of
    /// `max_connections`, at least 1.
    pub max_per_source: Option<u32>,
    /// A connection without a query for so long is closed.
    pub idle_timeout: Duration,
    /// From the first octet of a query to its last.
    pub message_timeout: Duration,
    /// For the client to take its answers.
    pub write_timeout: Duration,
    /// When stopping: for answers under way.
    pub stop_timeout: Duration,
}

impl Default for TcpLimits {
    fn default() -> Self {
        TcpLimits {
            max_connections: 1_000,
            max_per_source: None,
            idle_timeout: Duration::from_secs(10),
            message_timeout: Duration::from_secs(5),
            write_timeout: Duration::from_secs(5),
            stop_timeout: Duration::from_millis(500),
        }
    }
}

impl TcpLimits {
    /// The limit of connections per source in force.
    pub fn per_source(&self) -> usize {
        let share = self
            .max_per_source
            .unwrap_or(self.max_connections / 4)
            .max(1);
        share as usize
    }
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

/// Serves `listener` until `stopped` holds `true` or its sender is gone. Each message is answered by
/// [`crate::engine::answer()`]; `counters` are this listener's own; `open` is a gauge of connections
/// that several listeners may share. Ends when the last connection has, at most
/// [`TcpLimits::stop_timeout`] after it was told to stop.
pub async fn serve(
    listener: TcpListener,
    publisher: Publisher,
    clock: Arc<dyn Clock>,
    counters: Arc<DnsCounters>,
    open: Arc<AtomicU64>,
    limits: TcpLimits,
    stopped: watch::Receiver<bool>,
) {
    let desk = Desk::new(&publisher, &clock, counters);
    serve_at(desk, listener, clock, open, limits, stopped).await;
}

/// What all connections of a listener share.
struct Hall {
    /// One desk for all: an answer takes about a microsecond, far less than the system calls around
    /// it, and its counters have one writer at a time. With it goes room for the longest answer.
    desk: Mutex<(Desk, Box<[u8]>)>,
    table: Arc<Table>,
    clock: Arc<dyn Clock>,
    limits: TcpLimits,
}

impl Hall {
    /// Works at the desk. Never held across an await.
    fn at_desk<T>(&self, work: impl FnOnce(&mut Desk, &mut [u8]) -> T) -> T {
        // A panic at the desk leaves it usable; see `Round::answer`.
        let mut guard = self.desk.lock().unwrap_or_else(PoisonError::into_inner);
        let (desk, room) = &mut *guard;
        work(desk, room)
    }

    fn count(&self, event: DnsEvent) {
        self.at_desk(|desk, _| desk.count(event));
    }
}

async fn serve_at(
    desk: Desk,
    listener: TcpListener,
    clock: Arc<dyn Clock>,
    open: Arc<AtomicU64>,
    limits: TcpLimits,
    mut stopped: watch::Receiver<bool>,
) {
    let hall = Arc::new(Hall {
        desk: Mutex::new((desk, vec![0; conversation::MESSAGE].into())),
        table: Table::new(
            limits.max_connections.max(1) as usize,
            limits.per_source(),
            open,
        ),
        clock,
        limits,
    });
    let mut tasks = JoinSet::new();
    let mut pause = Pause::default();
    let told = stopped.clone();
    let mut rest = interval(REST);
    loop {
        let resume = pause.until;
        tokio::select! {
            biased;
            // An error means that the sender is gone, and with it whoever could say stop.
            _ = stopped.wait_for(|stop| *stop) => break,
            Some(_) = tasks.join_next() => {}
            _ = rest.tick() => hall.at_desk(|desk, _| desk.rest()),
            accepted = async { sleep_until(resume).await; listener.accept().await } => {
                match accepted {
                    Ok((stream, peer)) => {
                        pause = Pause::default();
                        admit(&hall, &mut tasks, stream, peer, &told);
                    }
                    Err(error) => pause.after(&error, &hall),
                }
            }
        }
    }
    drop(listener);
    let all_ended = async { while tasks.join_next().await.is_some() {} };
    if timeout(limits.stop_timeout, all_ended).await.is_err() {
        tasks.shutdown().await;
    }
}

fn admit(
    hall: &Arc<Hall>,
    tasks: &mut JoinSet<()>,
    stream: TcpStream,
    peer: SocketAddr,
    told: &watch::Receiver<bool>,
) {
    let (lease, evicted) = hall.table.admit(peer.ip(), hall.clock.now());
    if let Some(reason) = evicted {
        hall.count(DnsEvent::TcpEvicted);
        tracing::debug!(%peer, ?reason, "the longest idle connection made room");
    }
    // Answers are written whole, so waiting to fill a segment only delays them.
    drop(stream.set_nodelay(true));
    let place = Place {
        hall: hall.clone(),
        lease,
        peer,
        stopped: told.clone(),
    };
    tasks.spawn(async move {
        let end = place.serve(stream).await;
        tracing::trace!(%peer, ?end, "connection closed");
    });
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
        if exhausted && hall.table.evict_longest_idle() {
            hall.count(DnsEvent::TcpEvicted);
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
