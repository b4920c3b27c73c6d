//! Comparing the offers of two views, piece by piece of the address space.

use std::collections::BTreeMap;

use hashbrown::{HashMap, HashSet};

use crate::dns::name::WireName;
use crate::ids::{EndpointId, NameId, PlanId, ShapeId};
use crate::net::Family;
use crate::snapshot::{View, failover};
use crate::steer::{Known, Shares, Told, serving};

use super::report::{Basis, Difference, Example, Load, Move, NameChange, Place, Report};
use super::traffic::Traffic;
use super::walk::{self, Piece, Pieces, Spot};

/// Moves smaller than this part of all are arithmetic.
const NOTHING: f64 = 1e-9;

/// Examples told of one move.
const EXAMPLES: usize = 5;

/// How shares are weighed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Weigh {
    /// By queries, where there were some; else by addresses.
    ByTraffic,
    /// By addresses.
    ByAddresses,
}

/// One of the two views, and a name in it.
#[derive(Clone, Copy, Debug)]
pub struct Side<'v> {
    view: &'v View,
    name: NameId,
}

impl Side<'_> {
    fn shares(&self, plan: PlanId, family: Family) -> Shares {
        let steering = &self.view.snapshot.steering;
        self.view
            .live
            .shares_of_plan(steering, self.name, plan, family)
    }

    fn shape(&self) -> ShapeId {
        self.view.snapshot.steering.shape_id_of(self.name)
    }

    fn place(&self, e: EndpointId) -> Place {
        let steering = &self.view.snapshot.steering;
        let pool = &steering.pools[steering.endpoints[e.index()].pool.index()];
        Place::Region(steering.regions[pool.region.index()].name.clone())
    }

    /// What a resolver is told: an address or a target.
    fn data(&self, e: EndpointId) -> String {
        let e = &self.view.snapshot.steering.endpoints[e.index()];
        match (&e.cname, e.address) {
            (Some(target), _) => target.to_string(),
            (None, Some(address)) => address.to_string(),
            (None, None) => String::new(),
        }
    }

    fn by_place(&self, shares: &Shares) -> BTreeMap<Place, f64> {
        let whole = |place| BTreeMap::from([(place, 1.0)]);
        match &shares.told {
            Told::LastResortCname => whole(Place::LastResort),
            Told::ServFail => whole(Place::ServFail),
            Told::NoData => whole(Place::NoData),
            Told::Endpoints(list) => {
                let mut out = BTreeMap::new();
                for (e, share) in list {
                    *out.entry(self.place(*e)).or_default() += share;
                }
                out
            }
        }
    }

    fn by_data(&self, shares: &Shares) -> BTreeMap<String, f64> {
        match &shares.told {
            Told::Endpoints(list) => {
                let mut out = BTreeMap::new();
                for (e, share) in list {
                    *out.entry(self.data(*e)).or_default() += share;
                }
                out
            }
            // No address is written like this.
            other => BTreeMap::from([(format!("{other:?}"), 1.0)]),
        }
    }
}

/// The part that is at a key less than before, 0 to 1.
fn moved<K: Ord>(old: &BTreeMap<K, f64>, new: &BTreeMap<K, f64>) -> f64 {
    let gone = |(k, share): (&K, &f64)| (share - new.get(k).unwrap_or(&0.0)).max(0.0);
    let sum: f64 = old.iter().map(gone).sum();
    if sum < NOTHING { 0.0 } else { sum.min(1.0) }
}

