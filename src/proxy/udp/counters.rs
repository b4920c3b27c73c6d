//! What is counted of datagrams: in a lane of its own for each worker, so that counting is an addition.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Datagrams and their octets, both ways.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct Lane {
    /// From clients.
    pub datagrams_in: AtomicU64,
    /// From clients.
    pub octets_in: AtomicU64,
    /// To clients.
    pub datagrams_out: AtomicU64,
    /// To clients.
    pub octets_out: AtomicU64,
}

/// Adds to a counter that has one writer: no locked instruction is needed.
pub fn add(counter: &AtomicU64, n: u64) {
    counter.store(counter.load(Ordering::Relaxed) + n, Ordering::Relaxed);
}

impl Lane {
    /// Datagrams that came from clients.
    pub fn came(&self, datagrams: u64, octets: u64) {
        add(&self.datagrams_in, datagrams);
        add(&self.octets_in, octets);
    }

    /// Datagrams that go to clients.
    pub fn went(&self, datagrams: u64, octets: u64) {
        add(&self.datagrams_out, datagrams);
        add(&self.octets_out, octets);
    }
}

/// What all workers counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sums {
    /// From clients.
    pub datagrams_in: u64,
    /// From clients.
    pub octets_in: u64,
    /// To clients.
    pub datagrams_out: u64,
    /// To clients.
    pub octets_out: u64,
}

/// Datagrams of one thing. Takes memory once there are any.
#[derive(Debug, Default)]
pub struct Traffic(OnceLock<Box<[Lane]>>);

impl Traffic {
    /// The lane of a worker; `workers` is how many there are.
    pub fn lane(&self, worker: usize, workers: usize) -> Option<&Lane> {
        let lanes = self
            .0
            .get_or_init(|| (0..workers.max(1)).map(|_| Lane::default()).collect());
        lanes.get(worker)
    }

    /// All lanes together; `None` while there was nothing to count.
    pub fn sums(&self) -> Option<Sums> {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut sums = Sums::default();
        for lane in self.0.get()? {
            sums.datagrams_in += get(&lane.datagrams_in);
            sums.octets_in += get(&lane.octets_in);
            sums.datagrams_out += get(&lane.datagrams_out);
            sums.octets_out += get(&lane.octets_out);
        }
        Some(sums)
    }
}

macro_rules! events {
    ($($(#[doc = $doc:literal])* $variant:ident = $word:literal,)*) => {
        /// What befell sessions and datagrams of a listener.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Event { $($(#[doc = $doc])* $variant,)* }

        impl Event {
            /// All of them.
            pub const ALL: &[Event] = &[$(Event::$variant),*];

            /// One word for metrics.
            pub fn word(self) -> &'static str {
                match self { $(Event::$variant => $word,)* }
            }
        }
    };
}

events! {
    /// A session ended because nothing came for as long as it may be silent.
    IdleTimeout = "idle-timeout",
    /// A session ended because all answers came.
    Complete = "complete",
    /// A session ended to make room for another.
    Evicted = "evicted",
    /// A session ended because its listener did.
    ListenerClosed = "listener-closed",
    /// A session went on with another backend.
    Moved = "moved",
    /// A session came from the process before and goes on.
    TakenOver = "taken-over",
    /// A datagram was dropped: a new session has no room.
    NoRoom = "no-room",
    /// A datagram was dropped: its source has as many sessions as it may, or begins them too fast.
    SourceLimit = "source-limit",
    /// A datagram was dropped: no backend can be used.
    NoBackend = "no-backend",
    /// A datagram was dropped: all backends are full.
    BackendsFull = "backends-full",
    /// A datagram was dropped: no socket to the backend could be had.
    NoSocket = "no-socket",
    /// A datagram to a backend was dropped: the system did not take it.
    ToBackend = "to-backend",
    /// A datagram to a client was dropped: the system did not take it.
    ToClient = "to-client",
}

/// How a session may end.
pub const ENDS: &[Event] = &[
    Event::IdleTimeout,
    Event::Complete,
    Event::Evicted,
    Event::ListenerClosed,
];

/// Why a datagram may be dropped.
pub const DROPS: &[Event] = &[
    Event::NoRoom,
    Event::SourceLimit,
    Event::NoBackend,
    Event::BackendsFull,
    Event::NoSocket,
    Event::ToBackend,
    Event::ToClient,
];

/// Counters of one listener on one worker.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Counters {
    /// Datagrams.
    pub traffic: Lane,
    /// Sessions begun.
    pub begun: AtomicU64,
    /// Sessions that live.
    pub open: AtomicU64,
    /// By [`Event`].
    events: [AtomicU64; Event::ALL.len()],
}

impl Counters {
    /// So many times.
    pub fn note(&self, event: Event, times: usize) {
        add(&self.events[event as usize], times as u64);
    }

    /// How often.
    pub fn get(&self, event: Event) -> u64 {
        self.events[event as usize].load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_add_up_and_nothing_takes_no_memory() {
        let traffic = Traffic::default();
        assert_eq!(traffic.sums(), None);
        traffic.lane(0, 2).unwrap().came(1, 10);
        traffic.lane(1, 2).unwrap().came(2, 20);
        traffic.lane(1, 2).unwrap().went(3, 30);
        assert!(traffic.lane(2, 2).is_none());
        let sums = Sums {
            datagrams_in: 3,
            octets_in: 30,
            datagrams_out: 3,
            octets_out: 30,
        };
        assert_eq!(traffic.sums(), Some(sums));
    }

    #[test]
    fn every_event_is_an_end_or_a_drop_or_neither_and_has_its_own_counter() {
        let counters = Counters::default();
        for (i, event) in Event::ALL.iter().enumerate() {
            assert_eq!(*event as usize, i);
            counters.note(*event, i + 1);
        }
        for (i, event) in Event::ALL.iter().enumerate() {
            assert_eq!(counters.get(*event), i as u64 + 1);
        }
        // It moves, or came from another process.
        assert_eq!(ENDS.len() + DROPS.len() + 2, Event::ALL.len());
    }
}
