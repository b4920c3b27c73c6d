//! Names as they lie in the arena, each with everything that stands at it.
//!
//! ```text
//! node  octets of the name:1 flags:1 RRsets:2 zone:4, one link of 4 for each of the flags up to
//!       PARENT_SIDE, name, RRsets
//! ```
//!
//! A static answer so reads one or two neighbouring cache lines, whatever else there is.

use crate::dns::name::NameRef;
use crate::ids::NameId;

use super::rrset::rtype;
use super::tree::{Node, Steered};
use super::view::{Cursor, RrSetRef, RrSets, write};

/// Nodes start at multiples of this, so that 32 bits address 32 GiB.
const UNIT: usize = 8;

/// Link: the topmost cut at or above this node inside its zone.
const CUT: u8 = 1;
/// Link: the child `*`.
const WILDCARD: u8 = 2;
/// Link: the steered name here.
const STEERED: u8 = 4;
/// Link: the index of what the zone above says, where this is an apex and that zone is served too.
const PARENT_SIDE: u8 = 8;
/// The flags that have a link.
const LINKS: u8 = CUT | WILDCARD | STEERED | PARENT_SIDE;
/// This node is the cut.
const IS_CUT: u8 = 16;
/// The steered name answers by CNAME.
const BY_CNAME: u8 = 32;
/// The steered name answers type HTTPS.
const HAS_HTTPS: u8 = 64;
/// A DNAME stands here: names below are redirected.
const HAS_DNAME: u8 = 128;

/// Where a node lies.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct NodeAt(pub(super) u32);

/// All nodes, one behind the other.
#[derive(Clone, Debug, Default)]
pub(super) struct Arena(Box<[u8]>);

impl Arena {
    /// Packs nodes; says where each came to lie. Their links are indices into `nodes`.
    pub(super) fn pack(nodes: &[Node]) -> (Arena, Vec<NodeAt>) {
        let mut bytes = Vec::new();
        let mut places = Vec::with_capacity(nodes.len());
        for node in nodes {
            places.push(NodeAt(
                u32::try_from(bytes.len() / UNIT).expect("less than 32 GiB of zones"),
            ));
            push(node, &mut bytes);
            bytes.resize(bytes.len().next_multiple_of(UNIT), 0);
        }
        for (node, at) in nodes.iter().zip(&places) {
            // Both stand first among the links, in this order.
            let mut link = at.0 as usize * UNIT + HEAD;
            for to in [node.cut, node.wildcard].into_iter().flatten() {
                bytes[link..link + 4].copy_from_slice(&places[to as usize].0.to_le_bytes());
                link += 4;
            }
        }
        (Arena(bytes.into()), places)
    }

    /// The node at a place.
    #[inline]
    pub(super) fn node(&self, at: NodeAt) -> NodeRef<'_> {
        let mut from = Cursor(&self.0[at.0 as usize * UNIT..]);
        let (name, flags, sets, zone) = (from.u8(), from.u8(), from.u16(), from.u32());
        let links = from.bytes(4 * (flags & LINKS).count_ones() as usize);
        NodeRef {
            flags,
            zone,
            links,
            name: from.bytes(usize::from(name)),
            sets: RrSets {
                count: sets,
                bytes: from.0,
            },
        }
    }
}

impl Arena {
    /// The node at a place and the place of the next one; `None` at the end.
    pub(super) fn walk(&self, at: NodeAt) -> Option<(NodeRef<'_>, NodeAt)> {
        if at.0 as usize * UNIT >= self.0.len() {
            return None;
        }
        let node = self.node(at);
        let behind = self.0.len() - node.sets.end().len();
        // As far as `pack` counted.
        Some((node, NodeAt((behind.div_ceil(UNIT)) as u32)))
    }
}

/// Octets before the links.
const HEAD: usize = 8;

fn push(node: &Node, out: &mut Vec<u8>) {
    let mut flags = 0;
    let mut links = Vec::new();
    for (flag, link) in [
        (CUT, node.cut),
        (WILDCARD, node.wildcard),
        (STEERED, node.steered.map(|s| s.name.0)),
        (PARENT_SIDE, node.parent_side),
    ] {
        if let Some(link) = link {
            flags |= flag;
            links.extend(link.to_le_bytes());
        }
    }
    if node.is_cut {
        flags |= IS_CUT;
    }
    if let Some(steered) = node.steered {
        flags |= if steered.cname { BY_CNAME } else { 0 };
        flags |= if steered.https { HAS_HTTPS } else { 0 };
    }
    if node.rrset(rtype::DNAME).is_some() {
        flags |= HAS_DNAME;
    }
    let name = node.name.as_bytes();
    let sets = u16::try_from(node.rrsets.len()).expect("there are 2^16 types");
    out.extend([name.len() as u8, flags]); // a name has at most 255 octets
    out.extend(sets.to_le_bytes());
    out.extend(node.zone.to_le_bytes());
    out.extend(links);
    out.extend(name);
    for set in &node.rrsets {
        write(set, out);
    }
}

/// A name that exists: an owner, an empty non-terminal, or glue.
#[derive(Clone, Copy, Debug)]
pub(super) struct NodeRef<'z> {
    flags: u8,
    /// Index of the zone that holds it.
    pub(super) zone: u32,
    links: &'z [u8],
    name: &'z [u8],
    /// Static data.
    pub(super) sets: RrSets<'z>,
}

impl<'z> NodeRef<'z> {
    #[inline]
    fn link(&self, flag: u8) -> Option<u32> {
        if self.flags & flag == 0 {
            return None;
        }
        let before = (self.flags & LINKS & (flag - 1)).count_ones() as usize;
        Some(Cursor(&self.links[4 * before..]).u32())
    }

    pub(super) fn name(&self) -> NameRef<'z> {
        NameRef::trusted(self.name)
    }

    /// Whether the node has this name.
    #[inline]
    pub(super) fn is(&self, name: &[u8]) -> bool {
        self.name == name
    }

    /// The topmost cut at or above this node inside its zone.
    #[inline]
    pub(super) fn cut(&self) -> Option<NodeAt> {
        self.link(CUT).map(NodeAt)
    }

    /// Whether this node is that cut.
    pub(super) fn is_cut(&self) -> bool {
        self.flags & IS_CUT != 0
    }

    /// The child `*`.
    pub(super) fn wildcard(&self) -> Option<NodeAt> {
        self.link(WILDCARD).map(NodeAt)
    }

    /// The steered name here.
    #[inline]
    pub(super) fn steered(&self) -> Option<Steered> {
        let name = self.link(STEERED)?;
        Some(Steered {
            name: NameId(name),
            cname: self.flags & BY_CNAME != 0,
            https: self.flags & HAS_HTTPS != 0,
        })
    }

    /// The DNAME here.
    #[inline]
    pub(super) fn dname(&self) -> Option<RrSetRef<'z>> {
        if self.flags & HAS_DNAME == 0 {
            return None;
        }
        self.sets.of(rtype::DNAME)
    }

    /// The index of what the zone above says about this apex.
    pub(super) fn parent_side(&self) -> Option<usize> {
        self.link(PARENT_SIDE).map(|i| i as usize)
    }

    /// The target of the CNAME here.
    pub(super) fn target(&self) -> Option<NameRef<'z>> {
        self.sets.of(rtype::CNAME)?.target()
    }
}
