//! The fields of each record type, and their wire form.
//!
//! Types with a row in [`super::fields`] are read here, because a row knows which word is wrong and
//! because names and strings follow RFC 1035 section 5.1 to the letter (decimal escapes, `@`, names
//! relative to the origin, `/` and `_` in labels). SVCB and HTTPS go through hickory-proto's text
//! parser. Data of every type may also be written as octets (RFC 3597 section 5).

use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr};

use hickory_proto::rr::rdata::HTTPS;
use hickory_proto::rr::rdata::svcb::{SvcParamKey, SvcParamValue};
use hickory_proto::rr::{RData, RecordType};
use hickory_proto::serialize::binary::{BinEncodable, BinEncoder};

use crate::dns::Rtype;
use crate::dns::name::WireName;
use crate::dns::rtype;

use super::fields::{Field, Row, fields, labels, of_library};
use super::loc;
use super::parse::ZoneProblem;
use super::rrset::Rdata;
use super::scan::Token;
use super::wire;
use super::word::{
    algorithm, base64, bitmap, cert_type, character_string, groups, hex, name, octets, parsed,
    seconds, unescape,
};

/// Reads the data of one record.
///
/// `at` is the word that names the type: the place of problems that have no word of their own.
pub(super) fn read(
    rtype: u16,
    at: Token<'_>,
    words: &[Token<'_>],
    origin: &WireName,
) -> Result<Rdata, ZoneProblem> {
    let row = fields(rtype);
    let rdata = if words.first().is_some_and(|w| w.raw == "\\#") {
        generic(rtype, words)?
    } else if let Some(row) = row {
        by_row(rtype, row, at, words, origin)?
    } else if of_library(rtype) {
        by_library(rtype, at, words, origin)?
    } else {
        return Err(words.first().unwrap_or(&at).problem(format!(
            "the data of {} must be written as `\\# LENGTH HEX` (RFC 3597 section 5)",
            Rtype(rtype)
        )));
    };
    if rdata.bytes.len() > usize::from(u16::MAX) {
        return Err(at.problem(format!(
            "the data takes {} octets; the limit is {}",
            rdata.bytes.len(),
            u16::MAX
        )));
    }
    Ok(rdata)
}

fn by_row(
    rtype: u16,
    row: Row,
    at: Token<'_>,
    words: &[Token<'_>],
    origin: &WireName,
) -> Result<Rdata, ZoneProblem> {
    let kind = Rtype(rtype);
    let mut bytes = Vec::new();
    let mut names = Vec::new();
    let mut rest = words;
    for (field, label) in row {
        let Some((word, tail)) = rest.split_first() else {
            return Err(words.last().unwrap_or(&at).problem(format!(
                "the {label} of this {kind} record is missing; the fields are: {}",
                labels(row)
            )));
        };
        match field {
            Field::Texts => {
                for word in rest {
                    character_string(word, &mut bytes)?;
                }
                rest = &[];
                continue;
            }
            Field::Hex => {
                hex(rest, label, &mut bytes)?;
                rest = &[];
                continue;
            }
            Field::Base64 => {
                base64(rest, label, &mut bytes)?;
                rest = &[];
                continue;
            }
            Field::Types => {
                bytes.extend(bitmap(rest)?);
                rest = &[];
                continue;
            }
            Field::Location => {
                bytes.extend(loc::location(at, rest)?);
                rest = &[];
                continue;
            }
            Field::Name(compressible) => {
                let name = name(word, origin)?;
                if *compressible {
                    // Both fit: a name has at most 255 octets, and at most two stand before it.
                    names.push((bytes.len() as u16, name.as_bytes().len() as u16));
                }
                bytes.extend_from_slice(name.as_bytes());
            }
            Field::V4 => bytes.extend(parsed::<Ipv4Addr>(word, "an IPv4 address")?.octets()),
            Field::V6 => bytes.extend(parsed::<Ipv6Addr>(word, "an IPv6 address")?.octets()),
            Field::U8 => {
                bytes.push(parsed(word, &format!("a number from 0 to 255 ({label})"))?);
            }
            Field::U16 => {
                let n: u16 = parsed(word, &format!("a number from 0 to 65535 ({label})"))?;
                bytes.extend(n.to_be_bytes());
            }
            Field::U32 => {
                let n: u32 = parsed(word, &format!("a number from 0 to 4294967295 ({label})"))?;
                bytes.extend(n.to_be_bytes());
            }
            Field::CertType => bytes.extend(cert_type(word)?.to_be_bytes()),
            Field::Algorithm => bytes.push(algorithm(word)?),
            Field::Seconds => bytes.extend(seconds(word)?.secs().to_be_bytes()),
            Field::Text => character_string(word, &mut bytes)?,
            Field::Tag => {
                let tag = word.content();
                if tag.is_empty()
                    || tag.len() > 255
                    || !tag.bytes().all(|b| b.is_ascii_alphanumeric())
                {
                    return Err(word.problem(format!(
                        "`{tag}` is not a CAA tag; it has 1 to 255 letters and digits, such as `issue`"
                    )));
                }
                bytes.push(tag.len() as u8);
                bytes.extend(tag.bytes().map(|b| b.to_ascii_lowercase()));
            }
            Field::Bytes => bytes.extend(unescape(word)?),
            Field::Eui48 => bytes.extend(octets::<6>(word, label)?),
            Field::Eui64 => bytes.extend(octets::<8>(word, label)?),
            Field::Groups => bytes.extend(groups(word, label)?),
        }
        rest = tail;
    }
    if let Some(extra) = rest.first() {
        return Err(extra.problem(format!(
            "`{}` is one word too many; the fields of {kind} are: {}",
            extra.raw,
            labels(row)
        )));
    }
    if matches!(rtype, rtype::DS | rtype::DLV | rtype::TA) {
        digest_length(words, bytes.len() - 4)?;
    }
    Ok(Rdata {
        bytes: bytes.into(),
        names: names.into(),
    })
}

/// Reads one of the rarer types with hickory-proto.
fn by_library(
    rtype: u16,
    at: Token<'_>,
    words: &[Token<'_>],
    origin: &WireName,
) -> Result<Rdata, ZoneProblem> {
    let kind = Rtype(rtype);
    let mut text = String::new();
    for (i, word) in words.iter().enumerate() {
        // The library knows neither the origin nor every label that RFC 1035 allows, so it gets the
        // root in place of the target.
        match word.raw {
            _ if i == 1 => text.push('.'),
            raw if i > 1 => text.push_str(&numbered(raw)),
            raw => text.push_str(raw),
        }
        text.push(' ');
    }
    let refused = |why: String| {
        words
            .first()
            .unwrap_or(&at)
            .problem(format!("this is not the data of a {kind} record: {why}"))
    };
    let mut data =
        RData::try_from_str(RecordType::from(rtype), &text).map_err(|e| refused(e.to_string()))?;
    if let RData::SVCB(svcb) | RData::HTTPS(HTTPS(svcb)) = &mut data {
        // RFC 9460 section 2.2: any order in text, ascending on the wire, each key once.
        svcb.svc_params.sort_by_key(|(key, _)| u16::from(*key));
        for (_, value) in &mut svcb.svc_params {
            if let SvcParamValue::Mandatory(keys) = value {
                // Section 8: ascending too.
                keys.0.sort_by_key(|key| u16::from(*key));
            }
        }
        if let Some(missing) = missing(&svcb.svc_params) {
            return Err(refused(format!(
                "`mandatory` names the key `{missing}`, which is not there (RFC 9460 section 8)"
            )));
        }
        if let Some(twice) = svcb.svc_params.windows(2).find(|w| w[0].0 == w[1].0) {
            return Err(refused(format!("the key `{}` stands twice", twice[0].0)));
        }
    }
    let mut bytes = Vec::new();
    data.emit(&mut BinEncoder::new(&mut bytes))
        .map_err(|e| refused(e.to_string()))?;
    if let Some(target) = words.get(1) {
        // After the priority of two octets stands the root that was put in.
        bytes.splice(2..3, name(target, origin)?.as_bytes().iter().copied());
    }
    Ok(Rdata {
        bytes: bytes.into(),
        names: Box::default(),
    })
}

/// A parameter with its key as a number where hickory-proto does not know its name.
fn numbered(parameter: &str) -> Cow<'_, str> {
    let (name, value) = match parameter.split_once('=') {
        Some((name, _)) => (name, &parameter[name.len()..]),
        None => (parameter, ""),
    };
    match name {
        // RFC 9461 section 5, RFC 9540 section 4.
        "dohpath" => format!("key7{value}").into(),
        "ohttp" => format!("key8{value}").into(),
        _ => parameter.into(),
    }
}

/// A key that `mandatory` names and the record does not have.
fn missing(parameters: &[(SvcParamKey, SvcParamValue)]) -> Option<SvcParamKey> {
    let named = parameters.iter().filter_map(|(_, value)| match value {
        SvcParamValue::Mandatory(keys) => Some(keys.0.as_slice()),
        _ => None,
    });
    let has = |key: &SvcParamKey| parameters.iter().any(|(have, _)| have == key);
    named
        .flatten()
        .find(|key| !has(key) || **key == SvcParamKey::Mandatory)
        .copied()
}

/// Data of any type: `\# LENGTH HEX…` (RFC 3597 section 5). That of a known type must be sound, and its
/// names are known like those of other records.
fn generic(rtype: u16, words: &[Token<'_>]) -> Result<Rdata, ZoneProblem> {
    let Some(length) = words.get(1) else {
        return Err(words[0].problem("`\\#` needs the length of the data and then its hex digits"));
    };
    let expected: u16 = parsed(length, "a number from 0 to 65535 (length)")?;
    let mut bytes = Vec::new();
    if expected > 0 || words.len() > 2 {
        hex(&words[2..], "data", &mut bytes)?;
    }
    if bytes.len() != usize::from(expected) {
        return Err(length.problem(format!(
            "the length says {expected} octets, but {} follow",
            bytes.len()
        )));
    }
    let names = wire::names(rtype, &bytes).map_err(|why| {
        length.problem(format!(
            "these octets are not the data of a {} record: {why}",
            Rtype(rtype)
        ))
    })?;
    Ok(Rdata {
        bytes: bytes.into(),
        names: names.into(),
    })
}

/// RFC 4034 section 5.1.4, RFC 4509, RFC 6605: each digest type has one length.
fn digest_length(words: &[Token<'_>], have: usize) -> Result<(), ZoneProblem> {
    let need = match words[2].raw {
        "1" => 20,
        "2" => 32,
        "4" => 48,
        _ => return Ok(()),
    };
    if have == need {
        return Ok(());
    }
    Err(words[3].problem(format!(
        "a digest of type {} has {need} octets; this one has {have}",
        words[2].raw
    )))
}
