//! The fields of each record type, and their wire form.
//!
//! Types with a row in [`fields`] are read here, because a row knows which word is wrong and because
//! names and strings follow RFC 1035 section 5.1 to the letter (decimal escapes, `@`, names relative
//! to the origin, `/` and `_` in labels). All other types go through hickory-proto's text parser.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use hickory_proto::rr::{RData, RecordType};
use hickory_proto::serialize::binary::{BinEncodable, BinEncoder};

use crate::dns::name::{NameError, WireName};
use crate::units::Ttl;

use super::parse::ZoneProblem;
use super::rrset::Rdata;
use super::scan::Token;

/// What one word of the data must be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Field {
    V4,
    V6,
    /// A name; the flag says whether it may be compressed (only types of RFC 1035, RFC 3597 section 4).
    Name(bool),
    U8,
    U16,
    U32,
    /// A time in seconds or with units.
    Seconds,
    /// One character-string.
    Text,
    /// One or more character-strings.
    Texts,
    /// The tag of a CAA record (RFC 8659 section 4.1).
    Tag,
    /// Bytes to the end of the data, without a length.
    Bytes,
    /// Hexadecimal digits in all remaining words.
    Hex,
}

/// The fields of a type with their names, or `None` where hickory-proto reads it.
fn fields(rtype: RecordType) -> Option<&'static [(Field, &'static str)]> {
    use Field::*;
    Some(match rtype {
        RecordType::A => &[(V4, "address")],
        RecordType::AAAA => &[(V6, "address")],
        RecordType::NS => &[(Name(true), "name server")],
        RecordType::CNAME => &[(Name(true), "target")],
        RecordType::PTR => &[(Name(true), "target")],
        RecordType::MX => &[(U16, "preference"), (Name(true), "mail host")],
        RecordType::SOA => &[
            (Name(true), "primary server"),
            (Name(true), "mailbox"),
            (U32, "serial"),
            (Seconds, "refresh"),
            (Seconds, "retry"),
            (Seconds, "expire"),
            (Seconds, "minimum"),
        ],
        RecordType::TXT => &[(Texts, "text")],
        RecordType::HINFO => &[(Text, "CPU"), (Text, "operating system")],
        RecordType::SRV => &[
            (U16, "priority"),
            (U16, "weight"),
            (U16, "port"),
            (Name(false), "target"),
        ],
        RecordType::NAPTR => &[
            (U16, "order"),
            (U16, "preference"),
            (Text, "flags"),
            (Text, "services"),
            (Text, "regular expression"),
            (Name(false), "replacement"),
        ],
        RecordType::CAA => &[(U8, "flags"), (Tag, "tag"), (Bytes, "value")],
        RecordType::DS => &[
            (U16, "key tag"),
            (U8, "algorithm"),
            (U8, "digest type"),
            (Hex, "digest"),
        ],
        _ => return None,
    })
}

