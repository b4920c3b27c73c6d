//! Quantities as strings with units: durations, distances, sizes and percentages.

use std::time::Duration;

/// One unit: its spelling and how many of the base unit it is.
type Unit = (&'static str, f64);

/// 2^53: up to here `f64` holds every whole number (285,000 years in milliseconds).
const EXACT: f64 = 9_007_199_254_740_992.0;

const DURATIONS: [Unit; 5] = [
    ("ms", 1.0),
    ("s", 1_000.0),
    ("m", 60_000.0),
    ("h", 3_600_000.0),
    ("d", 86_400_000.0),
];
const DISTANCES: [Unit; 2] = [("km", 1.0), ("mi", 1.609_344)];
const SIZES: [Unit; 4] = [
    ("B", 1.0),
    ("KiB", 1024.0),
    ("MiB", 1_048_576.0),
    ("GiB", 1_073_741_824.0),
];

/// Splits `text` into a number and one of `units`; `None` when it is neither.
fn split(text: &str, units: &[Unit]) -> Option<(f64, f64)> {
    let at = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = (text[..at].trim_end(), &text[at..]);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    let plain = |c: char| c.is_ascii_digit() || c == '.' || c == '-';
    if !number.chars().all(plain) {
        return None;
    }
    let number: f64 = number.parse().ok()?;
    number.is_finite().then_some((number, *factor))
}

/// `250ms`, `5s`, `1.5m`, `1h`, `1d`, to the millisecond. `None` when it is no duration.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let (number, factor) = split(text, &DURATIONS)?;
    let ms = number * factor;
    ((0.0..EXACT).contains(&ms) && ms.fract().abs() < 1e-6)
        .then(|| Duration::from_millis(ms.round() as u64))
}

/// The shortest spelling in one unit: `250ms`, `90s`, `2m`.
pub fn show_duration(d: Duration) -> String {
    let ms = d.as_millis();
    if ms == 0 {
        return "0s".to_owned();
    }
    let fits = |unit: &&Unit| ms.is_multiple_of(unit.1 as u128);
    let (name, factor) = DURATIONS.iter().rev().find(fits).unwrap_or(&DURATIONS[0]);
    format!("{}{name}", ms / (*factor as u128))
}

/// `100km`, `60mi`, in kilometres; may be negative. `None` when it is no distance.
pub fn parse_distance(text: &str) -> Option<f64> {
    split(text, &DISTANCES).map(|(number, factor)| number * factor)
}

/// `100km`.
pub fn show_distance(km: f64) -> String {
    format!("{km}km")
}

/// `512B`, `64KiB`, `1MiB`, in bytes. `None` when it is no size.
pub fn parse_size(text: &str) -> Option<u64> {
    let (number, factor) = split(text, &SIZES)?;
    let bytes = number * factor;
    ((0.0..EXACT).contains(&bytes) && bytes.fract() == 0.0).then_some(bytes as u64)
}

/// `64KiB`: the largest unit without a remainder.
pub fn show_size(bytes: u64) -> String {
    let fits = |unit: &&Unit| bytes > 0 && bytes.is_multiple_of(unit.1 as u64);
    let (name, factor) = SIZES.iter().rev().find(fits).unwrap_or(&SIZES[0]);
    format!("{}{name}", bytes / (*factor as u64))
}

/// `10%`: whole percent. `None` when it is no percentage.
pub fn parse_percent(text: &str) -> Option<u32> {
    let number = text.strip_suffix('%')?;
    let digits = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| number.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations() {
        for (text, ms) in [
            ("250ms", Some(250)),
            ("5s", Some(5_000)),
            ("5 s", Some(5_000)),
            ("1.5s", Some(1_500)),
            ("1m", Some(60_000)),
            ("1h", Some(3_600_000)),
            ("1d", Some(86_400_000)),
            ("0s", Some(0)),
            ("5", None),
            ("s", None),
            ("", None),
            ("-5s", None),
            ("1e3s", None),
            ("0.5ms", None),
            ("5sec", None),
            ("infs", None),
            ("99999999999999999999d", None),
        ] {
            assert_eq!(
                parse_duration(text),
                ms.map(Duration::from_millis),
                "{text}"
            );
        }
    }

    #[test]
    fn distances_sizes_percents() {
        assert_eq!(parse_distance("100km"), Some(100.0));
        assert!((parse_distance("60mi").unwrap() - 96.56).abs() < 0.01);
        assert_eq!(parse_distance("-20km"), Some(-20.0));
        assert_eq!(parse_distance("100"), None);
        assert_eq!(parse_size("64KiB"), Some(65_536));
        assert_eq!(parse_size("1.5KiB"), Some(1_536));
        assert_eq!(parse_size("64KB"), None);
        assert_eq!(show_size(65_536), "64KiB");
        assert_eq!(show_size(0), "0B");
        assert_eq!(parse_percent("10%"), Some(10));
        assert_eq!(parse_percent("%"), None);
        assert_eq!(parse_percent("1.5%"), None);
    }

    proptest! {
        #[test]
        fn shown_durations_read_back(ms in 0u64..10_000_000_000) {
            let d = Duration::from_millis(ms);
            prop_assert_eq!(parse_duration(&show_duration(d)), Some(d));
        }

        #[test]
        fn shown_sizes_read_back(bytes in 0u64..1 << 50) {
            prop_assert_eq!(parse_size(&show_size(bytes)), Some(bytes));
        }
    }
}