/// From where to where: what is less somewhere goes where it is more, in proportion. With a weighted
/// draw nobody can say which client goes where; how many do is certain.
fn routes(old: &BTreeMap<Place, f64>, new: &BTreeMap<Place, f64>) -> Vec<(Place, Place, f64)> {
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
struct Moves(BTreeMap<(Place, Place), (f64, Vec<Example>)>);

impl Moves {
    fn add(&mut self, (from, to, share): (Place, Place, f64), spots: &[(Spot, f64)], part: f64) {
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

    fn finish(self, examples: usize) -> Vec<Move> {
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

/// A comparison under way.
struct Comparison<'v> {
    old: &'v View,
    new: &'v View,
    traffic: &'v Traffic,
    weigh: Weigh,
    /// Of the address space, by the pair of shapes: names share them.
    pieces: HashMap<(ShapeId, ShapeId), Pieces>,
}

/// Compares two views; `progress` is told how many names of all are done.
pub fn compare(
    old: &View,
    new: &View,
    traffic: &Traffic,
    weigh: Weigh,
    progress: &mut dyn FnMut(usize, usize),
) -> Report {
    let mut c = Comparison {
        old,
        new,
        traffic,
        weigh,
        pieces: HashMap::new(),
    };
    let (before, after) = (&old.snapshot.steering, &new.snapshot.steering);
    let of_owner: HashMap<&WireName, NameId> = ids(after.names.iter().map(|n| &n.owner));
    let pairs: Vec<(NameId, NameId)> = before
        .names
        .iter()
        .enumerate()
        .filter_map(|(i, n)| Some((NameId::from_index(i), *of_owner.get(&n.owner)?)))
        .collect();
    let mut changes = Vec::with_capacity(pairs.len());
    let mut loads = Loads::default();
    let mut sum = Moves::default();
    let whole = c.whole(&pairs);
    for (done, (x, y)) in pairs.iter().enumerate() {
        progress(done, pairs.len());
        let (old, new) = (
            Side {
                view: old,
                name: *x,
            },
            Side {
                view: new,
                name: *y,
            },
        );
        let (change, part) = c.name(old, new, whole, &mut loads);
        for m in &change.moves {
            let (from, to) = (m.from.clone(), m.to.clone());
            let spots: Vec<(Spot, f64)> = m.examples.iter().map(spot_of).collect();
            sum.add((from, to, m.share * part), &spots, part);
        }
        changes.push((change, part));
    }
    progress(pairs.len(), pairs.len());
    let total = |of: &dyn Fn(&NameChange) -> f64| -> f64 {
        let sum: f64 = changes.iter().map(|(c, part)| of(c) * part).sum();
        if sum < NOTHING { 0.0 } else { sum.min(1.0) }
    };
    let (shift, changed) = (total(&|c| c.shift), total(&|c| c.changed));
    let queries = changes.iter().map(|(c, _)| c.queries).sum();
    let all = changes.len();
    changes.retain(|(c, _)| c.is_change());
    let unchanged = all - changes.len();
    changes.sort_by(|(a, p), (b, q)| {
        let most = |c: &NameChange, part: f64| (c.shift * part, c.shift, c.changed);
        let (x, y) = (most(a, *p), most(b, *q));
        let by = y.0.total_cmp(&x.0).then(y.1.total_cmp(&x.1));
        by.then(y.2.total_cmp(&x.2)).then(a.name.cmp(&b.name))
    });
    let names = changes.into_iter().map(|(mut change, _)| {
        for m in &mut change.moves {
            m.examples.truncate(EXAMPLES);
        }
        change
    });
    Report {
        basis: if whole.is_some() {
            Basis::Traffic
        } else {
            Basis::Addresses
        },
        queries,
        shift,
        changed,
        moves: sum.finish(4 * EXAMPLES),
        names: names.collect(),
        unchanged,
        load: loads.finish(old, new),
        steered: difference(
            before.names.iter().map(|n| n.owner.to_string()),
            after.names.iter().map(|n| n.owner.to_string()),
        ),
        pools: difference(
            before.pools.iter().map(|p| p.name.to_string()),
            after.pools.iter().map(|p| p.name.to_string()),
        ),
        regions: difference(
            before.regions.iter().map(|r| r.name.to_string()),
            after.regions.iter().map(|r| r.name.to_string()),
        ),
        assumed_up: Vec::new(),
    }
}

fn ids<'a>(owners: impl Iterator<Item = &'a WireName>) -> HashMap<&'a WireName, NameId> {
    let all = owners.enumerate();
    all.map(|(i, owner)| (owner, NameId::from_index(i)))
        .collect()
}

fn spot_of(e: &Example) -> (Spot, f64) {
    let spot = Spot {
        network: e.network,
        country: e.country,
        coordinates: e.coordinates,
    };
    (spot, e.share)
}

impl Comparison<'_> {
    /// Queries of all names of both; `None`: there are none, and each name counts the same.
    fn whole(&self, pairs: &[(NameId, NameId)]) -> Option<f64> {
        if self.weigh == Weigh::ByAddresses || self.traffic.is_empty() {
            return None;
        }
        let names = &self.old.snapshot.steering.names;
        let networks = |n: &NameId| self.traffic.of(&names[n.index()].owner);
        let sum: f64 = pairs
            .iter()
            .flat_map(|(n, _)| networks(n))
            .map(|(_, queries)| queries)
            .sum();
        (sum > 0.0).then_some(sum)
    }

    /// What changes for a name, and which part of all it is.
    fn name(
        &mut self,
        old: Side<'_>,
        new: Side<'_>,
        whole: Option<f64>,
        loads: &mut Loads,
    ) -> (NameChange, f64) {
        let owner = &old.view.snapshot.steering.names[old.name.index()].owner;
        let names = old.view.snapshot.steering.names.len().max(1);
        let networks = match whole {
            Some(_) => self.traffic.of(owner),
            None => Vec::new(),
        };
        let queries: f64 = networks.iter().map(|(_, q)| q).sum();
        let part = match whole {
            Some(whole) => queries / whole,
            None => 1.0 / names as f64,
        };
        let own;
        let pieces = if networks.is_empty() {
            self.of_space(old.shape(), new.shape())
        } else {
            let (a, b) = self.partitions(old.shape(), new.shape());
            own = walk::by_traffic(a, b, &self.new.snapshot.geo, &networks);
            &own
        };
        let mut lanes = lanes(old, new).into_iter();
        let mut most = moves(old, new, lanes.next().unwrap_or(Family::V4), pieces);
        for family in lanes {
            let other = moves(old, new, family, pieces);
            if (other.shift, other.changed) > (most.shift, most.changed) {
                most = other;
            }
        }
        loads.add(old, new, most.family, pieces, part);
        let cname = |side: Side<'_>| side.view.snapshot.steering.group_of(side.name).cname;
        let time = |side: Side<'_>| {
            failover::worst_case(&side.view.snapshot, side.name).map(|t| t.total())
        };
        let ranges = |side: Side<'_>| {
            let steering = &side.view.snapshot.steering;
            walk::ranges(&steering.shape_of(side.name).partition)
        };
        let change = NameChange {
            name: owner.to_string(),
            basis: if networks.is_empty() {
                Basis::Addresses
            } else {
                Basis::Traffic
            },
            queries,
            family: (!(cname(old) && cname(new))).then_some(most.family),
            shift: most.shift,
            changed: most.changed,
            moves: most.moves.finish(8 * EXAMPLES),
            failover: (time(old), time(new)),
            partitions: (ranges(old), ranges(new)),
        };
        (change, part)
    }

    fn partitions(
        &self,
        old: ShapeId,
        new: ShapeId,
    ) -> (
        &crate::steer::partition::Partition,
        &crate::steer::partition::Partition,
    ) {
        (
            &self.old.snapshot.steering.shapes[old.index()].partition,
            &self.new.snapshot.steering.shapes[new.index()].partition,
        )
    }

    fn of_space(&mut self, old: ShapeId, new: ShapeId) -> &Pieces {
        if !self.pieces.contains_key(&(old, new)) {
            let (a, b) = self.partitions(old, new);
            let pieces = walk::by_addresses(a, b, &self.new.snapshot.geo);
            self.pieces.insert((old, new), pieces);
        }
        &self.pieces[&(old, new)]
    }
}

