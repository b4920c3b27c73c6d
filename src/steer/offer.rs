//! What each plan offers now: health, measurements and overrides laid over the refined order,
//! resolved once per published view, so that a query finds its candidates without looking at any of
//! them.

mod open;

use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;

use crate::balance::mix::mix;
use crate::chunked::Chunked;
use crate::health::clients::ClientTimes;
use crate::health::{Board, Overrides, SiteTimes};
use crate::ids::{EndpointId, GroupId, NameId, PlanId, ShapeId};
use crate::time::Moment;
use crate::units::Ttl;

use super::clients::Clients;
use super::decision::Standing;
use super::facts::{Facts, Lane};
use super::refine::{Terrain, Tiers, overlay};
use super::resolve::{GroupNow, lanes};
use super::sticky::Hashes;
use super::{Chooser, Group, NoTrace, Sight, Steering};

/// Smoothed round-trip times, by endpoint; `None` where nothing is known.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Measurements {
    /// From this node, to be shown; by [`crate::ids::EndpointId`]; may be shorter than the list of
    /// endpoints.
    pub rtt: Chunked<Option<Duration>>,
    /// From all sites: what steers.
    pub sites: SiteTimes,
    /// From clients' own connections: what steers before that, where a policy asks for it.
    pub clients: ClientTimes,
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
    /// Candidates, as a range of [`Block::candidates`]; `first` is 0 where there are none.
    pub(super) first: u32,
    pub(super) len: u32,
    pub(super) ttl: Ttl,
    pub(super) outcome: Outcome,
    pub(super) standing: Standing,
    pub(super) overridden: bool,
}

impl Offer {
    /// All of it but where its candidates stand, for a digest.
    pub(super) fn words(&self) -> [u64; 3] {
        let outcome = match self.outcome {
            Outcome::Endpoints => 0,
            Outcome::Cname => 1,
            Outcome::ServFail => 2_u64,
        };
        let standing = u64::from(self.standing.rank());
        let rest = outcome << 8 | standing << 4 | u64::from(self.overridden);
        let len = u64::from(self.len);
        [self.expires, u64::from(self.ttl.secs()) << 32 | len, rest]
    }
}

/// Groups of a block, as a power of two: a change copies this many, a new view counts up one
/// reference for each.
///
/// Small in tests, where small worlds must have several blocks.
const BLOCK_BITS: u32 = if cfg!(test) { 1 } else { 6 };
const BLOCK: usize = 1 << BLOCK_BITS;

/// The offers of some groups.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Block {
    /// By group: where its offers start, plan by plan and in each lane by lane.
    starts: [u32; BLOCK],
    offers: Box<[Offer]>,
    candidates: Box<[Candidate]>,
}

/// The offers of every group and plan, in blocks that views share where nothing changed.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Live {
    /// When this was resolved.
    pub(super) at: Moment,
    /// By group.
    pub(super) blocks: Vec<Arc<Block>>,
    /// Names that an override speaks of, with a block that starts with their own offers; sorted.
    pub(super) named: Vec<(NameId, Arc<Block>)>,
    /// Where a policy is sticky; else empty.
    pub(super) hashes: Arc<Hashes>,
    /// What clients' own times narrow.
    pub(super) clients: Arc<Clients>,
}

