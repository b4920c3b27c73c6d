//! Why the scope is neither longer nor shorter: the nearest networks that get something else.
//!
//! A scope is minimal when its parent reaches into a network with another static plan (requirement E3).
//! So the two neighbours in the order of addresses are found whose plan differs; the one inside the
//! parent is the proof, and what its clients would get now is decided as for a query of theirs.

use std::net::IpAddr;

use crate::net::{Family, Key, Prefix};
use crate::snapshot::View;
use crate::steer::NoTrace;
use crate::steer::decision::ClientSource;
use crate::steer::partition::Slot;

use super::{Answered, Query, Told, answered, otherwise};
use crate::engine::client::{Asker, Why};

/// What keeps a scope from being shorter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bounded {
    /// Nothing: it is 0, all clients are alike.
    Not,
    /// Another static plan next door.
    Plan,
    /// The client's network is hashed by as many bits.
    Hash,
    /// A drill answers a canary network otherwise.
    Drill,
}

impl Bounded {
    /// One word for it.
    pub fn text(self) -> &'static str {
        match self {
            Bounded::Not => "nothing",
            Bounded::Plan => "plan",
            Bounded::Hash => "hash",
            Bounded::Drill => "drill",
        }
    }
}

/// A scope and what bounds it.
#[derive(Clone, PartialEq, Debug)]
pub struct ScopeBounds {
    /// The clients who are decided alike.
    pub network: Prefix,
    /// Their plan's number.
    pub plan: u32,
    /// What keeps it from being shorter.
    pub by: Bounded,
    /// One bit less: holds somebody who is decided otherwise. `None` with a scope of 0.
    pub parent: Option<Prefix>,
    /// The nearest network below with another plan.
    pub below: Option<Neighbour>,
    /// The nearest network above with another plan.
    pub above: Option<Neighbour>,
}

/// A network of clients next door.
#[derive(Clone, PartialEq, Debug)]
pub struct Neighbour {
    /// The widest prefix at that border with one plan.
    pub network: Prefix,
    /// Its plan's number.
    pub plan: u32,
    /// Whether it is special-purpose space, for which the resolver's address decides.
    pub special_purpose: bool,
    /// Whether it lies in the parent of the scope: then no shorter scope would be true.
    pub bounds: bool,
    /// The pools in the order of its plan before health and round-trip times, tier by tier.
    pub order: Vec<Vec<String>>,
    /// What its clients would get now, by the same draw.
    pub answered: Vec<Answered>,
    /// In words what they would get where it is not endpoints.
    pub otherwise: Option<String>,
}

impl ScopeBounds {
    /// What bounds the scope of a decided answer.
    pub(super) fn of(view: &View, q: &Query<'_>, told: &Told<'_>) -> ScopeBounds {
        let steering = &view.snapshot.steering;
        let lookup = |addr| view.live.slot(steering, q.id, addr);
        // Where the resolver decides for special-purpose space, the scope is that space.
        let addr = match (told.who.client.source, q.asker.network) {
            (ClientSource::ResolverForBogon(_), Some(network)) => network.addr(),
            _ => told.who.client.addr,
        };
        let (slot, len) = lookup(addr);
        let scope = told.decision.scope.0;
        let longest = scope.max(len);
        let (network, by) = match (scope, len) {
            _ if told.scope.0 > longest => (Prefix::containing(addr, told.scope.0), Bounded::Drill),
            (scope, len) if scope > len => (Prefix::containing(addr, scope), Bounded::Hash),
            (_, 0) => (Prefix::containing(addr, 0), Bounded::Not),
            _ => (Prefix::containing(addr, len), Bounded::Plan),
        };
        let mut bounds = ScopeBounds {
            network,
            plan: slot.plan.0,
            by,
            parent: (network.len() > 0).then(|| Prefix::containing(addr, network.len() - 1)),
            below: None,
            above: None,
        };
        if len > 0 {
            let around = Prefix::containing(addr, len);
            let find = |up| neighbour(&lookup, around, slot, up);
            let tell = |(network, slot)| bounds.neighbour(view, q, network, slot);
            (bounds.below, bounds.above) = (find(false).map(tell), find(true).map(tell));
        }
        bounds
    }

