//! `Cache-Control` and its kin (RFC 9111 section 5.2).
//!
//! Of a directive that occurs twice the first counts. A number that is none makes a response stale
//! (section 4.2.1) and is ignored in a request.

use std::sync::LazyLock;
use std::time::Duration;

use crate::message::{Fields, Known, Name};

/// The field that speaks to caches like this one alone (RFC 9213).
static TARGETED: LazyLock<Name> = LazyLock::new(|| Name::new(b"CDN-Cache-Control"));

/// The largest number of seconds that is told apart: 2^31 (RFC 9111 section 1.2.2).
const MOST: u64 = 1 << 31;

/// What a request asks of caches (RFC 9111 section 5.2.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RequestDirectives {
    /// `no-cache`: not without validation.
    pub no_cache: bool,
    /// `no-store`: keep nothing of this exchange.
    pub no_store: bool,
    /// `only-if-cached`: 504 rather than ask the origin.
    pub only_if_cached: bool,
    /// `max-age`: not older than this.
    pub max_age: Option<Duration>,
    /// `max-stale`: may be stale for so long; [`Duration::MAX`] without a number.
    pub max_stale: Option<Duration>,
    /// `min-fresh`: must stay fresh for so long.
    pub min_fresh: Option<Duration>,
}

impl RequestDirectives {
    /// What the request's fields say. `Pragma: no-cache` counts where no `Cache-Control` stands
    /// (section 5.4).
    pub fn of(fields: &Fields) -> RequestDirectives {
        let mut found = RequestDirectives::default();
        if !fields.has(Known::CacheControl) {
            found.no_cache = fields
                .members(Known::Pragma)
                .any(|m| m.eq_ignore_ascii_case(b"no-cache"));
            return found;
        }
        for line in fields.all(Known::CacheControl) {
            each(line, |name, value| match name {
                b"no-cache" => found.no_cache = true,
                b"no-store" => found.no_store = true,
                b"only-if-cached" => found.only_if_cached = true,
                b"max-age" => first(&mut found.max_age, seconds(value)),
                b"min-fresh" => first(&mut found.min_fresh, seconds(value)),
                b"max-stale" if value.is_none() => {
                    first(&mut found.max_stale, Some(Duration::MAX));
                }
                b"max-stale" => first(&mut found.max_stale, seconds(value)),
                _ => {}
            });
        }
        found
    }
}

/// What a response says to caches (RFC 9111 section 5.2.2, RFC 5861).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ResponseDirectives {
    /// `must-revalidate`
    pub must_revalidate: bool,
    /// `must-understand`
    pub must_understand: bool,
    /// `no-cache`, with or without names of fields.
    pub no_cache: bool,
    /// `no-store`
    pub no_store: bool,
    /// `no-transform`
    pub no_transform: bool,
    /// `private`, with or without names of fields.
    pub private: bool,
    /// `proxy-revalidate`
    pub proxy_revalidate: bool,
    /// `public`
    pub public: bool,
    /// `max-age`
    pub max_age: Option<Duration>,
    /// `s-maxage`
    pub s_maxage: Option<Duration>,
    /// `stale-while-revalidate` (RFC 5861 section 3).
    pub stale_while_revalidate: Option<Duration>,
    /// `stale-if-error` (RFC 5861 section 4).
    pub stale_if_error: Option<Duration>,
    /// Whether `CDN-Cache-Control` said all this, so that neither `Cache-Control` nor `Expires` counts
    /// (RFC 9213 section 2.1).
    pub targeted: bool,
}

impl ResponseDirectives {
    /// What the response's fields say.
    pub fn of(fields: &Fields) -> ResponseDirectives {
        let mut found = ResponseDirectives::default();
        for line in fields.all_named(&TARGETED) {
            found.targeted = true;
            found.read(line);
        }
        if found.targeted {
            return found;
        }
        for line in fields.all(Known::CacheControl) {
            found.read(line);
        }
        found
    }

    fn read(&mut self, line: &[u8]) {
        // A time that is none: already over.
        let time = |value: Option<&[u8]>| Some(seconds(value).unwrap_or(Duration::ZERO));
        each(line, |name, value| match name {
            b"must-revalidate" => self.must_revalidate = true,
            b"must-understand" => self.must_understand = true,
            b"no-cache" => self.no_cache = true,
            b"no-store" => self.no_store = true,
            b"no-transform" => self.no_transform = true,
            b"private" => self.private = true,
            b"proxy-revalidate" => self.proxy_revalidate = true,
            b"public" => self.public = true,
            b"max-age" => first(&mut self.max_age, time(value)),
            b"s-maxage" => first(&mut self.s_maxage, time(value)),
            b"stale-while-revalidate" => {
                first(&mut self.stale_while_revalidate, time(value));
            }
            b"stale-if-error" => first(&mut self.stale_if_error, time(value)),
            _ => {}
        });
    }
}

fn first(slot: &mut Option<Duration>, found: Option<Duration>) {
    if slot.is_none() {
        *slot = found;
    }
}

/// Calls `f` with name, in lower case, and argument of every directive of a line. Commas within quotes
/// separate nothing.
fn each(line: &[u8], mut f: impl FnMut(&[u8], Option<&[u8]>)) {
    let mut lower = [0; 32];
    for part in split(line) {
        let mut halves = part.splitn(2, |b| *b == b'=');
        let name = halves.next().unwrap_or(part).trim_ascii();
        // No directive that matters is longer.
        let Some(room) = lower.get_mut(..name.len()) else {
            continue;
        };
        room.copy_from_slice(name);
        room.make_ascii_lowercase();
        // White space around `=` is not allowed: such an argument is kept with it and is then no
        // number.
        let spaced = part.len() > name.len() && part[name.len()] != b'=';
        let value = halves.next();
        f(
            room,
            if spaced && value.is_some() {
                Some(b" ")
            } else {
                value
            },
        );
    }
}

