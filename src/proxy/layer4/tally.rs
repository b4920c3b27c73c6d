//! What is counted of flows: per listener and backend, in a lane of its own for each worker.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::proxy::tally::BUCKETS_MS;
use crate::proxy::tcp::flow::Ended;

/// Upper bounds of the buckets of flows' durations, in milliseconds; one more is for all longer ones.
pub const LASTED_MS: [u64; 8] = [
    10, 100, 1000, 10_000, 60_000, 600_000, 3_600_000, 86_400_000,
];

/// Reasons of ends.
const REASONS: usize = Ended::ALL.len();

/// Why a connection was closed before anything was done for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// The listener has as many as it may.
    MaxConnections,
    /// Its source has as many as it may.
    SourceConnections,
    /// Its source makes them too fast.
    SourceRate,
    /// All sources together make them too fast.
    TotalRate,
}

impl Refused {
    /// All reasons, in the order of their numbers.
    pub const ALL: [Refused; 4] = [
        Refused::MaxConnections,
        Refused::SourceConnections,
        Refused::SourceRate,
        Refused::TotalRate,
    ];

    /// One word for logs and metrics: the option that says so.
    pub const fn word(self) -> &'static str {
        match self {
            Refused::MaxConnections => "max-connections",
            Refused::SourceConnections => "connections-per-source",
            Refused::SourceRate => "connection-rate",
            Refused::TotalRate => "total-connection-rate",
        }
    }
}

/// Counters of one worker, on cache lines of their own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Lane {
    opened: AtomicU64,
    closed: AtomicU64,
    octets_in: AtomicU64,
    octets_out: AtomicU64,
    refused: [AtomicU64; Refused::ALL.len()],
    reasons: [AtomicU64; REASONS],
    /// Microseconds, all together.
    lasted_us: AtomicU64,
    lasted: [AtomicU64; LASTED_MS.len() + 1],
    /// Microseconds, all together.
    connect_us: AtomicU64,
    connects: [AtomicU64; BUCKETS_MS.len() + 1],
}

/// Counters of one thing. Takes no room until the first flow.
#[derive(Debug)]
pub struct FlowTally {
    lanes: OnceLock<Box<[Lane]>>,
    workers: usize,
}

/// The sum of all lanes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FlowSums {
    /// Flows that began.
    pub opened: u64,
    /// Flows under way.
    pub open: u64,
    /// Octets from clients.
    pub octets_in: u64,
    /// Octets to clients.
    pub octets_out: u64,
    /// By [`Refused`].
    pub refused: [u64; Refused::ALL.len()],
    /// By [`Ended`], in the order of [`Ended::ALL`].
    pub reasons: [u64; REASONS],
    /// Microseconds that flows lasted, all together.
    pub lasted_us: u64,
    /// By duration, as [`LASTED_MS`]; not cumulative.
    pub lasted: [u64; LASTED_MS.len() + 1],
    /// Microseconds that connecting took, all together.
    pub connect_us: u64,
    /// By the time that connecting took, as [`BUCKETS_MS`]; not cumulative.
    pub connects: [u64; BUCKETS_MS.len() + 1],
}

fn add(counter: &AtomicU64, n: u64) {
    // One writer per lane: no locked instruction is needed.
    counter.store(counter.load(Ordering::Relaxed) + n, Ordering::Relaxed);
}

/// Adds a duration to a histogram.
fn observe(sum: &AtomicU64, buckets: &[AtomicU64], bounds_ms: &[u64], took: Duration) {
    let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    add(sum, us);
    let bucket = bounds_ms.iter().position(|ms| us <= ms * 1000);
    add(&buckets[bucket.unwrap_or(bounds_ms.len())], 1);
}

impl FlowTally {
    /// Counters for so many workers.
    pub fn new(workers: usize) -> FlowTally {
        FlowTally {
            lanes: OnceLock::new(),
            workers: workers.max(1),
        }
    }

    fn lane(&self, lane: usize) -> Option<&Lane> {
        let lanes = self
            .lanes
            .get_or_init(|| (0..self.workers).map(|_| Lane::default()).collect());
        lanes.get(lane)
    }

    /// Counts a flow that begins at worker `lane`.
    pub fn opened(&self, lane: usize) {
        if let Some(lane) = self.lane(lane) {
            add(&lane.opened, 1);
        }
    }

    /// Counts one that is not begun.
    pub fn refused(&self, lane: usize, why: Refused) {
        if let Some(lane) = self.lane(lane) {
            add(&lane.refused[why as usize], 1);
        }
    }

    /// Counts a connection to a backend that took so long to make.
    pub fn connected(&self, lane: usize, took: Duration) {
        if let Some(lane) = self.lane(lane) {
            observe(&lane.connect_us, &lane.connects, &BUCKETS_MS, took);
        }
    }

