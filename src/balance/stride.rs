//! Stride scheduling (Waldspurger and Weihl 1995): weighted turns among very many candidates.
//!
//! Each candidate has a pass, the virtual time of its next turn; the lowest goes, and moves on by a
//! stride that is the shorter the heavier it is. The shares are those of [`super::smooth`] and as
//! smooth; the order among equals may differ. A choice costs a logarithm of their number instead of
//! the number itself.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::candidate::{Candidates, UNIT};

/// The stride of weight 1.
const LONGEST: u128 = 1 << 40;

/// The queue of turns.
#[derive(Clone, Debug, Default)]
pub struct Stride {
    /// Pass and place.
    queue: BinaryHeap<Reverse<(u128, usize)>>,
}

impl Stride {
    /// The next. Those with a weight of 0 lose their turn.
    pub fn pick(&mut self, c: &(impl Candidates + ?Sized)) -> Option<usize> {
        if self.queue.len() != c.len() {
            // A first pass of one stride, as if all had just had a turn: the heavy begin.
            let first = |i| Reverse((stride(c.weight(i)), i));
            self.queue = (0..c.len()).map(first).collect();
        }
        for _ in 0..c.len() {
            let mut next = self.queue.peek_mut()?;
            let Reverse((pass, i)) = *next;
            let weight = c.weight(i);
            *next = Reverse((pass + stride(weight), i));
            if weight > 0 {
                return Some(i);
            }
        }
        // All whose turn came were out; with unequal weights somebody may still be left.
        (0..c.len()).find(|i| c.weight(*i) > 0)
    }
}

/// Who is out is looked at again as often as one of weight 1 unit would be chosen.
fn stride(weight: u32) -> u128 {
    LONGEST / u128::from(if weight == 0 { UNIT } else { weight })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::candidate::testing::of_weights;
    use proptest::prelude::*;

    #[test]
    fn p5_equal_weights_are_plain_turns() {
        let all = of_weights(&[UNIT; 4]);
        let mut stride = Stride::default();
        let order: Vec<_> = (0..8).filter_map(|_| stride.pick(&all[..])).collect();
        assert_eq!(order, [0, 1, 2, 3, 0, 1, 2, 3]);
    }

    #[test]
    fn p5_a_thousand_servers_get_their_shares_and_the_dead_nothing() {
        let weights: Vec<u32> = (0..1_000)
            .map(|i| if i % 3 == 0 { 0 } else { UNIT * (1 + i % 4) })
            .collect();
        let all = of_weights(&weights);
        let units: u32 = weights.iter().sum::<u32>() / UNIT;
        let mut stride = Stride::default();
        let mut got = vec![0u32; 1_000];
        for _ in 0..10 * units {
            got[stride.pick(&all[..]).unwrap()] += 1;
        }
        for (i, weight) in weights.iter().enumerate() {
            let want = 10 * weight / UNIT;
            assert!(got[i].abs_diff(want) <= 1, "{i}: {} of {want}", got[i]);
        }
    }

    #[test]
    fn nobody_to_pick() {
        let mut stride = Stride::default();
        assert_eq!(stride.pick(&of_weights(&[0, 0, 0])[..]), None);
        assert_eq!(stride.pick(&of_weights(&[])[..]), None);
    }

    proptest! {
        #[test]
        fn p5_at_no_time_is_anyone_more_than_one_turn_off(
            weights in proptest::collection::vec(1u32..9, 1..10),
            turns in 1usize..200,
        ) {
            let all = of_weights(&weights);
            let total: u32 = weights.iter().sum();
            let mut stride = Stride::default();
            let mut got = vec![0f64; weights.len()];
            for turn in 1..=turns {
                got[stride.pick(&all[..]).unwrap()] += 1.0;
                for (i, w) in weights.iter().enumerate() {
                    let due = turn as f64 * f64::from(*w) / f64::from(total);
                    // The bound of stride scheduling: one turn against each of the others.
                    prop_assert!((got[i] - due).abs() <= 1.0 + f64::from(*w) * weights.len() as f64 / f64::from(total));
                }
            }
        }
    }
}
