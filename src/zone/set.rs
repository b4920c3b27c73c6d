//! All zones of the node in one index.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::dns::name::WireName;
use crate::ids::NameId;

use super::lookup::ZoneInfo;
use super::rrset::RrSet;

/// An owner whose answer is chosen per query.
#[derive(Clone, Debug)]
pub struct SteeredAt {
    /// The owner; may be a wildcard.
    pub owner: WireName,
    /// The name that decides.
    pub name: NameId,
    /// Whether it answers with a CNAME instead of addresses.
    pub cname: bool,
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
/// One hash table over complete names: a name that exists costs one probe, any other one probe per
/// label until its closest encloser.
#[derive(Clone, Debug, Default)]
pub struct ZoneSet {
    pub(super) zones: Vec<ZoneInfo>,
    pub(super) nodes: Vec<Node>,
    /// Indices into `nodes`, hashed by name.
    pub(super) table: HashTable<u32>,
    pub(super) hasher: DefaultHashBuilder,
    /// Labels of the deepest node.
    pub(super) max_labels: usize,
}

/// A name that exists: an owner, an empty non-terminal, or glue.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) name: WireName,
    /// Index of the zone that holds it.
    pub(super) zone: u32,
    /// The topmost cut at or above this node inside its zone.
    pub(super) cut: Option<u32>,
    /// Whether this node is that cut.
    pub(super) is_cut: bool,
    /// The child `*`.
    pub(super) wildcard: Option<u32>,
    /// The steered name here, and whether it answers by CNAME.
    pub(super) steered: Option<(NameId, bool)>,
    /// The target of the CNAME here.
    pub(super) target: Option<WireName>,
    /// The zone above, where this is an apex and that zone is served here too.
    pub(super) parent_side: Option<Box<ParentSide>>,
    /// Static data, ordered by type.
    pub(super) rrsets: Vec<RrSet>,
}

/// What the zone above says about an apex that is served here as well.
#[derive(Clone, Debug)]
pub(super) struct ParentSide {
    pub(super) zone: u32,
    pub(super) ds: Option<RrSet>,
}

impl ZoneSet {
    /// Number of zones.
    pub fn zone_count(&self) -> usize {
        self.zones.len()
    }

    /// Number of names that exist, with empty non-terminals and glue.
    pub fn names(&self) -> usize {
        self.nodes.len()
    }

    /// The zones, in the order they were given.
    pub fn zones(&self) -> &[ZoneInfo] {
        &self.zones
    }

    /// The node of exactly this wire name.
    pub(super) fn node(&self, name: &[u8]) -> Option<&Node> {
        self.index(name).map(|i| &self.nodes[i as usize])
    }

    /// The index of the node of exactly this wire name.
    pub(super) fn index(&self, name: &[u8]) -> Option<u32> {
        let hash = self.hasher.hash_one(name);
        self.table
            .find(hash, |&i| self.nodes[i as usize].name.as_bytes() == name)
            .copied()
    }
}
