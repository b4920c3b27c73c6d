//! From question to records: RFC 1034 section 4.3.2 over the zones, and steering where a name is
//! steered.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::dns::message::Full;
use crate::dns::name::{NameRef, is_at_or_below};
use crate::dns::{Ede, Owner, Rcode, Section, rtype};
use crate::ids::{EndpointId, NameId};
use crate::net::Family;
use crate::snapshot::View;
use crate::snapshot::drills::ScopedDrill;
use crate::steer::decision::{Picks, Standing};
use crate::steer::{Ask, Chosen, Decision, Group, LastResort, NoTrace, Steering, decide};
use crate::telemetry::DnsEvent;
use crate::time::Moment;
use crate::units::Ttl;
use crate::zone::{Found, RrSetRef, ZoneInfo};

use super::client::{Asker, who};
use super::dname::Redirect;
use super::drill::Under;
use super::guard::Guard;
use super::respond::Response;
use super::{Scratch, additional};

/// Aliases followed inside our zones; what points further is for the client to ask.
pub(super) const MAX_LINKS: usize = 8;

/// What stays the same while one question is answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resolve<'a> {
    pub(super) view: &'a View,
    pub(super) qtype: u16,
    pub(super) asker: Asker,
    pub(super) now: Moment,
    pub(super) guard: &'a Guard<'a>,
    /// The drill whose label stands before the name asked for.
    pub(super) label: Option<&'a ScopedDrill>,
}

