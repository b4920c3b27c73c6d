//! Circles: the sets of endpoints that names share. What automation may take out is bounded for each.

use hashbrown::{HashMap, HashSet};

use crate::ids::{EndpointId, PoolId};

use super::rules::Failback;

/// A pool as far as judging goes.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct PoolRule {
    /// Region, as a number; what fails in one region only is taken out whatever it is.
    pub region: u32,
    /// Its enabled endpoints with their weights.
    pub endpoints: Vec<(EndpointId, u32)>,
    /// How its endpoints come back.
    pub failback: Failback,
    /// Slower than so many times the fastest of the others is failing; `None`: they are not compared.
    pub relative: Option<f64>,
}

impl PoolRule {
    fn capacity(&self) -> u64 {
        self.endpoints.iter().map(|(_, w)| u64::from(*w)).sum()
    }
}

/// The pools and the sets in which names use them; 100,000 names with the same pools are one circle.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Circles {
    pools: Vec<PoolRule>,
    capacity: Vec<u64>,
    /// Pool and weight of each endpoint; weight 0 also where it is disabled.
    places: Vec<(PoolId, u32)>,
    /// Pools of all circles, circle by circle, and where each starts.
    members: Vec<PoolId>,
    starts: Vec<u32>,
    /// Circles of all pools, pool by pool, and where each starts.
    users: Vec<u32>,
    user_starts: Vec<u32>,
}

impl Circles {
    /// `places` gives each endpoint's pool, `sets` the pools of each name or group of names, in any
    /// order and as often as they like.
    pub fn new(
        pools: Vec<PoolRule>,
        places: Vec<PoolId>,
        sets: impl Iterator<Item = Vec<PoolId>>,
    ) -> Circles {
        let mut known: HashSet<Vec<PoolId>> = HashSet::new();
        let (mut members, mut starts) = (Vec::new(), vec![0]);
        for mut set in sets {
            set.sort_unstable();
            set.dedup();
            if known.contains(&set) {
                continue;
            }
            members.extend_from_slice(&set);
            starts.push(members.len() as u32);
            known.insert(set);
        }
        drop(known);
        let mut of_pool = vec![0_u32; pools.len() + 1];
        for pool in &members {
            of_pool[pool.index() + 1] += 1;
        }
        for pool in 0..pools.len() {
            of_pool[pool + 1] += of_pool[pool];
        }
        let user_starts = of_pool.clone();
        let mut users = vec![0; members.len()];
        for circle in 0..starts.len() - 1 {
            for pool in &members[starts[circle] as usize..starts[circle + 1] as usize] {
                let at = &mut of_pool[pool.index()];
                users[*at as usize] = circle as u32;
                *at += 1;
            }
        }
        let weights: HashMap<EndpointId, u32> = pools
            .iter()
            .flat_map(|p| p.endpoints.iter().copied())
            .collect();
        let place = |(e, pool): (usize, PoolId)| {
            let weight = weights.get(&EndpointId::from_index(e));
            (pool, weight.copied().unwrap_or(0))
        };
        Circles {
            capacity: pools.iter().map(PoolRule::capacity).collect(),
            places: places.into_iter().enumerate().map(place).collect(),
            pools,
            members,
            starts,
            users,
            user_starts,
        }
    }

    /// The circles that an endpoint is in.
    pub(super) fn of(&self, e: EndpointId) -> &[u32] {
        let Some((pool, _)) = self.places.get(e.index()) else {
            return &[];
        };
        let of = |p: usize| self.user_starts[p] as usize;
        &self.users[of(pool.index())..of(pool.index() + 1)]
    }

    /// The enabled endpoints of a circle.
    pub(super) fn endpoints(&self, circle: u32) -> impl Iterator<Item = EndpointId> + '_ {
        let pools = self.pools_of(circle).iter();
        pools.flat_map(|p| self.pools[p.index()].endpoints.iter().map(|(e, _)| *e))
    }

    fn pools_of(&self, circle: u32) -> &[PoolId] {
        let of = |c: u32| self.starts[c as usize] as usize;
        &self.members[of(circle)..of(circle + 1)]
    }

    /// The sum of the weights of a circle's endpoints.
    pub(super) fn capacity(&self, circle: u32) -> u64 {
        let pools = self.pools_of(circle).iter();
        pools.map(|p| self.capacity[p.index()]).sum()
    }

    /// An endpoint's weight.
    pub(super) fn weight(&self, e: EndpointId) -> u64 {
        self.places.get(e.index()).map_or(0, |(_, w)| u64::from(*w))
    }

    /// The region that an endpoint stands in.
    pub(super) fn region(&self, e: EndpointId) -> Option<u32> {
        let (pool, _) = self.places.get(e.index())?;
        Some(self.pools[pool.index()].region)
    }

    /// How much slower than the fastest of the others an endpoint may be, and who these are; `None` where
    /// they are not compared.
    pub(super) fn peers(
        &self,
        e: EndpointId,
    ) -> Option<(f64, impl Iterator<Item = EndpointId> + '_)> {
        let (pool, _) = self.places.get(e.index())?;
        let pool = &self.pools[pool.index()];
        let others = pool.endpoints.iter().map(|(o, _)| *o);
        Some((pool.relative?, others.filter(move |o| *o != e)))
    }

    /// How an endpoint comes back.
    pub(super) fn failback(&self, e: EndpointId) -> Failback {
        let pool = self.places.get(e.index()).map(|(pool, _)| *pool);
        pool.map_or(Failback::Auto, |p| self.pools[p.index()].failback)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_of_pools_are_one_circle_however_often_and_in_whatever_order_they_come() {
        let pool = |region, endpoints: &[(u32, u32)]| PoolRule {
            region,
            endpoints: endpoints
                .iter()
                .map(|(e, w)| (EndpointId(*e), *w))
                .collect(),
            failback: Failback::Auto,
            relative: None,
        };
        let pools = vec![pool(0, &[(0, 1), (1, 2)]), pool(1, &[(2, 3)]), pool(1, &[])];
        let places = [0, 0, 1, 2].map(PoolId).to_vec();
        let sets = [vec![0, 1], vec![1, 0], vec![1], vec![0, 1, 0], vec![2]];
        let sets = sets.map(|s| s.into_iter().map(PoolId).collect::<Vec<_>>());
        let c = Circles::new(pools, places, sets.into_iter());
        assert_eq!(c.of(EndpointId(0)), [0]);
        assert_eq!(c.of(EndpointId(2)), [0, 1]);
        assert_eq!(c.of(EndpointId(3)), [2]);
        assert_eq!((c.capacity(0), c.capacity(1), c.capacity(2)), (6, 3, 0));
        let of = |circle| c.endpoints(circle).map(|e| e.0).collect::<Vec<_>>();
        assert_eq!((of(0), of(1)), (vec![0, 1, 2], vec![2]));
        assert_eq!((c.weight(EndpointId(1)), c.weight(EndpointId(3))), (2, 0));
        assert_eq!(c.region(EndpointId(2)), Some(1));
    }
}
