//! Tests that need the whole room: text in, lookup out.

mod bad_files;
mod lookups;
mod reading;
mod reference;
mod types;

use super::{BuildProblem, Found, ParsedZone, SteeredAt, ZoneSet, parse};
use crate::dns::name::WireName;
use crate::ids::NameId;
use hickory_proto::rr::RecordType;
use std::str::FromStr;

/// What every zone of these tests starts with.
const HEAD: &str = "$TTL 300\n@ 3600 SOA ns1 hostmaster 7 3600 600 604800 60\n@ NS ns1\n";

fn n(text: &str) -> WireName {
    text.parse().unwrap()
}

fn zone(apex: &str, records: &str) -> ParsedZone {
    parse::parse(&format!("{HEAD}{records}"), &n(apex)).unwrap()
}

fn steered(owner: &str, name: u32, cname: bool) -> SteeredAt {
    SteeredAt {
        owner: n(owner),
        name: NameId(name),
        cname,
        https: false,
    }
}

fn build(zones: &[(&str, &str)], at: &[SteeredAt]) -> Result<ZoneSet, Vec<BuildProblem>> {
    ZoneSet::build(zones.iter().map(|(a, r)| zone(a, r)).collect(), at)
}

fn set(zones: &[(&str, &str)], at: &[SteeredAt]) -> ZoneSet {
    build(zones, at).unwrap()
}

fn code(rtype: &str) -> u16 {
    RecordType::from_str(rtype).unwrap().into()
}

/// The outcome in one line: its kind, what it found, and the zone that said so.
fn ask(set: &ZoneSet, qname: &str, qtype: &str) -> String {
    show(set, &n(qname), code(qtype))
}

fn show(set: &ZoneSet, qname: &WireName, qtype: u16) -> String {
    let lookup = set.lookup(qname.as_bytes(), qtype);
    let kind = |t: u16| RecordType::from(t);
    let found = match lookup.found {
        Found::Answer(s) => format!("answer {} {}", kind(s.rtype), last_octets(s)),
        Found::Any(all) => {
            let types: Vec<_> = all.iter().map(|s| kind(s.rtype).to_string()).collect();
            format!("any {}", types.join(" "))
        }
        Found::Cname { target, .. } => format!("cname {target}"),
        Found::Dname { owner, target, .. } => format!("dname {owner} {target}"),
        Found::Steered { name } => format!("steered {}", name.0),
        Found::Referral { cut, ns } => format!("referral {cut} {}", ns.len()),
        Found::NoData => "nodata".into(),
        Found::NxDomain => "nxdomain".into(),
        Found::OutOfZone => "outside".into(),
    };
    match lookup.zone {
        Some(zone) => format!("{found} @{}", zone.apex),
        None => found,
    }
}

/// Enough of the data to tell test records apart.
fn last_octets(set: super::RrSetRef<'_>) -> String {
    let mut all: Vec<_> = set
        .records()
        .map(|r| r.bytes.last().unwrap().to_string())
        .collect();
    all.sort();
    all.join("+")
}
