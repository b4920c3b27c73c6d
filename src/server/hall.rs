//! What all connections of a listener share, whatever they speak: the desk, the places and their
//! bounds, and the trusted proxies.

mod table;

use std::net::IpAddr;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit, watch};

use crate::dns::NameBuf;
use crate::dns::edns::keepalive;
use crate::dns::message::parse;
use crate::engine::{Inbound, Reply};
use crate::snapshot::Publisher;
use crate::telemetry::{DnsCounters, DnsEvent};
use crate::time::Clock;

use super::desk::Desk;
use super::proxied::Proxies;
use super::tap::Taps;
pub(super) use table::Lease;
use table::Table;

/// Longest message of DNS over anything but UDP (RFC 1035 section 4.2.2).
pub(super) const MESSAGE: usize = 65_535;

/// Queries up to this length are read wherever there is a place; no sane query comes near.
const SMALL: usize = 4_096;

/// Queries over [`SMALL`] octets that may be held in memory at once.
const LARGE_AT_ONCE: usize = 256;

/// A listener without queries looks for the newest view so often, or it would keep an old
/// configuration in memory.
pub(super) const REST: Duration = Duration::from_millis(200);

/// Bounds of one listener of connections.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TcpLimits {
    /// Open connections at most, at least 1.
    pub max_connections: u32,
    /// Open connections of one source at most: an IPv4 address or an IPv6 /64. `None`: a quarter of
    /// `max_connections`, at least 1.
    pub max_per_source: Option<u32>,
    /// A connection without a query for so long is closed.
    pub idle_timeout: Duration,
    /// For a PROXY header and a TLS or QUIC handshake to be complete.
    pub handshake_timeout: Duration,
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
            handshake_timeout: Duration::from_secs(5),
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

/// What a listener of connections is given.
pub struct Service {
    /// Where views come from.
    pub publisher: Publisher,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The listener's own counters.
    pub counters: Arc<DnsCounters>,
    /// A gauge of open connections, which listeners may share.
    pub open: Arc<AtomicU64>,
    /// Bounds.
    pub limits: TcpLimits,
    /// Whose word about clients is taken.
    pub proxies: Proxies,
    /// Who is given samples of what is answered.
    pub taps: Taps,
    /// Turns true, or loses its sender, when the listener shall end.
    pub stopped: watch::Receiver<bool>,
    /// Turns true when another process accepts on the socket: connections that stand are served on,
    /// none is accepted any more.
    pub left: watch::Receiver<bool>,
}

/// Waits until `left` turns true; for ever when it never can.
pub(super) async fn until_left(left: &mut watch::Receiver<bool>) {
    if left.wait_for(|left| *left).await.is_err() {
        std::future::pending().await
    }
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service")
            .field("limits", &self.limits)
            .field("proxies", &self.proxies)
            .finish_non_exhaustive()
    }
}

/// What the engine says to one query of a multiplexed connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Answer {
    /// These octets.
    Octets {
        /// The message, behind the octets left free.
        octets: Vec<u8>,
        /// The client may not go on.
        last: bool,
    },
    /// Nothing: what came is no query.
    NoQuery,
    /// Nothing: the client is shut out.
    ShutOut,
}

/// What all connections of a listener share.
pub(super) struct Hall {
    /// One desk for all: an answer takes about a microsecond, far less than the system calls around
    /// it, and its counters have one writer at a time. With it goes room for the longest answer.
    desk: Mutex<(Desk, Box<[u8]>)>,
    table: Arc<Table>,
    large: Semaphore,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) limits: TcpLimits,
    pub(super) proxies: Proxies,
}

impl Hall {
    /// The hall of a listener that was given `service`.
    pub(super) fn new(service: &Service) -> Arc<Hall> {
        let desk = Desk::new(&service.publisher, &service.clock, service.counters.clone());
        Hall::with_desk(desk, service)
    }

    pub(super) fn with_desk(mut desk: Desk, service: &Service) -> Arc<Hall> {
        let limits = service.limits;
        desk.tell_idle_timeout(keepalive::timeout(limits.idle_timeout));
        desk.tap(&service.taps);
        Arc::new(Hall {
            desk: Mutex::new((desk, vec![0; MESSAGE].into())),
            table: Table::new(
                limits.max_connections.max(1) as usize,
                limits.per_source(),
                service.open.clone(),
            ),
            large: Semaphore::new(LARGE_AT_ONCE),
            clock: service.clock.clone(),
            limits,
            proxies: service.proxies.clone(),
        })
    }

    /// Works at the desk, with room for the longest answer. Never held across an await.
    pub(super) fn at_desk<T>(&self, work: impl FnOnce(&mut Desk, &mut [u8]) -> T) -> T {
        // A panic at the desk leaves it usable; see `Round::answer`.
        let mut guard = self.desk.lock().unwrap_or_else(PoisonError::into_inner);
        let (desk, room) = &mut *guard;
        work(desk, room)
    }

    /// The answer to one query of a multiplexed connection, after `before` octets left free.
    pub(super) fn answer(&self, inbound: &Inbound<'_>, before: usize) -> Answer {
        self.at_desk(|desk, room| {
            let (len, last) = match desk.round().answer(inbound, room) {
                Reply::Send(len) => (len, false),
                Reply::SendAndClose(len) => (len, true),
                // The engine refuses transfers over HTTPS and QUIC, which come here.
                Reply::Drop | Reply::Transfer => {
                    let mut name = NameBuf::default();
                    return match parse(inbound.packet, &mut name) {
                        None => Answer::NoQuery,
                        Some(_) => Answer::ShutOut,
                    };
                }
            };
            let mut octets = Vec::with_capacity(before + len);
            octets.resize(before, 0);
            octets.extend_from_slice(&room[..len]);
            Answer::Octets { octets, last }
        })
    }

    /// Asks the clients of connections that stand to go when they are done: over TCP and TLS the idle
    /// timeout that answers tell is 0 from now on (RFC 7828 section 3.2.2).
    pub(super) fn see_off(&self) {
        self.at_desk(|desk, _| desk.tell_idle_timeout(0));
    }

    /// Counts something that happened outside the engine.
    pub(super) fn count(&self, event: DnsEvent) {
        self.at_desk(|desk, _| desk.count(event));
    }

    /// A place for a connection from `peer`. When all are taken, the longest idle connection makes
    /// room, which is counted.
    pub(super) fn admit(&self, peer: IpAddr) -> Lease {
        let many = self.proxies.trust(peer);
        let (lease, evicted) = self.table.admit(peer, many, self.clock.now());
        if let Some(reason) = evicted {
            self.count(DnsEvent::TcpEvicted);
            tracing::debug!(%peer, ?reason, "the longest idle connection made room");
        }
        lease
    }

    /// Frees the place of the longest idle connection, if there is one.
    pub(super) fn make_room(&self) {
        if self.table.evict_longest_idle() {
            self.count(DnsEvent::TcpEvicted);
        }
    }

    /// Whether at least half of the places are taken, in all or by this source.
    pub(super) fn is_half_full(&self, peer: IpAddr) -> bool {
        self.table.is_half_full(peer)
    }

    /// Waits until a query of so many octets may be held in memory: clients could otherwise fill it
    /// with long queries that they never finish, on as many streams as they may open.
    pub(super) async fn room_for(&self, octets: usize) -> Option<SemaphorePermit<'_>> {
        if octets <= SMALL {
            return None;
        }
        // The semaphore is never closed.
        self.large.acquire().await.ok()
    }
}
