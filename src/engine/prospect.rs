//! What a name answers under a supposition, as far as it does not hang on a draw.
//!
//! For those who assert something of answers: the shares come from the offers that queries are answered
//! from, and the decision is the one that a query would get.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::dns::name::{WireName, display_wire};
use crate::dns::rtype;
use crate::geo::Slot6;
use crate::ids::NameId;
use crate::net::Prefix;
use crate::snapshot::{Supposed, View};
use crate::steer::decision::Standing;
use crate::steer::partition::{Slot, Space};
use crate::steer::{Chosen, Draw, LastResort, NoTrace, Share};
use crate::time::Moment;
use crate::units::Ttl;
use crate::zone::Found;

use super::client::who;
use super::explain::{ExplainClient, Query, Told, find};

/// What may be answered.
#[derive(Clone, PartialEq, Debug)]
pub enum Answers {
    /// These endpoints, each in so many percent of the answers as the first.
    Endpoints(Vec<Share>),
    /// Static addresses.
    Addresses(Vec<IpAddr>),
    /// Other static records, so many.
    Records(usize),
    /// A CNAME that no endpoint has.
    Cname(String),
    /// SERVFAIL.
    ServFail,
    /// The name has nothing of the type.
    NoData,
    /// The name does not exist.
    NxDomain,
    /// The name is delegated to other servers.
    Delegated,
    /// No zone here holds the name.
    NotHere,
}

/// What a name answers.
#[derive(Clone, PartialEq, Debug)]
pub struct Prospect {
    /// What.
    pub answers: Answers,
    /// For how long; `None` where that is the zone's matter.
    pub ttl: Option<Ttl>,
    /// How good it is.
    pub standing: Standing,
}

/// The draw of whoever does not care for it.
const ANY: Draw = Draw { random: 0, turn: 0 };

/// What `name` answers `client` when this is known, by the snapshot of `view`. With `everybody` the client
/// stands for all of its plan: where a policy hashes clients, their shares together are given.
pub fn prospect(
    view: &View,
    supposed: &Supposed,
    (name, qtype): (&WireName, u16),
    client: ExplainClient,
    everybody: bool,
    now: Moment,
) -> Prospect {
    let Some((then, query)) = supposing(view, supposed, (name, qtype), client, now) else {
        return fixed(view, name, qtype);
    };
    let told = Told::decide(&then, &query, &mut NoTrace);
    let group = then.snapshot.steering.group_of(query.id);
    let chosen = told.each.iter().map(|(_, d)| &d.chosen);
    let families = chosen.filter(|c| matches!(c, Chosen::Endpoints(_))).count();
    let answers = match (&told.decision.chosen, &group.last_resort) {
        _ if families > 0 => {
            let mut shares = match everybody {
                true => told.offered(&then, &query),
                false => told.shares(&then, &query),
            };
            for share in &mut shares {
                share.percent /= families as f64;
            }
            Answers::Endpoints(shares)
        }
        (Chosen::LastResortCname, LastResort::Cname(target)) => Answers::Cname(target.to_string()),
        (Chosen::NoData, _) => Answers::NoData,
        _ => Answers::ServFail,
    };
    Prospect {
        ttl: (answers != Answers::NoData).then_some(told.ttl),
        answers,
        standing: told.decision.standing,
    }
}

/// The way to what [`prospect`] says, for people; empty where the name is not steered.
pub fn way(
    view: &View,
    supposed: &Supposed,
    (name, qtype): (&WireName, u16),
    client: ExplainClient,
    now: Moment,
) -> Vec<String> {
    let Some((then, _)) = supposing(view, supposed, (name, qtype), client, now) else {
        return Vec::new();
    };
    let told = super::explain(&then, name, qtype, client, ANY, now);
    told.map(|e| e.lines()).unwrap_or_default()
}

