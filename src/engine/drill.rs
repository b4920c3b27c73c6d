//! Drills with a scope: clients in a canary network, and names with a drill's label in front, are
//! answered as if the drill were on for everybody; nobody else notices.
//!
//! The scope of an answer (requirements E2, E3): clients inside and outside a canary network may be
//! answered otherwise, so no scope holds some of both, unless what the name answers is the same under
//! the drill for all of them.

use crate::dns::message::Full;
use crate::dns::{Owner, rtype};
use crate::ids::NameId;
use crate::net::Prefix;
use crate::overrides::Reach;
use crate::snapshot::View;
use crate::snapshot::drills::ScopedDrill;
use crate::steer::{Chosen, Client, ClientSource, Decision, Live};
use crate::time::Moment;
use crate::units::ScopeLen;
use crate::zone::{Found, ZoneInfo};

use super::Scratch;
use super::client::{Who, Why};
use super::resolve::Resolve;
use super::respond::Response;

/// What a client is answered from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Under<'v> {
    /// What each plan offers to it.
    pub(super) live: &'v Live,
    /// The drill, where it is not what everybody gets.
    pub(super) drill: Option<&'v ScopedDrill>,
    /// The answer holds for no wider network than of so many bits.
    narrow: u8,
}

impl<'v> Under<'v> {
    /// For who asks for `name`; `labelled`: by the label of this drill.
    #[inline]
    pub(super) fn of(
        view: &'v View,
        name: NameId,
        who: &Who,
        labelled: Option<&'v ScopedDrill>,
        now: Moment,
    ) -> Under<'v> {
        let everybody = Under {
            live: &view.live,
            drill: None,
            narrow: 0,
        };
        if view.scoped.is_empty() {
            return everybody;
        }
        match labelled {
            Some(drill) => Under {
                live: &drill.live,
                drill: Some(drill),
                ..everybody
            },
            None => canaries(everybody, view, name, who, now),
        }
    }

    /// The scope to send back with a decision.
    #[inline]
    pub(super) fn scope(&self, who: &Who, decision: &Decision) -> ScopeLen {
        let scope = who.scope(decision);
        if self.narrow == 0 || who.why != Why::Ecs || decision.chosen == Chosen::NoData {
            return scope;
        }
        ScopeLen(scope.0.max(self.narrow))
    }
}

/// Looks whether a canary network has the client in it, or near.
#[cold]
fn canaries<'v>(
    mut under: Under<'v>,
    view: &'v View,
    name: NameId,
    who: &Who,
    now: Moment,
) -> Under<'v> {
    let steering = &view.snapshot.steering;
    let Client { addr, source } = who.client;
    let plan = view.live.plan(steering, name, addr);
    for drill in &view.scoped {
        let Reach::Canary(canary) = drill.reach else {
            continue;
        };
        if canary.family() != Prefix::containing(addr, 0).family()
            || drill.ends <= now
            || drill.live.answers_alike(&view.live, steering, name, plan)
        {
            continue;
        }
        let whole = is_whole(source, canary);
        let narrow = match canary.contains(addr) {
            true if whole && under.drill.is_none() => {
                under.live = &drill.live;
                under.drill = Some(drill);
                canary.len()
            }
            true => canary.len(),
            false => common(canary, Prefix::containing(addr, u8::MAX)) + 1,
        };
        under.narrow = under.narrow.max(narrow);
    }
    under
}

/// Whether all of the client's network is meant by a canary that holds its address. Of a wider one only a
/// part is, and it is answered as before.
fn is_whole(source: ClientSource, canary: Prefix) -> bool {
    match source {
        ClientSource::Ecs(len) => len >= canary.len(),
        ClientSource::Resolver | ClientSource::ResolverForBogon(_) => true,
    }
}

/// The drill whose canary the client is of, also where it changes nothing of what the client is answered
/// now: it would as soon as something else changes.
pub(super) fn concerning<'v>(view: &'v View, who: &Who, now: Moment) -> Option<&'v ScopedDrill> {
    let Client { addr, source } = who.client;
    let family = Prefix::containing(addr, 0).family();
    view.scoped.iter().find(|drill| match drill.reach {
        Reach::Canary(canary) => {
            canary.family() == family
                && drill.ends > now
                && canary.contains(addr)
                && is_whole(source, canary)
        }
        Reach::Everybody | Reach::Label => false,
    })
}

