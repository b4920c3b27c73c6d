//! Networks of clients whose own connections were measured: which of them get another order, and where.
//!
//! A plan of the configuration holds for wide ranges of addresses. Over it lie the prefixes that were
//! measured: each with the plan that it refines and the [`Word`] of its times. Those with the same plan
//! and word share one more plan, a *narrow* one, whose offers stand after the others of a group. So a query
//! makes one more look-up in a map of ranges, however many prefixes there are, and only for shapes whose
//! `latency` stage asks for clients' times.
//!
//! There are two maps. The whole one has every prefix of which something is said: with it people are told
//! why, and suppositions are made. The other one has those alone whose offers are not those of the plan
//! beneath for every group of the shape: with it queries are answered, so that no scope is longer than a
//! difference asks for (requirements E2, E3).

use std::net::IpAddr;
use std::sync::Arc;

use hashbrown::HashMap;

use crate::balance::mix::mix;
use crate::health::clients::{ClientTime, ClientTimes, ClientsOf};
use crate::ids::{GroupId, NameId, PlanId, RegionId, ShapeId};
use crate::net::{Key, Prefix, RangeMap};

use super::offer::{Candidate, Live, Offer};
use super::partition::{Partition, Slot};
use super::resolve::lanes;
use super::word::Word;
use super::{Shape, Stage, Steering, Tolerance};

/// Narrow plans of a shape at most; prefixes beyond them keep the plan beneath.
const MOST: usize = 256;

/// Offers that narrow plans of a shape's groups may add up to.
const MOST_OFFERS: usize = 1 << 18;

/// Parts of a prefix at most: one that the configuration cuts into more keeps the plans beneath.
const MOST_PARTS: usize = 64;

/// A plan for those clients of another one whose own times say this.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Narrow {
    /// The plan that it refines.
    pub(super) base: PlanId,
    /// What their times say.
    pub(super) word: Arc<Word>,
    /// Whether they may say something else within a dwell.
    pub(super) moving: bool,
}

/// Number 0: the plan beneath; others: one more than that of a narrow plan.
type Number = u32;

/// Both halves of the address space.
#[derive(Clone, PartialEq, Debug)]
struct Space {
    v4: RangeMap<u32, Number>,
    v6: RangeMap<u128, Number>,
}

impl Space {
    #[inline]
    fn lookup(&self, addr: IpAddr) -> (Number, u8) {
        match addr {
            IpAddr::V4(a) => self.v4.lookup(a.into()),
            IpAddr::V6(a) => self.v6.lookup(a.into()),
        }
    }
}

/// The narrow plans of a shape and where they hold.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct ShapeClients {
    /// Numbered after those of the configuration.
    pub(super) plans: Vec<Narrow>,
    whole: Arc<Space>,
    used: Arc<Space>,
    /// Plans that answer otherwise than the plan beneath.
    differing: usize,
}

/// The narrow plans of all shapes.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Clients {
    /// That of the times they were made of.
    revision: u64,
    /// Seconds for which an order by clients' times stands; 0: nobody's times are asked for.
    pub(super) dwell: u32,
    /// By shape; may be shorter than the list of shapes.
    shapes: Vec<Option<ShapeClients>>,
    /// Prefixes for which there was no plan left.
    turned_away: usize,
}

/// The tolerance of a shape's `latency` stage that asks for clients' times.
pub(super) fn asks(steering: &Steering, shape: &Shape) -> Option<Tolerance> {
    let stages = &steering.policies[shape.policy.index()].stages;
    stages.iter().find_map(|s| match s {
        Stage::Latency {
            tolerance,
            clients: true,
            ..
        } => Some(*tolerance),
        _ => None,
    })
}

impl Steering {
    /// Whether a policy in use goes by what clients' own connections measured.
    pub fn asks_clients(&self) -> bool {
        self.shapes.iter().any(|shape| asks(self, shape).is_some())
    }
}

