//! Drawing by weight without replacement.
//!
//! Weights come as their running sums, so that one binary search finds the winner however many
//! candidates there are.

use super::mix::{nth, scale};

/// Tries by rejection before the exact walk; with a candidate of half the weight already taken, one
/// draw in 256 gets that far.
const TRIES: u64 = 8;

/// Draws up to `picks.len()` distinct items out of `n`, each draw in proportion to the weights of
/// those not yet drawn, and returns how many there are: `picks.len()` or `n` if that is less.
///
/// `upto(i)` is the sum of the weights of items 0 to `i`; it must grow strictly, so that every item
/// can be drawn. The first item drawn depends on `random` alone by one multiplication, so an even
/// spread of `random` gives shares that are exact.
pub fn draw(n: usize, upto: impl Fn(usize) -> u64, random: u64, picks: &mut [usize]) -> usize {
    let count = picks.len().min(n);
    if count == 0 {
        return 0;
    }
    let total = upto(n - 1);
    let mut word = 0;
    for k in 0..count {
        let (taken, rest) = picks.split_at_mut(k);
        let mut found = None;
        for _ in 0..TRIES {
            let at = find(n, &upto, scale(nth(random, word), total));
            word += 1;
            if !taken.contains(&at) {
                found = Some(at);
                break;
            }
        }
        rest[0] = found.unwrap_or_else(|| {
            let bits = nth(random, word);
            word += 1;
            walk(n, &upto, taken, bits)
        });
    }
    count
}

/// The first item whose running sum is beyond `target`.
fn find(n: usize, upto: &impl Fn(usize) -> u64, target: u64) -> usize {
    let (mut lo, mut hi) = (0, n - 1);
    while lo < hi {
        let mid = lo + (hi - lo) / 2;
        if upto(mid) > target {
            hi = mid;
        } else {
            lo = mid + 1;
        }
    }
    lo
}

/// Draws among those not taken by walking over all: the same distribution as rejection, in bounded time.
fn walk(n: usize, upto: &impl Fn(usize) -> u64, taken: &[usize], bits: u64) -> usize {
    let weight = |i: usize| upto(i) - if i == 0 { 0 } else { upto(i - 1) };
    let left = upto(n - 1) - taken.iter().map(|i| weight(*i)).sum::<u64>();
    let mut target = scale(bits, left);
    let mut last = 0;
    for i in (0..n).filter(|i| !taken.contains(i)) {
        last = i;
        if target < weight(i) {
            break;
        }
        target -= weight(i);
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::mix::mix;
    use proptest::prelude::*;

    fn sums(weights: &[u64]) -> Vec<u64> {
        weights
            .iter()
            .scan(0, |s, w| {
                *s += w;
                Some(*s)
            })
            .collect()
    }

    #[test]
    fn o7_chi_square_over_100000_draws() {
        let weights = [50, 30, 15, 4, 1];
        let s = sums(&weights);
        let mut seen = [0f64; 5];
        for i in 0..100_000u64 {
            let mut picks = [0; 1];
            assert_eq!(draw(5, |i| s[i], mix(i + 1), &mut picks), 1);
            seen[picks[0]] += 1.0;
        }
        let chi: f64 = weights
            .iter()
            .zip(seen)
            .map(|(w, o)| {
                let e = *w as f64 * 1000.0;
                (o - e) * (o - e) / e
            })
            .sum();
        assert!(
            chi < 18.47,
            "chi-square {chi} at 4 degrees of freedom, p = 0.001: {seen:?}"
        );
    }

    #[test]
    fn o7_second_draws_follow_the_weights_left() {
        // By rejection and by walking alike: after a heavy first pick the walk is used now and then.
        let weights = [1_000_000u64, 2, 1];
        let s = sums(&weights);
        let mut second = [0f64; 3];
        for i in 0..30_000u64 {
            let mut picks = [0; 2];
            draw(3, |i| s[i], mix(i + 1), &mut picks);
            if picks[0] == 0 {
                second[picks[1]] += 1.0;
            }
        }
        let share = second[1] / (second[1] + second[2]);
        assert!((share - 2.0 / 3.0).abs() < 0.015, "{share}");
    }

    proptest! {
        #[test]
        fn picks_are_distinct_and_as_many_as_possible(
            weights in proptest::collection::vec(1u64..1 << 40, 1..50),
            random: u64,
            want in 0usize..=32,
        ) {
            let s = sums(&weights);
            let mut picks = vec![0; want];
            let n = draw(weights.len(), |i| s[i], random, &mut picks);
            prop_assert_eq!(n, want.min(weights.len()));
            let mut got = picks[..n].to_vec();
            got.sort_unstable();
            got.dedup();
            prop_assert_eq!(got.len(), n);
            prop_assert!(got.iter().all(|i| *i < weights.len()));
        }
    }
}
