//! Signatures in an answer: every RRset that is written for a signed zone is followed by its RRSIG
//! records (RFC 4035 section 3.1.1).
//!
//! The records of a set are collected as they are written; what begins another set, or ends the
//! answer, has the signatures of the one before written. So nobody who writes records needs to know
//! of signatures, except for [`Response::speaks`]: which zone the next ones are from.

use crate::dns::edns::Edns;
use crate::dns::message::Full;
use crate::dns::name::is_at_or_below;
use crate::dns::{MessageWriter, Owner, Query, Section, rtype};
use crate::dnssec::{Denial, Keep, Present, Refused, Signer, ZoneKeys, bitmap};
use crate::snapshot::View;
use crate::time::Moment;
use crate::units::Ttl;
use crate::zone::{Found, ZoneInfo};

use super::respond::Response;
use super::{Scratch, Transport};

/// What an answer is signed with.
#[derive(Debug)]
pub(super) struct Signing<'q> {
    pub(super) signer: Box<Signer>,
    view: &'q View,
    qname: &'q [u8],
    present: Present,
    datagram: bool,
    /// The DO bit: without it only what was asked for is signed.
    wanted: bool,
    compact_ok: bool,
    /// Keys of the zone whose records follow.
    zone: Option<&'q ZoneKeys>,
    /// The TTL that the signature of the next set covers, where the answer's is shorter.
    original: Option<Ttl>,
    /// What becomes of the signature of the next set, where its owner does not tell.
    keep: Option<Keep>,
    /// Only the signature of the next set is written.
    bare: bool,
    open: Option<Open<'q>>,
    refused: Option<Refused>,
}

/// The set being written.
#[derive(Clone, Copy, Debug)]
struct Open<'q> {
    zone: &'q ZoneKeys,
    section: Section,
    /// The owner is the question's name.
    asked: bool,
    rtype: u16,
    ttl: Ttl,
    keep: Option<Keep>,
}

impl<'q> Signing<'q> {
    /// For an answer to this query, where anything may have to be signed.
    pub(super) fn begin(
        view: &'q View,
        query: &Query<'_>,
        qname: &'q [u8],
        transport: Transport,
        now: Moment,
        scratch: &mut Scratch,
    ) -> Option<Signing<'q>> {
        let edns: &Edns<'_> = query.edns.as_ref()?;
        // RFC 4035 section 3.1: no RRSIG without DO "unless explicitly requested".
        let asked = query.question.is_some_and(|q| q.qtype == rtype::RRSIG);
        if view.keys.zones.is_empty() || !(edns.dnssec_ok || asked) {
            return None;
        }
        Some(Signing {
            signer: scratch.lend_signer(),
            view,
            qname,
            present: Present {
                now,
                unix: view.wall.unix(now),
            },
            datagram: transport.is_datagram(),
            wanted: edns.dnssec_ok,
            compact_ok: edns.compact_ok,
            zone: None,
            original: None,
            keep: None,
            bare: false,
            open: None,
            refused: None,
        })
    }

    /// The keys for a set: those of the zone that speaks, and in the additional section those of the
    /// zone that holds the owner with authority; glue has none (RFC 4035 section 2.2).
    fn keys_for(&self, section: Section, owner: &[u8], kind: u16) -> Option<&'q ZoneKeys> {
        let zone = if section == Section::Additional {
            let lookup = self.view.snapshot.zones.lookup(owner, kind);
            match lookup.found {
                Found::Referral { .. } => return None,
                _ if !self.wanted => return None,
                _ => self.view.keys.of(&lookup.zone?.apex)?,
            }
        } else {
            self.zone?
        };
        is_at_or_below(owner, zone.apex.as_bytes()).then_some(zone)
    }

    fn is_open(&self, section: Section, owner: &[u8], kind: u16) -> bool {
        self.open.is_some_and(|open| {
            open.section == section && open.rtype == kind && self.signer.set.owner() == owner
        })
    }

    /// Writes the signatures of the open set.
    fn close(&mut self, w: &mut MessageWriter<'_>) -> Result<(), Full> {
        let Some(open) = self.open.take() else {
            return Ok(());
        };
        let zones = &self.view.snapshot.zones;
        // Asked only for a new signature.
        let keep = |owner: &[u8]| match open.keep {
            Some(keep) => keep,
            None if open.ttl == Ttl::ZERO => Keep::No,
            None if zones.exists(owner) => Keep::Lasting,
            None => Keep::Passing,
        };
        let signed = self.signer.sign(
            &self.view.signatures,
            open.zone,
            self.present,
            self.datagram,
            keep,
        );
        if let Err(refused) = signed {
            self.refused = Some(refused);
            return Err(Full);
        }
        let mark = w.mark();
        let owner = match open.asked {
            true => Owner::Question,
            false => Owner::Name(self.signer.set.owner()),
        };
        for rrsig in self.signer.rrsigs() {
            // RFC 4034 section 3: "The TTL value of an RRSIG RR MUST match the TTL value of the
            // RRset it covers." Its signer's name must not be compressed (section 3.1.7).
            let written = w.record(open.section, owner, rtype::RRSIG, open.ttl, rrsig, &[]);
            if written.is_err() && open.section == Section::Additional {
                // RFC 4035 section 3.1.1: "the name server MAY retain the RRset while dropping the
                // RRSIG RRs".
                w.rollback(mark);
                return Ok(());
            }
            written?;
        }
        Ok(())
    }
}

