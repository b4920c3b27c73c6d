//! The names of all zones while they are joined; then they are packed and this is gone.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::dns::name::WireName;
use crate::ids::NameId;

use super::rrset::RrSet;
use super::set::{ParentSide, ZoneInfo};

/// All zones and steered owners in the making.
#[derive(Debug, Default)]
pub(super) struct Tree {
    pub(super) zones: Vec<ZoneInfo>,
    pub(super) nodes: Vec<Node>,
    pub(super) parent_sides: Vec<ParentSide>,
    /// Indices into `nodes`, hashed by name.
    pub(super) table: HashTable<u32>,
    pub(super) hasher: DefaultHashBuilder,
    /// Labels of the deepest node.
    pub(super) max_labels: usize,
}

/// What a node knows of the steered name that decides for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Steered {
    /// Which.
    pub name: NameId,
    /// It answers with a CNAME.
    pub cname: bool,
    /// It answers type HTTPS.
    pub https: bool,
}

/// A name that exists: an owner, an empty non-terminal, or glue.
#[derive(Debug)]
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
    /// The steered name here.
    pub(super) steered: Option<Steered>,
    /// Index of what the zone above says, where this is an apex and that zone is served here too.
    pub(super) parent_side: Option<u32>,
    /// Static data, ordered by type in the end.
    pub(super) rrsets: Vec<RrSet>,
}

impl Node {
    /// The RRset of a type.
    pub(super) fn rrset(&self, rtype: u16) -> Option<&RrSet> {
        self.rrsets.iter().find(|set| set.rtype == rtype)
    }
}

impl Tree {
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

    /// The zone with the longest apex at or above `name`. Only apex nodes count.
    pub(super) fn zone_of(&self, name: &[u8]) -> Option<u32> {
        let mut rest = name;
        loop {
            // Any existing node knows its zone, and the first one met is the closest.
            if let Some(node) = self.node(rest) {
                return Some(node.zone);
            }
            if rest.first().is_none_or(|len| *len == 0) {
                return None;
            }
            rest = split(rest).1;
        }
    }

    /// The node of `name` in `zone`, created with every name between it and the apex, ancestors first.
    pub(super) fn ensure(&mut self, name: &[u8], zone: u32) -> u32 {
        if let Some(index) = self.index(name) {
            return index;
        }
        let parent = split(name).1;
        if parent.len() < name.len() {
            self.ensure(parent, zone);
        }
        let name = WireName::from_wire(name).expect("a suffix of a wire name is a wire name");
        self.insert(name, zone)
    }

    pub(super) fn insert(&mut self, name: WireName, zone: u32) -> u32 {
        let index = u32::try_from(self.nodes.len()).expect("fewer than 2^32 names fit in memory");
        let hash = self.hasher.hash_one(name.as_bytes());
        self.max_labels = self.max_labels.max(name.label_count());
        self.nodes.push(Node {
            name,
            zone,
            cut: None,
            is_cut: false,
            wildcard: None,
            steered: None,
            parent_side: None,
            rrsets: Vec::new(),
        });
        let (nodes, hasher) = (&self.nodes, &self.hasher);
        self.table.insert_unique(hash, index, |&i| {
            hasher.hash_one(nodes[i as usize].name.as_bytes())
        });
        index
    }
}

/// The first label of a wire name and the name above it; the root has neither.
pub(super) fn split(name: &[u8]) -> (&[u8], &[u8]) {
    match name.first() {
        Some(&len) if len > 0 => name[1..].split_at(usize::from(len)),
        _ => (&[], name),
    }
}