impl Clients {
    /// What `times` make of the shapes; what answers by it is found out by [`Clients::settle`].
    pub(super) fn of(steering: &Steering, times: &ClientTimes) -> Clients {
        let mut clients = Clients {
            revision: times.revision,
            ..Clients::default()
        };
        let mut groups = vec![0_usize; steering.shapes.len()];
        for group in &steering.groups {
            groups[group.shape.index()] += 1;
        }
        for (shape, groups) in steering.shapes.iter().zip(groups) {
            let Some(tolerance) = asks(steering, shape) else {
                clients.shapes.push(None);
                continue;
            };
            clients.dwell = u32::try_from(times.pace.dwell.as_secs()).unwrap_or(u32::MAX);
            let most = (MOST_OFFERS / groups.max(1)).clamp(8, MOST);
            let mut builder = Builder::new(steering, shape, tolerance, most);
            for row in &*times.rows {
                clients.turned_away += usize::from(!builder.add(row));
            }
            clients.shapes.push(builder.finish());
        }
        if clients.shapes.iter().all(Option::is_none) {
            clients.shapes.clear();
        }
        clients
    }

    /// Whether these are of the same times.
    pub(super) fn are_of(&self, times: &ClientTimes) -> bool {
        self.revision == times.revision
    }

    /// Those of a shape.
    #[inline]
    pub(super) fn shape(&self, shape: ShapeId) -> Option<&ShapeClients> {
        self.shapes.get(shape.index())?.as_ref()
    }

    /// The groups of shapes that have narrow plans.
    pub(super) fn groups<'s>(
        &'s self,
        steering: &'s Steering,
    ) -> impl Iterator<Item = GroupId> + 's {
        let all = steering.groups.iter().enumerate();
        let those = all.filter(|(_, g)| self.shape(g.shape).is_some());
        those.map(|(i, _)| GroupId::from_index(i))
    }

    /// As they are for one client: with the whole map where queries look.
    pub(super) fn whole(&self) -> Arc<Clients> {
        let mut clients = self.clone();
        for shape in clients.shapes.iter_mut().flatten() {
            shape.used = shape.whole.clone();
        }
        Arc::new(clients)
    }

    /// Whether nobody has a narrow plan.
    pub(super) fn is_empty(&self) -> bool {
        self.shapes.is_empty()
    }
}

/// Gathers the narrow plans of one shape.
struct Builder<'a> {
    steering: &'a Steering,
    partition: &'a Partition,
    tolerance: Tolerance,
    /// The regions of the members, each once.
    regions: Vec<RegionId>,
    most: usize,
    words: HashMap<Arc<Word>, ()>,
    known: HashMap<Narrow, Number>,
    plans: Vec<Narrow>,
    v4: Vec<(u32, u8, Number)>,
    v6: Vec<(u128, u8, Number)>,
}

impl<'a> Builder<'a> {
    fn new(
        steering: &'a Steering,
        shape: &'a Shape,
        tolerance: Tolerance,
        most: usize,
    ) -> Builder<'a> {
        let mut regions = shape.regions.clone();
        regions.sort_unstable();
        regions.dedup();
        Builder {
            steering,
            partition: &shape.partition,
            tolerance,
            regions,
            most,
            words: HashMap::new(),
            known: HashMap::new(),
            plans: Vec::new(),
            v4: Vec::new(),
            v6: Vec::new(),
        }
    }

    /// Adds a prefix; `false`: there was no room for what it says.
    fn add(&mut self, row: &ClientsOf) -> bool {
        let places = &self.steering.regions;
        let word = Word::of(&row.times, &self.regions, places, self.tolerance);
        let ours = |t: &&ClientTime| self.regions.binary_search(&t.region).is_ok();
        let moving = row.times.iter().filter(ours).any(|t| t.moving);
        if word.says_nothing() && !moving {
            return true;
        }
        let Some(parts) = parts(self.partition, row.prefix) else {
            return false;
        };
        let word = self.word(word);
        for (part, slot) in parts {
            // Such addresses are not used out of an ECS option, and mean nobody in particular.
            if slot.bogon {
                continue;
            }
            let narrow = Narrow {
                base: slot.plan,
                word: word.clone(),
                moving,
            };
            let Some(number) = self.number(narrow) else {
                return false;
            };
            match part.addr() {
                IpAddr::V4(a) => self.v4.push((a.into(), part.len(), number)),
                IpAddr::V6(a) => self.v6.push((a.into(), part.len(), number)),
            }
        }
        true
    }

    fn word(&mut self, word: Word) -> Arc<Word> {
        let known = self.words.get_key_value(&word).map(|(w, ())| w.clone());
        known.unwrap_or_else(|| {
            let word = Arc::new(word);
            self.words.insert(word.clone(), ());
            word
        })
    }

    fn number(&mut self, narrow: Narrow) -> Option<Number> {
        if let Some(number) = self.known.get(&narrow) {
            return Some(*number);
        }
        if self.plans.len() == self.most {
            return None;
        }
        self.plans.push(narrow.clone());
        let number = self.plans.len() as Number;
        self.known.insert(narrow, number);
        Some(number)
    }

    fn finish(self) -> Option<ShapeClients> {
        if self.plans.is_empty() {
            return None;
        }
        let whole = Arc::new(Space {
            v4: RangeMap::from_prefixes(0, self.v4),
            v6: RangeMap::from_prefixes(0, self.v6),
        });
        Some(ShapeClients {
            plans: self.plans,
            used: Arc::new(Space {
                v4: RangeMap::uniform(0),
                v6: RangeMap::uniform(0),
            }),
            whole,
            differing: 0,
        })
    }
}

