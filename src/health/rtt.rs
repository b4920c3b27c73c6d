//! The smoothed round-trip time of one check from one vantage: the median of the last nine samples,
//! averaged over two minutes, so that neither a spike nor noise moves it.

use std::time::Duration;

use crate::time::Moment;

/// Samples of which the median is taken: up to four spikes in a row do not show.
const WINDOW: usize = 9;

/// Time constant of the average of these medians.
const TAU: Duration = Duration::from_secs(120);

/// Fewer samples than this are no measurement yet.
const CONFIDENT: u32 = 3;

/// Smoothed time to connect.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct SmoothedRtt {
    /// The last samples in microseconds, in a ring.
    window: [u32; WINDOW],
    /// Which of them are failures, as a bit set.
    failed: u16,
    /// Samples since the average began anew.
    samples: u32,
    /// Samples in all.
    total: u32,
    /// The average in microseconds.
    average: f64,
    /// When the last sample came.
    at: Moment,
}

impl SmoothedRtt {
    /// The average; `None` before the first sample.
    pub fn get(&self) -> Option<Duration> {
        (self.total > 0).then(|| Duration::from_nanos((self.average * 1e3).round() as u64))
    }

    /// The average once it rests on enough samples, at least three, to be told to others.
    pub fn confident(&self) -> Option<Duration> {
        self.get().filter(|_| self.total >= CONFIDENT)
    }

    /// Takes in a connection established after `rtt`, at `at`.
    pub fn connected(&mut self, rtt: Duration, at: Moment) {
        let unreachable = self.mostly_failed();
        let median = self.push(rtt, false);
        if unreachable && !self.mostly_failed() && median < self.average {
            // It is back: how long it was away says nothing about how far it is.
            self.samples = 0;
        }
        self.advance(median, at);
    }

    /// Takes in a connection that failed, or did not come about within `timeout`.
    ///
    /// It counts as the slowest answer that would still have passed, and never lowers the average, so
    /// that dead never looks better than slow (requirement H6).
    pub fn failed(&mut self, timeout: Duration, at: Moment) {
        let median = self.push(timeout, true);
        self.advance(median.max(self.average), at);
    }

    /// Puts a sample into the ring and returns the median in microseconds; of an even number of
    /// samples the lower one of the middle, because spikes only ever add.
    fn push(&mut self, sample: Duration, failed: bool) -> f64 {
        let slot = self.total as usize % WINDOW;
        self.window[slot] = u32::try_from(sample.as_micros()).unwrap_or(u32::MAX);
        self.failed = self.failed & !(1 << slot) | u16::from(failed) << slot;
        // Enough to count on for a century at ten a second; then the window is full anyway.
        self.total = self.total.saturating_add(1);
        let mut sorted = self.window;
        let sorted = &mut sorted[..WINDOW.min(self.total as usize)];
        sorted.sort_unstable();
        f64::from(sorted[(sorted.len() - 1) / 2])
    }

    fn mostly_failed(&self) -> bool {
        self.failed.count_ones() as usize * 2 > WINDOW.min(self.total as usize)
    }

    /// Moves the average towards `median`: by the time that passed, α = 1 − e^(−Δt/τ), but at first as
    /// a plain mean, so that the first sample does not weigh for minutes.
    fn advance(&mut self, median: f64, at: Moment) {
        self.samples = self.samples.saturating_add(1);
        let passed = at.since(self.at).as_secs_f64();
        let alpha = 1.0 - (-passed / TAU.as_secs_f64()).exp();
        let alpha = alpha.max(1.0 / f64::from(self.samples));
        self.average += alpha * (median - self.average);
        self.at = at;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TIMEOUT: Duration = Duration::from_secs(2);
    const ROUNDING: Duration = Duration::from_nanos(10);

    /// After these samples, ten seconds apart; `None` is a failure.
    fn after(history: &[Option<u64>]) -> SmoothedRtt {
        let mut s = SmoothedRtt::default();
        for (i, h) in history.iter().enumerate() {
            let at = Moment::ZERO + Duration::from_secs(10 * i as u64);
            match h {
                Some(ms) => s.connected(Duration::from_millis(*ms), at),
                None => s.failed(TIMEOUT, at),
            }
        }
        s
    }

    fn ms(s: &SmoothedRtt) -> f64 {
        s.get().unwrap().as_secs_f64() * 1e3
    }

    #[test]
    fn three_samples_make_a_measurement() {
        assert_eq!(after(&[]).get(), None);
        assert_eq!(after(&[Some(100)]).get(), Some(Duration::from_millis(100)));
        assert_eq!(after(&[Some(100); 2]).confident(), None);
        assert_eq!(
            after(&[Some(100); 3]).confident(),
            Some(Duration::from_millis(100))
        );
    }

    #[test]
    fn four_spikes_in_a_row_do_not_show() {
        let mut history = vec![Some(50); 20];
        history.extend([Some(900); 4]);
        assert_eq!(ms(&after(&history)), 50.0);
    }

    #[test]
    fn a_shift_is_followed_within_minutes_whatever_the_interval() {
        for every in [1_u64, 10, 30] {
            let mut s = SmoothedRtt::default();
            let mut at = Moment::ZERO;
            for sample in 0..2_000 {
                at = at + Duration::from_secs(every);
                s.connected(Duration::from_millis(50), at);
                assert!(sample > 3 || ms(&s) == 50.0);
            }
            let shift = at;
            while ms(&s) < 80.0 {
                at = at + Duration::from_secs(every);
                s.connected(Duration::from_millis(90), at);
            }
            // ln 4 × 120 s = 166 s, and half of nine samples until the median follows.
            let took = at.since(shift).as_secs();
            assert!(
                (160..=166 + 5 * every + every).contains(&took),
                "{every}: {took} s"
            );
        }
    }

    #[test]
    fn h6_a_target_never_reached_scores_the_timeout_or_worse() {
        assert_eq!(after(&[None]).get(), Some(TIMEOUT));
        assert!(after(&[None, None]).get() >= Some(TIMEOUT));
    }

    #[test]
    fn a_dead_target_that_comes_back_is_forgiven() {
        let mut history = vec![None; 1000];
        history.extend([Some(10); 4]);
        assert!(ms(&after(&history)) > 1_900.0, "not on the first sign");
        history.push(Some(10));
        assert_eq!(ms(&after(&history)), 10.0);
    }

    proptest! {
        /// With any common past, a failed connect leaves a score as bad as any answer in time, or worse.
        #[test]
        fn h6_dead_never_looks_better_than_slow(
            past in proptest::collection::vec(proptest::option::of(0..=2_000_u64), 0..60),
            slow in 0..=2_000_u64,
            wait in 0..100_u64,
        ) {
            let before = after(&past);
            let (mut dead, mut alive) = (before, before);
            let at = before.at + Duration::from_secs(wait);
            dead.failed(TIMEOUT, at);
            alive.connected(Duration::from_millis(slow), at);
            prop_assert!(dead.get() >= alive.get());
            prop_assert!(dead.get().unwrap() + ROUNDING >= before.get().unwrap_or_default());
            prop_assert!(dead.get().unwrap() <= TIMEOUT + ROUNDING);
        }
    }
}
