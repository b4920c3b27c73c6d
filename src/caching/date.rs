//! HTTP dates (RFC 9110 section 5.6.7), in seconds since 1970-01-01T00:00:00Z.
//!
//! Reading is strict: what is not one of the three formats to the letter is no date.

use std::fmt;

const MONTHS: [&[u8; 3]; 12] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];
const DAYS: [&str; 7] = [
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
];

/// The time that `text` names; what was before 1970 is 0. `now` settles the century of two-digit years:
/// one that seems more than 50 years ahead is past.
pub fn parse(text: &[u8], now: u64) -> Option<u64> {
    match text {
        // Sun, 06 Nov 1994 08:49:37 GMT
        [
            w1,
            w2,
            w3,
            b',',
            b' ',
            d1,
            d2,
            b' ',
            m1,
            m2,
            m3,
            b' ',
            rest @ ..,
        ] if rest.len() == 17 => {
            is_day(&[*w1, *w2, *w3], 3)?;
            let (year, clock) = rest.split_at(4);
            let clock = clock.strip_prefix(b" ")?.strip_suffix(b" GMT")?;
            unix(
                number(year)?,
                month([*m1, *m2, *m3])?,
                number(&[*d1, *d2])?,
                clock,
            )
        }
        // Sun Nov  6 08:49:37 1994
        [w1, w2, w3, b' ', m1, m2, m3, b' ', d1, d2, b' ', clock @ ..] if clock.len() == 13 => {
            is_day(&[*w1, *w2, *w3], 3)?;
            let day = match d1 {
                b' ' => number(&[*d2])?,
                _ => number(&[*d1, *d2])?,
            };
            let (clock, year) = clock.split_at(8);
            let year = number(year.strip_prefix(b" ")?)?;
            unix(year, month([*m1, *m2, *m3])?, day, clock)
        }
        _ => rfc850(text, now),
    }
}

/// Sunday, 06-Nov-94 08:49:37 GMT
fn rfc850(text: &[u8], now: u64) -> Option<u64> {
    let comma = text.iter().position(|b| *b == b',')?;
    is_day(&text[..comma], usize::MAX)?;
    let [
        b' ',
        d1,
        d2,
        b'-',
        m1,
        m2,
        m3,
        b'-',
        y1,
        y2,
        b' ',
        rest @ ..,
    ] = &text[comma + 1..]
    else {
        return None;
    };
    let clock = rest.strip_suffix(b" GMT")?;
    let (this_year, ..) = civil(now / 86_400);
    let mut year = this_year / 100 * 100 + number(&[*y1, *y2])?;
    if year > this_year + 50 {
        year -= 100;
    }
    unix(year, month([*m1, *m2, *m3])?, number(&[*d1, *d2])?, clock)
}

/// Whether `text` is the name of a day, of which `most` letters are written.
fn is_day(text: &[u8], most: usize) -> Option<()> {
    let known = DAYS
        .iter()
        .any(|day| &day.as_bytes()[..day.len().min(most)] == text);
    known.then_some(())
}

fn month(text: [u8; 3]) -> Option<u64> {
    let at = MONTHS.iter().position(|m| **m == text)?;
    Some(at as u64 + 1)
}

fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |n, d| {
        d.is_ascii_digit().then(|| n * 10 + u64::from(d - b'0'))
    })
}

fn unix(year: u64, month: u64, day: u64, clock: &[u8]) -> Option<u64> {
    let [h1, h2, b':', m1, m2, b':', s1, s2] = *clock else {
        return None;
    };
    let (hour, minute) = (number(&[h1, h2])?, number(&[m1, m2])?);
    let second = number(&[s1, s2])?;
    // 60: a leap second.
    if day == 0 || day > month_length(year, month) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    match year {
        ..1970 => Some(0),
        _ => Some(days_from_civil(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second),
    }
}

fn month_length(year: u64, month: u64) -> u64 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 => 28 + u64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a day of that year or a later one. The year begins in March, so that the leap
/// day is its last.
fn days_from_civil(year: u64, month: u64, day: u64) -> u64 {
    let year = year - u64::from(month <= 2);
    let (era, of_era) = (year / 400, year % 400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = of_era * 365 + of_era / 4 - of_era / 100 + of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Year, month and day of the day that is so many days after 1970-01-01.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let of_year = day_of_era - (365 * of_era + of_era / 4 - of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = (shifted + 2) % 12 + 1;
    let year = era * 400 + of_era + u64::from(month <= 2);
    (year, month, of_year - (153 * shifted + 2) / 5 + 1)
}

/// A time as a message writes it: `Sun, 06 Nov 1994 08:49:37 GMT`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HttpDate(pub u64);

impl fmt::Display for HttpDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, rest) = (self.0 / 86_400, self.0 % 86_400);
        let (year, month, day) = civil(days);
        // 1970-01-01 was a Thursday.
        let weekday = &DAYS[(days as usize + 3) % 7][..3];
        let month = String::from_utf8_lossy(MONTHS[month as usize - 1]);
        write!(
            f,
            "{weekday}, {day:02} {month} {year:04} {:02}:{:02}:{:02} GMT",
            rest / 3_600,
            rest / 60 % 60,
            rest % 60
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: u64 = 1_767_225_600;

    #[test]
    fn rfc9110_5_6_7_three_formats_of_one_time() {
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            assert_eq!(parse(text.as_bytes(), NOW), Some(784_111_777), "{text}");
        }
        assert_eq!(
            HttpDate(784_111_777).to_string(),
            "Sun, 06 Nov 1994 08:49:37 GMT"
        );
        let day = parse(b"Fri Jan 16 00:00:00 2026", NOW);
        assert_eq!(day, Some(NOW + 15 * 86_400));
    }

    #[test]
    fn rfc9110_5_6_7_two_digit_years_are_at_most_50_years_ahead() {
        let year = |text: &[u8]| civil(parse(text, NOW).unwrap() / 86_400).0;
        assert_eq!(year(b"Sunday, 06-Nov-76 08:49:37 GMT"), 2076);
        assert_eq!(year(b"Sunday, 06-Nov-77 08:49:37 GMT"), 1977);
    }

    #[test]
    fn what_is_no_date() {
        for text in [
            "0",
            "",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun, 06 Nov 1994 08:49:37",
            "sun, 06 Nov 1994 08:49:37 GMT",
            "Sun, 06 nov 1994 08:49:37 GMT",
            "Sun, 6 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 94 08:49:37 GMT",
            "Sun 06 Nov 1994 08:49:37 GMT",
            "Sun,  06 Nov 1994 08:49:37 GMT",
            "Sun, 06-Nov-1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08.49.37 GMT",
            "Sun, 06 Nov 1994 8:49:37 GMT",
            "Sun, 31 Feb 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 24:00:00 GMT",
            "Sunday, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT, Sunday, 06-Nov-94 08:49:37 GMT",
        ] {
            assert_eq!(parse(text.as_bytes(), NOW), None, "{text}");
        }
        assert_eq!(parse(b"Mon, 01 Jan 1900 00:00:00 GMT", NOW), Some(0));
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(unix in 0u64..253_402_300_800) {
            prop_assert_eq!(parse(HttpDate(unix).to_string().as_bytes(), NOW), Some(unix));
        }

        #[test]
        fn any_octets_are_read_without_panic(text in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = parse(&text, NOW);
        }
    }
}
