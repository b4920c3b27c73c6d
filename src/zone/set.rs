//! All zones of the node in one index.

use std::hash::BuildHasher;

use hashbrown::DefaultHashBuilder;

use crate::dns::name::WireName;
use crate::ids::NameId;
use crate::units::Ttl;

use super::index::Index;
use super::node::{Arena, NodeAt, NodeRef};
use super::view::{PackedSet, RrSetRef};

/// An owner whose answer is chosen per query.
#[derive(Clone, Debug)]
pub struct SteeredAt {
    /// The owner; may be a wildcard.
    pub owner: WireName,
    /// The name that decides.
    pub name: NameId,
    /// Whether it answers with a CNAME instead of addresses.
    pub cname: bool,
    /// Whether it answers type HTTPS too.
    pub https: bool,
}

/// The rules that hold between zones and steered names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BuildRule {
    /// Two zones with one apex.
    DuplicateApex,
    /// A zone has exactly one SOA, and NS records, at its apex.
    ApexIncomplete,
    /// A steered name must lie in a zone.
    SteeredInNoZone,
    /// A steered owner must not have the data that steering answers.
    SteeredHasStaticData,
    /// A steered name must not lie at or below a delegation.
    SteeredBelowCut,
    /// Nothing is served below a DNAME.
    BelowDname,
    /// A steered CNAME cannot stand at an apex, where SOA and NS are.
    SteeredCnameAtApex,
    /// One owner is steered twice.
    SteeredTwice,
    /// CNAME records lead back to themselves.
    CnameLoop,
}

/// Why zones and steered names do not make one whole.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct BuildProblem {
    /// The rule that is broken.
    pub rule: BuildRule,
    /// The owner in question.
    pub owner: WireName,
    /// The zone in question, where there is one.
    pub zone: Option<WireName>,
    /// The line in that zone's file, where one is to blame.
    pub line: Option<u32>,
    /// The steered name in question.
    pub steered: Option<NameId>,
    /// What is wrong and what to do, for a person.
    pub message: String,
}

/// All zones and steered owners of the node.
///
/// One hash index over complete names, and behind it all names with their data in one arena: a name
/// that exists costs one probe, any other one probe per label until its closest encloser.
#[derive(Clone, Debug, Default)]
pub struct ZoneSet {
    pub(super) zones: Vec<ZoneInfo>,
    pub(super) index: Index,
    pub(super) arena: Arena,
    pub(super) parent_sides: Vec<ParentSide>,
    pub(super) hasher: DefaultHashBuilder,
    /// Number of nodes.
    pub(super) names: usize,
    /// Labels of the deepest node.
    pub(super) max_labels: usize,
}

/// What every answer from a zone may need.
#[derive(Clone, Debug)]
pub struct ZoneInfo {
    /// The zone's own name.
    pub apex: WireName,
    /// TTL of the SOA in negative answers: the smaller of its own TTL and its MINIMUM field
    /// (RFC 2308 section 3).
    pub negative_ttl: Ttl,
    pub(super) soa: PackedSet,
}

impl ZoneInfo {
    /// The SOA, exactly one record.
    pub fn soa(&self) -> RrSetRef<'_> {
        self.soa.view()
    }
}

/// What the zone above says about an apex that is served here as well.
#[derive(Clone, Debug)]
pub(super) struct ParentSide {
    pub(super) zone: u32,
    pub(super) ds: Option<PackedSet>,
}

impl ZoneSet {
    /// Number of zones.
    pub fn zone_count(&self) -> usize {
        self.zones.len()
    }

    /// Number of names that exist, with empty non-terminals and glue.
    pub fn names(&self) -> usize {
        self.names
    }

    /// The zones, in the order they were given.
    pub fn zones(&self) -> &[ZoneInfo] {
        &self.zones
    }

    /// The node of exactly this wire name.
    #[inline]
    pub(super) fn node(&self, name: &[u8]) -> Option<NodeRef<'_>> {
        self.find(name).map(|(_, node)| node)
    }

    /// The node of exactly this wire name, and where it lies.
    #[inline]
    pub(super) fn find(&self, name: &[u8]) -> Option<(NodeAt, NodeRef<'_>)> {
        let hash = self.hasher.hash_one(name);
        self.index.find(hash, |at| {
            let node = self.arena.node(at);
            node.is(name).then_some((at, node))
        })
    }
}
