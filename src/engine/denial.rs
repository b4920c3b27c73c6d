//! Proofs of what does not exist, in the answers of signed zones.
//!
//! Every name that is answered, be it a wildcard's or a steered one, is signed as if it stood in the
//! zone by itself (RFC 9824 section 3.3), so a proof speaks of the asked name only and covers nothing
//! else: compact denial with NSEC (RFC 9824), or NSEC3 white lies (RFC 7129 appendix B).

use crate::dns::message::Full;
use crate::dns::name::NameRef;
use crate::dns::{Owner, Rcode, Section, rtype};
use crate::dnssec::labels::{StackName, successor};
use crate::dnssec::nsec3::{OwnerHash, PARAM};
use crate::dnssec::{Denial, Keep, ZoneKeys};
use crate::net::Family;
use crate::zone::{Found, Presence, RrSetRef, ZoneInfo};

use super::drill;
use super::resolve::{Resolve, negative};
use super::respond::Response;

/// A lower-cased name that does not fit NSEC3.
const TOO_LONG: &str = "the zone's name leaves no room for NSEC3 owners";

impl Resolve<'_> {
    /// NODATA at a name that exists, or for which a wildcard stands.
    pub(super) fn nodata(
        &self,
        zone: &ZoneInfo,
        name: &[u8],
        r: &mut Response<'_, '_>,
    ) -> Result<(), Full> {
        negative(zone, r)?;
        let Some(denial) = r.denial() else {
            return Ok(());
        };
        self.prove(zone, name, denial, r, |types| {
            self.types_at(name, types);
            // Steering answers less than it could where a member lacks a family.
            types.retain(|t| *t != self.qtype);
        })
    }

    /// NODATA at a name that has exactly these types.
    pub(super) fn absent_type(
        &self,
        zone: &ZoneInfo,
        name: &[u8],
        has: &[u16],
        r: &mut Response<'_, '_>,
    ) -> Result<(), Full> {
        negative(zone, r)?;
        let Some(denial) = r.denial() else {
            return Ok(());
        };
        self.prove(zone, name, denial, r, |types| types.extend(has))
    }

    /// NXDOMAIN.
    pub(super) fn nxdomain(
        &self,
        zone: &ZoneInfo,
        name: &[u8],
        r: &mut Response<'_, '_>,
    ) -> Result<(), Full> {
        // RFC 6604 section 3: the code is that of the last name of a chain.
        r.rcode = Rcode::NX_DOMAIN;
        negative(zone, r)?;
        match r.denial() {
            None => Ok(()),
            Some(Denial::Compact) => {
                if !r.compact_answers {
                    // RFC 9824 section 3.1: "a NODATA response (response code NOERROR, empty Answer
                    // section)"; section 5.1: NXDOMAIN for those who set CO.
                    r.rcode = Rcode::NO_ERROR;
                    r.nxname = true;
                }
                self.nsec(zone, name, Section::Authority, r, |types| {
                    types.push(rtype::NXNAME);
                })
            }
            Some(Denial::Nsec3) => self.closest_encloser_proof(zone, name, r),
        }
    }

    /// The DS records of a delegation, or the proof that there are none (RFC 4035 section 3.1.4).
    pub(super) fn delegation(
        &self,
        cut: NameRef<'_>,
        r: &mut Response<'_, '_>,
    ) -> Result<(), Full> {
        if r.signing.is_none() {
            return Ok(());
        }
        let cut = cut.as_bytes();
        let lookup = self.view.snapshot.zones.lookup(cut, rtype::DS);
        let Some(zone) = lookup.zone else {
            return Ok(());
        };
        r.speaks(Some(zone))?;
        if let Some(denial) = r.denial() {
            match lookup.found {
                Found::Answer(ds) => {
                    r.rrset(Section::Authority, Owner::Name(cut), ds, ds.ttl)?;
                }
                _ => self.prove(zone, cut, denial, r, |types| types.push(rtype::NS))?,
            }
        }
        r.speaks(None)
    }

    /// Answers the types that signing brings with it: DNSKEY, CDS, CDNSKEY and NSEC3PARAM at the
    /// apex, NSEC and RRSIG anywhere. `None`: as any other type.
    pub(super) fn brought_by_signing(
        &self,
        zone: &ZoneInfo,
        owner: Owner<'_>,
        name: &[u8],
        found: &Found<'_>,
        r: &mut Response<'_, '_>,
    ) -> Option<Result<(), Full>> {
        let qtype = self.qtype;
        // RFC 6672 section 3.2: a DNAME redirects every type.
        if matches!(
            found,
            Found::Referral { .. } | Found::OutOfZone | Found::Dname { .. }
        ) {
            return None;
        }
        let keys = self.view.keys.of(&zone.apex)?;
        let exists = *found != Found::NxDomain;
        let compact = keys.denial == Denial::Compact;
        let fill = |types: &mut Vec<u16>| match exists {
            true => self.types_at(name, types),
            false => types.push(rtype::NXNAME),
        };
        match qtype {
            rtype::NSEC if compact => Some(self.nsec(zone, name, Section::Answer, r, fill)),
            // RFC 8482 section 7 lets a server answer RRSIG as it answers ANY: with a few of them.
            rtype::RRSIG if compact && r.signing.is_some() => {
                Some(r.signatures_only(zone, |r| self.nsec(zone, name, Section::Answer, r, fill)))
            }
            rtype::RRSIG if r.signing.is_some() => {
                let zones = &self.view.snapshot.zones;
                let Found::Any(sets) = zones.lookup(name, rtype::ANY).found else {
                    return None;
                };
                let set = sets.iter().min_by_key(RrSetRef::wire_len)?;
                Some(r.signatures_only(zone, |r| r.rrset(Section::Answer, owner, set, set.ttl)))
            }
            _ if name != zone.apex.as_bytes() => None,
            rtype::NSEC3PARAM if !compact => {
                let ttl = keys.ttl;
                Some(r.record(Section::Answer, owner, qtype, ttl, &PARAM))
            }
            _ => {
                let set = published(keys, qtype);
                if set.is_empty() {
                    return None;
                }
                let mut all = set.iter();
                Some(all.try_for_each(|d| r.record(Section::Answer, owner, qtype, keys.ttl, d)))
            }
        }
    }

    /// Collects the types that stand at a name.
    fn types_at(&self, name: &[u8], types: &mut Vec<u16>) {
        if let Some((_, steered)) = drill::labelled(self.view, name) {
            // Nothing but what steering answers under the drill.
            if let Some(at) = self.view.snapshot.zones.presence(steered) {
                self.steered_types(&at, types);
            }
            return;
        }
        let Some(at) = self.view.snapshot.zones.presence(name) else {
            return;
        };
        if self.qtype == rtype::DS && (at.is_cut || at.has_parent_side) {
            // The zone above speaks, and of this name it has only the delegation.
            types.push(rtype::NS);
            return;
        }
        types.extend(at.sets.iter().map(|set| set.rtype));
        self.steered_types(&at, types);
        if at.is_apex
            && let Some(keys) = self
                .view
                .snapshot
                .zones
                .lookup(name, rtype::SOA)
                .zone
                .and_then(|zone| self.view.keys.of(&zone.apex))
        {
            let kinds = [rtype::DNSKEY, rtype::CDS, rtype::CDNSKEY];
            types.extend(kinds.iter().filter(|t| !published(keys, **t).is_empty()));
            if keys.denial == Denial::Nsec3 {
                types.push(rtype::NSEC3PARAM);
            }
        }
    }

    /// The types that steering answers.
    fn steered_types(&self, at: &Presence<'_>, types: &mut Vec<u16>) {
        match at.steered {
            Some(steered) if steered.cname => types.push(rtype::CNAME),
            Some(steered) => {
                if steered.https {
                    types.push(rtype::HTTPS);
                }
                let group = self.view.snapshot.steering.group_of(steered.name);
                types.extend(group.families.iter().map(|f| match f {
                    Family::V4 => rtype::A,
                    Family::V6 => rtype::AAAA,
                }));
            }
            None => {}
        }
    }

    /// Writes the one record that says which types stand at `name`.
    fn prove(
        &self,
        zone: &ZoneInfo,
        name: &[u8],
        denial: Denial,
        r: &mut Response<'_, '_>,
        fill: impl FnOnce(&mut Vec<u16>),
    ) -> Result<(), Full> {
        match denial {
            Denial::Compact => self.nsec(zone, name, Section::Authority, r, fill),
            Denial::Nsec3 => {
                let Some(hash) = OwnerHash::of(name) else {
                    r.fail(TOO_LONG);
                    return Ok(());
                };
                let keep = match self.view.snapshot.zones.exists(name) {
                    true => Keep::Lasting,
                    false => Keep::Passing,
                };
                self.nsec3(zone, (hash, hash.next()), keep, r, |types| {
                    fill(types);
                    with_rrsig(types);
                })
            }
        }
    }

    /// NSEC at `name` up to its immediate successor (RFC 9824 sections 3.1 and 3.2).
    fn nsec(
        &self,
        zone: &ZoneInfo,
        name: &[u8],
        section: Section,
        r: &mut Response<'_, '_>,
        fill: impl FnOnce(&mut Vec<u16>),
    ) -> Result<(), Full> {
        let next = successor(name, zone.apex.as_bytes());
        let owner = r.owner_of(name);
        r.record_of_types(
            section,
            owner,
            rtype::NSEC,
            zone.negative_ttl,
            |types, rdata| {
                fill(types);
                types.extend([rtype::RRSIG, rtype::NSEC]);
                rdata.extend(next.as_bytes());
            },
        )
    }

    /// One NSEC3 record (RFC 5155 section 3).
    fn nsec3(
        &self,
        zone: &ZoneInfo,
        (from, to): (OwnerHash, OwnerHash),
        keep: Keep,
        r: &mut Response<'_, '_>,
        fill: impl FnOnce(&mut Vec<u16>),
    ) -> Result<(), Full> {
        let Some(owner) = from.owner(zone.apex.as_bytes()) else {
            r.fail(TOO_LONG);
            return Ok(());
        };
        r.close_set()?;
        r.keep(Some(keep));
        let (section, owner) = (Section::Authority, Owner::Name(owner.as_bytes()));
        r.record_of_types(
            section,
            owner,
            rtype::NSEC3,
            zone.negative_ttl,
            |types, rdata| {
                fill(types);
                OwnerHash::write_rdata(to, rdata);
            },
        )?;
        r.close_set()?;
        r.keep(None);
        Ok(())
    }

    /// RFC 5155 section 7.2.2: a record that matches the closest encloser, one that covers the next
    /// closer name, one that covers the wildcard at the closest encloser.
    fn closest_encloser_proof(
        &self,
        zone: &ZoneInfo,
        name: &[u8],
        r: &mut Response<'_, '_>,
    ) -> Result<(), Full> {
        let Some(encloser) = self.view.snapshot.zones.encloser(name) else {
            return Ok(());
        };
        // A name with a drill's label exists as long as the drill runs: no proof may deny it.
        let encloser = drill::above(self.view, name).unwrap_or(encloser.as_bytes());
        let next_closer = above(name, encloser);
        let wildcard = StackName::join(b"*", encloser);
        let matched = OwnerHash::of(encloser);
        let covered = OwnerHash::of(next_closer);
        let wild = wildcard.as_ref().and_then(|w| OwnerHash::of(w.as_bytes()));
        let (Some(matched), Some(covered)) = (matched, covered) else {
            r.fail(TOO_LONG);
            return Ok(());
        };
        self.nsec3(zone, (matched, matched.next()), Keep::Lasting, r, |types| {
            self.types_at(encloser, types);
            with_rrsig(types);
        })?;
        // Covering is "between": one hash before to one behind.
        let around = |h: OwnerHash| (h.before(), h.next());
        self.nsec3(zone, around(covered), Keep::Passing, r, |_| {})?;
        match wild {
            // A question for the wildcard itself.
            Some(wild) if wild == covered => Ok(()),
            Some(wild) => self.nsec3(zone, around(wild), Keep::Lasting, r, |_| {}),
            // A wildcard that is too long for a name cannot exist.
            None => Ok(()),
        }
    }
}

/// RDATA of the sets that a zone's keys publish at the apex.
fn published(keys: &ZoneKeys, kind: u16) -> &[Box<[u8]>] {
    match kind {
        rtype::DNSKEY => &keys.dnskey,
        rtype::CDS => &keys.cds,
        rtype::CDNSKEY => &keys.cdnskey,
        _ => &[],
    }
}

/// RFC 5155 section 7.1: the RRSIG bit is set where something is signed, which the NS records of a
/// delegation are not.
fn with_rrsig(types: &mut Vec<u16>) {
    if !types.is_empty() && *types != [rtype::NS] {
        types.push(rtype::RRSIG);
    }
}

/// The name one label longer than `encloser`, on the way to `name`, which lies below it.
fn above<'n>(name: &'n [u8], encloser: &[u8]) -> &'n [u8] {
    let mut rest = name;
    loop {
        let below = &rest[1 + usize::from(rest[0])..];
        if below.len() <= encloser.len() {
            return rest;
        }
        rest = below;
    }
}