/// The families that the name answers on either side; any one for a CNAME name.
fn lanes(old: Side<'_>, new: Side<'_>) -> Vec<Family> {
    let of = |side: Side<'_>| {
        let group = side.view.snapshot.steering.group_of(side.name);
        group.families.clone()
    };
    let mut all: Vec<Family> = of(old).into_iter().chain(of(new)).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// What moves in one family.
struct Found {
    family: Family,
    shift: f64,
    changed: f64,
    moves: Moves,
}

fn moves(old: Side<'_>, new: Side<'_>, family: Family, pieces: &Pieces) -> Found {
    let mut found = Found {
        family,
        shift: 0.0,
        changed: 0.0,
        moves: Moves::default(),
    };
    for ((x, y), Piece { weight, spots }) in sorted(pieces) {
        let (a, b) = (old.shares(*x, family), new.shares(*y, family));
        let (from, to) = (old.by_place(&a), new.by_place(&b));
        found.shift += weight * moved(&from, &to);
        found.changed += weight * moved(&old.by_data(&a), &new.by_data(&b));
        for (from, to, share) in routes(&from, &to) {
            found.moves.add((from, to, weight * share), spots, share);
        }
    }
    found
}

/// In one order, so that sums come out alike each time.
fn sorted(pieces: &Pieces) -> Vec<(&(PlanId, PlanId), &Piece)> {
    let mut all: Vec<_> = pieces.iter().collect();
    all.sort_by_key(|(pair, _)| **pair);
    all
}

