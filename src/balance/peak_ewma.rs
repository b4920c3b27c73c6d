//! A moving average of response times that believes bad news at once and good news slowly.
//!
//! The peak EWMA of Finagle and linkerd: a sample above the average replaces it, a sample below moves
//! it by how much time has passed (exponential decay with time constant tau). Between samples the
//! average fades towards zero at the same pace, so a server that was slow once is tried again: without
//! that, a server that gets nothing is never heard of again and starves.

use std::time::Duration;

use crate::time::Moment;

/// Time constant: after so long without samples about a third of the average is left. A server that
/// stalled for a second among others that take a millisecond is trusted again after some 20 seconds;
/// with the 10 s of Finagle it would take more than a minute.
pub const TAU: Duration = Duration::from_secs(3);

/// The average at one moment.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct PeakEwma {
    /// Seconds; as it was at `at`.
    average: f64,
    at: Moment,
}

impl PeakEwma {
    /// The average as it is `now`; zero while nothing is known.
    pub fn get(&self, now: Moment) -> Duration {
        Duration::from_secs_f64(self.faded(now))
    }

    fn faded(&self, now: Moment) -> f64 {
        self.average * fading(now.since(self.at))
    }

    /// Takes in a response time, at most a day.
    pub fn add(&mut self, sample: Duration, now: Moment) {
        let sample = sample.as_secs_f64().min(86_400.0);
        let passed = now.since(self.at);
        let left = fading(passed);
        self.average = if sample >= self.average * left {
            sample
        } else {
            // The last average as far as it still counts, the sample for the rest.
            self.average * left + sample * (1.0 - left)
        };
        self.at = self.at.max(now);
    }
}

/// What is left of an average after `passed`.
pub fn fading(passed: Duration) -> f64 {
    (-passed.as_secs_f64() / TAU.as_secs_f64()).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> Moment {
        Moment::default() + Duration::from_secs_f64(seconds)
    }

    #[test]
    fn p5_a_peak_counts_at_once_and_fades_with_time() {
        let mut e = PeakEwma::default();
        assert_eq!(e.get(at(5.0)), Duration::ZERO);
        e.add(Duration::from_millis(10), at(5.0));
        assert_eq!(e.get(at(5.0)), Duration::from_millis(10));
        e.add(Duration::from_secs(1), at(5.0));
        assert_eq!(e.get(at(5.0)), Duration::from_secs(1));
        // A good sample right after the peak changes nothing.
        e.add(Duration::from_millis(10), at(5.0));
        assert_eq!(e.get(at(5.0)), Duration::from_secs(1));
        // Without samples it fades: e^-1 after tau.
        let later = e.get(at(5.0) + TAU).as_secs_f64();
        assert!((later - (-1.0f64).exp()).abs() < 1e-9, "{later}");
    }

    #[test]
    fn p5_steady_samples_are_the_average() {
        let mut e = PeakEwma::default();
        e.add(Duration::from_secs(2), at(0.0));
        for i in 1..1_000 {
            e.add(Duration::from_millis(20), at(f64::from(i) * 0.1));
        }
        let got = e.get(at(99.9)).as_secs_f64();
        assert!((0.02..0.021).contains(&got), "{got}");
    }

    #[test]
    fn a_clock_that_stands_still_or_goes_back_breaks_nothing() {
        let mut e = PeakEwma::default();
        e.add(Duration::from_millis(5), at(10.0));
        e.add(Duration::from_millis(1), at(9.0));
        assert_eq!(e.get(at(8.0)), Duration::from_millis(5));
    }
}
