//! Regions as shown.

use serde::Serialize;
use utoipa::ToSchema;

use super::condition::{Capacity, Counts, Ordered};
use crate::ids::RegionId;
use crate::snapshot::View;
use crate::time::Moment;

/// All regions at one generation.
#[derive(Debug, Serialize, ToSchema)]
pub struct Regions {
    /// The view's number.
    pub generation: u64,
    /// The regions in the order of the file.
    pub regions: Vec<Region>,
}

/// A region.
#[derive(Debug, Serialize, ToSchema)]
pub struct Region {
    /// Name.
    pub name: String,
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
    /// Its endpoints by condition.
    pub endpoints: Counts,
    /// How much of it serves.
    pub capacity: Capacity,
    /// Its pools.
    pub pools: Vec<Pool>,
}

/// A pool of a region.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PoolOfRegion)]
pub struct Pool {
    /// Name.
    pub name: String,
    /// Endpoints that serve.
    pub serving: usize,
    /// Endpoints in all.
    pub endpoints: usize,
    /// Fewer serving endpoints of a family than this, and the pool is passed over.
    pub min_live: u32,
}

impl Regions {
    /// The regions of `view` as of `now`.
    pub fn of(view: &View, now: Moment) -> Regions {
        let steering = &view.snapshot.steering;
        let ordered = Ordered::of(view, now);
        let count = |id: RegionId| {
            let pools = steering.pools.iter().filter(|p| p.region == id);
            ordered.count(pools.flat_map(|p| p.endpoints.iter().copied()))
        };
        let pools_of = |id: RegionId| {
            let pools = steering.pools.iter().filter(|p| p.region == id);
            pools
                .map(|p| Pool {
                    name: p.name.to_string(),
                    serving: p
                        .endpoints
                        .iter()
                        .filter(|e| {
                            steering.endpoints[e.index()].enabled
                                && view.board.verdict(**e).state.serves()
                        })
                        .count(),
                    endpoints: p.endpoints.len(),
                    min_live: p.min_live,
                })
                .collect()
        };
        Regions {
            generation: view.generation.0,
            regions: steering
                .regions
                .iter()
                .enumerate()
                .map(|(i, r)| {
                    let (endpoints, capacity) = count(RegionId::from_index(i));
                    Region {
                        name: r.name.to_string(),
                        latitude: r.coordinates.latitude(),
                        longitude: r.coordinates.longitude(),
                        endpoints,
                        capacity,
                        pools: pools_of(RegionId::from_index(i)),
                    }
                })
                .collect(),
        }
    }
}