/// The parts of a prefix that lie in one slot each; `None` where they are too many.
fn parts(partition: &Partition, prefix: Prefix) -> Option<Vec<(Prefix, Slot)>> {
    let mut all = Vec::new();
    let mut at = prefix.addr();
    loop {
        let (slot, len) = partition.lookup(at);
        let part = Prefix::containing(at, len.max(prefix.len()));
        all.push((part, slot));
        if part.last() == prefix.last() {
            return Some(all);
        }
        if all.len() == MOST_PARTS {
            return None;
        }
        at = match part.last() {
            IpAddr::V4(a) => IpAddr::V4(u32::from(a).succ().into()),
            IpAddr::V6(a) => IpAddr::V6(u128::from(a).succ().into()),
        };
    }
}

impl Live {
    /// The plan of a client of this shape whose slot of the configuration is `slot`, with what its own times
    /// say, and the length of the widest prefix around it with one answer, `len` by the slot alone.
    #[inline]
    pub(super) fn narrowed(
        &self,
        steering: &Steering,
        shape: ShapeId,
        addr: IpAddr,
        (slot, len): (Slot, u8),
    ) -> (Slot, u8) {
        if self.clients.is_empty() {
            return (slot, len);
        }
        match self.clients.shape(shape) {
            None => (slot, len),
            Some(clients) => {
                let (number, narrow) = clients.used.lookup(addr);
                (numbered(steering, shape, slot, number), len.max(narrow))
            }
        }
    }

    /// The slot of `addr` for `name` and the length of the widest prefix around it in one slot, as queries
    /// are answered: [`Steering::slot`] with what clients measured themselves.
    pub fn slot(&self, steering: &Steering, name: NameId, addr: IpAddr) -> (Slot, u8) {
        let shape = steering.shape_id_of(name);
        let slot = steering.shapes[shape.index()].partition.lookup(addr);
        self.narrowed(steering, shape, addr, slot)
    }

    /// The plan of `addr` for `name` that says all that is known of it, also where it answers like the plan
    /// beneath: for suppositions, and to tell why.
    pub fn plan(&self, steering: &Steering, name: NameId, addr: IpAddr) -> PlanId {
        let shape = steering.shape_id_of(name);
        let (slot, _) = steering.shapes[shape.index()].partition.lookup(addr);
        match self.clients.shape(shape) {
            None => slot.plan,
            Some(clients) => {
                let (number, _) = clients.whole.lookup(addr);
                numbered(steering, shape, slot, number).plan
            }
        }
    }

    /// The plan of the configuration that `plan` of a name is, or refines.
    pub fn base(&self, steering: &Steering, name: NameId, plan: PlanId) -> PlanId {
        let shape = steering.shape_id_of(name);
        self.clients.base(steering, shape, plan)
    }

    /// Plans of a shape, the narrow ones among them.
    pub(super) fn plans(&self, steering: &Steering, shape: ShapeId) -> usize {
        self.clients.plans(steering, shape)
    }

    /// Shapes with narrow plans: how many of these there are, and how many of them answer otherwise than the
    /// plan beneath; and the prefixes for which there was none left.
    pub fn narrow_plans(&self) -> (usize, usize, usize) {
        let shapes = self.clients.shapes.iter().flatten();
        let (all, used) = shapes.fold((0, 0), |(all, used), s| {
            (all + s.plans.len(), used + s.differing)
        });
        (all, used, self.clients.turned_away)
    }

