//! The operators' word against one configuration: names become endpoints, pools, regions, names.

use std::collections::HashMap;

use crate::health::{Override, OverrideKind, Overrides, Scope};
use crate::ids::{EndpointId, NameId, PoolId, RegionId};
use crate::overrides::{Effect, InForce, Kind, ScopeKind, Standing, Subject};
use crate::steer::Steering;
use crate::time::Wall;

/// The orders in force as `steering` understands them. One about something that this configuration
/// does not have is left out here; it is kept, and stands again when a reload brings the thing.
pub fn resolve(standing: &Standing, steering: &Steering, wall: Wall) -> Overrides {
    // A drill with a scope steers nobody but those in its scope.
    let scoped = |o: &&InForce| o.record.drill.as_ref().is_some_and(|d| d.reach.is_scoped());
    let orders = standing.0.iter().filter(|o| !scoped(o));
    Overrides(orders.filter_map(|o| one(o, steering, wall)).collect())
}

/// What one order means in `steering`; `None`: it steers nothing.
pub(super) fn one(order: &InForce, steering: &Steering, wall: Wall) -> Option<Override> {
    Some(Override {
        scope: scope(&order.subject, steering)?,
        kind: match order.kind {
            Kind::Drain | Kind::Drill(Effect::Drain) => OverrideKind::Drain,
            Kind::Disable => OverrideKind::Disable,
            Kind::ForceUp => OverrideKind::ForceUp,
            Kind::ForceDown | Kind::Drill(Effect::Fail) => OverrideKind::ForceDown,
            Kind::Weight(w) => OverrideKind::Weight(w),
            // It ends a wait, and steers nothing by itself.
            Kind::Failback => return None,
        },
        owner: order.record.owner.clone(),
        reason: match &order.record.drill {
            Some(drill) => format!("drill {}: {}", drill.id, order.record.reason).into(),
            None => order.record.reason.clone(),
        },
        expires: order.record.expires.map(|end| wall.moment(end)),
    })
}

/// The endpoints whose wait for their failback operators ended, each with the time of the last such
/// order in milliseconds since 1970-01-01T00:00:00Z: waits that began before that are over.
pub fn failbacks(standing: &Standing, steering: &Steering) -> HashMap<EndpointId, u64> {
    let mut out = HashMap::new();
    let orders = standing.0.iter().filter(|o| o.kind == Kind::Failback);
    for order in orders {
        let Some(scope) = scope(&order.subject, steering) else {
            continue;
        };
        for e in covered(scope, steering) {
            let at: &mut u64 = out.entry(e).or_default();
            *at = order.record.stamp.ms.max(*at);
        }
    }
    out
}

/// The endpoints that an order about `scope` covers.
pub fn covered(scope: Scope, steering: &Steering) -> Vec<EndpointId> {
    let of_pools = |pools: &mut dyn Iterator<Item = PoolId>| -> Vec<EndpointId> {
        pools
            .flat_map(|p| steering.pools[p.index()].endpoints.iter().copied())
            .collect()
    };
    match scope {
        Scope::Endpoint(e) => vec![e],
        Scope::Pool(p) => of_pools(&mut std::iter::once(p)),
        Scope::Region(r) => {
            let pools = steering.pools.iter().enumerate();
            of_pools(
                &mut pools
                    .filter(|(_, p)| p.region == r)
                    .map(|(i, _)| PoolId::from_index(i)),
            )
        }
        Scope::Name(n) => of_pools(&mut steering.group_of(n).members.iter().map(|m| m.pool)),
    }
}

/// What a subject is in this configuration; `None`: nothing.
pub fn scope(subject: &Subject, steering: &Steering) -> Option<Scope> {
    let name = &*subject.name;
    match subject.scope {
        ScopeKind::Endpoint => {
            let at = steering.endpoints.binary_search_by(|e| (*e.name).cmp(name));
            Some(Scope::Endpoint(EndpointId::from_index(at.ok()?)))
        }
        ScopeKind::Pool => {
            let at = steering.pools.binary_search_by(|p| (*p.name).cmp(name));
            Some(Scope::Pool(PoolId::from_index(at.ok()?)))
        }
        ScopeKind::Region => {
            let at = steering.regions.iter().position(|r| &*r.name == name)?;
            Some(Scope::Region(RegionId::from_index(at)))
        }
        ScopeKind::Name => {
            let wanted = name.parse().ok()?;
            let at = steering.names.binary_search_by(|n| n.owner.cmp(&wanted));
            let at = at.ok().or_else(|| {
                let names = &mut steering.names.iter();
                names.position(|n| n.aliases.contains(&wanted))
            })?;
            Some(Scope::Name(NameId::from_index(at)))
        }
    }
}

/// The name by which records speak of what `name` is here: of a steered name its owner, whichever
/// alias or spelling was given.
pub fn canonical(subject: &Subject, steering: &Steering) -> Option<String> {
    Some(match scope(subject, steering)? {
        Scope::Endpoint(e) => steering.endpoints[e.index()].name.to_string(),
        Scope::Pool(p) => steering.pools[p.index()].name.to_string(),
        Scope::Region(r) => steering.regions[r.index()].name.to_string(),
        Scope::Name(n) => steering.names[n.index()].owner.to_string(),
    })
}

/// The names of all things of a kind, for a person who mistook one.
pub fn known(kind: ScopeKind, steering: &Steering) -> Vec<String> {
    match kind {
        ScopeKind::Endpoint => names(steering.endpoints.iter().map(|e| &e.name)),
        ScopeKind::Pool => names(steering.pools.iter().map(|p| &p.name)),
        ScopeKind::Region => names(steering.regions.iter().map(|r| &r.name)),
        ScopeKind::Name => names(steering.names.iter().map(|n| &n.owner)),
    }
}

fn names(all: impl Iterator<Item = impl ToString>) -> Vec<String> {
    all.map(|n| n.to_string()).collect()
}
