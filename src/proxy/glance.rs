//! Looks at clients' connections: what the kernel knows of the way to them, for the table of client
//! prefixes and the log.
//!
//! One system call at the end of a connection, and now and then while one lives that has traffic; so
//! many a second and worker at most, evenly spread when there are more.

use std::cell::Cell;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::net::TcpStream;

use crate::health::clients::PathSample;
use crate::sys::{TcpInfo, tcp_info};
use crate::time::Moment;
use crate::traffic::proxy_protocol::Beginning;

use super::io::Io;
use super::message::Peer;
use super::tier::Tier;
use super::worker::Worker;

/// A connection with traffic is looked at so often while it lives.
const EVERY: Duration = Duration::from_secs(30);

/// How many looks a worker may take.
#[derive(Debug, Default)]
pub struct Glances {
    /// So many a second.
    budget: Cell<u32>,
    left: Cell<u32>,
    /// Of so many that could be taken one is.
    stride: Cell<u32>,
    /// That could be taken since the last one that was.
    passed: Cell<u32>,
    /// That could be taken in this second.
    wanted: Cell<u32>,
}

impl Glances {
    /// Begins another second, with so many looks.
    pub fn refill(&self, budget: u32) {
        self.stride.set(match budget {
            0 => u32::MAX,
            some => self.wanted.get().div_ceil(some).max(1),
        });
        self.budget.set(budget);
        self.left.set(budget);
        self.wanted.set(0);
    }

    /// Whether this one is taken.
    fn may(&self) -> bool {
        if self.budget.get() == 0 {
            return false;
        }
        self.wanted.set(self.wanted.get().saturating_add(1));
        let passed = self.passed.get().saturating_add(1);
        let left = self.left.get();
        if passed < self.stride.get() || left == 0 {
            self.passed.set(passed);
            return false;
        }
        self.passed.set(0);
        self.left.set(left - 1);
        true
    }
}

/// What is remembered of one connection between two looks at it.
#[derive(Clone, Copy, Debug)]
pub struct Glance {
    next: Moment,
    /// Who is at the other end, when that is the client itself.
    client: Option<IpAddr>,
    /// Of the whole connection, as of the last look.
    segments: u32,
    retransmits: u32,
    looked: bool,
}

impl Glance {
    /// Of a connection that begins.
    pub fn new(worker: &Worker, tier: &Tier, peer: &Peer) -> Glance {
        let listener = tier.plan.listeners.get(peer.listener.index());
        let header = listener.and_then(|l| l.proxy_protocol.as_deref());
        // A proxy in front has a distance of its own.
        let is_told = header.is_some_and(|h| h.of(peer.ip()) != Beginning::Plain);
        let is_client = !is_told && listener.is_some_and(|l| !l.features.reading.trusts(peer.ip()));
        Glance {
            next: worker.watches.coarse() + EVERY,
            client: is_client.then(|| peer.ip()),
            segments: 0,
            retransmits: 0,
            looked: false,
        }
    }

    /// Whether a connection that lives is to be looked at: costs a comparison.
    pub fn is_due(&self, worker: &Worker) -> bool {
        worker.watches.coarse() >= self.next
    }

    /// Looks at a connection, if it is its turn, and tells the table when the client is the one at its
    /// other end.
    pub fn look(&mut self, worker: &Worker, tcp: &TcpStream) -> Option<TcpInfo> {
        self.next = worker.watches.coarse() + EVERY;
        if !worker.glances.may() {
            return None;
        }
        let info = tcp_info(tcp).ok()?;
        // Never measured: nothing was ever sent and acknowledged.
        if info.rtt.is_zero() {
            return None;
        }
        if let Some(client) = self.client
            // A header may have named it, also at a listener that handed the connection over.
            && tcp.peer_addr().is_ok_and(|peer| peer.ip() == client)
            && let Some(table) = &worker.tier().clients
        {
            let sample = self.sample(&info);
            table.note(client, &sample, worker.watches.coarse());
        }
        Some(info)
    }

    /// As [`Glance::look`], whatever protects the connection.
    pub fn look_at(&mut self, worker: &Worker, io: &Io) -> Option<TcpInfo> {
        self.look(worker, io.tcp()?)
    }

    /// What is new since the last look.
    fn sample(&mut self, info: &TcpInfo) -> PathSample {
        let segments = info.data_segments_out.unwrap_or_default();
        let sample = PathSample {
            rtt: info.rtt,
            rtt_var: info.rtt_var,
            min_rtt: info.min_rtt.unwrap_or(info.rtt),
            segments: segments.wrapping_sub(self.segments),
            retransmits: info.retransmits.wrapping_sub(self.retransmits),
            first: !self.looked,
        };
        (self.segments, self.retransmits) = (segments, info.retransmits);
        self.looked = true;
        sample
    }
}

/// A look at a connection when it is let go, for those whose end nobody else sees.
pub struct Farewell {
    worker: Rc<Worker>,
    glance: Glance,
}

impl Farewell {
    /// Of a connection that begins.
    pub fn new(worker: &Rc<Worker>, tier: &Tier, peer: &Peer) -> Farewell {
        Farewell {
            worker: worker.clone(),
            glance: Glance::new(worker, tier, peer),
        }
    }

    /// Looks, when it is time.
    pub fn on_the_way(&mut self, io: &Io) {
        if self.glance.is_due(&self.worker) {
            self.glance.look_at(&self.worker, io);
        }
    }

    /// Looks for the last time.
    pub fn at_the_end(mut self, io: &Io) {
        self.glance.look_at(&self.worker, io);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(glances: &Glances, wanted: u32) -> Vec<u32> {
        (0..wanted).filter(|_| glances.may()).collect()
    }

    #[test]
    fn looks_are_bounded_and_evenly_spread() {
        let glances = Glances::default();
        assert!(taken(&glances, 5).is_empty(), "before the first second");
        glances.refill(10);
        assert_eq!(taken(&glances, 100), Vec::from_iter(0..10));
        // As many again: one of ten.
        glances.refill(10);
        let spread = taken(&glances, 100);
        assert_eq!(spread.len(), 10);
        assert!(spread.windows(2).all(|w| w[1] - w[0] == 10), "{spread:?}");
        // Fewer: all of them, from the next second on.
        glances.refill(10);
        assert!(taken(&glances, 5).len() <= 1);
        glances.refill(10);
        assert_eq!(taken(&glances, 5).len(), 5);
        glances.refill(0);
        assert!(taken(&glances, 100).is_empty());
    }

    #[test]
    fn segments_are_those_since_the_last_look() {
        let mut glance = Glance {
            next: Moment::ZERO,
            client: None,
            segments: 0,
            retransmits: 0,
            looked: false,
        };
        let info = |segments, retransmits| TcpInfo {
            rtt: Duration::from_millis(20),
            data_segments_out: Some(segments),
            retransmits,
            ..TcpInfo::default()
        };
        let first = glance.sample(&info(100, 3));
        assert_eq!(
            (first.segments, first.retransmits, first.first),
            (100, 3, true)
        );
        assert_eq!(first.min_rtt, Duration::from_millis(20), "of an old kernel");
        let second = glance.sample(&info(150, 3));
        assert_eq!(
            (second.segments, second.retransmits, second.first),
            (50, 0, false)
        );
    }
}