/// Reads the data of one record.
///
/// `at` is the word that names the type: the place of problems that have no word of their own.
pub(super) fn read(
    rtype: RecordType,
    at: Token<'_>,
    words: &[Token<'_>],
    origin: &WireName,
) -> Result<Rdata, ZoneProblem> {
    let row = fields(rtype);
    let rdata = if words.first().is_some_and(|w| w.raw == "\\#") {
        let named = row.is_some_and(|row| row.iter().any(|(f, _)| matches!(f, Field::Name(_))));
        if named {
            return Err(words[0].problem(format!(
                "a {rtype} record holds names, so `\\#` cannot be used; write its fields as words"
            )));
        }
        generic(words)?
    } else if let Some(row) = row {
        by_row(rtype, row, at, words, origin)?
    } else if let RecordType::Unknown(code) = rtype {
        return Err(words.first().unwrap_or(&at).problem(format!(
            "the data of TYPE{code} must be written as `\\# LENGTH HEX` (RFC 3597 section 5)"
        )));
    } else {
        by_library(rtype, at, words, origin)?
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
    rtype: RecordType,
    row: &[(Field, &str)],
    at: Token<'_>,
    words: &[Token<'_>],
    origin: &WireName,
) -> Result<Rdata, ZoneProblem> {
    let mut bytes = Vec::new();
    let mut names = Vec::new();
    let mut rest = words;
    for (field, label) in row {
        let Some((word, tail)) = rest.split_first() else {
            return Err(words.last().unwrap_or(&at).problem(format!(
                "the {label} of this {rtype} record is missing; the fields are: {}",
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
        }
        rest = tail;
    }
    if let Some(extra) = rest.first() {
        return Err(extra.problem(format!(
            "`{}` is one word too many; the fields of {rtype} are: {}",
            extra.raw,
            labels(row)
        )));
    }
    if rtype == RecordType::DS {
        digest_length(words, bytes.len() - 4)?;
    }
    Ok(Rdata {
        bytes: bytes.into(),
        names: names.into(),
    })
}

fn labels(row: &[(Field, &str)]) -> String {
    let labels: Vec<_> = row.iter().map(|(_, label)| *label).collect();
    labels.join(", ")
}

/// Reads one of the rarer types with hickory-proto.
fn by_library(
    rtype: RecordType,
    at: Token<'_>,
    words: &[Token<'_>],
    origin: &WireName,
) -> Result<Rdata, ZoneProblem> {
    let mut text = String::new();
    for (i, word) in words.iter().enumerate() {
        if i > 0 {
            text.push(' ');
        }
        // The library does not know the origin here: the target is made absolute first.
        if i == 1 && matches!(rtype, RecordType::SVCB | RecordType::HTTPS) {
            let target = name(word, origin)?;
            text.push_str(&target.to_string());
            if !text.ends_with(" .") {
                text.push('.');
            }
        } else {
            text.push_str(word.raw);
        }
    }
    let refused = |why: String| {
        words
            .first()
            .unwrap_or(&at)
            .problem(format!("this is not the data of a {rtype} record: {why}"))
    };
    let data = RData::try_from_str(rtype, &text).map_err(|e| refused(e.to_string()))?;
    let mut bytes = Vec::new();
    data.emit(&mut BinEncoder::new(&mut bytes))
        .map_err(|e| refused(e.to_string()))?;
    Ok(Rdata {
        bytes: bytes.into(),
        names: Box::default(),
    })
}

/// Data of any type: `\# LENGTH HEX…` (RFC 3597 section 5).
fn generic(words: &[Token<'_>]) -> Result<Rdata, ZoneProblem> {
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
    Ok(Rdata {
        bytes: bytes.into(),
        names: Box::default(),
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

fn parsed<T: FromStr>(word: &Token<'_>, what: &str) -> Result<T, ZoneProblem> {
    // The number parser of the standard library also takes a sign.
    (!word.raw.starts_with('+'))
        .then(|| word.raw.parse().ok())
        .flatten()
        .ok_or_else(|| word.problem(format!("`{}` is not {what}", word.raw)))
}

/// A name, relative to `origin` unless it ends in a dot.
pub(super) fn name(word: &Token<'_>, origin: &WireName) -> Result<WireName, ZoneProblem> {
    let text = word.raw;
    if text == "@" {
        return Ok(origin.clone());
    }
    if word.is_quoted() {
        return Err(word.problem(format!("{text} is a string; a name stands without quotes")));
    }
    if !text.is_ascii() {
        return Err(word.problem(format!(
            "`{text}` is not ASCII; write internationalised names in their `xn--` form"
        )));
    }
    let located = |e: NameError| word.problem(format!("{e}"));
    let own: WireName = text.parse().map_err(located)?;
    let bare = text.trim_end_matches('.');
    let backslashes = bare.len() - bare.trim_end_matches('\\').len();
    if bare.len() < text.len() && backslashes.is_multiple_of(2) {
        return Ok(own);
    }
    let mut wire = own.as_bytes().to_vec();
    wire.pop();
    wire.extend_from_slice(origin.as_bytes());
    WireName::from_wire(&wire).map_err(|_| {
        word.problem(format!(
            "`{text}.{origin}` takes {} octets on the wire; the limit is 255",
            wire.len()
        ))
    })
}

/// A time: seconds, or numbers with the units `s`, `m`, `h`, `d` and `w` (`1h30m`).
pub(super) fn seconds(word: &Token<'_>) -> Result<Ttl, ZoneProblem> {
    let text = word.raw;
    let malformed = || {
        word.problem(format!(
            "`{text}` is not a time; write seconds or units such as `300`, `5m`, `1h30m`"
        ))
    };
    let (mut total, mut number) = (0u64, None::<u64>);
    for ch in text.bytes() {
        if ch.is_ascii_digit() {
            let n = number.unwrap_or(0).saturating_mul(10);
            number = Some(n.saturating_add(u64::from(ch - b'0')));
            continue;
        }
        let unit = match ch.to_ascii_lowercase() {
            b's' => 1,
            b'm' => 60,
            b'h' => 3_600,
            b'd' => 86_400,
            b'w' => 604_800,
            _ => return Err(malformed()),
        };
        let n = number.take().ok_or_else(malformed)?;
        total = total.saturating_add(n.saturating_mul(unit));
    }
    if text.is_empty() {
        return Err(malformed());
    }
    total = total.saturating_add(number.unwrap_or(0));
    match u32::try_from(total) {
        Ok(secs) if secs <= Ttl::MAX.secs() => Ok(Ttl::from_secs(secs)),
        _ => Err(word.problem(format!(
            "`{text}` is {total} s; the limit is {} s (RFC 2181 section 8)",
            Ttl::MAX.secs()
        ))),
    }
}

/// Appends one character-string with its length (RFC 1035 section 3.3).
fn character_string(word: &Token<'_>, out: &mut Vec<u8>) -> Result<(), ZoneProblem> {
    let bytes = unescape(word)?;
    let len = u8::try_from(bytes.len()).map_err(|_| {
        word.problem(format!(
            "this string has {} octets; the limit is 255: split it into several strings",
            bytes.len()
        ))
    })?;
    out.push(len);
    out.extend(bytes);
    Ok(())
}

/// Resolves `\X` and `\DDD` (decimal, RFC 1035 section 5.1).
fn unescape(word: &Token<'_>) -> Result<Vec<u8>, ZoneProblem> {
    let bytes = word.content().as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while let Some(&b) = bytes.get(i) {
        i += 1;
        if b != b'\\' {
            out.push(b);
            continue;
        }
        match bytes.get(i) {
            Some(d) if d.is_ascii_digit() => {
                let code = bytes
                    .get(i..i + 3)
                    .and_then(|d| std::str::from_utf8(d).ok())
                    .and_then(|d| d.parse::<u8>().ok())
                    .ok_or_else(|| {
                        word.problem("`\\` and a digit must be three digits from 000 to 255")
                    })?;
                out.push(code);
                i += 3;
            }
            Some(&other) => {
                out.push(other);
                i += 1;
            }
            None => return Err(word.problem("`\\` escapes nothing here")),
        }
    }
    Ok(out)
}

/// Appends the octets of hexadecimal digits spread over words.
fn hex(words: &[Token<'_>], label: &str, out: &mut Vec<u8>) -> Result<(), ZoneProblem> {
    let mut high = None;
    for word in words {
        for ch in word.raw.chars() {
            // A digit of base 16 is below 16.
            let digit = ch.to_digit(16).ok_or_else(|| {
                word.problem(format!("`{ch}` in the {label} is not a hexadecimal digit"))
            })? as u8;
            match high.take() {
                None => high = Some(digit),
                Some(h) => out.push(h << 4 | digit),
            }
        }
    }
    match (high, words.last()) {
        (Some(_), Some(last)) => Err(last.problem(format!(
            "the {label} has an odd number of hexadecimal digits"
        ))),
        _ => Ok(()),
    }
}