    /// Finds out which narrow plans of the shapes in `dirty` answer otherwise than those beneath them.
    pub(super) fn settle(&mut self, steering: &Steering, dirty: &dyn Fn(ShapeId) -> bool) {
        if self.clients.is_empty() {
            return;
        }
        let mut clients = (*self.clients).clone();
        let mut groups: Vec<Vec<GroupId>> = vec![Vec::new(); clients.shapes.len()];
        for (i, group) in steering.groups.iter().enumerate() {
            if clients.shape(group.shape).is_some() && dirty(group.shape) {
                groups[group.shape.index()].push(GroupId::from_index(i));
            }
        }
        for (i, groups) in groups.iter().enumerate() {
            let id = ShapeId::from_index(i);
            let Some(shape) = clients.shapes[i].as_mut().filter(|_| dirty(id)) else {
                continue;
            };
            let print = |plan: PlanId| self.print(steering, groups, id, plan);
            let first = steering.shapes[i].partition.plans.len();
            let mut alike: HashMap<(PlanId, [u64; 2]), Number> = HashMap::new();
            let numbers: Vec<Number> = shape
                .plans
                .iter()
                .enumerate()
                .map(|(n, narrow)| {
                    let own = print(PlanId::from_index(first + n));
                    if own == print(narrow.base) {
                        return 0;
                    }
                    *alike.entry((narrow.base, own)).or_insert(n as Number + 1)
                })
                .collect();
            let used = |n: Number| match n {
                0 => 0,
                n => numbers[n as usize - 1],
            };
            shape.used = Arc::new(Space {
                v4: shape.whole.v4.map(used),
                v6: shape.whole.v6.map(used),
            });
            shape.differing = alike.len();
        }
        self.clients = Arc::new(clients);
    }

    /// A digest of what a plan offers in all groups of its shape.
    fn print(
        &self,
        steering: &Steering,
        groups: &[GroupId],
        shape: ShapeId,
        plan: PlanId,
    ) -> [u64; 2] {
        let mut print = [1, 2];
        let mut add = |word: u64| {
            print = [mix(print[0] ^ word), mix(print[1].rotate_left(21) ^ !word)];
        };
        let mut tell = |(offer, candidates): (&Offer, &[Candidate])| {
            offer.words().into_iter().for_each(&mut add);
            for c in candidates {
                add(u64::from(c.endpoint.0) << 32 ^ mix(c.upto));
            }
        };
        for id in groups {
            for lane in lanes(&steering.groups[id.index()]) {
                if let Some(offer) = self.offer_of(steering, *id, None, plan, lane) {
                    tell(offer);
                }
            }
        }
        for (name, _) in &self.named {
            if steering.shape_id_of(*name) == shape {
                for lane in lanes(steering.group_of(*name)) {
                    if let Some(offer) = self.offer(steering, *name, plan, lane) {
                        tell(offer);
                    }
                }
            }
        }
        print
    }
}

impl Clients {
    /// Plans of a shape, the narrow ones among them.
    pub(super) fn plans(&self, steering: &Steering, shape: ShapeId) -> usize {
        let narrow = self.shape(shape).map_or(0, |s| s.plans.len());
        steering.shapes[shape.index()].partition.plans.len() + narrow
    }

    /// The narrow plan that `plan` of a shape is.
    pub(super) fn narrow(
        &self,
        steering: &Steering,
        shape: ShapeId,
        plan: PlanId,
    ) -> Option<&Narrow> {
        let first = steering.shapes[shape.index()].partition.plans.len();
        let at = plan.index().checked_sub(first)?;
        self.shape(shape)?.plans.get(at)
    }

    /// The plan of the configuration that `plan` is, or refines.
    pub(super) fn base(&self, steering: &Steering, shape: ShapeId, plan: PlanId) -> PlanId {
        self.narrow(steering, shape, plan).map_or(plan, |n| n.base)
    }
}

fn numbered(steering: &Steering, shape: ShapeId, slot: Slot, number: Number) -> Slot {
    match number {
        0 => slot,
        n => {
            let first = steering.shapes[shape.index()].partition.plans.len();
            Slot {
                plan: PlanId::from_index(first + n as usize - 1),
                ..slot
            }
        }
    }
}
