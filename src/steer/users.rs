//! Which groups a pool serves: what a change of one endpoint touches.

use crate::ids::{EndpointId, GroupId, PoolId};

use super::{Group, LastResort, Stage, Steering};

/// For each pool the groups whose offers it takes part in.
#[derive(Clone, Debug, Default)]
pub(super) struct Users {
    /// By pool, and one more: where its groups start.
    starts: Vec<u32>,
    /// Ascending within a pool.
    groups: Vec<GroupId>,
}

impl Users {
    pub(super) fn of(steering: &Steering) -> Users {
        // Counted first, so that the list is made in one piece.
        let mut starts = vec![0u32; steering.pools.len() + 1];
        for group in &steering.groups {
            for pool in pools_of(steering, group) {
                starts[pool.index() + 1] += 1;
            }
        }
        for i in 1..starts.len() {
            starts[i] += starts[i - 1];
        }
        let mut next = starts.clone();
        let mut groups = vec![GroupId::default(); starts.last().map_or(0, |n| *n as usize)];
        for (i, group) in steering.groups.iter().enumerate() {
            for pool in pools_of(steering, group) {
                let at = &mut next[pool.index()];
                groups[*at as usize] = GroupId::from_index(i);
                *at += 1;
            }
        }
        Users { starts, groups }
    }

    /// The groups that `pool` takes part in; a group may come twice.
    pub(super) fn of_pool(&self, pool: PoolId) -> &[GroupId] {
        let at = |i: usize| self.starts[i] as usize;
        &self.groups[at(pool.index())..at(pool.index() + 1)]
    }
}

/// The pools whose endpoints a group's offers depend on: its members, and those of its last resort.
fn pools_of<'a>(steering: &'a Steering, group: &'a Group) -> impl Iterator<Item = PoolId> + 'a {
    let pool_of = |e: &EndpointId| steering.endpoints[e.index()].pool;
    let (pool, endpoints) = match &group.last_resort {
        LastResort::Pool(pool) => (Some(*pool), &[][..]),
        LastResort::Endpoints(list) => (None, &list[..]),
        LastResort::AllEligible | LastResort::Cname(_) | LastResort::ServFail => (None, &[][..]),
    };
    let members = group.members.iter().map(|m| m.pool);
    members.chain(pool).chain(endpoints.iter().map(pool_of))
}

impl Steering {
    /// Whether round-trip times take part in the order of a group's members.
    pub(super) fn is_timed(&self, group: GroupId) -> bool {
        let shape = self.groups[group.index()].shape;
        let policy = self.shapes[shape.index()].policy;
        let stages = &self.policies[policy.index()].stages;
        stages.iter().any(|s| matches!(s, Stage::Latency { .. }))
    }
}
