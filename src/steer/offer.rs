//! What each plan offers now: health, measurements and overrides laid over the refined order,
//! resolved once per published view, so that a query finds its candidates without looking at any of
//! them.

use std::time::Duration;

use hashbrown::HashMap;

use crate::balance::mix::mix;
use crate::health::{Board, Overrides};
use crate::ids::{EndpointId, NameId, PlanId};
use crate::time::Moment;
use crate::units::Ttl;

use super::decision::Standing;
use super::facts::{Facts, Lane};
use super::refine::{Terrain, Tiers, overlay};
use super::resolve::{GroupNow, lanes};
use super::sticky::Hashes;
use super::{Chooser, Group, NoTrace, Steering};

/// Smoothed round-trip times from this node, by endpoint; `None` where nothing is known.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Measurements {
    /// By [`crate::ids::EndpointId`]; may be shorter than the list of endpoints.
    pub rtt: Vec<Option<Duration>>,
}

/// An endpoint in the draw.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Candidate {
    pub(super) endpoint: EndpointId,
    /// Sum of the shares of this and all candidates before it.
    pub(super) upto: u64,
}

/// What kind of answer an offer is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    /// The candidates, at least one.
    Endpoints,
    /// The CNAME of the last resort.
    Cname,
    ServFail,
}

/// What one plan of one group offers in one lane.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Offer {
    /// Earliest end of an override that takes part, as [`Moment`]; `u64::MAX` without one.
    pub(super) expires: u64,
    /// Candidates, as a range of [`Live::candidates`].
    pub(super) first: u32,
    pub(super) len: u32,
    pub(super) ttl: Ttl,
    pub(super) outcome: Outcome,
    pub(super) standing: Standing,
    pub(super) overridden: bool,
}

/// The offers of every group and plan.
#[derive(Clone, Debug, Default)]
pub struct Live {
    /// When this was resolved.
    pub(super) at: Moment,
    /// By group: where its offers start, plan by plan and in each lane by lane.
    base: Vec<u32>,
    /// Names that an override speaks of: where their own offers start; sorted.
    named: Vec<(NameId, u32)>,
    offers: Vec<Offer>,
    candidates: Vec<Candidate>,
    /// Where a policy is sticky; else empty.
    pub(super) hashes: Hashes,
}

impl Live {
    /// Lays health over every plan of every group. Overrides that have ended by `now` do not count.
    /// The work depends on the configuration alone, not on what is up or down (requirement F7).
    pub fn resolve(
        steering: &Steering,
        board: &Board,
        measurements: &Measurements,
        overrides: &Overrides,
        now: Moment,
    ) -> Live {
        let facts = Facts::new(steering, board, measurements, overrides, now).survey();
        let sticky = steering
            .policies
            .iter()
            .any(|p| matches!(p.chooser, Chooser::Sticky { .. }));
        let hashes = if sticky {
            Hashes::of(steering)
        } else {
            Hashes::default()
        };
        let mut live = Live {
            at: now,
            base: Vec::with_capacity(steering.groups.len()),
            hashes,
            ..Live::default()
        };
        let mut room = Vec::new();
        for group in &steering.groups {
            live.base.push(live.offers.len() as u32);
            live.add(&facts, group, None, &mut room);
        }
        for name in facts.ordered_names() {
            // An override may have outlived its name.
            if name.index() < steering.names.len() {
                live.named.push((name, live.offers.len() as u32));
                live.add(&facts, steering.group_of(name), Some(name), &mut room);
            }
        }
        live.offers.shrink_to_fit();
        live.candidates.shrink_to_fit();
        live
    }

    fn add(
        &mut self,
        facts: &Facts<'_>,
        group: &Group,
        name: Option<NameId>,
        room: &mut Vec<Candidate>,
    ) {
        let now = GroupNow::new(facts, group, name);
        let plans = &facts.steering.shapes[group.shape.index()].partition.plans;
        let mut known = HashMap::new();
        for (i, plan) in plans.iter().enumerate() {
            let order = order(facts.steering, group, PlanId::from_index(i), &now);
            let tiers = order.as_ref().unwrap_or(&plan.tiers);
            for lane in lanes(group) {
                room.clear();
                let (mut offer, _) = now.offer(&tiers.0, lane, room, &mut NoTrace);
                offer.len = room.len() as u32;
                offer.first = self.intern(room, &mut known);
                self.offers.push(offer);
            }
        }
    }

    /// Puts candidates where the same ones already stand among those of this group, or at the end.
    fn intern(&mut self, these: &[Candidate], known: &mut HashMap<u64, (u32, u32)>) -> u32 {
        let end = self.candidates.len() as u32;
        if these.is_empty() {
            return end;
        }
        let hash = these.iter().fold(0, |h, c| {
            mix(h ^ mix(c.upto ^ u64::from(c.endpoint.0) << 40))
        });
        let (first, len) = *known.entry(hash).or_insert((end, 0));
        if self.candidates[first as usize..][..len as usize] == *these {
            return first;
        }
        known.insert(hash, (end, these.len() as u32));
        self.candidates.extend_from_slice(these);
        end
    }

    /// What `plan` offers to those who ask for `name` in `lane`; `None` when the group has no such lane.
    #[inline]
    pub(super) fn offer(
        &self,
        steering: &Steering,
        name: NameId,
        plan: PlanId,
        lane: Lane,
    ) -> Option<(&Offer, &[Candidate])> {
        let id = steering.dense.name(name).group;
        let place = steering.dense.group(id).place(plan.index(), lane)?;
        let base = match self.named.binary_search_by_key(&name, |(n, _)| *n) {
            Ok(i) => self.named[i].1,
            Err(_) => self.base[id.index()],
        };
        let offer = &self.offers[base as usize + place];
        let first = offer.first as usize;
        Some((offer, &self.candidates[first..first + offer.len as usize]))
    }

    /// Whether an override speaks of `name` itself.
    pub(super) fn is_named(&self, name: NameId) -> bool {
        self.named.binary_search_by_key(&name, |(n, _)| *n).is_ok()
    }

    /// Heap bytes.
    pub fn heap_bytes(&self) -> usize {
        size_of_val(&*self.base)
            + size_of_val(&*self.named)
            + size_of_val(&*self.offers)
            + size_of_val(&*self.candidates)
            + size_of_val(&*self.hashes.endpoints)
            + size_of_val(&*self.hashes.pools)
    }
}

/// A plan's order with the measured round-trip times laid over it; `None` where the plan's own
/// order stands.
pub(super) fn order(
    steering: &Steering,
    group: &Group,
    plan: PlanId,
    now: &GroupNow<'_>,
) -> Option<Tiers> {
    let shape = &steering.shapes[group.shape.index()];
    let plan = &shape.partition.plans[plan.index()];
    let before = plan.before_latency.as_ref()?;
    let terrain = Terrain {
        stages: &steering.policies[shape.policy.index()].stages,
        regions_of: &shape.regions,
        pools_of: &shape.pools,
        priorities: &shape.priorities,
        regions: &steering.regions,
        label: &|_| String::new(),
    };
    Some(overlay(&terrain, before, &plan.tiers, &|m| now.rtt(m)))
}
