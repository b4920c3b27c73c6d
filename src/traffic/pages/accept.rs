//! `Accept` (RFC 9110 section 12.5.1).

use crate::message::{Fields, Known};

/// How much a client likes a media type, in thousandths: 0 not at all, 1000 most. Without `Accept`
/// everything is 1000.
pub fn quality(request: &Fields, media: &str) -> u16 {
    if !request.has(Known::Accept) {
        return 1000;
    }
    let essence = media.split(';').next().unwrap_or_default().trim();
    let mut best = (0, 0);
    for member in request.members(Known::Accept) {
        let mut parts = member.split(|b| *b == b';').map(<[u8]>::trim_ascii);
        let range = parts.next().unwrap_or_default();
        // The most specific range decides.
        let Some(precision) = covers(range, essence.as_bytes()) else {
            continue;
        };
        let weight = parts.find_map(|p| {
            let value = p.strip_prefix(b"q=").or_else(|| p.strip_prefix(b"Q="))?;
            Some(thousandths(value))
        });
        if precision > best.0 {
            best = (precision, weight.unwrap_or(1000));
        }
    }
    best.1
}

/// The one of `offered` that the client likes best; of equals the first. `None`: none at all.
pub fn acceptable<'a>(request: &Fields, offered: &[&'a str]) -> Option<&'a str> {
    let ranked = offered
        .iter()
        .map(|media| (quality(request, media), *media));
    // `max_by_key` takes the last of equals.
    let best = ranked.rev().max_by_key(|(quality, _)| *quality)?;
    (best.0 > 0).then_some(best.1)
}

/// How precisely a range covers a type: 1 `*/*`, 2 `text/*`, 3 `text/html`.
fn covers(range: &[u8], essence: &[u8]) -> Option<u8> {
    if range == b"*/*" || range == b"*" {
        return Some(1);
    }
    if let Some(kind) = range.strip_suffix(b"/*") {
        let own = essence.split(|b| *b == b'/').next()?;
        return kind.eq_ignore_ascii_case(own).then_some(2);
    }
    range.eq_ignore_ascii_case(essence).then_some(3)
}

/// A weight (section 12.4.2); one that is malformed is 0.
fn thousandths(text: &[u8]) -> u16 {
    let text = std::str::from_utf8(text).unwrap_or_default();
    let weight: f32 = match text.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        true => text.parse().unwrap_or(0.0),
        false => 0.0,
    };
    (weight.clamp(0.0, 1.0) * 1000.0).round() as u16
}
