//! Steered names for both families at once: HTTPS records and additional addresses.
//!
//! One client, one draw, one generation: what is said of IPv4 and of IPv6 comes from the same pools
//! (requirement A4), and is what an A and an AAAA query with this draw would get.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::dns::message::Full;
use crate::dns::svcb::MAX_SERVICE;
use crate::dns::{Owner, Section, rtype};
use crate::ids::NameId;
use crate::net::Family;
use crate::snapshot::View;
use crate::snapshot::drills::ScopedDrill;
use crate::steer::decision::{MAX_ANSWERS, Picks, Standing};
use crate::steer::{Ask, Chosen, Decision, Draw, NoTrace, Step, Trace, decide};
use crate::time::Moment;
use crate::units::{ScopeLen, Ttl};
use crate::zone::ZoneInfo;

use super::Scratch;
use super::client::{Asker, Who, who};
use super::drill::Under;
use super::resolve::{Resolve, tell, v4, v6};
use super::respond::Response;

/// What a name answers one client in each family, by one draw. Families that the name does not
/// answer are absent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Both<'v> {
    who: Who,
    under: Under<'v>,
    /// By [`Family::index`].
    decisions: [Option<Decision>; 2],
}

impl<'v> Both<'v> {
    /// Decides for the families that the name answers, by the same draw.
    pub(super) fn decide<T: Trace>(
        view: &'v View,
        name: NameId,
        (asker, labelled): (Asker, Option<&'v ScopedDrill>),
        draw: Draw,
        now: Moment,
        trace: &mut T,
    ) -> Both<'v> {
        let steering = &view.snapshot.steering;
        let who = who(view, name, asker);
        let under = Under::of(view, name, &who, labelled, now);
        let families = &steering.group_of(name).families;
        let decisions = Family::ALL.map(|family| {
            if !families.contains(&family) {
                return None;
            }
            trace.step(|| Step::Family { family });
            let ask = Ask {
                name,
                family,
                client: who.client,
                now,
                draw,
            };
            let decision = decide(steering, under.live, &ask, trace);
            (decision.chosen != Chosen::NoData).then_some(decision)
        });
        Both {
            who,
            under,
            decisions,
        }
    }

    /// The families that are answered with endpoints.
    pub(super) fn answered(&self) -> impl Iterator<Item = (Family, &Decision, &Picks)> {
        Family::ALL.into_iter().filter_map(|family| {
            let decision = self.decisions[family.index()].as_ref()?;
            match &decision.chosen {
                Chosen::Endpoints(picks) => Some((family, decision, picks)),
                _ => None,
            }
        })
    }

    /// The decision of each family that the name answers.
    pub(super) fn each(&self) -> impl Iterator<Item = (Family, Decision)> {
        let decided = |f: Family| Some((f, self.decisions[f.index()]?));
        Family::ALL.into_iter().filter_map(decided)
    }

    fn picks(&self, family: Family) -> Picks {
        let found = self.answered().find(|(f, ..)| *f == family);
        found.map_or_else(Picks::default, |(_, _, picks)| *picks)
    }

    /// The lesser of the two standings, with the family: what is to be told of an answer for both.
    pub(super) fn lesser(&self) -> Option<(Family, &Decision)> {
        let rank = |d: &Decision| match d.standing {
            Standing::Normal => 0,
            Standing::Held => 1,
            Standing::Degraded => 2,
            Standing::LastResort => 3,
        };
        // Of equals the first, which is IPv4.
        Family::ALL
            .into_iter()
            .rev()
            .filter_map(|f| Some((f, self.decisions[f.index()].as_ref()?)))
            .max_by_key(|(_, d)| rank(d))
    }

    /// For how long both hold (requirements T1 and T2).
    pub(super) fn ttl(&self) -> Ttl {
        let ttls = self.decisions.iter().flatten().map(|d| d.ttl);
        ttls.min().unwrap_or(Ttl::ZERO)
    }

