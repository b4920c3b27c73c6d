//! Pools as shown.

use std::collections::BTreeSet;

use serde::Serialize;
use utoipa::ToSchema;

use super::condition::{Capacity, Counts, Ordered};
use super::endpoints::{Endpoint, NAMES, contains};
use crate::ids::{NameId, PoolId};
use crate::snapshot::View;
use crate::steer::Steering;
use crate::time::Moment;

/// Endpoints shown of one pool; the rest is in the list of endpoints.
const SHOWN: usize = 1000;

/// Some pools at one generation.
#[derive(Debug, Serialize, ToSchema)]
pub struct Pools {
    /// The view's number.
    pub generation: u64,
    /// All that there are.
    pub total: usize,
    /// Those that the filters let through.
    pub matching: usize,
    /// Some of those, by name.
    pub pools: Vec<Pool>,
    /// Give it as `after` for those that follow; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A pool.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PoolNow)]
pub struct Pool {
    /// Name.
    pub name: String,
    /// Where it is.
    pub region: String,
    /// Fewer live endpoints of a family than this, and the pool is passed over.
    pub min_live: u32,
    /// What checks its endpoints.
    pub monitors: Vec<String>,
    /// Its endpoints by condition.
    pub endpoints: Counts,
    /// How much of it serves.
    pub capacity: Capacity,
}

/// One pool with its endpoints.
#[derive(Debug, Serialize, ToSchema)]
pub struct PoolDetail {
    /// The view's number.
    pub generation: u64,
    /// What a list shows of it.
    #[serde(flatten)]
    pub pool: Pool,
    /// Its endpoints by name, 1000 at most.
    pub members: Vec<Endpoint>,
    /// The first 100 of the steered names that it is a member of.
    pub names: Vec<String>,
    /// How many names it is a member of.
    pub names_total: usize,
}

/// The names that `pool` is a member of.
pub(super) fn names_with(steering: &Steering, pool: PoolId) -> Vec<NameId> {
    let with: Vec<bool> = steering
        .groups
        .iter()
        .map(|g| g.members.iter().any(|m| m.pool == pool))
        .collect();
    let names = steering.names.iter().enumerate();
    names
        .filter(|(_, n)| with[n.group.index()])
        .map(|(i, _)| NameId::from_index(i))
        .collect()
}

impl Pools {
    /// Those of `view` with `q` in their name, and after `after`.
    pub fn of(
        view: &View,
        (q, region): (Option<&str>, Option<&str>),
        after: Option<&str>,
        limit: usize,
        now: Moment,
    ) -> Pools {
        let steering = &view.snapshot.steering;
        let ordered = Ordered::of(view, now);
        let mut page = Pools {
            generation: view.generation.0,
            total: steering.pools.len(),
            matching: 0,
            pools: Vec::new(),
            next: None,
        };
        for (i, pool) in steering.pools.iter().enumerate() {
            let fits = q.is_none_or(|q| contains(&pool.name, q))
                && region.is_none_or(|r| *steering.regions[pool.region.index()].name == *r);
            if !fits {
                continue;
            }
            page.matching += 1;
            if after.is_some_and(|after| *pool.name <= *after) {
                continue;
            }
            if page.pools.len() < limit {
                page.pools
                    .push(Pool::of(&ordered, view, PoolId::from_index(i)));
            } else if page.next.is_none() {
                page.next = page.pools.last().map(|p| p.name.clone());
            }
        }
        page
    }
}

impl Pool {
    fn of(ordered: &Ordered<'_>, view: &View, id: PoolId) -> Pool {
        let snapshot = &view.snapshot;
        let pool = &snapshot.steering.pools[id.index()];
        let monitors: BTreeSet<String> = pool
            .endpoints
            .iter()
            .filter_map(|e| snapshot.target_of.get(e.index()).copied().flatten())
            .map(|t| snapshot.targets[t.index()].monitor)
            .map(|m| snapshot.monitors[m.index()].name.to_string())
            .collect();
        let (endpoints, capacity) = ordered.count(pool.endpoints.iter().copied());
        Pool {
            name: pool.name.to_string(),
            region: snapshot.steering.regions[pool.region.index()]
                .name
                .to_string(),
            min_live: pool.min_live,
            monitors: monitors.into_iter().collect(),
            endpoints,
            capacity,
        }
    }
}

impl PoolDetail {
    /// All that `view` knows of a pool as of `now`.
    pub fn of(view: &View, id: PoolId, now: Moment) -> PoolDetail {
        let steering = &view.snapshot.steering;
        let ordered = Ordered::of(view, now);
        let names = names_with(steering, id);
        PoolDetail {
            generation: view.generation.0,
            pool: Pool::of(&ordered, view, id),
            members: steering.pools[id.index()]
                .endpoints
                .iter()
                .take(SHOWN)
                .map(|e| Endpoint::of(&ordered, view, *e))
                .collect(),
            names_total: names.len(),
            names: names
                .iter()
                .take(NAMES)
                .map(|n| steering.names[n.index()].owner.to_string())
                .collect(),
        }
    }
}