impl<'q> Response<'_, 'q> {
    /// What follows in the answer and authority sections is from this zone; `None`: from no zone
    /// with authority, so that it is not signed.
    pub(super) fn speaks(&mut self, zone: Option<&ZoneInfo>) -> Result<(), Full> {
        self.close_set()?;
        if let Some(s) = &mut self.signing {
            s.zone = match zone {
                Some(zone) if s.wanted => s.view.keys.of(&zone.apex).map(|keys| &**keys),
                _ => None,
            };
            (s.original, s.keep) = (None, None);
            // RFC 9824 section 5.1: such a server "will set the Compact Answers OK EDNS header
            // flag" in responses to queries that have it.
            let compact = s.zone.is_some_and(|z| z.denial == Denial::Compact);
            self.compact_answers |= s.compact_ok && compact;
        }
        Ok(())
    }

    /// How the zone that speaks proves what is absent, where it is signed and the client wants
    /// proofs.
    pub(super) fn denial(&self) -> Option<Denial> {
        let signing = self.signing.as_ref()?;
        Some(signing.zone?.denial)
    }

    /// The signatures of the sets that follow cover this TTL where the answer's is shorter: a
    /// steered name's TTL changes with the time (a resolver counts down in the same way, RFC 4034
    /// section 3.1.4), its signature need not.
    pub(super) fn original_ttl(&mut self, ttl: Ttl) {
        if let Some(s) = &mut self.signing {
            s.original = Some(ttl);
        }
    }

    /// What becomes of the signatures of the sets that follow.
    pub(super) fn keep(&mut self, keep: Option<Keep>) {
        if let Some(s) = &mut self.signing {
            s.keep = keep;
        }
    }

    /// Has the sets that `write` writes signed by this zone whether or not the client wants
    /// signatures, and only the signatures sent.
    pub(super) fn signatures_only(
        &mut self,
        zone: &ZoneInfo,
        write: impl FnOnce(&mut Self) -> Result<(), Full>,
    ) -> Result<(), Full> {
        self.close_set()?;
        let Some(s) = &mut self.signing else {
            return Ok(());
        };
        let before = s.zone;
        s.zone = s.view.keys.of(&zone.apex).map(|keys| &**keys);
        s.bare = true;
        let written = write(self).and_then(|()| self.close_set());
        if let Some(s) = &mut self.signing {
            s.zone = before;
            s.bare = false;
        }
        written
    }

    /// The owner that a name is in this answer.
    pub(super) fn owner_of<'x>(&self, name: &'x [u8]) -> Owner<'x> {
        match &self.signing {
            Some(s) if s.qname == name => Owner::Question,
            _ => Owner::Name(name),
        }
    }

    /// Writes one record whose data ends with a bitmap of types: `fill` gives the types and what
    /// comes before the bitmap.
    pub(super) fn record_of_types(
        &mut self,
        section: Section,
        owner: Owner<'_>,
        kind: u16,
        ttl: Ttl,
        fill: impl FnOnce(&mut Vec<u16>, &mut Vec<u8>),
    ) -> Result<(), Full> {
        let (mut types, mut rdata) = match &mut self.signing {
            Some(s) => (
                std::mem::take(&mut s.signer.types),
                std::mem::take(&mut s.signer.rdata),
            ),
            None => Default::default(),
        };
        types.clear();
        rdata.clear();
        fill(&mut types, &mut rdata);
        bitmap::write(&mut types, &mut rdata);
        let written = self.record(section, owner, kind, ttl, &rdata);
        if let Some(s) = &mut self.signing {
            (s.signer.types, s.signer.rdata) = (types, rdata);
        }
        written
    }

    /// Before a record is written: ends the set before, if it is of another.
    #[inline]
    pub(super) fn before_record(
        &mut self,
        section: Section,
        owner: Owner<'_>,
        kind: u16,
    ) -> Result<(), Full> {
        let Some(s) = &mut self.signing else {
            return Ok(());
        };
        let name = match owner {
            Owner::Question => s.qname,
            Owner::Name(name) => name,
        };
        if s.is_open(section, name, kind) {
            return Ok(());
        }
        s.close(&mut self.w)
    }

    /// Whether a record of the set that begins shall itself be written.
    pub(super) fn is_bare(&self) -> bool {
        self.signing.as_ref().is_some_and(|s| s.bare)
    }

    /// After a record was written: it belongs to the open set.
    #[inline]
    pub(super) fn after_record(
        &mut self,
        section: Section,
        owner: Owner<'_>,
        kind: u16,
        (ttl, original): (Ttl, Option<Ttl>),
        rdata: &[u8],
    ) {
        let Some(s) = &mut self.signing else {
            return;
        };
        if s.open.is_none() {
            let name = match owner {
                Owner::Question => s.qname,
                Owner::Name(name) => name,
            };
            let Some(zone) = s.keys_for(section, name, kind) else {
                return;
            };
            let covered = original.or(s.original).map_or(ttl, |o| o.max(ttl));
            s.signer
                .set
                .begin(zone.apex.as_bytes(), name, kind, covered);
            s.open = Some(Open {
                zone,
                section,
                asked: owner == Owner::Question,
                rtype: kind,
                ttl,
                keep: s.keep,
            });
        }
        s.signer.set.push(rdata);
    }

    /// Writes the signatures of the set written last.
    pub(super) fn close_set(&mut self) -> Result<(), Full> {
        match &mut self.signing {
            Some(s) => s.close(&mut self.w),
            None => Ok(()),
        }
    }

    /// Forgets the set in the making, and says why signing was refused, if it was.
    pub(super) fn drop_set(&mut self) -> Option<Refused> {
        let s = self.signing.as_mut()?;
        s.open = None;
        s.refused.take()
    }

    /// Writes what is missing and gives the signer back; only [`Response::finish`] may follow.
    pub(super) fn seal(&mut self) -> Option<Box<Signer>> {
        if self.lacks || self.close_set().is_err() {
            self.overflow();
        }
        self.signing.take().map(|s| s.signer)
    }
}
