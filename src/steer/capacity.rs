//! What an order would leave of each name: the regions that still serve, and how much of the
//! endpoints' weight.

use hashbrown::HashMap;

use crate::ids::{GroupId, NameId, RegionId};
use crate::time::Moment;

use super::facts::{Duty, Facts};
use super::{Known, Steering};

/// How much of a name serves. Configured weights stand for capacity, one of 0 as 1: an order that
/// changes a weight changes who is sent where, not what an endpoint can bear.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Capacity {
    /// Regions with an endpoint that serves, ascending.
    pub regions: Vec<RegionId>,
    /// Weight of the endpoints that serve.
    pub serving: u64,
    /// Weight of all endpoints that the configuration enables.
    pub whole: u64,
}

impl Capacity {
    /// The serving part in percent, rounded down; 100 of nothing.
    pub fn percent(&self) -> u64 {
        (self.serving * 100).checked_div(self.whole).unwrap_or(100)
    }
}

/// A name of which an order changes what serves.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Effect {
    /// The name.
    pub name: NameId,
    /// As it is.
    pub before: Capacity,
    /// As it would be.
    pub after: Capacity,
}

/// The names of which other things serve when `after` is known than when `before` is.
pub fn effects(
    steering: &Steering,
    before: Known<'_>,
    after: Known<'_>,
    now: Moment,
) -> Vec<Effect> {
    let (old, new) = (
        facts_of(steering, before, now),
        facts_of(steering, after, now),
    );
    let mut ordered = old.ordered_names();
    ordered.extend(new.ordered_names());
    let mut groups: HashMap<GroupId, (Capacity, Capacity)> = HashMap::new();
    let mut effects = Vec::new();
    for (i, n) in steering.names.iter().enumerate() {
        let name = NameId::from_index(i);
        let (before, after) = if ordered.contains(&name) {
            let of = |facts| capacity(facts, n.group, Some(name));
            (of(&old), of(&new))
        } else {
            groups
                .entry(n.group)
                .or_insert_with(|| {
                    let of = |facts| capacity(facts, n.group, None);
                    (of(&old), of(&new))
                })
                .clone()
        };
        if before != after {
            effects.push(Effect {
                name,
                before,
                after,
            });
        }
    }
    effects
}

fn facts_of<'a>(steering: &'a Steering, known: Known<'a>, now: Moment) -> Facts<'a> {
    Facts::new(
        steering,
        known.board,
        known.measurements,
        known.overrides,
        now,
    )
    .survey()
}

fn capacity(facts: &Facts<'_>, group: GroupId, name: Option<NameId>) -> Capacity {
    let steering = facts.steering;
    let mut out = Capacity::default();
    for member in &steering.groups[group.index()].members {
        let pool = &steering.pools[member.pool.index()];
        for e in &pool.endpoints {
            let endpoint = &steering.endpoints[e.index()];
            if !endpoint.enabled {
                continue;
            }
            let weight = u64::from(endpoint.weight.0.max(1));
            out.whole += weight;
            if facts.endpoint(*e, name).duty == Duty::Serving {
                out.serving += weight;
                out.regions.push(pool.region);
            }
        }
    }
    out.regions.sort_unstable();
    out.regions.dedup();
    out
}
