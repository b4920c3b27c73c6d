//! Parts of a stored response (RFC 9110 section 14).

use std::ops::Range;

use crate::message::{Fields, Known};

use super::validation::strongly_equal;

/// What a request wants of a response whose length is known.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Wanted {
    /// All of it: without `Range`, or with one that may be ignored.
    Whole,
    /// These octets (206).
    Part(Range<u64>),
    /// Octets that it has not (416).
    Unsatisfiable,
}

/// What `request` wants of a stored 200 with these fields and this length. Several ranges at once are
/// answered with the whole (section 14.2 allows it).
pub fn wanted(request: &Fields, stored: &Fields, length: u64) -> Wanted {
    let Some(value) = request.get(Known::Range) else {
        return Wanted::Whole;
    };
    if !if_range_holds(request, stored) {
        return Wanted::Whole;
    }
    let Some(set) = value.trim_ascii().strip_prefix(b"bytes=") else {
        return Wanted::Whole;
    };
    let mut parts = set
        .split(|b| *b == b',')
        .map(<[u8]>::trim_ascii)
        .filter(|p| !p.is_empty());
    let (Some(part), None) = (parts.next(), parts.next()) else {
        return Wanted::Whole;
    };
    let Some((first, last)) = bounds(part) else {
        return Wanted::Whole;
    };
    match (first, last) {
        // The last octets.
        (None, Some(0)) => Wanted::Unsatisfiable,
        (None, Some(_)) if length == 0 => Wanted::Unsatisfiable,
        (None, Some(suffix)) => Wanted::Part(length.saturating_sub(suffix)..length),
        (Some(first), _) if first >= length => Wanted::Unsatisfiable,
        (Some(first), None) => Wanted::Part(first..length),
        (Some(first), Some(last)) if last < first => Wanted::Whole,
        (Some(first), Some(last)) => Wanted::Part(first..last.saturating_add(1).min(length)),
        (None, None) => Wanted::Whole,
    }
}

/// First and last position; `None` when it is no range.
fn bounds(part: &[u8]) -> Option<(Option<u64>, Option<u64>)> {
    let dash = part.iter().position(|b| *b == b'-')?;
    let number = |digits: &[u8]| -> Option<Option<u64>> {
        if digits.is_empty() {
            return Some(None);
        }
        if !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let add = |n: u64, d: &u8| n.saturating_mul(10).saturating_add(u64::from(d - b'0'));
        Some(Some(digits.iter().fold(0, add)))
    };
    Some((number(&part[..dash])?, number(&part[dash + 1..])?))
}

/// Whether `If-Range` holds, or is not there (section 13.1.5): the tags are equal and strong, or the
/// dates are the same.
fn if_range_holds(request: &Fields, stored: &Fields) -> bool {
    let Some(asked) = request.get(Known::IfRange) else {
        return true;
    };
    if asked.starts_with(b"\"") || asked.starts_with(b"W/") {
        let tag = stored.get(Known::ETag);
        return tag.is_some_and(|t| strongly_equal(t, asked));
    }
    stored.get(Known::LastModified) == Some(asked)
}

/// `Content-Range` of a part of `length` octets.
pub fn content_range(part: &Range<u64>, length: u64) -> String {
    format!("bytes {}-{}/{length}", part.start, part.end - 1)
}

/// `Content-Range` of a 416.
pub fn unsatisfied_range(length: u64) -> String {
    format!("bytes */{length}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(range: &str, length: u64) -> Wanted {
        let request: Fields = [("Range", range)].into_iter().collect();
        wanted(&request, &Fields::new(), length)
    }

    #[test]
    fn rfc9110_14_1_2_byte_ranges() {
        assert_eq!(of("bytes=0-1", 10), Wanted::Part(0..2));
        assert_eq!(of("bytes=1-", 10), Wanted::Part(1..10));
        assert_eq!(of("bytes=-3", 10), Wanted::Part(7..10));
        assert_eq!(of("bytes=-30", 10), Wanted::Part(0..10));
        assert_eq!(of("bytes=5-99", 10), Wanted::Part(5..10));
        assert_eq!(of("bytes=0-18446744073709551615", 10), Wanted::Part(0..10));
        assert_eq!(of("bytes=10-", 10), Wanted::Unsatisfiable);
        assert_eq!(of("bytes=-0", 10), Wanted::Unsatisfiable);
        assert_eq!(of("bytes=-1", 0), Wanted::Unsatisfiable);
    }

    #[test]
    fn rfc9110_14_2_what_may_be_ignored_is_the_whole() {
        for range in [
            "bytes=0-1,4-5",
            "bytes=2-1",
            "lines=0-1",
            "bytes=a-b",
            "bytes=",
            "bytes=-",
        ] {
            assert_eq!(of(range, 10), Wanted::Whole, "{range}");
        }
        assert_eq!(wanted(&Fields::new(), &Fields::new(), 10), Wanted::Whole);
    }

    #[test]
    fn rfc9110_13_1_5_if_range() {
        let stored: Fields = [
            ("ETag", "\"a\""),
            ("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ]
        .into_iter()
        .collect();
        let asked = |condition: &str| {
            let request: Fields = [("Range", "bytes=0-1"), ("If-Range", condition)]
                .into_iter()
                .collect();
            wanted(&request, &stored, 10) == Wanted::Part(0..2)
        };
        assert!(asked("\"a\"") && asked("Sun, 06 Nov 1994 08:49:37 GMT"));
        for other in ["W/\"a\"", "\"b\"", "Sun, 06 Nov 1994 08:49:38 GMT", "a"] {
            assert!(!asked(other), "{other}");
        }
        let weak: Fields = [("ETag", "W/\"a\"")].into_iter().collect();
        let request: Fields = [("Range", "bytes=0-1"), ("If-Range", "W/\"a\"")]
            .into_iter()
            .collect();
        assert_eq!(wanted(&request, &weak, 10), Wanted::Whole);
    }

    #[test]
    fn rfc9110_14_4_content_range() {
        assert_eq!(content_range(&(2..5), 10), "bytes 2-4/10");
        assert_eq!(unsatisfied_range(10), "bytes */10");
    }

    proptest! {
        #[test]
        fn a_part_lies_within_the_whole(range in "bytes=[0-9]{0,20}-[0-9]{0,20}", length in 0u64..1000) {
            if let Wanted::Part(part) = of(&range, length) {
                prop_assert!(part.start < part.end && part.end <= length);
            }
        }

        #[test]
        fn any_range_is_read_without_panic(range in "[ -~]{0,40}") {
            let _ = of(&range, 10);
        }
    }
}