impl Resolve<'_> {
    /// Answers `qname` (lower-cased), following aliases.
    pub(super) fn run(
        &self,
        qname: &[u8],
        scratch: &mut Scratch,
        r: &mut Response<'_, '_>,
    ) -> Result<(), Full> {
        if let Some(done) = self.under_label(qname, scratch, r) {
            return done;
        }
        self.follow(qname, Owner::Question, 0, scratch, r)
    }

    /// Answers for `at` after `links` aliases; `owner` is that name as records of the answer say it.
    pub(super) fn follow<'n>(
        &'n self,
        mut at: &'n [u8],
        mut owner: Owner<'n>,
        links: usize,
        scratch: &mut Scratch,
        r: &mut Response<'_, '_>,
    ) -> Result<(), Full> {
        let zones = &self.view.snapshot.zones;
        for link in links..=MAX_LINKS {
            let lookup = zones.lookup(at, self.qtype);
            if link == 0 && !self.guard.admits(&lookup, self.qtype) {
                r.held = true;
                return Ok(());
            }
            let Some(zone) = lookup.zone else {
                if link == 0 {
                    r.rcode = Rcode::REFUSED;
                    r.ede = Some(Ede {
                        code: Ede::NOT_AUTHORITATIVE,
                        text: "no zone here holds the name",
                    });
                }
                return Ok(());
            };
            r.authoritative = true;
            r.speaks(Some(zone))?;
            if let rtype::RRSIG
            | rtype::NSEC
            | rtype::DNSKEY
            | rtype::NSEC3PARAM
            | rtype::CDS
            | rtype::CDNSKEY = self.qtype
                && let Some(done) = self.brought_by_signing(zone, owner, at, &lookup.found, r)
            {
                return done;
            }
            match lookup.found {
                Found::Answer(rrset) => {
                    r.rrset(Section::Answer, owner, rrset, rrset.ttl)?;
                    if additional::wanted(rrset.rtype) {
                        self.additional(rrset, at, scratch, r);
                    }
                    return Ok(());
                }
                Found::Any(rrsets) => {
                    // The fewest octets: a minimal answer to ANY (RFC 8482 section 4.1).
                    return match rrsets.iter().min_by_key(RrSetRef::wire_len) {
                        Some(rrset) => r.rrset(Section::Answer, owner, rrset, rrset.ttl),
                        None => negative(zone, r),
                    };
                }
                Found::Cname { rrset, target } => {
                    r.rrset(Section::Answer, owner, rrset, rrset.ttl)?;
                    at = target.as_bytes();
                    owner = Owner::Name(at);
                }
                Found::Dname {
                    rrset,
                    owner: above,
                    target,
                } => {
                    let redirect = Redirect {
                        rrset,
                        above,
                        target,
                        link,
                    };
                    return self.redirect(at, owner, redirect, scratch, r);
                }
                Found::Steered { name } if self.qtype == rtype::HTTPS => {
                    return self.service(name, (at, owner), zone, scratch, r);
                }
                Found::Steered { name } => {
                    return self.steered(name, (at, owner), zone, scratch, r);
                }
                Found::Referral { cut, ns } => {
                    // RFC 1034 section 4.3.1: AA speaks of the first owner of the answer section.
                    r.authoritative = link > 0;
                    return self.referral(cut, ns, r);
                }
                Found::NoData => return self.nodata(zone, at, r),
                Found::NxDomain => return self.nxdomain(zone, at, r),
                Found::OutOfZone => return Ok(()),
            }
        }
        Ok(())
    }

    /// Sends the client to the servers of a delegated name.
    fn referral(
        &self,
        cut: NameRef<'_>,
        ns: RrSetRef<'_>,
        r: &mut Response<'_, '_>,
    ) -> Result<(), Full> {
        r.refer();
        // RFC 4035 section 2.2: neither the NS records of a delegation nor glue are signed.
        r.speaks(None)?;
        r.rrset(Section::Authority, Owner::Name(cut.as_bytes()), ns, ns.ttl)?;
        self.delegation(cut, r)?;
        let zones = &self.view.snapshot.zones;
        for record in ns.records() {
            let Some(target) = canonical(record.bytes) else {
                continue;
            };
            let target = target.as_bytes();
            if !is_at_or_below(target, cut.as_bytes()) {
                continue;
            }
            for kind in [rtype::A, rtype::AAAA] {
                if let Some(glue) = zones.rrset(target, kind) {
                    // RFC 9471 section 3.1: without all of this glue the client cannot go on, so
                    // what does not fit is a truncation.
                    r.rrset(Section::Additional, Owner::Name(target), glue, glue.ttl)?;
                }
            }
        }
        Ok(())
    }

    /// Answers a steered name.
    pub(super) fn steered(
        &self,
        name: NameId,
        (at, owner): (&[u8], Owner<'_>),
        zone: &ZoneInfo,
        scratch: &mut Scratch,
        r: &mut Response<'_, '_>,
    ) -> Result<(), Full> {
        let view = self.view;
        let steering = &view.snapshot.steering;
        let group = steering.group_of(name);
        let family = family(group, self.qtype);
        let who = who(view, name, self.asker);
        let under = Under::of(view, name, &who, self.label, self.now);
        let ask = Ask {
            name,
            family,
            client: who.client,
            now: self.now,
            draw: scratch.draw(steering, name, family),
        };
        let decision = decide(steering, under.live, &ask, &mut NoTrace);
        r.scope = under.scope(&who, &decision);
        if decision.chosen == Chosen::NoData {
            return self.nodata(zone, at, r);
        }
        self.chosen(name, family, &decision, owner, scratch, r)
    }

    /// Answers what was chosen for a steered name; not for [`Chosen::NoData`].
    pub(super) fn chosen(
        &self,
        name: NameId,
        family: Family,
        decision: &Decision,
        owner: Owner<'_>,
        scratch: &Scratch,
        r: &mut Response<'_, '_>,
    ) -> Result<(), Full> {
        let group = self.view.snapshot.steering.group_of(name);
        r.original_ttl(group.ttl_max);
        tell(self.view, decision, scratch, r);
        match &decision.chosen {
            Chosen::Endpoints(picks) if group.cname => self.alias(picks, owner, decision.ttl, r),
            Chosen::Endpoints(picks) => {
                self.addresses(Section::Answer, picks, family, owner, decision.ttl, r)
            }
            Chosen::LastResortCname => match &group.last_resort {
                LastResort::Cname(target) => {
                    r.name_record(owner, rtype::CNAME, decision.ttl, target.as_bytes())
                }
                _ => {
                    r.fail("the last resort has no target");
                    Ok(())
                }
            },
            Chosen::ServFail => {
                r.fail(match group.last_resort {
                    LastResort::ServFail => {
                        "no eligible endpoint is up, and the last resort is SERVFAIL"
                    }
                    // Fenced out or disabled never comes back, not even through the last resort.
                    _ => "no endpoint is eligible for this client, not even as a last resort",
                });
                Ok(())
            }
            Chosen::NoData => Ok(()),
        }
    }

    /// The addresses of the picked endpoints, one RRset.
    pub(super) fn addresses(
        &self,
        section: Section,
        picks: &Picks,
        family: Family,
        owner: Owner<'_>,
        ttl: Ttl,
        r: &mut Response<'_, '_>,
    ) -> Result<(), Full> {
        let steering = &self.view.snapshot.steering;
        match family {
            Family::V4 => {
                let data = v4(steering, picks).map(|a| a.octets());
                r.set(section, owner, rtype::A, ttl, data)
            }
            Family::V6 => {
                let data = v6(steering, picks).map(|a| a.octets());
                r.set(section, owner, rtype::AAAA, ttl, data)
            }
        }
    }

    /// The CNAME of the picked endpoint, alone (requirement E6): it is never followed, because what
    /// it points to may differ by client in another way.
    fn alias(
        &self,
        picks: &Picks,
        owner: Owner<'_>,
        ttl: Ttl,
        r: &mut Response<'_, '_>,
    ) -> Result<(), Full> {
        let endpoints = &self.view.snapshot.steering.endpoints;
        let target = picks
            .as_slice()
            .first()
            .and_then(|pick| endpoints[pick.index()].cname.as_ref());
        match target {
            Some(target) => r.name_record(owner, rtype::CNAME, ttl, target.as_bytes()),
            None => {
                r.fail("the picked endpoint has no CNAME target");
                Ok(())
            }
        }
    }
}

