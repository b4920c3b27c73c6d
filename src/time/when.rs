//! Times as people write them: RFC 3339, or so long ago.

use super::utc;

/// Reads `2026-11-21T12:00:00Z`, `2026-11-21T13:00:00.5+01:00` or `-15m` (units `s`, `m`, `h`, `d`, before
/// `now_ms`); milliseconds since 1970-01-01T00:00:00Z. `None`: it is neither.
pub fn parse(text: &str, now_ms: u64) -> Option<u64> {
    match text.strip_prefix('-') {
        Some(ago) => now_ms.checked_sub(span(ago)?),
        None => rfc3339(text),
    }
}

/// The text of a time, to the millisecond.
pub fn show(ms: u64) -> String {
    let seconds = utc::show(ms / 1_000);
    format!("{}.{:03}Z", seconds.trim_end_matches('Z'), ms % 1_000)
}

fn span(text: &str) -> Option<u64> {
    let at = text.find(|c: char| !c.is_ascii_digit())?;
    let factor = match &text[at..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    text[..at].parse::<u64>().ok()?.checked_mul(factor)
}

fn rfc3339(text: &str) -> Option<u64> {
    if !text.is_ascii() || text.len() < 20 {
        return None;
    }
    // Of `T` and `Z` either case is allowed.
    let head = format!("{}Z", &text[..19]).to_ascii_uppercase();
    let seconds = utc::parse(&head)?;
    let mut rest = &text[19..];
    let mut ms = 0;
    if let Some(fraction) = rest.strip_prefix('.') {
        let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return None;
        }
        let shown: String = fraction[..digits]
            .chars()
            .chain("00".chars())
            .take(3)
            .collect();
        ms = shown.parse().ok()?;
        rest = &fraction[digits..];
    }
    let local = (seconds * 1_000).checked_add(ms)?;
    if rest.eq_ignore_ascii_case("z") {
        return Some(local);
    }
    let (sign, offset) = rest.split_at_checked(1)?;
    let (hours, minutes) = offset.split_once(':')?;
    let two = |t: &str, most: u64| -> Option<u64> {
        let digits = t.len() == 2 && t.bytes().all(|b| b.is_ascii_digit());
        let number = digits.then(|| t.parse().ok()).flatten()?;
        (number <= most).then_some(number)
    };
    let offset = (two(hours, 23)? * 60 + two(minutes, 59)?) * 60_000;
    match sign {
        "+" => local.checked_sub(offset),
        "-" => local.checked_add(offset),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_as_people_write_them() {
        let now = 1_767_225_600_000;
        for (text, ms) in [
            ("2026-01-01T00:00:00Z", now),
            ("2026-01-01t00:00:00z", now),
            ("2026-01-01T00:00:00.25Z", now + 250),
            ("2026-01-01T00:00:00.123456Z", now + 123),
            ("2026-01-01T01:30:00+01:30", now),
            ("2025-12-31T19:00:00-05:00", now),
            ("-15m", now - 900_000),
            ("-0s", now),
            ("-2d", now - 172_800_000),
            ("-20ms", now - 20),
        ] {
            assert_eq!(parse(text, now), Some(ms), "{text}");
        }
        for text in [
            "",
            "-",
            "15m",
            "-15",
            "-m",
            "-15w",
            "-1.5h",
            "-99999999999d",
            "now",
            "2026-01-01",
            "2026-01-01T00:00:00",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00+1:00",
            "2026-01-01T00:00:00+24:00",
            "2026-01-01T00:00:00 01:00",
            "2026-01-01T00:00:00é",
            "2026-02-30T00:00:00Z",
            "1970-01-01T00:00:00+01:00",
            "--5m",
        ] {
            assert_eq!(parse(text, now), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(ms in 0u64..253_402_300_800_000) {
            prop_assert_eq!(parse(&show(ms), 0), Some(ms));
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,40}") {
            parse(&text, 1_000);
        }
    }
}