    /// For whom both hold: the longer scope lies inside the other (requirement E2).
    pub(super) fn scope(&self) -> ScopeLen {
        let scopes = self
            .decisions
            .iter()
            .flatten()
            .map(|d| self.under.scope(&self.who, d));
        scopes.max().unwrap_or(ScopeLen(0))
    }
}

impl<'a> Resolve<'a> {
    /// What `name` answers this client in both families, by the next draw.
    pub(super) fn both(&self, name: NameId, scratch: &mut Scratch) -> Both<'a> {
        let draw = scratch.draw_both(&self.view.snapshot.steering, name);
        let asked = (self.asker, self.label);
        Both::decide(self.view, name, asked, draw, self.now, &mut NoTrace)
    }

    /// Answers type HTTPS at a steered name: one record in ServiceMode whose hints are the addresses
    /// of the decision (requirement A4), and these addresses as additional data (RFC 9460 section
    /// 4.1).
    pub(super) fn service(
        &self,
        name: NameId,
        (at, owner): (&[u8], Owner<'_>),
        zone: &ZoneInfo,
        scratch: &mut Scratch,
        r: &mut Response<'_, '_>,
    ) -> Result<(), Full> {
        if self.view.snapshot.steering.group_of(name).cname {
            return self.steered(name, (at, owner), zone, scratch, r);
        }
        let both = self.both(name, scratch);
        r.scope = both.scope();
        let Some((family, lesser)) = both.lesser() else {
            return self.nodata(zone, at, r);
        };
        if both.answered().next().is_none() {
            // A CNAME or SERVFAIL: the last resort of both families is the same.
            return self.chosen(name, family, lesser, owner, scratch, r);
        }
        r.original_ttl(self.view.snapshot.steering.group_of(name).ttl_max);
        tell(self.view, lesser, scratch, r);
        self.https(name, &both, Section::Answer, owner, r)?;
        self.additional_addresses(&both, owner, r);
        Ok(())
    }

    /// Writes the HTTPS record of a steered name that gives one.
    pub(super) fn https(
        &self,
        name: NameId,
        both: &Both<'_>,
        section: Section,
        owner: Owner<'_>,
        r: &mut Response<'_, '_>,
    ) -> Result<(), Full> {
        let steering = &self.view.snapshot.steering;
        let Some(service) = &steering.names[name.index()].https else {
            return Ok(());
        };
        let mut rdata = [0; MAX_SERVICE];
        let (p4, p6) = (both.picks(Family::V4), both.picks(Family::V6));
        // In one order whatever the draw, so that one set of hints needs one signature.
        let mut a4 = [Ipv4Addr::UNSPECIFIED; MAX_ANSWERS];
        let mut a6 = [Ipv6Addr::UNSPECIFIED; MAX_ANSWERS];
        let a4 = sorted(&mut a4, v4(steering, &p4));
        let a6 = sorted(&mut a6, v6(steering, &p6));
        let len = service
            .write(a4.iter().copied(), a6.iter().copied(), &mut rdata)
            .ok_or(Full)?;
        r.set(
            section,
            owner,
            rtype::HTTPS,
            both.ttl(),
            std::iter::once(&rdata[..len]),
        )
    }

    /// Adds the addresses of both families where they fit; what stands there counts for the scope of
    /// the answer (requirement E2).
    pub(super) fn additional_addresses(
        &self,
        both: &Both<'_>,
        owner: Owner<'_>,
        r: &mut Response<'_, '_>,
    ) {
        for (family, decision, picks) in both.answered() {
            let ttl = decision.ttl;
            let stands =
                r.optional(|r| self.addresses(Section::Additional, picks, family, owner, ttl, r));
            if stands {
                r.scope = r.scope.max(both.scope());
            }
        }
    }
}

/// The addresses in ascending order, in `room`.
fn sorted<T: Ord>(room: &mut [T; MAX_ANSWERS], all: impl Iterator<Item = T>) -> &[T] {
    let mut count = 0;
    for (slot, address) in room.iter_mut().zip(all) {
        *slot = address;
        count += 1;
    }
    let found = &mut room[..count];
    found.sort_unstable();
    found
}