/// The view in which the question is answered; `None` where the name is not steered.
fn supposing<'v>(
    view: &View,
    supposed: &Supposed,
    (name, qtype): (&WireName, u16),
    client: ExplainClient,
    now: Moment,
) -> Option<(View, Query<'v>)> {
    let id = find(view, name.as_bytes(), qtype)?.id;
    let query = Query {
        id,
        qtype,
        asker: client.asker(),
        draw: ANY,
        now,
        label: None,
    };
    let who = who(view, id, query.asker);
    let steering = &view.snapshot.steering;
    let plan = view.live.plan(steering, id, who.client.addr);
    Some((view.supposing(supposed, (id, plan), now), query))
}

/// What the zones answer.
fn fixed(view: &View, name: &WireName, qtype: u16) -> Prospect {
    let hit = view.snapshot.zones.lookup(name.as_bytes(), qtype);
    let mut ttl = None;
    let answers = match hit.found {
        Found::Answer(rrset) => {
            ttl = Some(rrset.ttl);
            let addresses = rrset.records().map(|r| address(qtype, r.bytes));
            match addresses.collect::<Option<Vec<_>>>() {
                Some(addresses) => Answers::Addresses(addresses),
                None => Answers::Records(rrset.len()),
            }
        }
        Found::Cname { target, .. } => Answers::Cname(target.to_string()),
        Found::Dname { target, .. } => {
            let mut text = String::new();
            // Writing to a String cannot fail.
            let _ = display_wire(target.as_bytes(), &mut text);
            Answers::Cname(text)
        }
        Found::Referral { .. } => Answers::Delegated,
        Found::NxDomain => Answers::NxDomain,
        Found::OutOfZone => Answers::NotHere,
        // What is steered was found, unless by an alias that leads round in a circle.
        Found::NoData | Found::Any(_) | Found::Steered { .. } => Answers::NoData,
    };
    Prospect {
        answers,
        ttl,
        standing: Standing::Normal,
    }
}

fn address(qtype: u16, rdata: &[u8]) -> Option<IpAddr> {
    match qtype {
        rtype::A => Some(Ipv4Addr::from(<[u8; 4]>::try_from(rdata).ok()?).into()),
        rtype::AAAA => Some(Ipv6Addr::from(<[u8; 16]>::try_from(rdata).ok()?).into()),
        _ => None,
    }
}

/// The steered name that a question comes to.
pub fn steered(view: &View, name: &WireName, qtype: u16) -> Option<NameId> {
    Some(find(view, name.as_bytes(), qtype)?.id)
}

/// One client of each plan that a name has, the first in the order of addresses: what holds for all of
/// them holds for everybody.
pub fn somebody_of_each_plan(view: &View, name: NameId) -> Vec<ExplainClient> {
    let partition = &view.snapshot.steering.shape_of(name).partition;
    let Space::ByAddress { v4, v6 } = &partition.space else {
        return vec![ExplainClient {
            addr: Ipv4Addr::UNSPECIFIED.into(),
            source: None,
            resolver: None,
        }];
    };
    let mut seen = vec![false; partition.plans.len()];
    let mut found = Vec::new();
    let v4 = v4.iter().map(|(first, _, slot)| {
        let addr = IpAddr::from(Ipv4Addr::from(first));
        (addr, Slot::from(slot))
    });
    let v6 = v6.iter().filter_map(|(first, _, slot)| match slot {
        Slot6::Value(slot) => Some((IpAddr::from(Ipv6Addr::from(first)), Slot::from(slot))),
        Slot6::Embedded { .. } => None,
    });
    for (addr, slot) in v4.chain(v6) {
        // For clients in special-purpose space the resolver's address decides.
        if slot.bogon || std::mem::replace(&mut seen[slot.plan.index()], true) {
            continue;
        }
        let (_, len) = partition.lookup(addr);
        found.push(ExplainClient {
            addr: Prefix::containing(addr, len).addr(),
            source: Some(len.max(1)),
            resolver: None,
        });
    }
    found
}
