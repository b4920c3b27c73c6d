//! What moves from where to where, and for whom.

use std::collections::BTreeMap;

use hashbrown::HashMap;

use super::report::{Example, Move, Place};
use super::walk::Spot;

/// Moves smaller than this part of all are arithmetic.
pub(super) const NOTHING: f64 = 1e-9;

/// Examples told of one move.
pub(super) const EXAMPLES: usize = 5;

/// The part that is at a key less than before, 0 to 1.
pub(super) fn moved<K: Ord>(old: &BTreeMap<K, f64>, new: &BTreeMap<K, f64>) -> f64 {
    let gone = |(k, share): (&K, &f64)| (share - new.get(k).unwrap_or(&0.0)).max(0.0);
    let sum: f64 = old.iter().map(gone).sum();
    if sum < NOTHING { 0.0 } else { sum.min(1.0) }
}

/// From where to where: what is less somewhere goes where it is more, in proportion. With a weighted
/// draw nobody can say which client goes where; how many do is certain.
pub(super) fn routes(
    old: &BTreeMap<Place, f64>,
    new: &BTreeMap<Place, f64>,
) -> Vec<(Place, Place, f64)> {
    let share = |of: &BTreeMap<Place, f64>, place| of.get(place).copied().unwrap_or(0.0);
    let losers = old.keys().map(|p| (p, share(old, p) - share(new, p)));
    let losers: Vec<_> = losers.filter(|(_, d)| *d > NOTHING).collect();
    let winners = new.keys().map(|p| (p, share(new, p) - share(old, p)));
    let winners: Vec<_> = winners.filter(|(_, d)| *d > NOTHING).collect();
    let all: f64 = winners.iter().map(|(_, d)| d).sum();
    let mut out = Vec::new();
    for (from, lost) in &losers {
        for (to, won) in &winners {
            out.push(((*from).clone(), (*to).clone(), lost * won / all));
        }
    }
    out
}

/// Adds up moves.
#[derive(Default)]
pub(super) struct Moves(BTreeMap<(Place, Place), (f64, Vec<Example>)>);

impl Moves {
    pub(super) fn add(
        &mut self,
        (from, to, share): (Place, Place, f64),
        spots: &[(Spot, f64)],
        part: f64,
    ) {
        let (sum, examples) = self.0.entry((from, to)).or_default();
        *sum += share;
        examples.extend(spots.iter().map(|(spot, weight)| Example {
            network: spot.network,
            country: spot.country,
            coordinates: spot.coordinates,
            share: weight * part,
        }));
        if examples.len() > 64 * EXAMPLES {
            settle(examples, 8 * EXAMPLES);
        }
    }

    pub(super) fn finish(self, examples: usize) -> Vec<Move> {
        let moves = self.0.into_iter().map(|((from, to), (share, mut some))| {
            settle(&mut some, examples);
            Move {
                from,
                to,
                share,
                examples: some,
            }
        });
        let mut moves: Vec<Move> = moves.collect();
        moves.sort_by(|a, b| b.share.total_cmp(&a.share));
        moves
    }
}

/// Adds up examples of one place, and keeps those of the largest share.
fn settle(examples: &mut Vec<Example>, most: usize) {
    let mut sums: Vec<Example> = Vec::new();
    let mut at: HashMap<_, usize> = HashMap::new();
    for e in examples.drain(..) {
        let bits = e
            .coordinates
            .map(|c| (c.latitude().to_bits(), c.longitude().to_bits()));
        let i = *at.entry((e.country, bits)).or_insert(sums.len());
        match sums.get_mut(i) {
            Some(sum) => sum.share += e.share,
            None => sums.push(e),
        }
    }
    sums.sort_by(|a, b| b.share.total_cmp(&a.share).then(a.network.cmp(&b.network)));
    sums.truncate(most);
    *examples = sums;
}
