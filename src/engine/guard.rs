//! Who is answered at all, and how often: access lists, cookies and rates, applied to one message.

use std::net::{IpAddr, Ipv4Addr};

use crate::dns::{Query, edns::FullCookie, rtype};
use crate::limit::{Account, Standing};
use crate::snapshot::View;
use crate::telemetry::{DnsCounters, DnsEvent};
use crate::time::Moment;
use crate::zone::lookup::Lookup;
use crate::zone::{Found, RrSetRef};

use super::request::Refusal;
use super::{Inbound, Scratch};

/// What the sender of one message is allowed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Guard<'v> {
    view: &'v View,
    now: Moment,
    sender: IpAddr,
    /// The sender's address may be forged.
    datagram: bool,
    standing: Standing,
    /// Over the limit of queries.
    busy: bool,
    /// What the cookie says of it.
    cookie: CookieState,
}

/// What a query's cookie says of its sender.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum CookieState {
    /// There is none.
    None,
    /// It could receive one: there is a client cookie only.
    Client,
    /// It has a server cookie that is not good, perhaps no longer.
    Bad,
    /// It received ours lately at this address, so the address is not forged.
    Good,
}

/// What becomes of an answer over the limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Held {
    /// Nothing is sent.
    Drop,
    /// The client is told to come over TCP.
    Truncate,
    /// The client is given a cookie to come again with.
    Cookie,
}

/// Kinds of answers, each counted by itself, so that a victim of one kind still gets the others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Query = 1,
    Positive,
    Steered,
    NoData,
    NxDomain,
    Keys,
    Referral,
    Explanation,
    Error,
}

/// Bit of the purpose that tells the families' prefixes apart.
const IPV6: u64 = 1 << 7;