/// Adds up load by region and pool.
#[derive(Default)]
struct Loads(BTreeMap<(String, Option<String>), (f64, f64)>);

impl Loads {
    fn add(&mut self, old: Side<'_>, new: Side<'_>, family: Family, pieces: &Pieces, part: f64) {
        for ((x, y), piece) in sorted(pieces) {
            let weight = piece.weight * part;
            for (side, plan, is_new) in [(old, *x, false), (new, *y, true)] {
                let Told::Endpoints(list) = side.shares(plan, family).told else {
                    continue;
                };
                let steering = &side.view.snapshot.steering;
                for (e, share) in list {
                    let pool = &steering.pools[steering.endpoints[e.index()].pool.index()];
                    let region = steering.regions[pool.region.index()].name.to_string();
                    for pool in [None, Some(pool.name.to_string())] {
                        let load = self.0.entry((region.clone(), pool)).or_default();
                        let load = if is_new { &mut load.1 } else { &mut load.0 };
                        *load += weight * share;
                    }
                }
            }
        }
    }

    fn finish(mut self, old: &View, new: &View) -> Vec<Load> {
        // Those that nobody is sent to as well.
        for view in [old, new] {
            let steering = &view.snapshot.steering;
            for pool in &steering.pools {
                let region = steering.regions[pool.region.index()].name.to_string();
                self.0.entry((region.clone(), None)).or_default();
                self.0
                    .entry((region, Some(pool.name.to_string())))
                    .or_default();
            }
        }
        let (before, after) = (weights(old), weights(new));
        let all = self.0.into_iter();
        all.map(|(key, load)| {
            let (a, b) = (before.get(&key), after.get(&key));
            let (a, b) = (
                a.copied().unwrap_or_default(),
                b.copied().unwrap_or_default(),
            );
            let (region, pool) = key;
            Load {
                region,
                pool,
                load,
                weight: (a.0, b.0),
                serving: (a.1, b.1),
            }
        })
        .collect()
    }
}

/// The weights of enabled endpoints and of those that serve, by region and by pool.
fn weights(view: &View) -> HashMap<(String, Option<String>), (u64, u64)> {
    let steering = &view.snapshot.steering;
    let known = Known {
        board: &view.board,
        measurements: &view.measurements,
        overrides: &view.overrides,
    };
    let serves = serving(steering, known, view.published);
    let mut out: HashMap<_, (u64, u64)> = HashMap::new();
    for pool in &steering.pools {
        let region = steering.regions[pool.region.index()].name.to_string();
        let (mut all, mut serving) = (0, 0);
        for e in &pool.endpoints {
            let endpoint = &steering.endpoints[e.index()];
            if endpoint.enabled {
                let weight = u64::from(endpoint.weight.0.max(1));
                all += weight;
                if serves[e.index()] {
                    serving += weight;
                }
            }
        }
        for key in [
            (region.clone(), None),
            (region, Some(pool.name.to_string())),
        ] {
            let sum = out.entry(key).or_default();
            sum.0 += all;
            sum.1 += serving;
        }
    }
    out
}

fn difference(old: impl Iterator<Item = String>, new: impl Iterator<Item = String>) -> Difference {
    let (old, new): (HashSet<String>, HashSet<String>) = (old.collect(), new.collect());
    let only = |a: &HashSet<String>, b: &HashSet<String>| {
        let mut only: Vec<String> = a.difference(b).cloned().collect();
        only.sort_unstable();
        only
    };
    Difference {
        added: only(&new, &old),
        removed: only(&old, &new),
    }
}
