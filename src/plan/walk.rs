//! Merging two partitions of the address space: for each piece that is one order of pools on both
//! sides, how much it weighs.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hashbrown::HashMap;

use crate::geo::{Code, Coordinates, GeoTable, Slot6};
use crate::ids::{LocationId, PlanId};
use crate::net::{Key, Prefix, RangeMap};
use crate::steer::partition::{PackedSlot, Partition, Slot, Space};

/// Places of one piece that are kept as examples.
const EXAMPLES: usize = 16;

/// The parts of a client network that are looked at by themselves, at most.
const PARTS: usize = 4096;

/// What is known of the place of an example.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Spot {
    /// The network.
    pub network: Prefix,
    /// Its country.
    pub country: Option<Code>,
    /// Its place.
    pub coordinates: Option<Coordinates>,
}

/// All addresses with one order of pools before and one after.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Piece {
    /// Which part of all it is.
    pub weight: f64,
    /// Some of its places with their part of all, the heaviest first.
    pub spots: Vec<(Spot, f64)>,
}

/// The pieces of a pair of partitions.
pub type Pieces = HashMap<(PlanId, PlanId), Piece>;

/// Adds up the pieces of a pair.
#[derive(Default)]
struct Gather {
    pieces: HashMap<(PlanId, PlanId), (f64, Spots)>,
    whole: f64,
}

/// Country, and the bits of the coordinates.
type SpotKey = (Option<Code>, Option<(u64, u64)>);

/// An example of each place, with the weight of all of it.
type Spots = HashMap<SpotKey, (Spot, f64)>;

impl Gather {
    fn add(&mut self, pair: (PlanId, PlanId), spot: Spot, weight: f64) {
        let (sum, spots) = self.pieces.entry(pair).or_default();
        *sum += weight;
        self.whole += weight;
        let bits = |c: Coordinates| (c.latitude().to_bits(), c.longitude().to_bits());
        let key = (spot.country, spot.coordinates.map(bits));
        spots.entry(key).or_insert((spot, 0.0)).1 += weight;
    }

    /// The pieces, their weights as parts of `share`.
    fn into_pieces(self, share: f64) -> Pieces {
        let unit = if self.whole > 0.0 {
            share / self.whole
        } else {
            0.0
        };
        let pieces = self.pieces.into_iter().map(|(pair, (weight, spots))| {
            let spots = spots.into_values().map(|(s, w)| (s, w * unit));
            let piece = Piece {
                weight: weight * unit,
                spots: heaviest(spots.collect()),
            };
            (pair, piece)
        });
        pieces.collect()
    }
}

fn heaviest(mut spots: Vec<(Spot, f64)>) -> Vec<(Spot, f64)> {
    spots.sort_by(|(a, x), (b, y)| y.total_cmp(x).then(a.network.cmp(&b.network)));
    spots.truncate(EXAMPLES);
    spots
}

/// Adds the second to the first.
fn join(mut all: Pieces, more: Pieces) -> Pieces {
    for (pair, piece) in more {
        let sum = all.entry(pair).or_default();
        sum.weight += piece.weight;
        sum.spots.extend(piece.spots);
        sum.spots = heaviest(std::mem::take(&mut sum.spots));
    }
    all
}

/// The pieces by addresses: all whose place `geo` knows, or all but the special-purpose ones where it
/// knows none. IPv4 addresses are half of all and IPv6 /48 networks the other half; where only one
/// family is known, it is all.
pub fn by_addresses(old: &Partition, new: &Partition, geo: &GeoTable) -> Pieces {
    let any = |id: LocationId| id != GeoTable::UNKNOWN && id != GeoTable::BOGON;
    let known = geo.v4.iter().any(|(.., id)| any(id))
        || geo
            .v6
            .iter()
            .any(|(.., s)| matches!(s, Slot6::Value(id) if any(id)));
    let counts = |id: LocationId| any(id) || (!known && id != GeoTable::BOGON);
    let spot = |first: IpAddr, len: u8, id: LocationId| {
        let place = geo.location(id);
        Spot {
            network: Prefix::containing(first, len),
            country: place.country,
            coordinates: place.coordinates,
        }
    };

    let mut four = Gather::default();
    let (a, b) = (v4(old), v4(new));
    merge(&a, &b, &geo.v4, |first, last, (x, y, id)| {
        if counts(id) {
            let len = within(first, last, 24);
            let spot = spot(Ipv4Addr::from(first).into(), len, id);
            four.add((plan(x), plan(y)), spot, f64::from(last - first) + 1.0);
        }
    });
    let mut six = Gather::default();
    let (a, b) = (v6(old), v6(new));
    merge(&a, &b, &geo.v6, |first, last, (x, y, id)| {
        // Forms that carry an IPv4 address are those clients once more.
        if let (Slot6::Value(x), Slot6::Value(y), Slot6::Value(id)) = (x, y, id)
            && counts(id)
        {
            let len = within(first, last, 48);
            let spot = spot(Ipv6Addr::from(first).into(), len, id);
            let networks = ((last - first) as f64 + 1.0) / (1_u128 << 80) as f64;
            six.add((plan(x), plan(y)), spot, networks);
        }
    });
    match (four.whole > 0.0, six.whole > 0.0) {
        (true, true) => join(four.into_pieces(0.5), six.into_pieces(0.5)),
        (true, false) => four.into_pieces(1.0),
        (false, _) => six.into_pieces(1.0),
    }
}

