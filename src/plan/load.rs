//! The load of regions and pools beside what they can bear.

use std::collections::BTreeMap;

use hashbrown::HashMap;

use crate::net::Family;
use crate::snapshot::View;
use crate::steer::{Known, Told, serving};

use super::report::Load;
use super::side::Side;
use super::walk::{Pieces, sorted};

/// Adds up load by region and pool.
#[derive(Default)]
pub(super) struct Loads(BTreeMap<(String, Option<String>), (f64, f64)>);

impl Loads {
    pub(super) fn add(
        &mut self,
        old: Side<'_>,
        new: Side<'_>,
        family: Family,
        pieces: &Pieces,
        part: f64,
    ) {
        for ((x, y), piece) in sorted(pieces) {
            let weight = piece.weight * part;
            for (side, plan, is_new) in [(old, *x, false), (new, *y, true)] {
                let Told::Endpoints(list) = side.shares(plan, family).told else {
                    continue;
                };
                let steering = &side.view.snapshot.steering;
                for (e, share) in list {
                    let pool = &steering.pools[steering.endpoints[e.index()].pool.index()];
                    let region = steering.regions[pool.region.index()].name.to_string();
                    for pool in [None, Some(pool.name.to_string())] {
                        let load = self.0.entry((region.clone(), pool)).or_default();
                        let load = if is_new { &mut load.1 } else { &mut load.0 };
                        *load += weight * share;
                    }
                }
            }
        }
    }

    pub(super) fn finish(mut self, old: &View, new: &View) -> Vec<Load> {
        // Those that nobody is sent to as well.
        for view in [old, new] {
            let steering = &view.snapshot.steering;
            for pool in &steering.pools {
                let region = steering.regions[pool.region.index()].name.to_string();
                self.0.entry((region.clone(), None)).or_default();
                self.0
                    .entry((region, Some(pool.name.to_string())))
                    .or_default();
            }
        }
        let (before, after) = (weights(old), weights(new));
        let all = self.0.into_iter();
        all.map(|(key, load)| {
            let (a, b) = (before.get(&key), after.get(&key));
            let (a, b) = (
                a.copied().unwrap_or_default(),
                b.copied().unwrap_or_default(),
            );
            let (region, pool) = key;
            Load {
                region,
                pool,
                load,
                weight: (a.0, b.0),
                serving: (a.1, b.1),
            }
        })
        .collect()
    }
}

/// The weights of enabled endpoints and of those that serve, by region and by pool.
fn weights(view: &View) -> HashMap<(String, Option<String>), (u64, u64)> {
    let steering = &view.snapshot.steering;
    let known = Known {
        board: &view.board,
        measurements: &view.measurements,
        overrides: &view.overrides,
    };
    let serves = serving(steering, known, view.published);
    let mut out: HashMap<_, (u64, u64)> = HashMap::new();
    for pool in &steering.pools {
        let region = steering.regions[pool.region.index()].name.to_string();
        let (mut all, mut serving) = (0, 0);
        for e in &pool.endpoints {
            let endpoint = &steering.endpoints[e.index()];
            if endpoint.enabled {
                let weight = u64::from(endpoint.weight.0.max(1));
                all += weight;
                if serves[e.index()] {
                    serving += weight;
                }
            }
        }
        for key in [
            (region.clone(), None),
            (region, Some(pool.name.to_string())),
        ] {
            let sum = out.entry(key).or_default();
            sum.0 += all;
            sum.1 += serving;
        }
    }
    out
}
