//! Address → plan, for one shape.

use super::refine::Tiers;
use crate::geo::Slot6;
use crate::ids::{LocationId, PlanId};
use crate::net::RangeMap;

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
