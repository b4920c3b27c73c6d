//! Address → plan, for one shape.

use std::net::IpAddr;

use hashbrown::HashMap;

use crate::geo::table::embedded_v4;
use crate::geo::{GeoTable, Slot6};
use crate::health::Sites;
use crate::ids::{LocationId, PlanId, PoolId, RegionId};
use crate::net::{Prefix, RangeMap};

use super::refine::{Terrain, Tiers, Viewpoint, refine};
use super::rules::Networks;
use super::{Chooser, NoTrace, Policy, Region, Sight, SiteKey, Stage};

/// What a range of client addresses maps to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Slot {
    /// The plan.
    pub plan: PlanId,
    /// The range is special-purpose space that no own network covers: out of an ECS option it is
    /// not used (requirement E7). Part of the slot, so that no scope crosses its border.
    pub bogon: bool,
}

/// A [`Slot`] in the 32 bits it takes in the map: half as many make a lookup touch half as much.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct PackedSlot(u32);

impl PackedSlot {
    const BOGON: u32 = 1 << 31;
}

impl From<Slot> for PackedSlot {
    /// # Panics
    /// With 2^31 plans, which no memory holds.
    fn from(slot: Slot) -> PackedSlot {
        assert!(slot.plan.0 < PackedSlot::BOGON, "fewer than 2^31 plans");
        PackedSlot(slot.plan.0 | if slot.bogon { PackedSlot::BOGON } else { 0 })
    }
}

impl From<PackedSlot> for Slot {
    #[inline]
    fn from(packed: PackedSlot) -> Slot {
        Slot {
            plan: PlanId(packed.0 & !PackedSlot::BOGON),
            bogon: packed.0 & PackedSlot::BOGON != 0,
        }
    }
}

/// One refined order of a shape's members, shared by all addresses that refine to it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Plan {
    /// The order when no round-trip time is known (the final one without a `latency` stage).
    pub tiers: Tiers,
    /// With a `latency` stage: the order just before it.
    pub before_latency: Option<Tiers>,
    /// With a `latency` stage that asks for clients' own times: the order just after it.
    pub at_latency: Option<Tiers>,
    /// With a `latency` stage: the sites whose round-trip times are laid over it. Clients of one order
    /// but other sites have another plan.
    pub sites: SiteKey,
}

/// The address space by plan.
#[derive(Clone, Debug)]
pub enum Space {
    /// Where the client is makes no difference: one plan, scope 0.
    Blind(PlanId),
    /// By address.
    ByAddress {
        /// IPv4 half.
        v4: RangeMap<u32, PackedSlot>,
        /// IPv6 half.
        v6: RangeMap<u128, Slot6<PackedSlot>>,
    },
}

/// A shape's plans and where they hold.
#[derive(Clone, Debug)]
pub struct Partition {
    /// Address → plan.
    pub space: Space,
    /// The distinct plans.
    pub plans: Vec<Plan>,
    /// For each plan one location that refines to it (for explain and plan).
    pub sample: Vec<LocationId>,
}

impl Partition {
    /// Compiles a shape: refines once for every distinct place a client can be in.
    pub fn build(
        policy: &Policy,
        regions_of: &[RegionId],
        pools_of: &[PoolId],
        priorities: &[u32],
        regions: &[Region],
        sites: &Sites,
        geo: &GeoTable,
    ) -> Partition {
        let terrain = Terrain {
            stages: &policy.stages,
            regions_of,
            pools_of,
            priorities,
            regions,
            label: &|_| String::new(),
        };
        let mut plans = Plans::new(terrain, sites, geo);
        let sticky = matches!(policy.chooser, Chooser::Sticky { .. });
        let looks = policy.stages.iter().any(|s| !matches!(s, Stage::Failover));
        if !looks && !sticky {
            let plan = plans.plan(GeoTable::UNKNOWN, &[]);
            return plans.finish(Space::Blind(plan));
        }
        let networks = Networks::of(&policy.stages);
        let mut memo = Memo::new(geo.locations.len(), networks.classes.len());
        let mut slot = |location: LocationId, class: u32| {
            memo.get(location, class, || {
                let matched = &networks.classes[class as usize];
                PackedSlot::from(Slot {
                    plan: plans.plan(location, matched),
                    // A rule that names special-purpose space gives it a meaning.
                    bogon: location == GeoTable::BOGON && matched.iter().all(Option::is_none),
                })
            })
        };
        let v4 = geo.v4.join(&networks.v4, &mut slot);
        let mut v6 = geo.v6.join(&networks.v6, |place, class| match place {
            Slot6::Value(location) => Slot6::Value(slot(location, class)),
            Slot6::Embedded { offset } => Slot6::Embedded { offset },
        });
        if v4.len() == 1 {
            // Every IPv4 address has one slot: then so have the blocks that embed one, and a scope
            // need not stop at their borders (requirement E3).
            let everywhere = v4.get(0);
            v6 = v6.map(|place| match place {
                Slot6::Embedded { .. } => Slot6::Value(everywhere),
                value @ Slot6::Value(_) => value,
            });
        }
        let asks = |s: &Stage| matches!(s, Stage::Latency { clients: true, .. });
        if plans.plans.len() == 1 && !sticky && !policy.stages.iter().any(asks) {
            // All clients are alike after all, bogons as well.
            return plans.finish(Space::Blind(PlanId(0)));
        }
        plans.finish(Space::ByAddress { v4, v6 })
    }