    /// Counts octets; of a flow that lasts, as they come.
    pub fn moved(&self, lane: usize, octets_in: u64, octets_out: u64) {
        if let Some(lane) = self.lane(lane) {
            add(&lane.octets_in, octets_in);
            add(&lane.octets_out, octets_out);
        }
    }

    /// Counts the end of a flow that was [`FlowTally::opened`] so long ago.
    pub fn closed(&self, lane: usize, lasted: Duration) {
        if let Some(lane) = self.lane(lane) {
            add(&lane.closed, 1);
            observe(&lane.lasted_us, &lane.lasted, &LASTED_MS, lasted);
        }
    }

    /// Counts why a flow ended.
    pub fn ended(&self, lane: usize, why: Ended) {
        if let Some(lane) = self.lane(lane) {
            // In range, as a test of the numbers proves.
            if let Some(reason) = lane.reasons.get(why as usize) {
                add(reason, 1);
            }
        }
    }

    /// All lanes together; `None` before the first flow.
    pub fn sums(&self) -> Option<FlowSums> {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let add_all = |sums: &mut [u64], counters: &[AtomicU64]| {
            for (sum, counter) in sums.iter_mut().zip(counters) {
                *sum += get(counter);
            }
        };
        let mut sums = FlowSums::default();
        let mut closed = 0;
        for lane in self.lanes.get()? {
            // Closed ones first: one that ends meanwhile is open for now, and none is negative.
            closed += get(&lane.closed);
            sums.opened += get(&lane.opened);
            sums.octets_in += get(&lane.octets_in);
            sums.octets_out += get(&lane.octets_out);
            sums.lasted_us += get(&lane.lasted_us);
            sums.connect_us += get(&lane.connect_us);
            add_all(&mut sums.refused, &lane.refused);
            add_all(&mut sums.reasons, &lane.reasons);
            add_all(&mut sums.lasted, &lane.lasted);
            add_all(&mut sums.connects, &lane.connects);
        }
        sums.open = sums.opened.saturating_sub(closed);
        Some(sums)
    }
}

impl FlowSums {
    /// Reasons of ends that occurred, with how often.
    pub fn ends(&self) -> impl Iterator<Item = (Ended, u64)> {
        let all = Ended::ALL.into_iter().zip(self.reasons);
        all.filter(|(_, n)| *n > 0)
    }

    /// Reasons of refusals, with how often.
    pub fn refusals(&self) -> impl Iterator<Item = (Refused, u64)> {
        Refused::ALL.into_iter().zip(self.refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_numbered_as_they_are_listed() {
        for (number, ended) in Ended::ALL.into_iter().enumerate() {
            assert_eq!(ended as usize, number, "{}", ended.word());
        }
        for (number, refused) in Refused::ALL.into_iter().enumerate() {
            assert_eq!(refused as usize, number, "{}", refused.word());
        }
        let mut words: Vec<&str> = Ended::ALL.iter().map(|e| e.word()).collect();
        words.extend(Refused::ALL.iter().map(|r| r.word()));
        words.sort_unstable();
        words.dedup();
        assert_eq!(
            words.len(),
            REASONS + Refused::ALL.len(),
            "a word of its own each"
        );
    }

    #[test]
    fn every_reason_is_in_the_documentation() {
        let text = include_str!("../../docs/proxy-observability.md");
        let ended = Ended::ALL.iter().map(|e| e.word());
        for word in ended.chain(Refused::ALL.iter().map(|r| r.word())) {
            assert!(text.contains(&format!("`{word}`")), "{word}");
        }
    }

    #[test]
    fn what_never_had_a_flow_takes_no_room() {
        let tally = FlowTally::new(4);
        assert_eq!(tally.sums(), None);
        tally.refused(3, Refused::MaxConnections);
        let sums = tally.sums().unwrap();
        assert_eq!((sums.opened, sums.open, sums.refused[0]), (0, 0, 1));
    }

    #[test]
    fn lanes_add_up() {
        let tally = FlowTally::new(2);
        for lane in [0, 1, 1, 9] {
            tally.opened(lane);
        }
        tally.connected(0, Duration::from_millis(3));
        tally.connected(1, Duration::from_secs(60));
        tally.moved(1, 10, 20);
        tally.moved(0, 1, 2);
        tally.closed(1, Duration::from_secs(5));
        tally.ended(1, Ended::BackendReset);
        let sums = tally.sums().unwrap();
        assert_eq!((sums.opened, sums.open), (3, 2), "no such lane is none");
        assert_eq!((sums.octets_in, sums.octets_out), (11, 22));
        assert_eq!((sums.connects[2], sums.connects[12]), (1, 1));
        assert_eq!(sums.connect_us, 60_003_000);
        assert_eq!((sums.lasted[3], sums.lasted_us), (1, 5_000_000));
        assert_eq!(sums.ends().collect::<Vec<_>>(), [(Ended::BackendReset, 1)]);
    }
}