/// What changes while a configuration stays.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// Health.
    pub board: &'a Board,
    /// Round-trip times.
    pub measurements: &'a Measurements,
    /// The operators' word.
    pub overrides: &'a Overrides,
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
        let clients = Arc::new(Clients::of(steering, &measurements.clients));
        let facts = Facts::new(steering, board, measurements, overrides, now)
            .with(&clients)
            .survey();
        let sticky = steering
            .policies
            .iter()
            .any(|p| matches!(p.chooser, Chooser::Sticky { .. }));
        let hashes = if sticky {
            Hashes::of(steering)
        } else {
            Hashes::default()
        };
        let mut room = BlockBuilder::default();
        let blocks = steering.groups.chunks(BLOCK).map(|groups| {
            for group in groups {
                room.add(&facts, group, None);
            }
            Arc::new(room.finish())
        });
        let blocks = blocks.collect();
        let mut live = Live {
            at: now,
            blocks,
            named: named(&facts),
            hashes: Arc::new(hashes),
            clients: clients.clone(),
        };
        live.settle(steering, &|_| true);
        live
    }

    /// What [`Live::resolve`] gives for `facts`, at the cost of the groups in `dirty` (ascending, each
    /// once) and of the names that orders speak of: all others are as they are in `self`.
    pub(super) fn with(&self, facts: &Facts<'_>, dirty: &[GroupId]) -> Live {
        let steering = facts.steering;
        let mut blocks = self.blocks.clone();
        let mut room = BlockBuilder::default();
        for dirty in dirty.chunk_by(|a, b| a.0 >> BLOCK_BITS == b.0 >> BLOCK_BITS) {
            let at = dirty[0].index() >> BLOCK_BITS;
            let first = at << BLOCK_BITS;
            let groups = &steering.groups[first..(first + BLOCK).min(steering.groups.len())];
            let mut dirty = dirty.iter().map(|g| g.index() - first).peekable();
            for (i, group) in groups.iter().enumerate() {
                if dirty.next_if_eq(&i).is_some() {
                    room.add(facts, group, None);
                } else {
                    room.copy(&blocks[at], i, groups.len());
                }
            }
            blocks[at] = Arc::new(room.finish());
        }
        let mut live = Live {
            at: facts.now,
            blocks,
            named: named(facts),
            hashes: self.hashes.clone(),
            clients: facts.clients.clone(),
        };
        // Orders about names alone touch no group.
        let touched = |shape| {
            let of_group = |g: &GroupId| steering.groups[g.index()].shape == shape;
            let of_name = |(n, _): &(NameId, _)| steering.shape_id_of(*n) == shape;
            dirty.iter().any(of_group)
                || live.named.iter().any(of_name)
                || self.named.iter().any(of_name)
        };
        let touched: Vec<bool> = match facts.clients.is_empty() {
            true => Vec::new(),
            false => (0..steering.shapes.len())
                .map(|s| touched(ShapeId::from_index(s)))
                .collect(),
        };
        live.settle(steering, &|shape| touched[shape.index()]);
        live
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
        self.offer_of(steering, id, Some(name), plan, lane)
    }

    /// What `plan` offers to those who ask for a name of group `id`; for `name` what orders about it make
    /// of that.
    #[inline]
    pub(super) fn offer_of(
        &self,
        steering: &Steering,
        id: GroupId,
        name: Option<NameId>,
        plan: PlanId,
        lane: Lane,
    ) -> Option<(&Offer, &[Candidate])> {
        let place = steering.dense.group(id).place(plan.index(), lane)?;
        let named = |name| self.named.binary_search_by_key(&name, |(n, _)| *n).ok();
        let (block, group) = match name.and_then(named) {
            Some(i) => (&self.named[i].1, 0),
            None => (&self.blocks[id.index() >> BLOCK_BITS], id.index() % BLOCK),
        };
        let offer = &block.offers[block.starts[group] as usize + place];
        let first = offer.first as usize;
        Some((offer, &block.candidates[first..first + offer.len as usize]))
    }

    /// Whether an override speaks of `name` itself.
    pub(super) fn is_named(&self, name: NameId) -> bool {
        self.named.binary_search_by_key(&name, |(n, _)| *n).is_ok()
    }

    /// Heap bytes, those that other views share among them.
    pub fn heap_bytes(&self) -> usize {
        let named = self.named.iter().map(|(_, block)| block);
        let of = |b: &Arc<Block>| {
            size_of::<Block>() + size_of_val(&*b.offers) + size_of_val(&*b.candidates)
        };
        size_of_val(&*self.blocks)
            + size_of_val(&*self.named)
            + self.blocks.iter().chain(named).map(of).sum::<usize>()
            + size_of_val(&*self.hashes.endpoints)
            + size_of_val(&*self.hashes.pools)
    }
}

/// The own offers of names that an override speaks of.
fn named(facts: &Facts<'_>) -> Vec<(NameId, Arc<Block>)> {
    let mut room = BlockBuilder::default();
    // An override may have outlived its name.
    let names = facts.ordered_names().into_iter();
    let names = names.filter(|n| n.index() < facts.steering.names.len());
    names
        .map(|name| {
            room.add(facts, facts.steering.group_of(name), Some(name));
            (name, Arc::new(room.finish()))
        })
        .collect()
}

/// Gathers the offers of a block's groups, one after the other.
#[derive(Default)]
pub(super) struct BlockBuilder {
    starts: Vec<u32>,
    offers: Vec<Offer>,
    candidates: Vec<Candidate>,
    /// Of one plan and lane.
    room: Vec<Candidate>,
}

impl BlockBuilder {
    /// Adds a group, or one of its names with the orders that speak of it.
    fn add(&mut self, facts: &Facts<'_>, group: &Group, name: Option<NameId>) {
        self.starts.push(self.offers.len() as u32);
        let now = GroupNow::new(facts, group, name);
        let mut known = HashMap::new();
        for plan in (0..BlockBuilder::plans_of(facts, group)).map(PlanId::from_index) {
            self.lay(&now, plan, &mut known);
        }
    }

