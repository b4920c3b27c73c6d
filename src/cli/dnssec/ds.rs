//! `tradewind dnssec ds`: what goes into the parent zone.

use std::process::ExitCode;

use data_encoding::BASE64;

use super::{Place, Signed};
use crate::app::keeper::utc;
use crate::compile::SignedZone;
use crate::dnssec::ds::{ds_rdata, ds_text};
use crate::dnssec::rollover::{DsPhase, KeyState, Terms, ZoneState, ds_wanted, forecast};

/// Prints the DS records that the parent shall have; all else is in comments, so that the output is
/// part of a zone file.
pub(super) fn ds(name: &str, place: &Place, json: bool) -> Result<(), ExitCode> {
    let signed = Signed::load(place)?;
    let zone = signed.zone(name)?;
    let state = signed.state(zone)?;
    if json {
        println!("{:#}", as_json(zone, &state));
    } else {
        print!("{}", text(zone, &state, signed.now));
    }
    Ok(())
}

/// The records that the parent shall have, and those that it shall lose.
fn as_json(zone: &SignedZone, state: &ZoneState) -> serde_json::Value {
    let record = |k: &KeyState| {
        serde_json::json!({
            "tag": k.tag(),
            "role": k.role.word(),
            "state": k.word(),
            "ds": ds_text(&ds_rdata(&zone.apex, &k.dnskey_rdata)),
        })
    };
    let leaving = state.live().filter(|k| k.ds.phase == DsPhase::Leaving);
    serde_json::json!({
        "zone": zone.apex.to_string(),
        "add": ds_wanted(state).map(record).collect::<Vec<_>>(),
        "remove": leaving.map(record).collect::<Vec<_>>(),
    })
}

fn text(zone: &SignedZone, state: &ZoneState, now: u64) -> String {
    let apex = &zone.apex;
    let mut out = String::new();
    let owner = format!("{apex}");
    let owner = match owner.ends_with('.') {
        true => owner,
        false => format!("{owner}."),
    };
    let ds = |k: &KeyState| {
        format!(
            "{owner} IN DS {}\n",
            ds_text(&ds_rdata(apex, &k.dnskey_rdata))
        )
    };
    let wanted: Vec<&KeyState> = ds_wanted(state).collect();
    for key in &wanted {
        out.push_str(&format!("; {key}, {}\n", key.word()));
        out.push_str(&ds(key));
    }
    for key in state.live().filter(|k| k.ds.phase == DsPhase::Leaving) {
        out.push_str(&format!("; remove {key} from the parent:\n; {}", ds(key)));
    }
    let early = state
        .live()
        .filter(|k| k.wanted && k.role.signs_keys() && k.ds.phase == DsPhase::Hidden);
    for key in early {
        let from = submitted_at(zone, state, key, now);
        out.push_str(&format!(
            "; {key} is not in every cache yet: give this to the parent {}\n; {}",
            match from {
                Some(at) => format!("from {} on", utc::show(at)),
                None => "once `tradewind dnssec status` says so".to_owned(),
            },
            ds(key)
        ));
    }
    if zone.policy.cds {
        for key in &wanted {
            let rdata = &key.dnskey_rdata;
            out.push_str(&format!(
                "; published: {owner} IN CDS {}\n",
                ds_text(&ds_rdata(apex, rdata))
            ));
            out.push_str(&format!(
                "; published: {owner} IN CDNSKEY {} 3 {} {}\n",
                u16::from_be_bytes([rdata[0], rdata[1]]),
                rdata[3],
                BASE64.encode(&rdata[4..])
            ));
        }
    }
    if out.is_empty() {
        out.push_str(&format!(
            "; zone `{apex}` has no key for a DS; at the parent there should be none\n"
        ));
    }
    out
}

/// When the DS of a key may go to the parent.
fn submitted_at(zone: &SignedZone, state: &ZoneState, key: &KeyState, now: u64) -> Option<u64> {
    let imported = zone.imported_terms();
    let terms = Terms {
        policy: &zone.policy,
        zone_ttl: u64::from(zone.zone_ttl.secs()),
        imported: &imported,
    };
    let ahead = forecast(state, &terms, now, now + 400 * 86_400, 100);
    ahead
        .events
        .iter()
        .find(|u| {
            u.event.tag == Some(key.tag())
                && u.event.change == crate::dnssec::rollover::Change::DsSubmitted
        })
        .map(|u| u.at)
}
