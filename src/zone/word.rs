//! One word of a master file to one value: names, times, strings, digits.

use std::str::FromStr;

use crate::dns::Rtype;
use crate::dns::name::{NameError, WireName};
use crate::dns::rtype::UnknownType;
use crate::units::Ttl;

use super::parse::ZoneProblem;
use super::scan::Token;

/// The word as a value of `T`; `what` says what was expected.
pub(super) fn parsed<T: FromStr>(word: &Token<'_>, what: &str) -> Result<T, ZoneProblem> {
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
pub(super) fn character_string(word: &Token<'_>, out: &mut Vec<u8>) -> Result<(), ZoneProblem> {
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
pub(super) fn unescape(word: &Token<'_>) -> Result<Vec<u8>, ZoneProblem> {
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
pub(super) fn hex(words: &[Token<'_>], label: &str, out: &mut Vec<u8>) -> Result<(), ZoneProblem> {
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

/// Appends the octets of base64 (RFC 4648 section 4) spread over words.
pub(super) fn base64(
    words: &[Token<'_>],
    label: &str,
    out: &mut Vec<u8>,
) -> Result<(), ZoneProblem> {
    let all: String = words.iter().map(|w| w.raw).collect();
    let first = words.first().copied();
    let octets = data_encoding::BASE64.decode(all.as_bytes()).map_err(|e| {
        first.map_or_else(
            || ZoneProblem {
                line: 1,
                column: 1,
                message: format!("the {label} is missing"),
            },
            |w| w.problem(format!("the {label} is not base64: {e}")),
        )
    })?;
    out.extend(octets);
    Ok(())
}

/// Octets as hexadecimal pairs with hyphens: `00-00-5e-00-53-2a` (RFC 7043 section 3.2).
pub(super) fn octets<const N: usize>(
    word: &Token<'_>,
    label: &str,
) -> Result<[u8; N], ZoneProblem> {
    pieces(word.raw, '-', 2, |pair| u8::from_str_radix(pair, 16).ok()).ok_or_else(|| {
        word.problem(format!(
            "`{}` is not {label}: {N} pairs of hexadecimal digits with `-` between them",
            word.raw
        ))
    })
}

/// 64 bits as four groups of four hexadecimal digits: `0014:4fff:ff20:ee64` (RFC 6742 section 2.1).
pub(super) fn groups(word: &Token<'_>, label: &str) -> Result<[u8; 8], ZoneProblem> {
    let group = |text: &str| u16::from_str_radix(text, 16).ok();
    let groups: [u16; 4] = pieces(word.raw, ':', 4, group).ok_or_else(|| {
        word.problem(format!(
            "`{}` is not {label}: 4 groups of 1 to 4 hexadecimal digits with `:` between them",
            word.raw
        ))
    })?;
    let number = groups.iter().fold(0, |n, g| n << 16 | u64::from(*g));
    Ok(number.to_be_bytes())
}

/// `text` cut at `sep` into exactly `N` pieces of at most `digits` digits.
fn pieces<T: Copy + Default, const N: usize>(
    text: &str,
    sep: char,
    digits: usize,
    read: impl Fn(&str) -> Option<T>,
) -> Option<[T; N]> {
    let mut all = [T::default(); N];
    let mut pieces = text.split(sep);
    for slot in &mut all {
        let piece = pieces.next()?;
        // The number parser of the standard library also takes a sign.
        let plain = !piece.is_empty() && piece.bytes().all(|b| b.is_ascii_hexdigit());
        *slot = read(piece).filter(|_| plain && piece.len() <= digits)?;
    }
    pieces.next().is_none().then_some(all)
}

/// The kind of a certificate (RFC 4398 section 2.1).
pub(super) fn cert_type(word: &Token<'_>) -> Result<u16, ZoneProblem> {
    const WORDS: &[(&str, u16)] = &[
        ("PKIX", 1),
        ("SPKI", 2),
        ("PGP", 3),
        ("IPKIX", 4),
        ("ISPKI", 5),
        ("IPGP", 6),
        ("ACPKIX", 7),
        ("IACPKIX", 8),
        ("URI", 253),
        ("OID", 254),
    ];
    let known = WORDS.iter().find(|(w, _)| w.eq_ignore_ascii_case(word.raw));
    known.map_or_else(
        || {
            parsed(
                word,
                "a kind of certificate: a number from 0 to 65535, PKIX, PGP, …",
            )
        },
        |(_, code)| Ok(*code),
    )
}

/// An algorithm of DNSSEC, by its word in the registry.
pub(super) fn algorithm(word: &Token<'_>) -> Result<u8, ZoneProblem> {
    const WORDS: &[(&str, u8)] = &[
        ("RSAMD5", 1),
        ("DH", 2),
        ("DSA", 3),
        ("RSASHA1", 5),
        ("DSA-NSEC3-SHA1", 6),
        ("RSASHA1-NSEC3-SHA1", 7),
        ("RSASHA256", 8),
        ("RSASHA512", 10),
        ("ECC-GOST", 12),
        ("ECDSAP256SHA256", 13),
        ("ECDSAP384SHA384", 14),
        ("ED25519", 15),
        ("ED448", 16),
        ("INDIRECT", 252),
        ("PRIVATEDNS", 253),
        ("PRIVATEOID", 254),
    ];
    let known = WORDS.iter().find(|(w, _)| w.eq_ignore_ascii_case(word.raw));
    known.map_or_else(
        || {
            parsed(
                word,
                "an algorithm: a number from 0 to 255, RSASHA256, ED25519, …",
            )
        },
        |(_, code)| Ok(*code),
    )
}

/// Record types as the windows of a bitmap (RFC 4034 section 4.1.2).
pub(super) fn bitmap(words: &[Token<'_>]) -> Result<Vec<u8>, ZoneProblem> {
    let mut codes = Vec::with_capacity(words.len());
    for word in words {
        let Rtype(code) = word
            .raw
            .parse()
            .map_err(|e: UnknownType| word.problem(e.to_string()))?;
        codes.push(code);
    }
    codes.sort_unstable();
    let mut out = Vec::new();
    for window in codes.chunk_by(|a, b| a >> 8 == b >> 8) {
        let [high, last] = window[window.len() - 1].to_be_bytes();
        let len = last / 8 + 1;
        out.extend([high, len]);
        let start = out.len();
        out.resize(start + usize::from(len), 0);
        for code in window {
            let low = usize::from(code & 0xFF);
            out[start + low / 8] |= 0x80 >> (low % 8);
        }
    }
    Ok(out)
}