impl<'v> Guard<'v> {
    /// Looks at the sender of a message, whose address is IPv4 where it came v4-mapped.
    #[inline]
    pub(super) fn new(
        view: &'v View,
        inbound: &Inbound<'_>,
        sender: IpAddr,
        now: Moment,
    ) -> Guard<'v> {
        let rules = &view.snapshot.settings.rules;
        let mut guard = Guard {
            view,
            now,
            sender,
            datagram: inbound.transport.is_datagram(),
            standing: rules.networks.standing(sender),
            busy: false,
            cookie: CookieState::None,
        };
        if let Some(limit) = rules.queries
            && !guard.standing.exempt
            && !guard.standing.denied
        {
            let account = guard.account(Kind::Query, 0);
            guard.busy = !view.rates.take(account, limit, now);
        }
        guard
    }

    /// For answers that are sent to nobody, only to have their signatures: nothing is limited.
    pub(super) fn waived(view: &'v View, now: Moment) -> Guard<'v> {
        Guard {
            view,
            now,
            sender: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            datagram: false,
            standing: Standing {
                denied: false,
                exempt: true,
            },
            busy: false,
            cookie: CookieState::None,
        }
    }

    /// Whether the message is not even read; counted here then.
    pub(super) fn shuts_out(&self, counters: &DnsCounters) -> bool {
        let event = match self.standing.denied {
            true if self.view.snapshot.settings.rules.drop_denied => DnsEvent::DroppedAccess,
            // A stream is refused instead: its sender is real, and shall know.
            false if self.busy && self.datagram => DnsEvent::DroppedQueryRate,
            _ => return false,
        };
        counters.count(event);
        true
    }

    /// Verifies the query's cookie; returns what to send back.
    pub(super) fn meet(&mut self, query: &Query<'_>, counters: &DnsCounters) -> Option<FullCookie> {
        let cookie = query.edns?.cookie?;
        let unix = self.view.wall.unix(self.now);
        let checked = self.view.cookies.check(&cookie, self.sender, unix)?;
        let (state, event) = match (checked.valid, cookie.server.is_empty()) {
            (true, _) => (CookieState::Good, DnsEvent::CookieGood),
            (false, true) => (CookieState::Client, DnsEvent::CookieClient),
            (false, false) => (CookieState::Bad, DnsEvent::CookieBad),
        };
        self.cookie = state;
        counters.count(event);
        Some(checked.reply)
    }

    /// Why the sender's query, whatever it asks, is not looked up.
    pub(super) fn refusal(&self, query: &Query<'_>) -> Option<Refusal> {
        if self.standing.denied {
            return Some(Refusal::Access);
        }
        if self.busy {
            return Some(Refusal::Busy);
        }
        if query.asks_for_cookie() {
            // RFC 7873 section 5.4: a query without question is a question for a cookie. A bad server
            // cookie gets BADCOOKIE, a good one or none NOERROR.
            return match self.cookie {
                CookieState::None => None,
                CookieState::Bad => Some(Refusal::Cookie),
                CookieState::Client | CookieState::Good => Some(Refusal::NoQuestion),
            };
        }
        None
    }

    /// Whether a well-formed query must come again with a good cookie (RFC 7873 sections 5.2.3 and
    /// 5.2.4). Who does not use cookies at all is answered (section 5.2.1).
    pub(super) fn wants_cookie(&self) -> bool {
        self.datagram
            && matches!(self.cookie, CookieState::Client | CookieState::Bad)
            && self.view.snapshot.settings.rules.cookies.enforce
            && !self.standing.exempt
    }

    /// Whether a stream is closed after this message.
    pub(super) fn closes(&self) -> bool {
        !self.datagram && (self.busy || self.standing.denied)
    }

    /// Whether an answer with what was found for the type may be sent.
    #[inline]
    pub(super) fn admits(&self, lookup: &Lookup<'_>, qtype: u16) -> bool {
        if self.unlimited() {
            return true;
        }
        // Where data lies tells it apart, costs nothing, and is the same for all names that a wildcard
        // stands for. Names that do not exist are all one: their zone's.
        let rrset = |set: RrSetRef<'_>| set.place();
        let zone = || lookup.zone.map_or(0, |z| std::ptr::from_ref(z).addr());
        let (kind, subject) = match lookup.found {
            Found::Answer(set) | Found::Cname { rrset: set, .. } => (Kind::Positive, rrset(set)),
            Found::Any(sets) => (Kind::Positive, sets.iter().next().map_or(0, rrset)),
            Found::Steered { name } => (Kind::Steered, name.index()),
            Found::Dname { rrset: set, .. } => (Kind::Positive, rrset(set)),
            Found::Referral { ns, .. } => (Kind::Referral, rrset(ns)),
            // What signing brings is in no zone's file; a flood of absent types must not keep a
            // validator from the keys.
            Found::NoData if matches!(qtype, rtype::DNSKEY | rtype::CDS | rtype::CDNSKEY) => {
                (Kind::Keys, zone())
            }
            Found::NoData => (Kind::NoData, zone()),
            Found::NxDomain => (Kind::NxDomain, zone()),
            Found::OutOfZone => (Kind::Error, 0),
        };
        self.take(kind, subject)
    }

    /// Whether a refusal may be sent.
    pub(super) fn admits_refusal(&self) -> bool {
        self.unlimited() || self.take(Kind::Error, 0)
    }

    /// Whether an explanation may be given: one takes a hundred times the work of an answer.
    pub(super) fn admits_explanation(&self) -> bool {
        self.unlimited() || self.take(Kind::Explanation, 0)
    }

    /// What becomes of an answer that may not be sent; counted here.
    pub(super) fn hold(&self, scratch: &mut Scratch) -> Held {
        let slip = self.view.snapshot.settings.rules.slip;
        let (held, event) = if !scratch.one_of(slip) {
            (Held::Drop, DnsEvent::DroppedResponseRate)
        } else if self.cookie == CookieState::None {
            (Held::Truncate, DnsEvent::LimitedTruncated)
        } else {
            // A client that knows cookies need not come over TCP: with ours it is not limited.
            (Held::Cookie, DnsEvent::LimitedCookie)
        };
        scratch.counters.count(event);
        held
    }

    /// Over a stream and with a good cookie the sender is who it says, so no victim is sent answers that
    /// it did not ask for.
    #[inline]
    fn unlimited(&self) -> bool {
        !self.datagram || self.standing.exempt || self.cookie == CookieState::Good
    }

    #[inline]
    fn take(&self, kind: Kind, subject: usize) -> bool {
        match self.view.snapshot.settings.rules.responses {
            Some(limit) => {
                let account = self.account(kind, subject);
                self.view.rates.take(account, limit, self.now)
            }
            None => true,
        }
    }

    #[inline]
    fn account(&self, kind: Kind, subject: usize) -> Account {
        let family = if self.sender.is_ipv4() { 0 } else { IPV6 };
        Account {
            prefix: self.view.snapshot.settings.rules.prefixes.of(self.sender),
            // Places and numbers have far fewer than 56 bits.
            purpose: (subject as u64) << 8 | family | kind as u64,
        }
    }
}
