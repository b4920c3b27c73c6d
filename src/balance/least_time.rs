//! The least response time: of two drawn by weight, the one where a request is likely to be answered
//! sooner, which is its peak EWMA times the requests under way (Finagle's and linkerd's balancer).
//!
//! Comparing averages of identical servers strictly sends nearly everything to the one that was lucky.
//! Therefore times within an eighth of each other count as equal, an average fades while nothing is
//! heard ([`super::peak_ewma`]), and one choice in [`FLOOR`] goes to whoever was drawn, so that a server
//! that got better is found out.

use super::candidate::Candidates;
use super::mix::mix;
use super::two_choices::TwoChoices;

/// One choice in so many heeds weights only: each server gets at least this part of its share.
pub const FLOOR: u64 = 32;

/// Draws two and compares.
#[derive(Clone, Copy, Debug, Default)]
pub struct LeastTime {
    two: TwoChoices,
}

impl LeastTime {
    /// The likely faster of two drawn; the first drawn when they are much alike.
    pub fn pick(&mut self, c: &(impl Candidates + ?Sized), random: u64) -> Option<usize> {
        let (a, b) = self.two.two(c, random)?;
        if mix(random ^ 0x0066_6c6f_6f72).is_multiple_of(FLOOR) {
            return Some(a);
        }
        let (time_a, time_b) = (c.ewma(a).as_nanos() as u64, c.ewma(b).as_nanos() as u64);
        // One that nothing is known of is taken to be like the other.
        let (time_a, time_b) = match (time_a, time_b) {
            (0, 0) => (1, 1),
            (0, b) => (b, b),
            (a, 0) => (a, a),
            known => known,
        };
        let cost = |i: usize, time: u64| u128::from(time) * (u128::from(c.in_flight(i)) + 1);
        let (cost_a, cost_b) = (cost(a, time_a), cost(b, time_b));
        Some(if cost_a > cost_b + cost_b / 8 { b } else { a })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::candidate::testing::of_weights;
    use crate::balance::peak_ewma::PeakEwma;
    use crate::time::Moment;
    use std::time::Duration;

    /// Requests one after the other, each answered after what `time` says of server and number; the
    /// requests each server got. `gap`: from one to the next.
    fn run(n: usize, count: u64, gap: Duration, time: impl Fn(usize, u64) -> Duration) -> Vec<u64> {
        let mut all = of_weights(&vec![1; n]);
        let mut averages = vec![PeakEwma::default(); n];
        let mut least = LeastTime::default();
        let mut got = vec![0; n];
        let mut now = Moment(1);
        for k in 0..count {
            for (one, average) in all.iter_mut().zip(&averages) {
                one.ewma = average.get(now);
            }
            let i = least.pick(&all[..], mix(k + 1)).unwrap();
            got[i] += 1;
            let took = time(i, k);
            now = now + took;
            averages[i].add(took, now);
            now = now + gap;
        }
        got
    }

    fn noisy(base_us: u64, k: u64) -> Duration {
        Duration::from_micros(base_us + mix(k ^ 99) % (base_us / 5))
    }

    /// Regression of a known complaint about another proxy: of two identical servers one got 5 of 1500
    /// requests.
    #[test]
    fn p5_identical_servers_both_work() {
        for gap in [Duration::ZERO, Duration::from_millis(50)] {
            let got = run(2, 1_500, gap, |_, k| noisy(1_000, k));
            assert!(got.iter().all(|g| *g > 400), "{got:?}");
        }
    }

    #[test]
    fn p5_a_faster_server_gets_most_and_a_slow_one_its_floor() {
        let got = run(2, 10_000, Duration::ZERO, |i, k| {
            noisy([1_000, 20_000][i], k)
        });
        assert!(got[0] > 9_500, "{got:?}");
        assert!(got[1] > 10_000 / 2 / FLOOR / 2, "{got:?}");
    }

    #[test]
    fn p5_one_slow_answer_does_not_starve_a_server() {
        let got = run(3, 6_000, Duration::from_millis(10), |i, k| {
            if i == 0 && k < 30 {
                Duration::from_secs(1)
            } else {
                noisy(1_000, k)
            }
        });
        assert!(got[0] > 1_000, "{got:?}");
    }

    #[test]
    fn p5_requests_under_way_count() {
        let mut all = of_weights(&[1, 1]);
        all[0].ewma = Duration::from_millis(1);
        all[1].ewma = Duration::from_millis(3);
        all[0].in_flight = 9;
        let mut least = LeastTime::default();
        let second = (1..=1_000u64)
            .filter(|d| least.pick(&all[..], mix(*d)) == Some(1))
            .count();
        assert!(second > 950, "{second}");
    }
}