/// The pieces by queries of client networks. A network that lies across a border is counted on both
/// sides, by its addresses there.
pub fn by_traffic(
    old: &Partition,
    new: &Partition,
    geo: &GeoTable,
    networks: &[(Prefix, f64)],
) -> Pieces {
    let mut gather = Gather::default();
    for (network, queries) in networks {
        let place = geo.location(geo.locate(network.addr()).id);
        let spot = Spot {
            network: *network,
            country: place.country,
            coordinates: place.coordinates,
        };
        for (pair, part) in parts(old, new, *network) {
            gather.add(pair, spot, queries * part);
        }
    }
    gather.into_pieces(1.0)
}

/// The orders that the addresses of a network get, with the part of it that does.
fn parts(old: &Partition, new: &Partition, network: Prefix) -> Vec<((PlanId, PlanId), f64)> {
    let mut found = Vec::new();
    let mut at = network.addr();
    let mut left = 1.0;
    while found.len() < PARTS {
        let ((x, a), (y, b)) = (old.lookup(at), new.lookup(at));
        let len = a.max(b);
        if len <= network.len() {
            return vec![((x.plan, y.plan), 1.0)];
        }
        let part = 0.5_f64.powi(i32::from(len - network.len()));
        found.push(((x.plan, y.plan), part));
        left -= part;
        let last = Prefix::containing(at, len).last();
        if last == network.last() {
            return found;
        }
        at = match last {
            IpAddr::V4(a) => Ipv4Addr::from(u32::from(a).succ()).into(),
            IpAddr::V6(a) => Ipv6Addr::from(u128::from(a).succ()).into(),
        };
    }
    // What is left of a network of so many parts goes the way of the last one looked at.
    if let Some((_, part)) = found.last_mut() {
        *part += left.max(0.0);
    }
    found
}

/// The length, at least `len`, of a network that begins at `first` and ends by `last`.
fn within<K: Key>(first: K, last: K, len: u8) -> u8 {
    let fits = |len: &u8| first.first_of(*len) == first && first.last_of(*len) <= last;
    (len..K::BITS).find(fits).unwrap_or(K::BITS)
}

fn plan(slot: PackedSlot) -> PlanId {
    Slot::from(slot).plan
}

fn blind(plan: PlanId) -> PackedSlot {
    Slot { plan, bogon: false }.into()
}

fn v4(partition: &Partition) -> RangeMap<u32, PackedSlot> {
    match &partition.space {
        Space::Blind(plan) => RangeMap::uniform(blind(*plan)),
        Space::ByAddress { v4, .. } => v4.clone(),
    }
}

fn v6(partition: &Partition) -> RangeMap<u128, Slot6<PackedSlot>> {
    match &partition.space {
        Space::Blind(plan) => RangeMap::uniform(Slot6::Value(blind(*plan))),
        Space::ByAddress { v6, .. } => v6.clone(),
    }
}

/// Walks three maps at once: calls `piece` for each range in which none of them changes.
fn merge<K: Key, A, B, C>(
    a: &RangeMap<K, A>,
    b: &RangeMap<K, B>,
    c: &RangeMap<K, C>,
    mut piece: impl FnMut(K, K, (A, B, C)),
) where
    A: Copy + Eq + std::fmt::Debug,
    B: Copy + Eq + std::fmt::Debug,
    C: Copy + Eq + std::fmt::Debug,
{
    let (mut a, mut b, mut c) = (a.iter(), b.iter(), c.iter());
    let (Some(mut x), Some(mut y), Some(mut z)) = (a.next(), b.next(), c.next()) else {
        return;
    };
    let mut first = K::default();
    loop {
        let last = x.1.min(y.1).min(z.1);
        piece(first, last, (x.2, y.2, z.2));
        if last == K::MAX {
            return;
        }
        first = last.succ();
        // Each map covers the whole space, so there is a next range before the end of it.
        if x.1 == last {
            x = a.next().unwrap_or(x);
        }
        if y.1 == last {
            y = b.next().unwrap_or(y);
        }
        if z.1 == last {
            z = c.next().unwrap_or(z);
        }
    }
}

/// Ranges of addresses that a partition tells apart: what a resolver's cache may have to hold.
pub fn ranges(partition: &Partition) -> usize {
    match &partition.space {
        Space::Blind(_) => 1,
        Space::ByAddress { v4, v6 } => {
            let own = v6.iter().filter(|(.., s)| matches!(s, Slot6::Value(_)));
            v4.len() + own.count()
        }
    }
}

/// In one order, so that sums come out alike each time.
pub(super) fn sorted(pieces: &Pieces) -> Vec<(&(PlanId, PlanId), &Piece)> {
    let mut all: Vec<_> = pieces.iter().collect();
    all.sort_by_key(|(pair, _)| **pair);
    all
}
