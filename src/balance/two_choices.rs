//! The power of two choices (Azar et al. 1994, Mitzenmacher 2001): of two drawn by weight, the less busy.
//!
//! The longest queue grows with the logarithm of the logarithm of the number of servers, and unlike the
//! least busy of all, the choice does not send everybody to the same one when many choose at once.

use super::candidate::Candidates;
use super::lottery::Lottery;
use super::mix::mix;

/// Draws two and compares.
#[derive(Clone, Copy, Debug, Default)]
pub struct TwoChoices {
    lottery: Lottery,
}

impl TwoChoices {
    /// The less busy for its weight of two drawn; the first drawn when they are equally busy.
    pub fn pick(&mut self, c: &(impl Candidates + ?Sized), random: u64) -> Option<usize> {
        let (a, b) = self.two(c, random)?;
        let load = |i: usize| (u64::from(c.in_flight(i)), u64::from(c.weight(i)));
        Some(if busier(load(a), load(b)) { b } else { a })
    }

    /// Two different ones drawn by weight; twice the same when there is only one.
    pub(super) fn two(
        &mut self,
        c: &(impl Candidates + ?Sized),
        random: u64,
    ) -> Option<(usize, usize)> {
        let a = self.lottery.draw(c, random, None)?;
        let second = mix(random ^ 0x7365_636f_6e64);
        let b = self.lottery.draw(c, second, Some(a));
        Some((a, b.unwrap_or(a)))
    }
}

/// Whether the first has more requests under way for its weight than the second; both are (requests,
/// weight).
pub(super) fn busier(a: (u64, u64), b: (u64, u64)) -> bool {
    a.0 * b.1 > b.0 * a.1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::candidate::testing::{One, of_weights};
    use proptest::prelude::*;

    #[test]
    fn p5_idle_servers_are_drawn_by_weight() {
        let all = of_weights(&[3, 1, 0]);
        let mut two = TwoChoices::default();
        let mut got = [0f64; 3];
        for d in 1..=40_000 {
            got[two.pick(&all[..], mix(d)).unwrap()] += 1.0;
        }
        assert!((got[0] / 40_000.0 - 0.75).abs() < 0.01, "{got:?}");
        assert_eq!(got[2], 0.0);
    }

    #[test]
    fn p5_the_busiest_is_never_chosen_and_queues_stay_level() {
        let mut all = of_weights(&[1; 100]);
        let mut two = TwoChoices::default();
        for d in 1..=10_000u64 {
            let i = two.pick(&all[..], mix(d)).unwrap();
            all[i].in_flight += 1;
        }
        let most = all.iter().map(|o| o.in_flight).max().unwrap();
        // The average is 100; by pure chance the worst would have about 130.
        assert!(most <= 104, "{most}");
    }

    proptest! {
        #[test]
        fn p5_never_the_strictly_busiest_of_several(
            loads in proptest::collection::vec(0u32..50, 2..60),
            random: u64,
        ) {
            let one = |in_flight: &u32| One { weight: 1, in_flight: *in_flight, ..One::default() };
            let all: Vec<One> = loads.iter().map(one).collect();
            let got = TwoChoices::default().pick(&all[..], random).unwrap();
            prop_assert!(loads.iter().enumerate().any(|(i, l)| i != got && *l >= loads[got]));
        }
    }
}
