//! The world as a drill makes it: what it covers, who must take over, what names would answer.

use std::collections::HashSet;
use std::sync::Arc;

use crate::drill::Charter;
use crate::health::{Overrides, Scope};
use crate::ids::{EndpointId, NameId};
use crate::overrides::{Class, Entry, InForce, Kind, Record, Stamp, Standing, Subject};
use crate::snapshot::drills::{self, DrillOrders};
use crate::snapshot::{View, orders};
use crate::steer::decision::Standing as How;
use crate::time::Moment;

/// What a drill is about in one configuration.
pub(super) struct Ground {
    /// Endpoints that it takes away.
    pub(super) covered: HashSet<EndpointId>,
    /// Names with such endpoints.
    pub(super) names: Vec<NameId>,
    /// The other endpoints of these names, which must take over; without those that are disabled.
    pub(super) takers: Vec<EndpointId>,
}

impl Ground {
    /// Of a charter in `view`; `None`: this configuration has no such thing.
    pub(super) fn of(charter: &Charter, view: &View) -> Option<Ground> {
        let steering = &view.snapshot.steering;
        let scope = orders::scope(&subject(charter), steering)?;
        let covered: HashSet<EndpointId> = orders::covered(scope, steering).into_iter().collect();
        let pools: HashSet<_> = covered
            .iter()
            .map(|e| steering.endpoints[e.index()].pool)
            .collect();
        let of_names = |name: &NameId| match scope {
            Scope::Name(only) => *name == only,
            _ => {
                let members = &steering.group_of(*name).members;
                members.iter().any(|m| pools.contains(&m.pool))
            }
        };
        let names = (0..steering.names.len()).map(NameId::from_index);
        let names: Vec<NameId> = names.filter(of_names).collect();
        let mut seen = HashSet::new();
        let mut takers = Vec::new();
        for name in &names {
            for member in &steering.group_of(*name).members {
                if !seen.insert(member.pool) {
                    continue;
                }
                let all = steering.pools[member.pool.index()].endpoints.iter();
                takers.extend(
                    all.copied()
                        .filter(|e| !covered.contains(e) && steering.endpoints[e.index()].enabled),
                );
            }
        }
        Some(Ground {
            covered,
            names,
            takers,
        })
    }
}

/// The subject of a charter's order.
pub(super) fn subject(charter: &Charter) -> Subject {
    Subject {
        class: Class::Drill,
        scope: charter.scope,
        name: charter.name.clone(),
    }
}

/// What a charter would order, as if it stood.
pub(super) fn supposed(charter: &Charter) -> InForce {
    let kind = Kind::Drill(charter.effect);
    let record = Record {
        stamp: Stamp {
            ms: charter.planned_ms,
            count: 0,
            node: charter.node.clone(),
        },
        owner: charter.owner.clone(),
        reason: charter.reason.clone(),
        expires: Some(charter.ends_ms),
        broke: None,
        drill: Some(charter.drill.clone()),
        mark: None,
        entries: vec![Entry {
            subject: subject(charter),
            kind: Some(kind),
        }],
        voids: Vec::new(),
        signed: None,
    };
    InForce {
        subject: subject(charter),
        kind,
        record: Arc::new(record),
    }
}

/// The operators' orders with the drill's beneath them.
pub(super) fn laid_over(charter: &Charter, view: &View) -> Overrides {
    let standing = Standing(vec![supposed(charter)]);
    let drill: Arc<[DrillOrders]> = drills::of(&standing, &view.snapshot.steering, view.wall);
    let orders: Vec<_> = drill.iter().flat_map(|d| d.orders.clone()).collect();
    drills::under_orders(&orders, &view.overrides)
}

/// The view as it would be for everybody under the drill; resolved as any other.
pub(super) fn under(charter: &Charter, view: &View, now: Moment) -> View {
    let mut parts = view.parts();
    parts.overrides = Arc::new(laid_over(charter, view));
    parts.drills = Arc::default();
    View::after(view, view.generation, now, parts)
}

/// The first of `names` that answers worse than from what is up and meant for it, with how.
pub(super) fn lesser(
    live: &crate::steer::Live,
    view: &View,
    names: &[NameId],
) -> Option<(String, &'static str)> {
    let steering = &view.snapshot.steering;
    names
        .iter()
        .find_map(|n| match live.worst_standing(steering, *n) {
            How::Normal | How::Held => None,
            How::Degraded => Some((n, "a degraded answer")),
            How::LastResort => Some((n, "its last resort")),
        })
        .map(|(n, how)| (steering.names[n.index()].owner.to_string(), how))
}
