//! Comparing the offers of two views, piece by piece of the address space.

use std::collections::BTreeMap;

use hashbrown::{HashMap, HashSet};

use crate::dns::name::WireName;
use crate::geo::Coordinates;
use crate::ids::{NameId, ShapeId};
use crate::net::Family;
use crate::snapshot::{View, failover};

use super::certainty::{Certainty, Sampled};
use super::load::Loads;
use super::moves::{EXAMPLES, Moves, NOTHING, moved, routes};
use super::report::{Basis, Difference, Example, NameChange, NewName, Report, Unasked};
use super::side::Side;
use super::traffic::Traffic;
use super::walk::{self, Piece, Pieces, Spot, sorted};

/// How shares are weighed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Weigh {
    /// By queries, where there were some; else by addresses.
    ByTraffic,
    /// By addresses.
    ByAddresses,
}

/// Names that nobody asked for and that are spelt out.
const NAMED: usize = 20;

/// Added names that are told of.
const MOST_NEW: usize = 1000;

/// A comparison under way.
struct Comparison<'v> {
    old: &'v View,
    new: &'v View,
    traffic: &'v Traffic,
    weigh: Weigh,
    /// Names of both.
    count: usize,
    /// Whether some client of some name would be sent to another region, whether or not it asked.
    possible: bool,
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
        count: 0,
        possible: false,
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
    let mut sampled = Sampled::default();
    c.count = pairs.len();
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
        if change.basis == Basis::Traffic {
            sampled.add(traffic.sampled(&before.names[x.index()].owner));
        }
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
    let certainty = whole.map(|_| Certainty::of(shift, sampled, c.possible));
    let unasked = match whole {
        Some(_) => unasked(&changes),
        None => Unasked::default(),
    };
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
        over: traffic.over,
        certainty,
        unasked,
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
        new_names: new_names(old, new),
        pools: difference(
            before.pools.iter().map(|p| p.name.to_string()),
            after.pools.iter().map(|p| p.name.to_string()),
        ),
        regions: difference(
            before.regions.iter().map(|r| r.name.to_string()),
            after.regions.iter().map(|r| r.name.to_string()),
        ),
        places: places(old, new),
        assumed_up: Vec::new(),
    }
}

/// Names that nobody asked for.
fn unasked(changes: &[(NameChange, f64)]) -> Unasked {
    let all = changes.iter().map(|(change, _)| change);
    let mut all: Vec<&NameChange> = all.filter(|c| c.basis == Basis::Addresses).collect();
    all.sort_by(|a, b| b.shift.total_cmp(&a.shift).then(a.name.cmp(&b.name)));
    Unasked {
        names: all.iter().take(NAMED).map(|c| c.name.clone()).collect(),
        count: all.len(),
        moving: all.iter().filter(|c| c.shift > 0.0).count(),
    }
}

/// The first names that only `new` has.
fn new_names(old: &View, new: &View) -> Vec<NewName> {
    let known: HashSet<&WireName> = old
        .snapshot
        .steering
        .names
        .iter()
        .map(|n| &n.owner)
        .collect();
    let steering = &new.snapshot.steering;
    let all = steering.names.iter().enumerate();
    let added = all.filter(|(_, n)| !known.contains(&n.owner));
    let mut added: Vec<NewName> = added
        .map(|(i, n)| {
            let id = NameId::from_index(i);
            NewName {
                name: n.owner.to_string(),
                failover: failover::worst_case(&new.snapshot, id).map(|t| t.total()),
                partitions: walk::ranges(&steering.shape_of(id).partition),
            }
        })
        .collect();
    added.sort_by(|a, b| a.name.cmp(&b.name));
    added.truncate(MOST_NEW);
    added
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
        let networks = match whole {
            Some(_) => self.traffic.of(owner),
            None => Vec::new(),
        };
        let queries: f64 = networks.iter().map(|(_, q)| q).sum();
        let part = match whole {
            Some(whole) => queries / whole,
            None => 1.0 / self.count as f64,
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
        let moves_some = most.shift > 0.0;
        if !self.possible {
            self.possible = moves_some || self.moves_any(old, new);
        }
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
            certainty: (!networks.is_empty()).then(|| {
                let possible = moves_some || self.moves_any(old, new);
                Certainty::of(most.shift, self.traffic.sampled(owner), possible)
            }),
            family: (!(cname(old) && cname(new))).then_some(most.family),
            shift: most.shift,
            changed: most.changed,
            moves: most.moves.finish(8 * EXAMPLES),
            failover: (time(old), time(new)),
            partitions: (ranges(old), ranges(new)),
        };
        (change, part)
    }

    /// Whether the name sends any client to another region, wherever it is.
    fn moves_any(&mut self, old: Side<'_>, new: Side<'_>) -> bool {
        let pieces = self.of_space(old.shape(), new.shape());
        let mut lanes = lanes(old, new).into_iter();
        lanes.any(|family| moves(old, new, family, pieces).shift > 0.0)
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

/// Where the regions of both are.
fn places(old: &View, new: &View) -> Vec<(String, Coordinates)> {
    let of = |view: &View| -> Vec<(String, Coordinates)> {
        let regions = view.snapshot.steering.regions.iter();
        regions
            .map(|r| (r.name.to_string(), r.coordinates))
            .collect()
    };
    let all: BTreeMap<String, Coordinates> = of(old).into_iter().chain(of(new)).collect();
    all.into_iter().collect()
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