    fn neighbour(&self, view: &View, q: &Query<'_>, network: Prefix, slot: Slot) -> Neighbour {
        let steering = &view.snapshot.steering;
        let group = steering.group_of(q.id);
        let pool = |m: &u16| {
            let member = &group.members[usize::from(*m)];
            steering.pools[member.pool.index()].name.to_string()
        };
        let base = view.live.base(steering, q.id, slot.plan);
        let plan = &steering.shape_of(q.id).partition.plans[base.index()];
        let theirs = Query {
            asker: Asker {
                network: Some(network),
                ..q.asker
            },
            ..*q
        };
        let told = Told::decide(view, &theirs, &mut NoTrace);
        let whole = self.parent.is_some_and(|p| p.contains(network.addr()));
        Neighbour {
            network,
            plan: slot.plan.0,
            special_purpose: told.who.why == Why::Bogon,
            bounds: self.by == Bounded::Plan && whole,
            order: plan
                .tiers
                .0
                .iter()
                .map(|tier| tier.iter().map(pool).collect())
                .collect(),
            answered: answered(view, &told.picks, group.cname),
            otherwise: otherwise(&told, &group.last_resort),
        }
    }

    /// For people.
    pub(super) fn lines(&self) -> Vec<String> {
        let (Some(parent), false) = (self.parent, self.by == Bounded::Not) else {
            return Vec::new();
        };
        let mut lines = Vec::new();
        let network = self.network;
        match self.by {
            Bounded::Hash => lines.push(format!(
                "scope: {network} is hashed as one, {parent} is not"
            )),
            Bounded::Drill => lines.push(format!(
                "scope: a drill answers only a part of {parent} otherwise than {network}"
            )),
            Bounded::Not | Bounded::Plan => {}
        }
        let sides = [("below", &self.below), ("above", &self.above)];
        for (side, neighbour) in sides {
            let Some(n) = neighbour else { continue };
            let proof = match n.bounds {
                true => format!(", inside {parent}: no shorter scope holds"),
                false => String::new(),
            };
            let what = match (&n.otherwise, n.special_purpose) {
                (Some(words), _) => words.clone(),
                (None, true) => "the answer for their resolver".to_owned(),
                (None, false) => {
                    let tiers = n.order.iter().map(|tier| tier.join(" = "));
                    let tiers: Vec<String> = tiers.collect();
                    let mut regions: Vec<&str> =
                        n.answered.iter().map(|a| a.region.as_str()).collect();
                    regions.dedup();
                    format!("{}, now region {}", tiers.join(" > "), regions.join(", "))
                }
            };
            lines.push(format!(
                "scope: {side} is {} with plan {} ({what}){proof}",
                n.network, n.plan
            ));
        }
        lines
    }
}

/// The nearest network below or above `around`, whose clients have `slot`, with another slot.
fn neighbour(
    lookup: &dyn Fn(IpAddr) -> (Slot, u8),
    around: Prefix,
    slot: Slot,
    up: bool,
) -> Option<(Prefix, Slot)> {
    let mut at = around;
    // Every look leaves one prefix of the range behind, of which there are two for each bit at most.
    // Blocks that embed IPv4 addresses are ranges of their own.
    for _ in 0..4 * 128 {
        let next = beside(at, up)?;
        let (theirs, len) = lookup(next);
        let network = Prefix::containing(next, len);
        if theirs != slot {
            return Some((network, theirs));
        }
        at = network;
    }
    None
}

/// The address right below or above a prefix.
fn beside(prefix: Prefix, up: bool) -> Option<IpAddr> {
    fn step<K: Key>(first: K, last: K, up: bool) -> Option<K> {
        match up {
            true => (last != K::MAX).then(|| last.succ()),
            false => (first != K::default()).then(|| first.pred()),
        }
    }
    match (prefix.family(), prefix.addr(), prefix.last()) {
        (Family::V4, IpAddr::V4(first), IpAddr::V4(last)) => {
            let at = step(u32::from(first), u32::from(last), up)?;
            Some(IpAddr::V4(at.into()))
        }
        (Family::V6, IpAddr::V6(first), IpAddr::V6(last)) => {
            let at = step(u128::from(first), u128::from(last), up)?;
            Some(IpAddr::V6(at.into()))
        }
        _ => None,
    }
}
