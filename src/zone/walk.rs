//! One zone from end to end, as a transfer sends it.

use crate::dns::name::NameRef;
use crate::ids::NameId;

use super::node::NodeAt;
use super::rrset::rtype;
use super::set::ZoneSet;
use super::view::{RrSetRef, RrSets};

/// Where a walk stands. Starts with the default.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Place(u32);

/// One owner of a zone.
#[derive(Clone, Copy, Debug)]
pub struct Owned<'z> {
    /// Its name.
    pub name: NameRef<'z>,
    /// Its static data, ordered by type; for a child zone that is the child's own.
    pub sets: RrSets<'z>,
    /// The steered name here.
    pub steered: Option<NameId>,
    /// Whether it answers type HTTPS here.
    pub https: bool,
    /// Set where the owner is the apex of a zone that is served here too: of it the zone walked has
    /// the delegation only.
    pub child: Option<Child<'z>>,
}

/// The parent's side of a delegation to a zone that is served here too.
#[derive(Clone, Copy, Debug)]
pub struct Child<'z> {
    /// The DS records that the parent holds.
    pub ds: Option<RrSetRef<'z>>,
}

impl<'z> Owned<'z> {
    /// The name servers here.
    pub fn ns(&self) -> Option<RrSetRef<'z>> {
        self.sets.of(rtype::NS)
    }
}

impl ZoneSet {
    /// The position of the zone with exactly this apex, in lower case, among [`ZoneSet::zones`].
    pub fn position(&self, apex: &[u8]) -> Option<usize> {
        // An apex is the node that knows its zone by the same name.
        let zone = self.node(apex)?.zone as usize;
        (self.zones.get(zone)?.apex.as_bytes() == apex).then_some(zone)
    }

    /// The first owner of the zone at `position` that lies at `from` or behind it, and where to go on;
    /// `None` at the end. The apex comes first; glue and what lies below a cut come as well (RFC 5936
    /// section 3.5), names without data do not.
    ///
    /// All zones lie in one arena, so that a walk passes by the others' names.
    pub fn owner_from(&self, position: usize, from: Place) -> Option<(Owned<'_>, Place)> {
        let mut at = NodeAt(from.0);
        while let Some((node, next)) = self.arena.walk(at) {
            at = next;
            let own = node.zone as usize == position;
            let child = node
                .parent_side()
                .map(|side| &self.parent_sides[side])
                .filter(|side| !own && side.zone as usize == position)
                .map(|side| Child {
                    ds: side.ds.as_ref().map(|ds| ds.view()),
                });
            let here = node.steered();
            let steered = here.map(|s| s.name);
            if (own && (steered.is_some() || !node.sets.is_empty())) || child.is_some() {
                let owned = Owned {
                    name: node.name(),
                    sets: node.sets,
                    steered,
                    https: here.is_some_and(|s| s.https),
                    child,
                };
                return Some((owned, Place(next.0)));
            }
        }
        None
    }
}
