//! Refining an order: stages split tiers, never merge them.

use crate::geo::Location;
use crate::ids::{PoolId, RegionId};
use crate::net::Prefix;

use super::stages::{by_distance, by_latency, by_priority, by_rtt, by_rules};
use super::{NoTrace, Region, Sight, Stage, Step, Trace};

/// An ordered list of tiers of member indices; within a tier members are sorted. Members fenced out
/// are in no tier.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Tiers(pub Vec<Vec<u16>>);

/// Most members of a shape: as many as member indices can tell apart.
pub const MAX_MEMBERS: usize = 1 << 16;

/// What is ordered: the members of a shape, under the stages of its policy.
#[derive(Clone, Copy)]
pub struct Terrain<'a> {
    /// The policy's refining stages.
    pub stages: &'a [Stage],
    /// Region of each member.
    pub regions_of: &'a [RegionId],
    /// Pool of each member; may be empty when no geo rule names pools.
    pub pools_of: &'a [PoolId],
    /// Priority of each member; may be empty without a `failover` stage.
    pub priorities: &'a [u32],
    /// All regions.
    pub regions: &'a [Region],
    /// What a member is called in a trace.
    pub label: &'a dyn Fn(u16) -> String,
}

/// For whom.
#[derive(Clone, Copy, Debug)]
pub struct Viewpoint<'a> {
    /// Where the client is.
    pub location: &'a Location,
    /// For each `geo` stage in turn, the longest of its `network` criteria that covers the client.
    pub networks: &'a [Option<Prefix>],
}

/// The outcome of refining.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Refined {
    /// The order after all stages.
    pub tiers: Tiers,
    /// The order before the first `latency` stage, if there is one.
    pub before_latency: Option<Tiers>,
    /// The order just after it, where it asks for clients' own times.
    pub at_latency: Option<Tiers>,
}

/// Orders the members for one viewpoint.
pub fn refine<T: Trace>(
    terrain: &Terrain<'_>,
    viewpoint: &Viewpoint<'_>,
    sight: &Sight<'_>,
    trace: &mut T,
) -> Refined {
    let everybody: Vec<u16> = (0..=u16::MAX).take(terrain.regions_of.len()).collect();
    trace.step(|| Step::Members {
        pools: everybody.iter().map(|m| (terrain.label)(*m)).collect(),
    });
    let mut tiers = Tiers(vec![everybody]);
    let (mut before_latency, mut at_latency) = (None, None);
    let mut networks = viewpoint.networks.iter();
    for stage in terrain.stages {
        tiers = match stage {
            Stage::Failover => by_priority(terrain, tiers, trace),
            Stage::Geo { mode, rules } => {
                let network = networks.next().copied().flatten();
                by_rules(terrain, viewpoint, *mode, rules, network, tiers, trace)
            }
            Stage::Proximity { band_km, bias_km } => {
                by_distance(terrain, viewpoint, *band_km, bias_km, tiers, trace)
            }
            Stage::Latency {
                tolerance,
                fallback_band_km,
                clients,
            } => {
                before_latency.get_or_insert_with(|| tiers.clone());
                let after = by_latency(
                    terrain,
                    viewpoint,
                    *tolerance,
                    *fallback_band_km,
                    sight,
                    tiers,
                    trace,
                );
                if *clients {
                    at_latency.get_or_insert_with(|| after.clone());
                }
                after
            }
        };
    }
    Refined {
        tiers,
        before_latency,
        at_latency,
    }
}

/// Lays round-trip times over an order made when none was known: each tier before the first
/// `latency` stage whose members are all measured is split by them and then by the stages that
/// follow; the others keep the order they have. The same as refining with the times known, but
/// without asking again where the client is.
///
/// With clients' own times `unmeasured` is the order just after the stage, else that after all of them.
pub fn overlay(
    terrain: &Terrain<'_>,
    before: &Tiers,
    unmeasured: &Tiers,
    sight: &Sight<'_>,
) -> Tiers {
    let latency = terrain
        .stages
        .iter()
        .enumerate()
        .find_map(|(at, s)| match s {
            Stage::Latency { tolerance, .. } => Some((at, *tolerance)),
            _ => None,
        });
    let Some((at, tolerance)) = latency else {
        return unmeasured.clone();
    };
    let mut rest = unmeasured.0.iter();
    let mut out = Tiers::default();
    for tier in &before.0 {
        // Stages never merge, so the next tiers that add up to this one are its split.
        let mut split = Vec::new();
        let mut members = 0;
        while members < tier.len() {
            let Some(part) = rest.next() else { break };
            members += part.len();
            split.push(part.clone());
        }
        let timed = by_rtt(tier, tolerance, sight);
        let timed = match sight.clients {
            None => timed,
            Some(word) => {
                let parts = timed.as_ref().unwrap_or(&split);
                Some(word.order(parts, |m| terrain.regions_of[usize::from(m)]))
            }
        };
        match timed {
            None => out.0.extend(split),
            Some(parts) => {
                let mut parts = Tiers(parts);
                for stage in &terrain.stages[at + 1..] {
                    if matches!(stage, Stage::Failover) {
                        parts = by_priority(terrain, parts, &mut NoTrace);
                    }
                }
                out.0.extend(parts.0);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geo::Coordinates;

    #[test]
    fn as_many_members_as_there_are_numbers_for() {
        let regions = [Region {
            name: "eu".into(),
            coordinates: Coordinates::new(50.0, 8.0).unwrap(),
        }];
        let regions_of = vec![RegionId(0); MAX_MEMBERS];
        let terrain = Terrain {
            stages: &[],
            regions_of: &regions_of,
            pools_of: &[],
            priorities: &[],
            regions: &regions,
            label: &|_| String::new(),
        };
        let viewpoint = Viewpoint {
            location: &Location::default(),
            networks: &[],
        };
        let refined = refine(&terrain, &viewpoint, &Sight::none(), &mut NoTrace);
        assert_eq!(refined.tiers.0[0].len(), 65_536);
    }
}
