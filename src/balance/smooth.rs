//! Smooth weighted round robin, in the exact order of nginx (its change of 2012-05-14, "smooth weighted
//! round-robin balancing").
//!
//! Each choice adds every candidate's weight to its credit; the first with the most credit is chosen and
//! pays the sum of all weights. Weights 5, 1, 1 give a a b a c a a, not a a a a a b c. One choice costs
//! as many steps as there are candidates.

use super::candidate::Candidates;

/// The credit of each candidate.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Smooth {
    credit: Vec<i64>,
}

impl Smooth {
    /// The next. Those with a weight of 0 neither gain nor are chosen; they keep the credit they had.
    pub fn pick(&mut self, c: &(impl Candidates + ?Sized)) -> Option<usize> {
        self.pick_among(c, |_| true)
    }

    /// As [`Smooth::pick`], among those that `wanted` names.
    pub fn pick_among(
        &mut self,
        c: &(impl Candidates + ?Sized),
        wanted: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        self.credit.resize(c.len(), 0);
        let mut total = 0;
        let mut best: Option<usize> = None;
        for i in 0..c.len() {
            let weight = i64::from(c.weight(i));
            if weight == 0 || !wanted(i) {
                continue;
            }
            self.credit[i] += weight;
            total += weight;
            if best.is_none_or(|b| self.credit[i] > self.credit[b]) {
                best = Some(i);
            }
        }
        let best = best?;
        self.credit[best] -= total;
        Some(best)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::candidate::UNIT;
    use crate::balance::candidate::testing::of_weights;
    use proptest::prelude::*;

    fn order(weights: &[u32], count: usize) -> String {
        let all = of_weights(weights);
        let mut smooth = Smooth::default();
        let name = |i: usize| char::from(b'a' + i as u8);
        (0..count)
            .filter_map(|_| smooth.pick(&all[..]))
            .map(name)
            .collect()
    }

    /// What nginx itself (1.22, one worker) does with these weights.
    #[test]
    fn p5_smooth_weighted_order_is_that_of_nginx() {
        assert_eq!(order(&[5, 1, 1], 14), "aabacaaaabacaa");
        assert_eq!(order(&[1, 1, 1], 6), "abcabc");
        assert_eq!(order(&[4, 2, 1], 14), "abacabaabacaba");
        assert_eq!(order(&[1, 2, 3], 14), "cbacbccbacbccb");
        // In finer units the order is the same.
        assert_eq!(order(&[5 * UNIT, UNIT, UNIT], 14), "aabacaaaabacaa");
    }

    #[test]
    fn nobody_to_pick() {
        assert_eq!(order(&[0, 0], 3), "");
        assert_eq!(order(&[], 3), "");
    }

    proptest! {
        #[test]
        fn p5_each_gets_its_weight_in_every_cycle(
            weights in proptest::collection::vec(0u32..20, 1..12),
            cycles in 1usize..4,
        ) {
            let all = of_weights(&weights);
            let total: u32 = weights.iter().sum();
            prop_assume!(total > 0);
            let mut smooth = Smooth::default();
            let mut got = vec![0; weights.len()];
            for _ in 0..cycles * total as usize {
                got[smooth.pick(&all[..]).unwrap()] += 1;
            }
            let want: Vec<u32> = weights.iter().map(|w| w * cycles as u32).collect();
            prop_assert_eq!(got, want);
        }

        #[test]
        fn p5_who_is_out_is_never_chosen_and_the_others_keep_their_shares(
            weights in proptest::collection::vec(1u32..20, 2..8),
            out in 0usize..8,
        ) {
            let out = out % weights.len();
            let mut left = weights.clone();
            left[out] = 0;
            let mut smooth = Smooth::default();
            let all = of_weights(&weights);
            let cycle: u32 = weights.iter().sum();
            for _ in 0..cycle {
                smooth.pick(&all[..]);
            }
            let left_all = of_weights(&left);
            let mut got = vec![0; weights.len()];
            for _ in 0..left.iter().sum::<u32>() {
                got[smooth.pick(&left_all[..]).unwrap()] += 1;
            }
            prop_assert_eq!(got, left);
        }
    }
}
