//! Lookup: RFC 1034 section 4.3.2 with RFC 4592 (wildcards) and RFC 2308 (negative answers).

use crate::dns::name::{MAX_NAME, NameRef};
use crate::ids::NameId;

use super::node::NodeRef;
use super::rrset::rtype;
use super::set::{ZoneInfo, ZoneSet};
use super::view::{RrSetRef, RrSets};

/// What the zones hold for a name and type, and the zone that speaks.
#[derive(Clone, Copy, Debug)]
pub struct Lookup<'z> {
    /// The zone that answers; `None` exactly when [`Found::OutOfZone`].
    pub zone: Option<&'z ZoneInfo>,
    /// The outcome.
    pub found: Found<'z>,
}

/// What the zones hold for a name and type.
///
/// Where a wildcard matched, the records are those of the wildcard; their owner in the answer is the
/// name that was asked for (RFC 4592 section 3.3.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Found<'z> {
    /// Static records of the type.
    Answer(RrSetRef<'z>),
    /// Type ANY: everything the owner has, ordered by type, never empty. The engine picks one RRset
    /// (RFC 8482 section 4.1).
    Any(RrSets<'z>),
    /// The owner is an alias and the type is neither CNAME nor ANY.
    Cname {
        /// The one CNAME record.
        rrset: RrSetRef<'z>,
        /// Where it points, in canonical form.
        target: NameRef<'z>,
    },
    /// A DNAME above the name redirects it (RFC 6672): `owner` at its end becomes `target`.
    Dname {
        /// The one DNAME record.
        rrset: RrSetRef<'z>,
        /// The name it stands at.
        owner: NameRef<'z>,
        /// What takes its place, in canonical form.
        target: NameRef<'z>,
    },
    /// The steered name decides: type A or AAAA, HTTPS where it gives that, or any type at a name steered by CNAME, or ANY where
    /// the owner has no static data.
    Steered {
        /// The name.
        name: NameId,
    },
    /// The owner is at or below a zone cut (RFC 1034 section 4.3.2 step 3b). Glue is
    /// [`ZoneSet::rrset`] of those NS targets that lie at or below the cut.
    Referral {
        /// The delegated name.
        cut: NameRef<'z>,
        /// Its NS records; not authoritative here.
        ns: RrSetRef<'z>,
    },
    /// The name exists, also as an empty non-terminal, but has nothing of this type.
    NoData,
    /// The name does not exist and no wildcard covers it.
    NxDomain,
    /// No zone here holds the name.
    OutOfZone,
}

impl ZoneSet {
    /// Looks up a name and type.
    ///
    /// `qname` is the complete wire name, uncompressed, lower-cased, with its root label; anything
    /// else finds nothing. The cost depends on the number of labels of `qname` only.
    pub fn lookup(&self, qname: &[u8], qtype: u16) -> Lookup<'_> {
        if let Some(node) = self.node(qname) {
            return self.at(node, qtype);
        }
        let Some(encloser) = self.closest_encloser(qname) else {
            return Lookup {
                zone: None,
                found: Found::OutOfZone,
            };
        };
        if let Some(referral) = self.referral(encloser) {
            return referral;
        }
        // RFC 6672 section 3.2 step 3C: a DNAME redirects what does not exist below it.
        if let Some(rrset) = encloser.dname()
            && let Some(target) = rrset.target()
        {
            let owner = encloser.name();
            let found = Found::Dname {
                rrset,
                owner,
                target,
            };
            return self.say(encloser, found);
        }
        // RFC 4592 section 3.3.1: only the wildcard directly below the closest encloser may match.
        match encloser.wildcard() {
            Some(wildcard) => self.at(self.arena.node(wildcard), qtype),
            None => self.say(encloser, Found::NxDomain),
        }
    }

    /// The RRset of exactly this owner and type, wherever it stands: static data, glue below a cut,
    /// or the NS of a cut. Wildcards do not apply.
    ///
    /// `owner` has the form that [`ZoneSet::lookup`] asks for.
    pub fn rrset(&self, owner: &[u8], rtype: u16) -> Option<RrSetRef<'_>> {
        self.node(owner)?.sets.of(rtype)
    }

    /// The answer of a node that exists, or of the wildcard that stands for the name.
    fn at<'z>(&'z self, node: NodeRef<'z>, qtype: u16) -> Lookup<'z> {
        if qtype == rtype::DS {
            // RFC 4035 section 3.1.4.1: DS belongs to the parent's side of a cut.
            if let Some(side) = node.parent_side() {
                let side = &self.parent_sides[side];
                return Lookup {
                    zone: Some(&self.zones[side.zone as usize]),
                    found: side
                        .ds
                        .as_ref()
                        .map_or(Found::NoData, |ds| Found::Answer(ds.view())),
                };
            }
            if node.is_cut() {
                let found = node.sets.of(rtype::DS);
                return self.say(node, found.map_or(Found::NoData, Found::Answer));
            }
        }
        if let Some(referral) = self.referral(node) {
            return referral;
        }
        self.say(node, node.found(qtype))
    }

    fn referral<'z>(&'z self, node: NodeRef<'z>) -> Option<Lookup<'z>> {
        let cut = self.arena.node(node.cut()?);
        let ns = cut.sets.of(rtype::NS)?;
        let cut = cut.name();
        Some(self.say(node, Found::Referral { cut, ns }))
    }

    fn say<'z>(&'z self, node: NodeRef<'z>, found: Found<'z>) -> Lookup<'z> {
        Lookup {
            zone: Some(&self.zones[node.zone as usize]),
            found,
        }
    }

    /// The longest existing name above `qname` (RFC 4592 section 3.3.1).
    pub(super) fn closest_encloser(&self, qname: &[u8]) -> Option<NodeRef<'_>> {
        // Names deeper than any name here cannot exist, so a query of 127 labels does not cost 127
        // probes.
        let mut excess = labels(qname)?.saturating_sub(self.max_labels);
        let mut rest = qname;
        loop {
            let len = usize::from(*rest.first()?);
            if len == 0 {
                return None;
            }
            rest = rest.get(1 + len..)?;
            excess = excess.saturating_sub(1);
            if excess == 0
                && let Some(node) = self.node(rest)
            {
                return Some(node);
            }
        }
    }
}

/// Number of labels without the root; `None` for bytes that are no complete name.
fn labels(name: &[u8]) -> Option<usize> {
    if name.len() > MAX_NAME {
        return None;
    }
    let (mut rest, mut count) = (name, 0);
    loop {
        let len = usize::from(*rest.first()?);
        if len == 0 {
            return Some(count);
        }
        rest = rest.get(1 + len..)?;
        count += 1;
    }
}

impl<'z> NodeRef<'z> {
    /// The outcome at this node, which is authoritative data.
    fn found(&self, qtype: u16) -> Found<'z> {
        if let Some(steered) = self.steered() {
            let decides = match qtype {
                rtype::A | rtype::AAAA => true,
                rtype::HTTPS => steered.https,
                rtype::ANY => self.sets.is_empty(),
                _ => false,
            };
            if steered.cname || decides {
                return Found::Steered { name: steered.name };
            }
        }
        if qtype == rtype::ANY {
            return if self.sets.is_empty() {
                Found::NoData
            } else {
                Found::Any(self.sets)
            };
        }
        if let Some(rrset) = self.sets.of(qtype) {
            return Found::Answer(rrset);
        }
        let Some(rrset) = self.sets.of(rtype::CNAME) else {
            return Found::NoData;
        };
        match rrset.target() {
            Some(target) => Found::Cname { rrset, target },
            None => Found::NoData,
        }
    }
}