    /// As [`BlockBuilder::add`], but only what one plan offers is found out: the others offer nothing.
    pub(super) fn add_plan(
        &mut self,
        facts: &Facts<'_>,
        group: &Group,
        name: Option<NameId>,
        plan: PlanId,
    ) {
        const NOTHING: Offer = Offer {
            expires: u64::MAX,
            first: 0,
            len: 0,
            ttl: Ttl::ZERO,
            outcome: Outcome::ServFail,
            standing: Standing::LastResort,
            overridden: false,
        };
        self.starts.push(self.offers.len() as u32);
        let now = GroupNow::new(facts, group, name);
        for i in (0..BlockBuilder::plans_of(facts, group)).map(PlanId::from_index) {
            if i == plan {
                self.lay(&now, plan, &mut HashMap::new());
            } else {
                self.offers.extend(lanes(group).map(|_| NOTHING));
            }
        }
    }

    fn plans_of(facts: &Facts<'_>, group: &Group) -> usize {
        facts.clients.plans(facts.steering, group.shape)
    }

    /// Lays what is known over one plan of a group.
    fn lay(&mut self, now: &GroupNow<'_>, id: PlanId, known: &mut HashMap<u64, (u32, u32)>) {
        let (steering, group) = (now.facts.steering, now.group);
        let base = now.facts.clients.base(steering, group.shape, id);
        let plan = &steering.shapes[group.shape.index()].partition.plans[base.index()];
        let order = order(steering, group, id, now);
        let pace = now.pace(id);
        let tiers = order.as_ref().unwrap_or(&plan.tiers);
        for lane in lanes(group) {
            self.room.clear();
            let (mut offer, _) = now.offer(&tiers.0, pace, lane, &mut self.room, &mut NoTrace);
            offer.len = self.room.len() as u32;
            offer.first = self.intern(known);
            self.offers.push(offer);
        }
    }

    /// Adds the group at `i` of a block of `groups` as it stands there.
    fn copy(&mut self, block: &Block, i: usize, groups: usize) {
        self.starts.push(self.offers.len() as u32);
        let start = |i: usize| block.starts[i] as usize;
        let end = if i + 1 < groups {
            start(i + 1)
        } else {
            block.offers.len()
        };
        let offers = &block.offers[start(i)..end];
        // The candidates of a group stand together.
        let filled = || offers.iter().filter(|o| o.len > 0);
        let first = filled().map(|o| o.first).min().unwrap_or(0);
        let end = filled().map(|o| o.first + o.len).max().unwrap_or(0);
        let to = self.candidates.len() as u32;
        self.candidates
            .extend_from_slice(&block.candidates[first as usize..end as usize]);
        self.offers.extend(offers.iter().map(|o| Offer {
            first: if o.len > 0 { o.first - first + to } else { 0 },
            ..*o
        }));
    }

    /// Puts the candidates in `room` where the same ones already stand among those of this group, or
    /// at the end.
    fn intern(&mut self, known: &mut HashMap<u64, (u32, u32)>) -> u32 {
        let these = &self.room;
        if these.is_empty() {
            return 0;
        }
        let end = self.candidates.len() as u32;
        let hash = these.iter().fold(0, |h, c| {
            mix(h ^ mix(c.upto ^ u64::from(c.endpoint.0) << 40))
        });
        let (first, len) = *known.entry(hash).or_insert((end, 0));
        if self.candidates[first as usize..][..len as usize] == **these {
            return first;
        }
        known.insert(hash, (end, these.len() as u32));
        self.candidates.extend_from_slice(these);
        end
    }

    /// The block of what was added; empty again afterwards.
    pub(super) fn finish(&mut self) -> Block {
        let mut starts = [0; BLOCK];
        starts[..self.starts.len()].copy_from_slice(&self.starts);
        self.starts.clear();
        let block = Block {
            starts,
            offers: self.offers.as_slice().into(),
            candidates: self.candidates.as_slice().into(),
        };
        self.offers.clear();
        self.candidates.clear();
        block
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
    let narrow = now.facts.clients.narrow(steering, group.shape, plan);
    let plan = &shape.partition.plans[narrow.map_or(plan, |n| n.base).index()];
    let before = plan.before_latency.as_ref()?;
    let unmeasured = match &plan.at_latency {
        Some(tiers) if narrow.is_some() => tiers,
        _ => &plan.tiers,
    };
    let terrain = Terrain {
        stages: &steering.policies[shape.policy.index()].stages,
        regions_of: &shape.regions,
        pools_of: &shape.pools,
        priorities: &shape.priorities,
        regions: &steering.regions,
        label: &|_| String::new(),
    };
    let sight = Sight {
        key: plan.sites,
        rtt: &|site, m| now.rtt(site, m),
        clients: narrow.map(|n| &*n.word),
        ..Sight::none()
    };
    Some(overlay(&terrain, before, unmeasured, &sight))
}
