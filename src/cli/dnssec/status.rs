//! `tradewind dnssec status`: keys, their records, and the schedule.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Place, Signed};
use crate::app::keeper::utc;
use crate::compile::SignedZone;
use crate::dnssec::rollover::{
    DsPhase, Forecast, KeyState, Terms, ZoneState, awaits_parent, forecast,
};
use crate::dnssec::{Algorithm, Denial, Layout};

/// So many events of the schedule are shown.
const EVENTS: usize = 40;

/// Prints the state of one zone or all.
pub(super) fn status(
    name: Option<&str>,
    place: &Place,
    ahead: Duration,
    json: bool,
) -> Result<(), ExitCode> {
    let signed = Signed::load(place)?;
    let zones: Vec<&SignedZone> = match name {
        Some(name) => vec![signed.zone(name)?],
        None => signed.zones.iter().collect(),
    };
    let mut list = Vec::new();
    for zone in zones {
        let state = signed.state(zone)?;
        if json {
            list.push(as_json(zone, &state, signed.now, ahead));
        } else {
            print!("{}", text(zone, &state, signed.now, ahead));
        }
    }
    if json {
        println!("{:#}", json!({ "zones": list }));
    } else if signed.zones.is_empty() {
        println!("no zone of the configuration is signed");
    }
    Ok(())
}

fn algorithm(a: Algorithm) -> &'static str {
    match a {
        Algorithm::RsaSha256 => "rsa-sha256",
        Algorithm::EcdsaP256 => "ecdsa-p256",
        Algorithm::Ed25519 => "ed25519",
    }
}

fn ahead_of(zone: &SignedZone, state: &ZoneState, now: u64, ahead: Duration) -> Forecast {
    let imported = zone.imported_terms();
    let terms = Terms {
        policy: &zone.policy,
        zone_ttl: u64::from(zone.zone_ttl.secs()),
        imported: &imported,
    };
    forecast(state, &terms, now, now + ahead.as_secs(), 10 * EVENTS)
}

/// Since when a key is what its word says: the youngest of its records.
fn since(key: &KeyState) -> u64 {
    let records = [key.dnskey.since, key.signatures.since, key.ds.since];
    let youngest = records.into_iter().max().unwrap_or(0);
    key.removed.unwrap_or(youngest.max(key.created))
}

/// What the parent is to do, in words.
fn awaited(zone: &SignedZone, state: &ZoneState) -> Vec<String> {
    if !awaits_parent(state) {
        return Vec::new();
    }
    let mut lines = Vec::new();
    for key in state.live() {
        match key.ds.phase {
            DsPhase::Submitted => lines.push(format!("add the DS of {key}")),
            DsPhase::Leaving => lines.push(format!("remove the DS of {key}")),
            _ => {}
        }
    }
    let then = match zone.policy.parent_check.is_empty() {
        true => format!("then say `tradewind dnssec ds-seen {}`", zone.apex),
        false => "the node sees it by itself (`parent-check`)".to_owned(),
    };
    lines.push(then);
    lines
}

/// The state for a person.
pub(super) fn text(zone: &SignedZone, state: &ZoneState, now: u64, ahead: Duration) -> String {
    let policy = &zone.policy;
    let keys = match policy.layout {
        Layout::Csk => "one CSK",
        Layout::KskZsk => "KSK and ZSK",
        Layout::Insecure => "on its way to unsigned",
    };
    let mut out = format!("zone {}: policy {} ({keys})\n", zone.apex, policy.name);
    let _ = writeln!(
        out,
        "  {:<10} {:<11} {:<10} {:<21} {:<12} {:<12} ds",
        "key", "algorithm", "state", "since", "dnskey", "signatures"
    );
    for key in &state.keys {
        let shown = |word: &'static str, applies: bool| if applies { word } else { "-" };
        let _ = writeln!(
            out,
            "  {:<10} {:<11} {:<10} {:<21} {:<12} {:<12} {}",
            key.to_string(),
            algorithm(key.algorithm),
            key.word(),
            utc::show(since(key)),
            key.dnskey.phase.word(),
            shown(key.signatures.phase.word(), key.role.signs_zone()),
            shown(key.ds.phase.word(), key.role.signs_keys()),
        );
    }
    let awaited = awaited(zone, state);
    if !awaited.is_empty() {
        let _ = writeln!(out, "  awaited of the parent: {}", awaited.join("; "));
    }
    let schedule = ahead_of(zone, state, now, ahead);
    let mut shown = schedule
        .events
        .iter()
        .filter(|u| u.event.change.is_milestone())
        .peekable();
    match shown.peek() {
        None => {
            let _ = writeln!(out, "  next: nothing in {} days", ahead.as_secs() / 86_400);
        }
        Some(_) => {
            let _ = writeln!(out, "  next:");
        }
    }
    for upcoming in shown.take(EVENTS) {
        let _ = writeln!(
            out,
            "    {}  {}{}",
            utc::show(upcoming.at),
            upcoming.event,
            match upcoming.if_parent_acts {
                true => " (if the parent acts at once)",
                false => "",
            }
        );
    }
    out
}

fn as_json(zone: &SignedZone, state: &ZoneState, now: u64, ahead: Duration) -> Value {
    let record = |word: &str, since: u64| json!({ "state": word, "since": (since > 0).then(|| utc::show(since)) });
    let keys: Vec<Value> = state
        .keys
        .iter()
        .map(|k| {
            json!({
                "tag": k.tag(),
                "role": k.role.word(),
                "algorithm": k.algorithm.number(),
                "state": k.word(),
                "since": utc::show(since(k)),
                "imported": k.imported,
                "wanted": k.wanted,
                "created": utc::show(k.created),
                "dnskey": record(k.dnskey.phase.word(), k.dnskey.since),
                "signatures": record(k.signatures.phase.word(), k.signatures.since),
                "ds": record(k.ds.phase.word(), k.ds.since),
            })
        })
        .collect();
    let events: Vec<Value> = ahead_of(zone, state, now, ahead)
        .events
        .iter()
        .map(|u| {
            json!({
                "at": utc::show(u.at),
                "key": u.event.tag,
                "role": u.event.role.word(),
                "what": u.event.to_string(),
                "if_parent_acts": u.if_parent_acts,
            })
        })
        .collect();
    json!({
        "zone": zone.apex.to_string(),
        "policy": *zone.policy.name,
        "denial": match zone.policy.denial {
            Denial::Compact => "compact",
            Denial::Nsec3 => "nsec3",
        },
        "awaits_parent": awaits_parent(state),
        "keys": keys,
        "schedule": events,
    })
}