    /// The slot of `addr`, and the length of the widest prefix around it that lies in one slot, in
    /// bits of the address's own family: the ECS scope, sound (requirement E2) and minimal (E3).
    #[inline]
    pub fn lookup(&self, addr: IpAddr) -> (Slot, u8) {
        match &self.space {
            Space::Blind(plan) => (
                Slot {
                    plan: *plan,
                    bogon: false,
                },
                0,
            ),
            Space::ByAddress { v4, v6 } => {
                let (slot, len) = match addr {
                    IpAddr::V4(a) => v4.lookup(a.into()),
                    IpAddr::V6(a) => match v6.lookup(a.into()) {
                        (Slot6::Value(slot), len) => (slot, len),
                        (Slot6::Embedded { offset }, block) => {
                            let (slot, len) = v4.lookup(embedded_v4(a.into(), offset));
                            (slot, (len + offset).max(block))
                        }
                    },
                };
                (slot.into(), len)
            }
        }
    }
}

/// Where a look-up begins: a place in the map of a family.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Approach {
    /// Among the IPv4 ranges.
    V4(usize),
    /// Among the IPv6 ranges.
    V6(usize),
    /// There is nothing to search.
    Nowhere,
}

impl Partition {
    /// Where the look-up of `addr` begins. With [`Partition::touch`] it reads what
    /// [`Partition::lookup`] will read, in two steps, each of which many clients can share.
    #[inline]
    pub fn approach(&self, addr: IpAddr) -> Approach {
        match (&self.space, addr) {
            (Space::Blind(_), _) => Approach::Nowhere,
            (Space::ByAddress { v4, .. }, IpAddr::V4(a)) => Approach::V4(v4.approach(a.into())),
            (Space::ByAddress { v6, .. }, IpAddr::V6(a)) => Approach::V6(v6.approach(a.into())),
        }
    }

    /// Reads where a look-up begins; what it returns means nothing, but that it was read.
    #[inline]
    pub fn touch(&self, approach: Approach) -> u32 {
        match (&self.space, approach) {
            (Space::ByAddress { v4, .. }, Approach::V4(at)) => v4.touch(at),
            (Space::ByAddress { v6, .. }, Approach::V6(at)) => v6.touch(at) as u32,
            _ => 0,
        }
    }

    /// Heap bytes of the maps.
    pub fn heap_bytes(&self) -> usize {
        match &self.space {
            Space::Blind(_) => 0,
            Space::ByAddress { v4, v6 } => v4.heap_bytes() + v6.heap_bytes(),
        }
    }
}

/// Collects the distinct plans of a shape.
struct Plans<'a> {
    terrain: Terrain<'a>,
    sites: &'a Sites,
    geo: &'a GeoTable,
    known: HashMap<Plan, PlanId>,
    plans: Vec<Plan>,
    sample: Vec<LocationId>,
}

impl<'a> Plans<'a> {
    fn new(terrain: Terrain<'a>, sites: &'a Sites, geo: &'a GeoTable) -> Plans<'a> {
        Plans {
            terrain,
            sites,
            geo,
            known: HashMap::new(),
            plans: Vec::new(),
            sample: Vec::new(),
        }
    }

    fn plan(&mut self, location: LocationId, networks: &[Option<Prefix>]) -> PlanId {
        let viewpoint = Viewpoint {
            location: self.geo.location(location),
            networks,
        };
        let refined = refine(&self.terrain, &viewpoint, &Sight::none(), &mut NoTrace);
        let plan = Plan {
            tiers: refined.tiers,
            sites: match &refined.before_latency {
                Some(_) => SiteKey::of(self.sites, self.terrain.regions, viewpoint.location),
                None => SiteKey::default(),
            },
            before_latency: refined.before_latency,
            at_latency: refined.at_latency,
        };
        if let Some(id) = self.known.get(&plan) {
            return *id;
        }
        let id = PlanId::from_index(self.plans.len());
        self.plans.push(plan.clone());
        self.sample.push(location);
        self.known.insert(plan, id);
        id
    }

    fn finish(self, space: Space) -> Partition {
        Partition {
            space,
            plans: self.plans,
            sample: self.sample,
        }
    }
}

/// Remembers the slot of each (location, class of networks), so that a place is refined once
/// however many ranges it has.
struct Memo {
    /// By location, for class 0: nearly all ranges.
    plain: Vec<Option<PackedSlot>>,
    /// For the other classes.
    other: HashMap<(LocationId, u32), PackedSlot>,
}

impl Memo {
    fn new(locations: usize, classes: usize) -> Memo {
        Memo {
            plain: vec![None; locations],
            other: HashMap::with_capacity(classes),
        }
    }

    #[inline]
    fn get(
        &mut self,
        location: LocationId,
        class: u32,
        make: impl FnOnce() -> PackedSlot,
    ) -> PackedSlot {
        if class == 0 {
            *self.plain[location.index()].get_or_insert_with(make)
        } else {
            *self.other.entry((location, class)).or_insert_with(make)
        }
    }
}
