//! How much time a worker may spend on new signatures.
//!
//! One new signature costs as much as a dozen answers. A flood of questions that each need one must
//! not delay the questions that need none: a share of the time, a burst, and a bound on what one
//! batch of packets may wait for.

use std::time::Duration;

use crate::time::Moment;

use super::Algorithm;

/// The bounds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// Nanoseconds that may be spent per second.
    per_second: u64,
    /// Nanoseconds that may be spent at once after a rest.
    burst: u64,
    /// Nanoseconds that may be spent within one batch.
    batch: u64,
}

impl Bounds {
    /// Over datagrams: a fifth of the worker's time, 64 signatures of P-256 at once, 8 in a batch.
    pub const DATAGRAM: Bounds = Bounds {
        per_second: 200_000_000,
        burst: 64 * 40_000,
        batch: 8 * 40_000,
    };

    /// No bounds.
    pub const NONE: Bounds = Bounds {
        per_second: u64::MAX,
        burst: u64::MAX,
        batch: u64::MAX,
    };

    /// Over streams, where clients come that were told to: half of the time.
    pub const STREAM: Bounds = Bounds {
        per_second: 500_000_000,
        burst: 500_000_000,
        batch: 50_000_000,
    };
}

/// A token bucket in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    bounds: Bounds,
    left: u64,
    at: Moment,
    batch: u64,
}

impl Budget {
    /// A full one.
    pub fn new(bounds: Bounds) -> Budget {
        Budget {
            bounds,
            left: bounds.burst,
            at: Moment::ZERO,
            batch: 0,
        }
    }

    /// Whether `cost` may be spent; then it is. All of one batch happens at one moment. A single
    /// signature that costs more than the bounds is allowed after a full rest.
    pub fn take(&mut self, now: Moment, cost: Duration) -> bool {
        let Bounds {
            per_second,
            burst,
            batch,
        } = self.bounds;
        if now > self.at {
            let passed = u64::try_from(now.since(self.at).as_nanos()).unwrap_or(u64::MAX);
            let earned = u128::from(passed) * u128::from(per_second) / 1_000_000_000;
            let earned = u64::try_from(earned).unwrap_or(u64::MAX);
            self.left = self.left.saturating_add(earned).min(burst);
            self.at = now;
            self.batch = 0;
        }
        let cost = u64::try_from(cost.as_nanos()).unwrap_or(u64::MAX);
        let fits = cost <= self.left && self.batch.saturating_add(cost) <= batch;
        let first = self.left == burst && self.batch == 0;
        if !fits && !first {
            return false;
        }
        self.left = self.left.saturating_sub(cost);
        self.batch = self.batch.saturating_add(cost);
        true
    }
}

/// About what one signature costs on present machines.
pub fn cost(algorithm: Algorithm) -> Duration {
    Duration::from_micros(match algorithm {
        Algorithm::EcdsaP256 => 40,
        Algorithm::Ed25519 => 60,
        Algorithm::RsaSha256 => 1_500,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const P256: Duration = Duration::from_micros(40);

    #[test]
    fn a_batch_a_burst_and_a_rate() {
        let mut budget = Budget::new(Bounds::DATAGRAM);
        let mut now = Moment(1);
        let spend = |budget: &mut Budget, now| (0..100).filter(|_| budget.take(now, P256)).count();
        assert_eq!(spend(&mut budget, now), 8, "a batch");
        let mut burst = 8;
        for _ in 0..20 {
            now = Moment(now.0 + 1);
            burst += spend(&mut budget, now);
        }
        assert_eq!(burst, 64, "a burst");
        let mut second = 0;
        for _ in 0..10_000 {
            now = now + Duration::from_micros(100);
            second += spend(&mut budget, now);
        }
        assert!(
            (4_990..=5_000).contains(&second),
            "a fifth of a second: {second}"
        );
    }

    #[test]
    fn a_dear_signature_is_made_after_a_rest() {
        let mut budget = Budget::new(Bounds::DATAGRAM);
        let rsa = cost(Algorithm::RsaSha256);
        assert!(budget.take(Moment(1), rsa));
        assert!(!budget.take(Moment(1), rsa));
        assert!(!budget.take(Moment(2), rsa), "not rested");
        assert!(budget.take(Moment(1_000_000_000), rsa));
    }
}
