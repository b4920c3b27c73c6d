//! What the sessions of one listener go by, until the next reload.

use std::net::SocketAddr;
use std::sync::Arc;

use rustix::process::{Resource, getrlimit};

use crate::ids::ListenerId;
use crate::proxy::tier::{Server, Tier};
use crate::traffic::udp::UdpRules;
use crate::traffic::udp::table::Key;
use crate::traffic::{Listener, Origin, Transport, Tuple};

use super::counters::{Counters, Event};
use super::state::UdpState;

/// Of the descriptors that the process may have, sessions take at most one in so many: whatever comes in as
/// datagrams, connections can still be accepted.
const DESCRIPTORS_SHARE: u64 = 2;

/// What the sessions of one listener go by, until the next reload.
pub struct Ours {
    /// The plan.
    pub tier: Arc<Tier>,
    /// Which listener it is.
    pub listener: ListenerId,
    /// What is done with its datagrams.
    pub rules: UdpRules,
    /// What its workers share.
    pub state: Arc<UdpState>,
    /// Whether backends are told whose a datagram is.
    pub tells_client: bool,
    /// Where the socket is bound.
    pub address: SocketAddr,
    /// Which of the workers this is.
    pub worker: usize,
    /// How many there are.
    pub workers: usize,
}

impl Ours {
    /// What this worker counts of the listener.
    pub fn counters(&self) -> Option<&Counters> {
        self.state.counters(self.worker)
    }

    /// Where what goes to backends comes from.
    pub fn origin(&self) -> Origin {
        self.tier.upstream(self.rules.upstream).0.origin
    }

    /// Where the datagrams of a key were sent to.
    pub fn local(&self, key: &Key) -> SocketAddr {
        let ip = key.local.unwrap_or(self.address.ip());
        SocketAddr::new(ip, self.address.port())
    }

    /// What tells the datagrams of a client apart.
    pub fn tuple(&self, key: &Key) -> Tuple {
        Tuple {
            source: key.client,
            destination: self.local(key),
            transport: Transport::Udp,
        }
    }

    /// Notes that something happened.
    pub fn note(&self, event: Event, times: usize) {
        if let Some(counters) = self.counters() {
            counters.note(event, times);
        }
    }

    /// Datagrams of clients came in.
    pub fn came(&self, datagrams: usize, octets: usize) {
        if let Some(counters) = self.counters() {
            counters.traffic.came(datagrams as u64, octets as u64);
        }
    }

    /// Datagrams of clients went on to a backend.
    pub fn passed(&self, server: &Server, datagrams: usize, octets: usize) {
        if let Some(lane) = server.datagrams.lane(self.worker, self.workers) {
            lane.came(datagrams as u64, octets as u64);
        }
    }

    /// Datagrams of a backend went to clients.
    pub fn went(&self, server: &Server, datagrams: usize, octets: usize) {
        let (datagrams, octets) = (datagrams as u64, octets as u64);
        if let Some(counters) = self.counters() {
            counters.traffic.went(datagrams, octets);
        }
        if let Some(lane) = server.datagrams.lane(self.worker, self.workers) {
            lane.went(datagrams, octets);
        }
    }
}

/// How many sessions the sockets of a listener on one worker may have.
pub fn share(tier: &Tier, rules: &UdpRules, workers: usize) -> usize {
    let is_udp = |l: &&Listener| l.protocol.is_datagram();
    let sockets = tier.plan.listeners.iter().filter(is_udp);
    let sockets = sockets.map(|l| l.bind.len()).sum::<usize>().max(1) * workers;
    let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let descriptors = usize::try_from(descriptors / DESCRIPTORS_SHARE).unwrap_or(usize::MAX);
    let most = (rules.max_sessions as usize).div_ceil(workers);
    most.min(descriptors / sockets).max(1)
}
