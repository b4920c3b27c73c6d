//! In turn.

/// Fills `picks` with the items whose turn it is out of `n`, the first of them moving on by one with
/// every turn; returns how many there are: `picks.len()` or `n` if that is less.
pub fn draw(n: usize, turn: u32, picks: &mut [usize]) -> usize {
    let count = picks.len().min(n);
    for (k, pick) in picks[..count].iter_mut().enumerate() {
        *pick = (turn as usize % n + k) % n;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn each_is_first_equally_often_and_none_twice(n in 1usize..40, want in 1usize..=32, start in 0u32..1000) {
            let mut first = vec![0; n];
            for turn in start..start + 3 * n as u32 {
                let mut picks = vec![0; want];
                let got = draw(n, turn, &mut picks);
                prop_assert_eq!(got, want.min(n));
                first[picks[0]] += 1;
                let mut seen = picks[..got].to_vec();
                seen.sort_unstable();
                seen.dedup();
                prop_assert_eq!(seen.len(), got);
            }
            prop_assert!(first.iter().all(|c| *c == 3));
        }
    }

    #[test]
    fn nobody_to_pick() {
        assert_eq!(draw(0, 3, &mut [0; 4]), 0);
    }
}