/// The parts of a list, split at commas outside quoted strings, without white space around them.
fn split(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = line;
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            let (mut quoted, mut escaped) = (false, false);
            let end = rest.iter().position(|b| {
                if escaped {
                    escaped = false;
                    return false;
                }
                match b {
                    b'"' => quoted = !quoted,
                    b'\\' if quoted => escaped = true,
                    b',' if !quoted => return true,
                    _ => {}
                }
                false
            });
            let part = &rest[..end.unwrap_or(rest.len())];
            rest = end.map_or(&[][..], |e| &rest[e + 1..]);
            let part = part.trim_ascii();
            if !part.is_empty() {
                return Some(part);
            }
        }
        None
    })
}

/// A number of seconds, as a token or quoted (section 5.2); `None` when it is none.
fn seconds(value: Option<&[u8]>) -> Option<Duration> {
    let value = value?;
    let bare = value
        .strip_prefix(b"\"")
        .and_then(|v| v.strip_suffix(b"\""));
    delta_seconds(bare.unwrap_or(value)).map(Duration::from_secs)
}

/// `delta-seconds` (RFC 9111 section 1.2.2): what is larger than 2^31 is 2^31.
pub(super) fn delta_seconds(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |n, d| {
        let digit = d.is_ascii_digit().then(|| u64::from(d - b'0'))?;
        Some((n * 10 + digit).min(MOST))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn response(lines: &[&str]) -> ResponseDirectives {
        ResponseDirectives::of(&lines.iter().map(|l| ("Cache-Control", l)).collect())
    }

    fn secs(n: u64) -> Option<Duration> {
        Some(Duration::from_secs(n))
    }

    #[test]
    fn rfc9111_5_2_names_in_any_case_arguments_in_both_forms() {
        let d = response(&[
            "MaX-AgE=10, S-MaxAge=\"20\"",
            "private=\"Set-Cookie, X\", NO-cache",
        ]);
        assert_eq!((d.max_age, d.s_maxage), (secs(10), secs(20)));
        assert!(d.private && d.no_cache && !d.no_store && !d.public);
    }

    #[test]
    fn rfc9111_5_2_what_is_quoted_is_no_directive() {
        let d = response(&[r#"extension="max-age=3600, no-store", max-age=1"#]);
        assert_eq!((d.max_age, d.no_store), (secs(1), false));
        let d = response(&[r#"max-age=1, extension="a\", max-age=3600""#]);
        assert_eq!(d.max_age, secs(1));
    }

    #[test]
    fn rfc9111_4_2_1_the_first_counts_and_no_number_is_stale() {
        assert_eq!(response(&["max-age=1800, max-age=1"]).max_age, secs(1800));
        assert_eq!(response(&["max-age=1", "max-age=1800"]).max_age, secs(1));
        for none in ["-1", "a1", "1a", "1.0", "'10'", " 10", "", "\"10"] {
            assert_eq!(
                response(&[&format!("max-age={none}")]).max_age,
                secs(0),
                "{none}"
            );
        }
        assert_eq!(response(&["max-age =10"]).max_age, secs(0));
        assert_eq!(response(&["max-age"]).max_age, secs(0));
        assert_eq!(response(&["max-age=0010"]).max_age, secs(10));
    }

    #[test]
    fn rfc9111_1_2_2_large_numbers_are_2_to_the_31() {
        for large in ["2147483648", "2147483649", "99999999999999999999999"] {
            assert_eq!(
                response(&[&format!("max-age={large}")]).max_age,
                secs(1 << 31)
            );
        }
    }

    #[test]
    fn rfc9213_the_targeted_field_speaks_alone() {
        let fields: Fields = [
            ("Cache-Control", "no-store"),
            ("CDN-Cache-Control", "max-age=60"),
        ]
        .into_iter()
        .collect();
        let d = ResponseDirectives::of(&fields);
        assert!(d.targeted && !d.no_store);
        assert_eq!(d.max_age, secs(60));
    }

    #[test]
    fn rfc9111_5_2_1_directives_of_requests() {
        let of =
            |name: &str, value: &str| RequestDirectives::of(&[(name, value)].into_iter().collect());
        assert!(of("Pragma", "no-cache").no_cache);
        assert!(of("Cache-Control", "no-store, only-if-cached").only_if_cached);
        assert_eq!(
            of("Cache-Control", "max-stale").max_stale,
            Some(Duration::MAX)
        );
        assert_eq!(of("Cache-Control", "max-stale=5").max_stale, secs(5));
        assert_eq!(of("Cache-Control", "max-age=x").max_age, None);
        assert_eq!(of("Cache-Control", "min-fresh=7").min_fresh, secs(7));
    }

    proptest! {
        #[test]
        fn any_line_is_read_without_panic(line in prop::collection::vec(any::<u8>(), 0..80)) {
            let mut fields = Fields::new();
            let line: Vec<u8> = line.into_iter().filter(|b| !matches!(b, b'\r' | b'\n' | 0)).collect();
            fields.push(b"Cache-Control", &line);
            let _ = (RequestDirectives::of(&fields), ResponseDirectives::of(&fields));
        }
    }
}