/// The IPv4 addresses of the picked endpoints, in answer order.
pub(super) fn v4(steering: &Steering, picks: &Picks) -> impl Iterator<Item = Ipv4Addr> + Clone {
    let address = |e: &EndpointId| steering.endpoints[e.index()].address;
    picks
        .as_slice()
        .iter()
        .filter_map(move |e| match address(e) {
            Some(IpAddr::V4(a)) => Some(a),
            _ => None,
        })
}

/// The IPv6 addresses of the picked endpoints, in answer order.
pub(super) fn v6(steering: &Steering, picks: &Picks) -> impl Iterator<Item = Ipv6Addr> + Clone {
    let address = |e: &EndpointId| steering.endpoints[e.index()].address;
    picks
        .as_slice()
        .iter()
        .filter_map(move |e| match address(e) {
            Some(IpAddr::V6(a)) => Some(a),
            _ => None,
        })
}

/// The family a question asks for. ANY gets the first that the name answers (RFC 8482); a CNAME
/// name does not care.
pub(super) fn family(group: &Group, qtype: u16) -> Family {
    match qtype {
        rtype::A => Family::V4,
        rtype::AAAA => Family::V6,
        _ => group.families.first().copied().unwrap_or(Family::V4),
    }
}

/// NODATA or NXDOMAIN: the SOA with the TTL of negative answers (RFC 2308 sections 2 and 3).
pub(super) fn negative(zone: &ZoneInfo, r: &mut Response<'_, '_>) -> Result<(), Full> {
    r.rrset(
        Section::Authority,
        Owner::Name(zone.apex.as_bytes()),
        zone.soa(),
        zone.negative_ttl,
    )
}

/// A lower-cased copy of a wire name on the stack.
pub(super) struct Canonical {
    pub(super) bytes: [u8; crate::dns::name::MAX_NAME],
    pub(super) len: usize,
}

impl Canonical {
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

pub(super) fn canonical(name: &[u8]) -> Option<Canonical> {
    let mut all = Canonical {
        bytes: [0; crate::dns::name::MAX_NAME],
        len: name.len(),
    };
    let room = all.bytes.get_mut(..name.len())?;
    room.copy_from_slice(name);
    room.make_ascii_lowercase();
    Some(all)
}

/// Counts a steered answer, and says what is unusual about it.
pub(super) fn tell(view: &View, decision: &Decision, scratch: &Scratch, r: &mut Response<'_, '_>) {
    r.ede = words(decision);
    if let Chosen::Endpoints(picks) = &decision.chosen
        && let Some(first) = picks.as_slice().first()
    {
        let (steering, settings) = (&view.snapshot.steering, &view.snapshot.settings);
        let pool = steering.endpoints[first.index()].pool;
        let region = steering.pools[pool.index()].region;
        let place = settings.regions.place(region.index());
        scratch.counters.regions.count(place);
    }
    scratch.counters.count(match decision.standing {
        Standing::Normal => DnsEvent::SteeredNormal,
        Standing::Held => DnsEvent::SteeredHeld,
        Standing::Degraded => DnsEvent::SteeredDegraded,
        Standing::LastResort => DnsEvent::SteeredLastResort,
    });
}

/// What the client's operator should know of an answer that is not the usual one (requirements F3
/// and A7). The registry of RFC 8914 has no code for it, so it is "Other" with words.
fn words(decision: &Decision) -> Option<Ede<'static>> {
    let text = match (decision.standing, decision.overridden) {
        (Standing::LastResort, _) => "last resort: no eligible endpoint is up",
        (Standing::Degraded, _) => "degraded: only reserve or incomplete pools are left",
        (Standing::Held, _) => "held: endpoints in this answer fail their checks and are kept in",
        (Standing::Normal, true) => "an operator's override takes part in this answer",
        (Standing::Normal, false) => return None,
    };
    Some(Ede {
        code: Ede::OTHER,
        text,
    })
}