/// How many leading bits two prefixes of one family share.
fn common(a: Prefix, b: Prefix) -> u8 {
    let most = a.len().min(b.len());
    let same = |len: &u8| Prefix::containing(a.addr(), *len) == Prefix::containing(b.addr(), *len);
    (0..=most).rev().find(same).unwrap_or(0)
}

/// The drill whose label stands before a steered name, with that name.
#[inline]
pub(super) fn labelled<'v, 'n>(
    view: &'v View,
    name: &'n [u8],
) -> Option<(&'v ScopedDrill, &'n [u8])> {
    if view.scoped.is_empty() {
        return None;
    }
    let (drill, rest) = view
        .scoped
        .iter()
        .find_map(|drill| Some((drill, drill.strip(name)?)))?;
    let zones = &view.snapshot.zones;
    let steered = [rtype::A, rtype::AAAA].iter().any(|t| {
        let found = zones.lookup(rest, *t).found;
        matches!(found, Found::Steered { .. })
    });
    steered.then_some((drill, rest))
}

/// The part of `name` that begins with a drill's label before a steered name; `name` itself has more
/// labels before that.
pub(super) fn above<'n>(view: &View, name: &'n [u8]) -> Option<&'n [u8]> {
    if view.scoped.is_empty() {
        return None;
    }
    let mut rest = name;
    while let Some((&len, tail)) = rest.split_first() {
        if len == 0 {
            return None;
        }
        rest = tail.get(usize::from(len)..)?;
        if labelled(view, rest).is_some() {
            return Some(rest);
        }
    }
    None
}

impl Resolve<'_> {
    /// Answers a name with a drill's label in front; `None`: it is none. What stands there is what the
    /// steered name answers by steering, under the drill, and nothing else.
    #[inline]
    pub(super) fn under_label(
        &self,
        qname: &[u8],
        scratch: &mut Scratch,
        r: &mut Response<'_, '_>,
    ) -> Option<Result<(), Full>> {
        let (drill, name) = labelled(self.view, qname)?;
        let this = Resolve {
            label: Some(drill),
            ..*self
        };
        Some(this.labelled(qname, name, scratch, r))
    }

    #[cold]
    fn labelled(
        &self,
        qname: &[u8],
        name: &[u8],
        scratch: &mut Scratch,
        r: &mut Response<'_, '_>,
    ) -> Result<(), Full> {
        let zones = &self.view.snapshot.zones;
        let steered = match self.qtype {
            // What the zone above has of a delegated name is not there at this one.
            rtype::DS | rtype::SOA | rtype::NS => rtype::A,
            other => other,
        };
        let lookup = zones.lookup(name, steered);
        if !self.guard.admits(&lookup, self.qtype) {
            r.held = true;
            return Ok(());
        }
        let Some(zone) = lookup.zone else {
            return Ok(());
        };
        r.authoritative = true;
        r.speaks(Some(zone))?;
        if let rtype::NSEC | rtype::RRSIG = self.qtype {
            let owner = Owner::Question;
            let steered = zones.lookup(name, rtype::A).found;
            if let Some(done) = self.brought_by_signing(zone, owner, qname, &steered, r) {
                return done;
            }
        }
        self.answer_labelled((qname, name), &lookup.found, zone, scratch, r)
    }

    fn answer_labelled(
        &self,
        (qname, name): (&[u8], &[u8]),
        found: &Found<'_>,
        zone: &ZoneInfo,
        scratch: &mut Scratch,
        r: &mut Response<'_, '_>,
    ) -> Result<(), Full> {
        let place = (qname, Owner::Question);
        let any = || match self.view.snapshot.zones.lookup(name, rtype::A).found {
            Found::Steered { name } => Some(name),
            _ => None,
        };
        match (found, self.qtype) {
            (_, rtype::DS | rtype::SOA | rtype::NS) => self.nodata(zone, qname, r),
            (Found::Steered { name }, rtype::HTTPS) => self.service(*name, place, zone, scratch, r),
            (Found::Steered { name }, _) => self.steered(*name, place, zone, scratch, r),
            (_, rtype::ANY) => match any() {
                Some(name) => self.steered(name, place, zone, scratch, r),
                None => self.nodata(zone, qname, r),
            },
            _ => self.nodata(zone, qname, r),
        }
    }
}
