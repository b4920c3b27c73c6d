//! The text of a LOC record (RFC 1876 section 3).

use super::parse::ZoneProblem;
use super::scan::Token;

/// The data: version, size, two precisions, latitude, longitude, altitude (RFC 1876 section 2).
///
/// The text is `d [m [s.fff]] N|S d [m [s.fff]] E|W alt[m] [size[m] [hp[m] [vp[m]]]]`.
pub(super) fn location(at: Token<'_>, words: &[Token<'_>]) -> Result<[u8; 16], ZoneProblem> {
    let mut rest = words;
    let latitude = angle(&at, &mut rest, ["N", "S"], 90, "latitude")?;
    let longitude = angle(&at, &mut rest, ["E", "W"], 180, "longitude")?;
    let mut metres = |what: &str, min: i64, max: i64| match rest.split_first() {
        None => Ok(None),
        Some((word, tail)) => {
            rest = tail;
            centimetres(word.raw)
                .filter(|n| (min..=max).contains(n))
                .map(Some)
                .ok_or_else(|| {
                    word.problem(format!(
                        "`{}` is not the {what} in metres, from {} to {}",
                        word.raw,
                        min / 100,
                        max / 100
                    ))
                })
        }
    };
    // 32 bits of centimetres above 100,000 m below the reference spheroid.
    let Some(altitude) = metres("altitude", -10_000_000, 4_284_967_295)? else {
        return Err(words.last().unwrap_or(&at).problem(
            "the altitude of this LOC record is missing; the fields are: latitude, longitude, altitude in metres",
        ));
    };
    // RFC 1876 section 3: 1 m, 10,000 m and 10 m when left out.
    let widest = 9_000_000_000;
    let size = metres("size", 0, widest)?.unwrap_or(100);
    let horizontal = metres("horizontal precision", 0, widest)?.unwrap_or(1_000_000);
    let vertical = metres("vertical precision", 0, widest)?.unwrap_or(1_000);
    if let Some(extra) = rest.first() {
        return Err(extra.problem(format!("`{}` is one word too many for LOC", extra.raw)));
    }
    let mut out = [0; 16];
    out[1..4].copy_from_slice(&[digits(size), digits(horizontal), digits(vertical)]);
    out[4..8].copy_from_slice(&latitude.to_be_bytes());
    out[8..12].copy_from_slice(&longitude.to_be_bytes());
    // Within the range checked above.
    out[12..16].copy_from_slice(&((altitude + 10_000_000) as u32).to_be_bytes());
    Ok(out)
}

/// Thousandths of a second of arc, 2^31 being the equator and the prime meridian.
fn angle(
    at: &Token<'_>,
    rest: &mut &[Token<'_>],
    sides: [&str; 2],
    most: u32,
    what: &str,
) -> Result<u32, ZoneProblem> {
    let malformed = |word: &Token<'_>| {
        word.problem(format!(
            "`{}` does not belong into the {what} of a LOC record, which is `DEGREES [MINUTES [SECONDS]] {}`, at most {most} degrees",
            word.raw,
            sides.join("|")
        ))
    };
    let mut parts = [0u32; 3];
    for i in 0..4 {
        let Some((word, tail)) = rest.split_first() else {
            return Err(at.problem(format!("the {what} of this LOC record is missing")));
        };
        *rest = tail;
        let side = sides.iter().position(|s| s.eq_ignore_ascii_case(word.raw));
        if let Some(side) = side.filter(|_| i > 0) {
            let total = (parts[0] * 60 + parts[1]) * 60_000 + parts[2];
            if total > most * 3_600_000 {
                return Err(malformed(word));
            }
            return Ok(match side {
                0 => (1 << 31) + total,
                _ => (1 << 31) - total,
            });
        }
        let value = match i {
            0 => whole(word.raw, most),
            1 => whole(word.raw, 59),
            2 => decimal(word.raw, 3).filter(|n| *n < 60_000),
            _ => None,
        };
        let Some(slot) = parts.get_mut(i) else {
            return Err(malformed(word));
        };
        // Below 60,000.
        *slot = value.ok_or_else(|| malformed(word))? as u32;
    }
    Err(at.problem(format!("the {what} of this LOC record has no end")))
}

fn whole(text: &str, most: u32) -> Option<i64> {
    decimal(text, 0).filter(|n| *n <= i64::from(most))
}

/// A length with an optional `m` and sign, in centimetres.
fn centimetres(text: &str) -> Option<i64> {
    let text = text.strip_suffix(['m', 'M']).unwrap_or(text);
    match text.strip_prefix('-') {
        Some(text) => decimal(text, 2).map(|n| -n),
        None => decimal(text, 2),
    }
}

/// A number without sign in units of 10^-`places`.
fn decimal(text: &str, places: usize) -> Option<i64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let plain = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
    let sound = !whole.is_empty() && whole.len() <= 12 && plain(whole) && plain(part);
    if !sound || part.len() > places || (places == 0 && text.contains('.')) {
        return None;
    }
    format!("{whole}{part:0<places$}").parse().ok()
}

/// Centimetres as one digit and a power of ten (RFC 1876 section 2), rounded down.
fn digits(mut centimetres: i64) -> u8 {
    let mut power = 0;
    while centimetres > 9 {
        centimetres /= 10;
        power += 1;
    }
    // Both are at most 9.
    (centimetres as u8) << 4 | power
}
