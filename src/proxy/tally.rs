//! What is counted of exchanges: per listener, route and server, in a lane of its own for each worker.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the buckets of durations, in milliseconds; one more bucket is for all longer ones.
pub const BUCKETS_MS: [u64; 12] = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 10_000];

/// Counters of one worker, on cache lines of their own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Lane {
    /// By class of status, 1xx to 5xx.
    classes: [AtomicU64; 5],
    octets_in: AtomicU64,
    octets_out: AtomicU64,
    failures: AtomicU64,
    /// Microseconds, all together.
    time_us: AtomicU64,
    buckets: [AtomicU64; BUCKETS_MS.len() + 1],
}

/// What one exchange adds.
#[derive(Clone, Copy, Debug)]
pub struct Counted {
    /// The status that the client got.
    pub status: u16,
    /// Octets of the request's body.
    pub octets_in: u64,
    /// Octets of the answer's body.
    pub octets_out: u64,
    /// Whether the proxy could not pass it on, or the answer broke off.
    pub failed: bool,
    /// From the request's head to the end of the answer.
    pub time: Duration,
}

/// Counters of one thing.
#[derive(Debug)]
pub struct Tally(Box<[Lane]>);

/// The sum of all lanes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Sums {
    /// By class of status, 1xx to 5xx.
    pub classes: [u64; 5],
    /// Octets of requests' bodies.
    pub octets_in: u64,
    /// Octets of answers' bodies.
    pub octets_out: u64,
    /// Exchanges that the proxy could not pass on, or that broke off.
    pub failures: u64,
    /// Microseconds, all together.
    pub time_us: u64,
    /// By duration, as [`BUCKETS_MS`]; not cumulative.
    pub buckets: [u64; BUCKETS_MS.len() + 1],
}

fn add(counter: &AtomicU64, n: u64) {
    // One writer per lane: no locked instruction is needed.
    counter.store(counter.load(Ordering::Relaxed) + n, Ordering::Relaxed);
}

impl Tally {
    /// Counters for so many workers.
    pub fn new(workers: usize) -> Tally {
        Tally((0..workers.max(1)).map(|_| Lane::default()).collect())
    }

    /// Counts an exchange of worker `lane`.
    pub fn count(&self, lane: usize, counted: &Counted) {
        let Some(lane) = self.0.get(lane) else {
            return;
        };
        let class = usize::from(counted.status / 100).clamp(1, 5) - 1;
        add(&lane.classes[class], 1);
        if counted.octets_in > 0 {
            add(&lane.octets_in, counted.octets_in);
        }
        add(&lane.octets_out, counted.octets_out);
        if counted.failed {
            add(&lane.failures, 1);
        }
        let us = u64::try_from(counted.time.as_micros()).unwrap_or(u64::MAX);
        add(&lane.time_us, us);
        let bucket = BUCKETS_MS.iter().position(|ms| us <= ms * 1000);
        add(&lane.buckets[bucket.unwrap_or(BUCKETS_MS.len())], 1);
    }

    /// All lanes together.
    pub fn sums(&self) -> Sums {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut sums = Sums::default();
        for lane in &self.0 {
            for (sum, class) in sums.classes.iter_mut().zip(&lane.classes) {
                *sum += get(class);
            }
            for (sum, bucket) in sums.buckets.iter_mut().zip(&lane.buckets) {
                *sum += get(bucket);
            }
            sums.octets_in += get(&lane.octets_in);
            sums.octets_out += get(&lane.octets_out);
            sums.failures += get(&lane.failures);
            sums.time_us += get(&lane.time_us);
        }
        sums
    }
}

impl Sums {
    /// Exchanges.
    pub fn requests(&self) -> u64 {
        self.classes.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_add_up() {
        let tally = Tally::new(2);
        for (lane, status, ms) in [(0, 200, 1), (1, 204, 3), (1, 503, 20_000), (7, 200, 1)] {
            let counted = Counted {
                status,
                octets_in: 2,
                octets_out: 10,
                failed: status == 503,
                time: Duration::from_millis(ms),
            };
            tally.count(lane, &counted);
        }
        let sums = tally.sums();
        assert_eq!(sums.classes, [0, 2, 0, 0, 1]);
        assert_eq!((sums.octets_in, sums.octets_out, sums.failures), (6, 30, 1));
        assert_eq!(
            (sums.buckets[0], sums.buckets[2], sums.buckets[12]),
            (1, 1, 1)
        );
        assert_eq!(sums.time_us, 20_004_000);
        assert_eq!(sums.requests(), 3);
    }
}
