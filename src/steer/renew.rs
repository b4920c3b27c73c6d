//! From one view to the next: only what a change can reach is resolved again.
//!
//! What changed is not told by whoever caused it, but found by comparing what was known with what is
//! known; boards and measurements share what stayed, so that is quick. The outcome is the same as
//! that of [`Live::resolve`], which bounds the cost (requirement F7) and is the test of this.

use std::sync::Arc;

use hashbrown::HashMap;

use crate::health::{OverrideKind, Scope};
use crate::ids::{GroupId, PoolId};
use crate::time::Moment;

use super::Steering;
use super::clients::Clients;
use super::facts::{Facts, gist};
use super::offer::{Known, Live};

impl Live {
    /// [`Live::resolve`] of what is known at `now`, from `self`, which was resolved for the same
    /// `steering` when `before` was known.
    pub fn renew(
        &self,
        steering: &Steering,
        before: Known<'_>,
        after: Known<'_>,
        now: Moment,
    ) -> Live {
        let whole = before.board.len() != after.board.len()
            || !before.measurements.sites.alike(&after.measurements.sites);
        let times = &after.measurements.clients;
        let same = self.clients.are_of(times);
        let clients = match same {
            true => self.clients.clone(),
            false => Arc::new(Clients::of(steering, times)),
        };
        let old = facts(steering, before, self.at).with(&self.clients);
        let new = facts(steering, after, now).with(&clients);
        let dirty = if whole {
            (0..steering.groups.len())
                .map(GroupId::from_index)
                .collect()
        } else {
            let mut dirty = Vec::new();
            judged_otherwise(steering, before, after, &mut dirty);
            measured_otherwise(steering, before, after, &mut dirty);
            ordered_otherwise(steering, &old, &new, &mut dirty);
            if !same {
                dirty.extend(self.clients.groups(steering));
                dirty.extend(clients.groups(steering));
            }
            dirty.sort_unstable();
            dirty.dedup();
            dirty
        };
        // Looking at each endpoint once pays when most are looked at.
        if dirty.len() > steering.groups.len() / 2 {
            self.with(&new.survey(), &dirty)
        } else {
            self.with(&new, &dirty)
        }
    }
}

fn facts<'a>(steering: &'a Steering, known: Known<'a>, now: Moment) -> Facts<'a> {
    Facts::new(
        steering,
        known.board,
        known.measurements,
        known.overrides,
        now,
    )
}

/// Groups with an endpoint of which other things are believed.
fn judged_otherwise(
    steering: &Steering,
    before: Known<'_>,
    after: Known<'_>,
    dirty: &mut Vec<GroupId>,
) {
    let same = |a: &_, b: &_| gist(a) == gist(b);
    for e in before.board.differing(after.board, same) {
        let pool = steering.endpoints[e.index()].pool;
        dirty.extend_from_slice(steering.dense.users.of_pool(pool));
    }
}

/// Groups ordered by round-trip times, with an endpoint that has another.
fn measured_otherwise(
    steering: &Steering,
    before: Known<'_>,
    after: Known<'_>,
    dirty: &mut Vec<GroupId>,
) {
    let (old, new) = (&before.measurements.sites, &after.measurements.sites);
    for e in old.differing(new) {
        let pool = steering.endpoints[e.index()].pool;
        let users = steering.dense.users.of_pool(pool).iter();
        dirty.extend(users.filter(|g| steering.is_timed(**g)));
    }
}

/// Groups that an order speaks of which came, went or is another. What is ordered about a name alone
/// touches no group.
fn ordered_otherwise(
    steering: &Steering,
    old: &Facts<'_>,
    new: &Facts<'_>,
    dirty: &mut Vec<GroupId>,
) {
    let weighs = |kind| matches!(kind, OverrideKind::Weight(_));
    let mut orders: HashMap<(Scope, bool), (OverrideKind, Option<Moment>)> = old
        .scopes()
        .map(|(scope, kind, end)| ((scope, weighs(kind)), (kind, end)))
        .collect();
    let mut scopes = Vec::new();
    for (scope, kind, end) in new.scopes() {
        if orders.remove(&(scope, weighs(kind))) != Some((kind, end)) {
            scopes.push(scope);
        }
    }
    scopes.extend(orders.into_keys().map(|(scope, _)| scope));
    let mut pool = |pool: PoolId| {
        // An order may have outlived what it is about.
        if pool.index() < steering.pools.len() {
            dirty.extend_from_slice(steering.dense.users.of_pool(pool));
        }
    };
    for scope in scopes {
        match scope {
            Scope::Endpoint(e) => {
                if let Some(endpoint) = steering.endpoints.get(e.index()) {
                    pool(endpoint.pool);
                }
            }
            Scope::Pool(p) => pool(p),
            Scope::Region(region) => {
                for (i, p) in steering.pools.iter().enumerate() {
                    if p.region == region {
                        pool(PoolId::from_index(i));
                    }
                }
            }
            Scope::Name(_) => {}
        }
    }
}
