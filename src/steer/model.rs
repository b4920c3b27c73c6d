//! The compiled objects of steering. Built by `compile`, immutable afterwards.

use std::net::IpAddr;

use crate::dns::name::WireName;
use crate::dns::svcb::Service;
use crate::geo::{Coordinates, location::Code};
use crate::health::Sites;
use crate::ids::{EndpointId, GroupId, PolicyId, PoolId, RegionId, ShapeId};
use crate::net::{Family, Prefix};
use crate::units::{Ttl, Weight};

use super::dense::Dense;
use super::estimate::Tolerance;
use super::partition::Partition;

/// A named place with coordinates.
#[derive(Clone, PartialEq, Debug)]
pub struct Region {
    /// Name in the configuration.
    pub name: Box<str>,
    /// Where it is.
    pub coordinates: Coordinates,
}

/// One address, or one CNAME target, a client may be sent to.
#[derive(Clone, PartialEq, Debug)]
pub struct Endpoint {
    /// Name in the configuration, unique over all pools.
    pub name: Box<str>,
    /// Its pool.
    pub pool: PoolId,
    /// The address answered, or only probed where there is a `cname`.
    pub address: Option<IpAddr>,
    /// The target of a steered CNAME.
    pub cname: Option<WireName>,
    /// Port that monitors probe.
    pub port: u16,
    /// Share within the pool.
    pub weight: Weight,
    /// Serves only after every positive-weight, non-backup member is gone (requirement F2).
    pub backup: bool,
    /// `false`: out of service by configuration; never comes back through fail-open.
    pub enabled: bool,
}

/// A named set of endpoints in one region treated as one choice.
#[derive(Clone, PartialEq, Debug)]
pub struct Pool {
    /// Name in the configuration.
    pub name: Box<str>,
    /// Where it is.
    pub region: RegionId,
    /// Its endpoints, sorted by name.
    pub endpoints: Vec<EndpointId>,
    /// With fewer live endpoints of a family than this, at least 1, the pool is passed over while
    /// another pool has enough.
    pub min_live: u32,
}

/// A list of stages that order the pools of a steered name for one client.
#[derive(Clone, PartialEq, Debug)]
pub struct Policy {
    /// Name in the configuration.
    pub name: Box<str>,
    /// The stages in order: any number that refine tiers, then at most one that chooses.
    pub stages: Vec<Stage>,
    /// Chooses inside the first tier that has something to offer; `Weighted` when the
    /// configuration names none.
    pub chooser: Chooser,
}

/// A stage that refines tiers.
#[derive(Clone, PartialEq, Debug)]
pub enum Stage {
    /// Splits by the member's priority, lower first.
    Failover,
    /// Splits members named by the most specific matching rule from the rest, or fences the rest out.
    Geo {
        /// Prefer or fence.
        mode: GeoMode,
        /// The rules.
        rules: Vec<GeoRule>,
    },
    /// Splits by great-circle distance between client and region.
    Proximity {
        /// Members within this many kilometres of the nearest remaining one count as equal.
        band_km: f64,
        /// Kilometres subtracted from the distance to a region (negative: added).
        bias_km: Vec<(RegionId, f64)>,
    },
    /// Splits by round-trip time measured from the sites nearest to the client; a tier with a member
    /// whose time they do not know is split as `proximity` with `fallback_band_km` would.
    Latency {
        /// Members within this much of the fastest remaining one count as equal.
        tolerance: Tolerance,
        /// Band of the fallback.
        fallback_band_km: f64,
        /// Where clients of a network were measured themselves, their own times come first.
        clients: bool,
    },
}

/// What happens to members that no matching rule names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum GeoMode {
    /// They come after those named.
    Prefer,
    /// They are out for this client, also for last resort.
    Fence,
}

/// Clients that match any of `matches` are for the members `to`. Of all rules of a stage the most
/// specific matching criterion decides (network by length, then ASN, subdivision, country,
/// continent, default); rules that tie on it act together.
#[derive(Clone, PartialEq, Debug)]
pub struct GeoRule {
    /// What clients it is for.
    pub matches: Vec<Criterion>,
    /// Pools of these regions …
    pub regions: Vec<RegionId>,
    /// … and these pools.
    pub pools: Vec<PoolId>,
}

