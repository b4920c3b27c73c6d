//! The text form of a zone's key states: JSON, for people and for backups.

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};

use super::utc;
use crate::dns::name::WireName;
use crate::dnssec::rollover::{Ds, DsPhase, HighWater, KeyState, Phase, Record, ZoneState};
use crate::dnssec::{Algorithm, Role};

/// The version of this form.
const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ZoneFile {
    format: u32,
    zone: String,
    zone_ttl: TtlField,
    dnskey_ttl: TtlField,
    keys: Vec<KeyField>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TtlField {
    seconds: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lowered: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyField {
    tag: u16,
    role: String,
    algorithm: u8,
    /// What the fields below add up to; for people, not read.
    #[serde(default)]
    state: String,
    imported: bool,
    wanted: bool,
    created: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    active: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retire_after: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    removed: Option<String>,
    dnskey: RecordField,
    signatures: RecordField,
    ds: RecordField,
    /// RDATA of the DNSKEY record, base64.
    dnskey_rdata: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RecordField {
    state: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    since: Option<String>,
}

/// The text of a state.
pub(super) fn write(apex: &WireName, state: &ZoneState) -> String {
    let ttl = |t: &HighWater| TtlField {
        seconds: t.ttl,
        lowered: t.lowered.map(utc::show),
    };
    let file = ZoneFile {
        format: FORMAT,
        zone: apex.to_string(),
        zone_ttl: ttl(&state.zone_ttl),
        dnskey_ttl: ttl(&state.dnskey_ttl),
        keys: state.keys.iter().map(key_field).collect(),
    };
    // Strings and numbers always serialise.
    let mut text = serde_json::to_string_pretty(&file).unwrap_or_default();
    text.push('\n');
    text
}

fn key_field(key: &KeyState) -> KeyField {
    let record = |word: &str, since: u64| RecordField {
        state: word.to_owned(),
        since: (since > 0).then(|| utc::show(since)),
    };
    KeyField {
        tag: key.tag(),
        role: key.role.word().to_owned(),
        algorithm: key.algorithm.number(),
        state: key.word().to_owned(),
        imported: key.imported,
        wanted: key.wanted,
        created: utc::show(key.created),
        active: key.active.map(utc::show),
        retire_after: (key.retire_after > 0).then(|| utc::show(key.retire_after)),
        removed: key.removed.map(utc::show),
        dnskey: record(key.dnskey.phase.word(), key.dnskey.since),
        signatures: record(key.signatures.phase.word(), key.signatures.since),
        ds: record(key.ds.phase.word(), key.ds.since),
        dnskey_rdata: BASE64.encode(&key.dnskey_rdata),
    }
}

/// Reads a state.
///
/// # Errors
/// What is wrong with the text.
pub(super) fn read(apex: &WireName, text: &str) -> Result<ZoneState, String> {
    let file: ZoneFile = serde_json::from_str(text).map_err(|e| e.to_string())?;
    if file.format != FORMAT {
        return Err(format!(
            "`format` is {}; this release reads format {FORMAT}",
            file.format
        ));
    }
    if file.zone.parse::<WireName>().as_ref() != Ok(apex) {
        return Err(format!("it is of zone `{}`", file.zone));
    }
    let keys = file.keys.iter().map(key_state);
    Ok(ZoneState {
        keys: keys.collect::<Result<_, _>>()?,
        zone_ttl: high_water(&file.zone_ttl)?,
        dnskey_ttl: high_water(&file.dnskey_ttl)?,
    })
}

fn high_water(field: &TtlField) -> Result<HighWater, String> {
    Ok(HighWater {
        ttl: field.seconds,
        lowered: field.lowered.as_deref().map(time).transpose()?,
    })
}

fn time(text: &str) -> Result<u64, String> {
    utc::parse(text).ok_or_else(|| format!("`{text}` is no time such as 2026-01-31T12:00:00Z"))
}

fn key_state(field: &KeyField) -> Result<KeyState, String> {
    let wrong = |what: &str, word: &str| format!("{what} of key {} is `{word}`", field.tag);
    let optional = |t: &Option<String>| t.as_deref().map(time).transpose();
    let since = |r: &RecordField| optional(&r.since).map(|t| t.unwrap_or(0));
    let record = |name: &str, r: &RecordField| {
        let phase = Phase::ALL.into_iter().find(|p| p.word() == r.state);
        Ok::<_, String>(Record {
            phase: phase.ok_or_else(|| wrong(name, &r.state))?,
            since: since(r)?,
        })
    };
    let ds_phase = DsPhase::ALL
        .into_iter()
        .find(|p| p.word() == field.ds.state);
    let key = KeyState {
        role: Role::from_word(&field.role).ok_or_else(|| wrong("role", &field.role))?,
        algorithm: Algorithm::from_number(field.algorithm)
            .ok_or_else(|| wrong("algorithm", &field.algorithm.to_string()))?,
        dnskey_rdata: BASE64
            .decode(field.dnskey_rdata.as_bytes())
            .map_err(|e| format!("dnskey_rdata of key {}: {e}", field.tag))?
            .into(),
        imported: field.imported,
        created: time(&field.created)?,
        wanted: field.wanted,
        active: optional(&field.active)?,
        retire_after: optional(&field.retire_after)?.unwrap_or(0),
        dnskey: record("dnskey", &field.dnskey)?,
        signatures: record("signatures", &field.signatures)?,
        ds: Ds {
            phase: ds_phase.ok_or_else(|| wrong("ds", &field.ds.state))?,
            since: since(&field.ds)?,
        },
        removed: optional(&field.removed)?,
    };
    // Guards against a hand that changed one of the two.
    if key.tag() != field.tag {
        return Err(format!(
            "key {} has the dnskey_rdata of key {}",
            field.tag,
            key.tag()
        ));
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> ZoneState {
        let mut csk = KeyState::new(
            Role::Csk,
            Algorithm::EcdsaP256,
            Box::new([1, 1, 3, 13, 7, 7]),
            1_767_225_600,
        );
        csk.active = Some(1_767_225_601);
        csk.retire_after = 1_767_225_700;
        csk.dnskey = Record {
            phase: Phase::Omnipresent,
            since: 1_767_225_602,
        };
        csk.ds = Ds {
            phase: DsPhase::Leaving,
            since: 1_767_225_603,
        };
        let mut gone = KeyState::new(Role::Zsk, Algorithm::Ed25519, Box::new([1, 0, 3, 15]), 5);
        gone.wanted = false;
        gone.removed = Some(9);
        ZoneState {
            keys: vec![csk, gone],
            zone_ttl: HighWater {
                ttl: 300,
                lowered: Some(77),
            },
            dnskey_ttl: HighWater {
                ttl: 3600,
                lowered: None,
            },
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        let apex = "gslb.example".parse().unwrap();
        let text = write(&apex, &sample());
        assert_eq!(read(&apex, &text), Ok(sample()));
        assert!(
            text.contains("\"since\": \"2026-01-01T00:00:02Z\""),
            "{text}"
        );
    }

    #[test]
    fn damage_is_told() {
        let apex: WireName = "gslb.example".parse().unwrap();
        let text = write(&apex, &sample());
        let told = |from: &str, to: &str, want: &str| {
            assert!(text.contains(from), "{from} in {text}");
            let e = read(&apex, &text.replacen(from, to, 1)).unwrap_err();
            assert!(e.contains(want), "{e}");
        };
        told(
            "\"format\": 1",
            "\"format\": 2",
            "this release reads format 1",
        );
        told(
            "gslb.example",
            "other.example",
            "it is of zone `other.example",
        );
        told("omnipresent", "everywhere", "dnskey of key");
        told("leaving", "left", "ds of key");
        told("\"csk\"", "\"master\"", "role of key");
        told("2026-01-01T00:00:00Z", "2026-02-31T00:00:00Z", "is no time");
        told("AQEDDQcH", "AQEDDQcI", "has the dnskey_rdata of key");
        told("AQEDDQcH", "AQED=QcH", "dnskey_rdata of key");
        told("\"wanted\"", "\"unwanted\"", "unwanted");
        for end in [0, 1, text.len() / 2, text.len() - 3] {
            assert!(read(&apex, &text[..end]).is_err(), "cut at {end}");
        }
    }
}
