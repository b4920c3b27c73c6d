//! Drawing one candidate by weight (lottery scheduling, Waldspurger and Weihl 1994).
//!
//! Few candidates are walked over: exact, whatever their weights do. Among many, one is drawn evenly and
//! kept with a probability of its weight against the heaviest (rejection); after some tries the walk
//! settles it. The heaviest is looked for once in as many draws as there are candidates, so a draw costs
//! the same however many they are.

use super::candidate::Candidates;
use super::mix::{nth, scale};

/// So many are walked over.
const FEW: usize = 16;

/// Tries by rejection before the walk; with half of the candidates out, one draw in 65,536 gets that far.
const TRIES: u64 = 16;

/// What is remembered between draws.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Lottery {
    heaviest: u32,
    /// Draws until the heaviest is looked for again.
    left: usize,
}

impl Lottery {
    /// One of the candidates but `except`, in proportion to their weights.
    pub fn draw(
        &mut self,
        c: &(impl Candidates + ?Sized),
        random: u64,
        except: Option<usize>,
    ) -> Option<usize> {
        let n = c.len();
        if n > FEW {
            if self.left == 0 {
                self.heaviest = (0..n).map(|i| c.weight(i)).max()?;
                self.left = n;
            }
            self.left -= 1;
            for k in 1..=TRIES {
                let i = scale(nth(random, 2 * k), n as u64) as usize;
                let mark = scale(nth(random, 2 * k + 1), u64::from(self.heaviest));
                if mark < u64::from(c.weight(i)) && except != Some(i) {
                    return Some(i);
                }
            }
        }
        let weight = |i: usize| match except == Some(i) {
            true => 0,
            false => u64::from(c.weight(i)),
        };
        let total: u64 = (0..n).map(weight).sum();
        let mut target = scale(random, total);
        (0..n).find(|i| {
            let weight = weight(*i);
            let hit = target < weight;
            target = target.saturating_sub(weight);
            hit
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::candidate::testing::of_weights;
    use crate::balance::mix::mix;
    use proptest::prelude::*;

    fn shares(weights: &[u32], except: Option<usize>, draws: u64) -> Vec<f64> {
        let all = of_weights(weights);
        let mut lottery = Lottery::default();
        let mut got = vec![0.0; weights.len()];
        for d in 1..=draws {
            got[lottery.draw(&all[..], mix(d), except).unwrap()] += 1.0;
        }
        got
    }

    #[test]
    fn p5_random_shares_follow_the_weights_by_walk_and_by_rejection() {
        for n in [4, 40] {
            let weights: Vec<u32> = (0..n).map(|i| i % 4 * 100).collect();
            let total: u32 = weights.iter().sum();
            let got = shares(&weights, None, 100_000);
            let chi: f64 = weights
                .iter()
                .zip(&got)
                .filter(|(w, _)| **w > 0)
                .map(|(w, o)| {
                    let e = 100_000.0 * f64::from(*w) / f64::from(total);
                    (o - e) * (o - e) / e
                })
                .sum();
            // p = 0.001 at 2 and at 29 degrees of freedom.
            assert!(chi < if n == 4 { 13.8 } else { 58.3 }, "{n}: {chi}");
            assert!(weights.iter().zip(&got).all(|(w, g)| *w > 0 || *g == 0.0));
        }
    }

    #[test]
    fn p5_one_may_be_left_out() {
        let got = shares(&[3, 2, 1], Some(0), 30_000);
        assert_eq!(got[0], 0.0);
        assert!((got[1] / 30_000.0 - 2.0 / 3.0).abs() < 0.02, "{got:?}");
        assert_eq!(
            Lottery::default().draw(&of_weights(&[7])[..], 9, Some(0)),
            None
        );
    }

    #[test]
    fn a_new_heaviest_is_noticed() {
        let mut weights = vec![1u32; 100];
        let mut lottery = Lottery::default();
        lottery.draw(&of_weights(&weights)[..], 1, None);
        weights[7] = 900;
        let all = of_weights(&weights);
        for d in 0..100u64 {
            lottery.draw(&all[..], mix(d), None);
        }
        let hits = (0..2_000u64)
            .filter(|d| lottery.draw(&all[..], mix(d + 1_000), None) == Some(7))
            .count();
        assert!((1_700..1_900).contains(&hits), "{hits}");
    }

    proptest! {
        #[test]
        fn someone_is_found_whenever_someone_may_be(
            weights in proptest::collection::vec(0u32..3, 0..60),
            random: u64,
        ) {
            let all = of_weights(&weights);
            let got = Lottery::default().draw(&all[..], random, None);
            prop_assert_eq!(got.is_some(), weights.iter().any(|w| *w > 0));
            prop_assert!(got.is_none_or(|i| weights[i] > 0));
        }
    }
}