/// A property of a client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Criterion {
    /// Every client.
    Default,
    /// Continent code.
    Continent(Code),
    /// Country code.
    Country(Code),
    /// Country and subdivision code.
    Subdivision(Code, Code),
    /// Autonomous system.
    Asn(u32),
    /// Addresses. An IPv6 form that carries an IPv4 address (v4-mapped, NAT64, 6to4, Teredo) counts
    /// as that IPv4 address.
    Network(Prefix),
}

/// How endpoints are chosen inside a tier.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Chooser {
    /// By pool weight, then by endpoint weight inside the pool, at random.
    Weighted,
    /// In turn, each equally often.
    RoundRobin,
    /// At random, each equally often.
    Random,
    /// By weighted rendezvous hash of the client network, so that a client keeps its endpoints and
    /// a change moves only the expected share.
    Sticky {
        /// Leading bits of an IPv4 client that are hashed.
        prefix4: u8,
        /// Leading bits of an IPv6 client that are hashed.
        prefix6: u8,
    },
}

/// A pool's place in a steered name.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Member {
    /// The pool.
    pub pool: PoolId,
    /// Share of the pool in `weighted` and `sticky`.
    pub weight: Weight,
    /// Priority in `failover`; lower first.
    pub priority: u32,
    /// Serves only after every positive-weight, non-backup member is gone.
    pub backup: bool,
}

/// What to answer when no eligible member is live (requirement F1).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum LastResort {
    /// All eligible members of the plan, as if they were up: not the disabled, drained, fenced-out.
    AllEligible,
    /// These endpoints.
    Endpoints(Vec<EndpointId>),
    /// All enabled endpoints of another pool.
    Pool(PoolId),
    /// A CNAME to this target.
    Cname(WireName),
    /// SERVFAIL, so that resolvers try another server or their stale cache.
    ServFail,
}

/// What names with the same pools, policy, TTL bounds and last resort share.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Group {
    /// The shape: members' geography under the policy.
    pub shape: ShapeId,
    /// Members sorted by pool name; index = member index in the shape's plans.
    pub members: Vec<Member>,
    /// Address families that every member pool offers and the name answers; empty for CNAME names.
    pub families: Vec<Family>,
    /// Whether the answer is a CNAME.
    pub cname: bool,
    /// Smallest TTL.
    pub ttl_min: Ttl,
    /// Largest TTL.
    pub ttl_max: Ttl,
    /// When nothing is live.
    pub last_resort: LastResort,
}

/// A steered name.
#[derive(Clone, PartialEq, Debug)]
pub struct SteeredName {
    /// The owner.
    pub owner: WireName,
    /// What it shares.
    pub group: GroupId,
    /// Number of addresses answered at most, 1 to 32.
    pub answers: u8,
    /// The client's ECS option is ignored: the resolver's address decides, scope 0.
    pub ignore_ecs: bool,
    /// What HTTPS answers say beside the hints, which are the addresses of the decision; `None`: the
    /// name gives none (RFC 9460).
    pub https: Option<Service>,
    /// Further owners whose answers this name decides, such as the apex of a zone.
    pub aliases: Vec<WireName>,
}

/// A policy applied to members of one geography, shared by all groups that look the same to it.
#[derive(Clone, Debug)]
pub struct Shape {
    /// The policy.
    pub policy: PolicyId,
    /// Region of each member.
    pub regions: Vec<RegionId>,
    /// Pool of each member, where a geo rule names pools; empty when none does.
    pub pools: Vec<PoolId>,
    /// Priority of each member, where the policy has a `failover` stage; empty otherwise.
    pub priorities: Vec<u32>,
    /// Address → plan, and the plans.
    pub partition: Partition,
}

/// Everything that steers, compiled.
#[derive(Clone, Debug, Default)]
pub struct Steering {
    /// By [`RegionId`].
    pub regions: Vec<Region>,
    /// By [`PoolId`], sorted by name.
    pub pools: Vec<Pool>,
    /// By [`EndpointId`], sorted by name.
    pub endpoints: Vec<Endpoint>,
    /// By [`PolicyId`].
    pub policies: Vec<Policy>,
    /// By [`ShapeId`].
    pub shapes: Vec<Shape>,
    /// By [`GroupId`].
    pub groups: Vec<Group>,
    /// By [`crate::ids::NameId`], sorted by owner.
    pub names: Vec<SteeredName>,
    /// Where the vantages stand that measure round-trip times.
    pub sites: Sites,
    /// What a query reads of names and groups; made once these are complete.
    pub(super) dense: Dense,
}
