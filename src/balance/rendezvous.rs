//! Weighted rendezvous hashing: every item scores against the client, the best scores win.
//!
//! The score is -w / ln(u) with u uniform in (0, 1) from the hash of client and item (Schindelhauer
//! and Schomaker 2005, "Weighted distributed hash tables"). An item wins a client with a probability
//! in proportion to its weight; a change of one weight moves only clients to or from that item.

use super::mix::mix;

/// Fills `picks` with the best of `items`, best first, and returns how many there are: `picks.len()`
/// or the number of items if that is less, at most 32.
///
/// `client` and the items' hashes must each be well mixed. Items with a weight of 0 or less are
/// never picked. Two items with equal scores are taken in the order of their hashes.
pub fn draw(client: u64, items: impl Iterator<Item = (u64, f64)>, picks: &mut [usize]) -> usize {
    let mut best = [(0.0f64, 0u64); 32];
    let room = picks.len().min(best.len());
    let mut count = 0;
    for (i, (hash, weight)) in items.enumerate() {
        if weight <= 0.0 || room == 0 {
            continue;
        }
        let entry = (score(client, hash, weight), hash);
        if count == room && !better(entry, best[room - 1]) {
            continue;
        }
        let mut at = count.min(room - 1);
        while at > 0 && better(entry, best[at - 1]) {
            best[at] = best[at - 1];
            picks[at] = picks[at - 1];
            at -= 1;
        }
        best[at] = entry;
        picks[at] = i;
        count = (count + 1).min(room);
    }
    count
}

fn better(a: (f64, u64), b: (f64, u64)) -> bool {
    a.0 > b.0 || (a.0 == b.0 && a.1 < b.1)
}

/// The score of an item for a client; the largest wins. `client` and `item` must each be well mixed.
pub fn score(client: u64, item: u64, weight: f64) -> f64 {
    let bits = mix(client ^ item.rotate_left(32)) >> 11;
    // 53 bits, moved off both ends: 0 < u < 1.
    let u = (bits as f64 + 0.5) / (1u64 << 53) as f64;
    -weight / u.ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::mix::hash_bytes;
    use proptest::prelude::*;

    const CLIENTS: u64 = 20_000;

    fn item(i: usize, weight: f64) -> (u64, f64) {
        (hash_bytes(format!("endpoint-{i}").as_bytes()), weight)
    }

    /// The hash of the item each client gets.
    fn assign(items: &[(u64, f64)]) -> Vec<u64> {
        (1..=CLIENTS)
            .map(|c| {
                let mut picks = [0];
                draw(mix(c), items.iter().copied(), &mut picks);
                items[picks[0]].0
            })
            .collect()
    }

    fn moved(a: &[u64], b: &[u64]) -> f64 {
        a.iter().zip(b).filter(|(x, y)| x != y).count() as f64 / CLIENTS as f64
    }

    #[test]
    fn o6_adding_one_of_n_remaps_about_its_share() {
        for n in [2usize, 5, 20] {
            let before: Vec<_> = (0..n - 1).map(|i| item(i, 1.0)).collect();
            let mut after = before.clone();
            after.push(item(n - 1, 1.0));
            let (a, b) = (assign(&before), assign(&after));
            let share = moved(&a, &b);
            assert!((share - 1.0 / n as f64).abs() < 0.02, "n {n}: {share}");
            let newcomer = after[n - 1].0;
            assert!(a.iter().zip(&b).all(|(x, y)| x == y || *y == newcomer));
        }
    }

    #[test]
    fn o6_weight_change_remaps_expected_share() {
        let before: Vec<_> = (0..4).map(|i| item(i, 1.0)).collect();
        let mut after = before.clone();
        after[2].1 = 2.0;
        // Its share grows from 1/4 to 2/5, and nobody else gains.
        let (a, b) = (assign(&before), assign(&after));
        assert!((moved(&a, &b) - 0.15).abs() < 0.015, "{}", moved(&a, &b));
        assert!(a.iter().zip(&b).all(|(x, y)| x == y || *y == after[2].0));
    }

    #[test]
    fn o7_shares_follow_weights() {
        let items = [item(0, 5.0), item(1, 3.0), item(2, 2.0)];
        let got = assign(&items);
        for (hash, weight) in items {
            let share = got.iter().filter(|g| **g == hash).count() as f64 / CLIENTS as f64;
            assert!((share - weight / 10.0).abs() < 0.015, "{share}");
        }
    }

    proptest! {
        #[test]
        fn o6_list_order_is_irrelevant(
            weights in proptest::collection::vec(0u32..5, 1..40),
            client: u64,
            want in 1usize..=32,
            turn in 0usize..40,
        ) {
            let items: Vec<_> = weights.iter().enumerate().map(|(i, w)| item(i, f64::from(*w))).collect();
            let mut turned = items.clone();
            turned.rotate_left(turn % items.len());
            turned.reverse();
            let run = |items: &[(u64, f64)]| {
                let mut picks = vec![0; want];
                let n = draw(client, items.iter().copied(), &mut picks);
                picks[..n].iter().map(|i| items[*i].0).collect::<Vec<_>>()
            };
            let got = run(&items);
            prop_assert_eq!(got.len(), want.min(weights.iter().filter(|w| **w > 0).count()));
            prop_assert_eq!(got, run(&turned));
        }
    }
}
