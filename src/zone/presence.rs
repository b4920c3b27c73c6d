//! What stands at a name, whatever type was asked for: the proof of what does not stand there must
//! list it (RFC 4034 section 4.1.2).

use crate::dns::name::NameRef;

use super::node::NodeRef;
use super::set::ZoneSet;
use super::tree::Steered;
use super::view::RrSets;

/// What stands at a name that exists, or at the wildcard that stands for it.
#[derive(Clone, Copy, Debug)]
pub struct Presence<'z> {
    /// Static data.
    pub sets: RrSets<'z>,
    /// The steered name here, and what it answers.
    pub steered: Option<Steered>,
    /// Whether the zone below begins here, seen from the zone above.
    pub is_cut: bool,
    /// Whether the name is that of a zone served here.
    pub is_apex: bool,
    /// Whether a zone above, served here too, has this name delegated.
    pub has_parent_side: bool,
}

impl ZoneSet {
    /// Whether exactly this name exists.
    pub fn exists(&self, name: &[u8]) -> bool {
        self.node(name).is_some()
    }

    /// What stands at `name`, or at the wildcard that stands for it; `None` where nothing exists.
    pub fn presence(&self, name: &[u8]) -> Option<Presence<'_>> {
        let node = match self.node(name) {
            Some(node) => node,
            None => self.arena.node(self.closest_encloser(name)?.wildcard()?),
        };
        Some(self.presence_of(node))
    }

    /// The longest existing name above `name` (RFC 4592 section 3.3.1), which does not exist.
    pub fn encloser(&self, name: &[u8]) -> Option<NameRef<'_>> {
        self.closest_encloser(name).map(|node| node.name())
    }

    /// Every name that exists, with what stands there, in no order.
    pub fn all(&self) -> impl Iterator<Item = (NameRef<'_>, Presence<'_>, bool)> {
        self.index.places().map(|at| {
            let node = self.arena.node(at);
            let below_cut = node.cut().is_some();
            (node.name(), self.presence_of(node), below_cut)
        })
    }

    fn presence_of<'z>(&'z self, node: NodeRef<'z>) -> Presence<'z> {
        Presence {
            sets: node.sets,
            steered: node.steered(),
            is_cut: node.is_cut(),
            is_apex: self.zones[node.zone as usize].apex.as_bytes() == node.name().as_bytes(),
            has_parent_side: node.parent_side().is_some(),
        }
    }
}
