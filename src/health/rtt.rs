//! The smoothed round-trip time of one target: an exponentially weighted moving average.

use std::time::Duration;

/// Share of a new sample in the average.
const ALPHA: f64 = 0.2;
/// A failed connect counts as this many times the present average (at least the timeout).
const PENALTY: u32 = 4;

/// Smoothed time to connect.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct SmoothedRtt(Option<Duration>);

impl SmoothedRtt {
    /// The average; `None` before the first sample.
    pub fn get(self) -> Option<Duration> {
        self.0
    }

    /// Takes in a connection established after `rtt`; the first one is the average.
    pub fn connected(&mut self, rtt: Duration) {
        self.0 = Some(match self.0 {
            None => rtt,
            Some(old) => old.mul_f64(1.0 - ALPHA) + rtt.mul_f64(ALPHA),
        });
    }

    /// Takes in a connection that failed, or did not come about within `timeout`.
    ///
    /// It counts at least as much as the slowest answer that would still have passed, and never
    /// lowers the average, so that dead never looks better than slow (requirement H6). The average
    /// stays under four timeouts, so that a target that comes back is not shunned for hours.
    pub fn failed(&mut self, timeout: Duration) {
        let ceiling = timeout.saturating_mul(PENALTY);
        let worse = self
            .0
            .unwrap_or_default()
            .saturating_mul(PENALTY)
            .min(ceiling);
        self.connected(timeout.max(worse));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TIMEOUT: Duration = Duration::from_secs(2);
    const ROUNDING: Duration = Duration::from_nanos(10);

    fn after(history: &[Option<u64>]) -> SmoothedRtt {
        let mut s = SmoothedRtt::default();
        for h in history {
            match h {
                Some(ms) => s.connected(Duration::from_millis(*ms)),
                None => s.failed(TIMEOUT),
            }
        }
        s
    }

    #[test]
    fn the_first_sample_is_the_average_and_later_ones_move_it_by_a_fifth() {
        assert_eq!(after(&[]).get(), None);
        assert_eq!(after(&[Some(100)]).get(), Some(Duration::from_millis(100)));
        assert_eq!(
            after(&[Some(100), Some(200)]).get(),
            Some(Duration::from_millis(120))
        );
    }

    #[test]
    fn h6_a_target_never_reached_scores_the_timeout_or_worse() {
        assert_eq!(after(&[None]).get(), Some(TIMEOUT));
        assert!(after(&[None, None]).get() > Some(TIMEOUT));
    }

    #[test]
    fn a_dead_target_that_comes_back_is_forgiven() {
        let mut history = vec![None; 1000];
        history.extend([Some(10); 40]);
        assert!(after(&history).get() < Some(Duration::from_millis(20)));
    }

    proptest! {
        /// With any common past, a failed connect leaves a worse score than any answer in time.
        #[test]
        fn h6_dead_never_looks_better_than_slow(
            past in proptest::collection::vec(proptest::option::of(0..=2_000_u64), 0..60),
            slow in 0..=2_000_u64,
        ) {
            let before = after(&past);
            let (mut dead, mut alive) = (before, before);
            dead.failed(TIMEOUT);
            alive.connected(Duration::from_millis(slow));
            prop_assert!(dead.get() >= alive.get());
            prop_assert!(dead.get().unwrap() + ROUNDING >= before.get().unwrap_or_default());
            prop_assert!(dead.get().unwrap() <= TIMEOUT * 4 + ROUNDING);
        }
    }
}
