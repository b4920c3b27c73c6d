//! Conditions: those that this cache asks the origin with, and those that clients ask it with
//! (RFC 9111 section 4.3, RFC 9110 section 13).

use crate::message::{Fields, Known, RequestHead};

use super::date;

/// Whether the origin can be asked if a response with these fields is still good.
pub fn has_validator(stored: &Fields) -> bool {
    stored.has(Known::ETag) || stored.has(Known::LastModified)
}

/// Takes the client's conditions and range out of a request whose response is to be stored: the whole
/// and unconditional response is wanted.
pub fn unconditional(request: &mut RequestHead) {
    for known in [
        Known::IfNoneMatch,
        Known::IfModifiedSince,
        Known::IfRange,
        Known::Range,
    ] {
        request.fields.remove(known);
    }
}

/// Makes `request` ask whether the stored response is still good (section 4.3.1). `tag` is the entity
/// tag that the origin gave it, where the stored one was changed on the way.
pub fn ask(request: &mut RequestHead, stored: &Fields, tag: Option<&[u8]>) {
    unconditional(request);
    if let Some(tag) = tag.or_else(|| stored.get(Known::ETag)) {
        request.fields.push_known(Known::IfNoneMatch, tag);
    }
    if let Some(modified) = stored.get(Known::LastModified) {
        request.fields.push_known(Known::IfModifiedSince, modified);
    }
}

/// Whether the origin alone can judge the request's conditions: `If-Match` and `If-Unmodified-Since`
/// are for it, and a cache passes them on (section 4.3.2).
pub fn is_for_origin(request: &Fields) -> bool {
    request.has(Known::IfMatch) || request.has(Known::IfUnmodifiedSince)
}

/// Whether a request asks with a condition that a cache may judge.
pub fn is_conditional(request: &Fields) -> bool {
    request.has(Known::IfNoneMatch) || request.has(Known::IfModifiedSince)
}

/// Whether the client has the stored response already, so that 304 answers it (section 4.3.2).
/// `If-Modified-Since` counts only without `If-None-Match`. `received`: when the stored response came,
/// in seconds since 1970.
pub fn is_unmodified(request: &Fields, stored: &Fields, received: u64) -> bool {
    if request.has(Known::IfNoneMatch) {
        let tag = stored.get(Known::ETag);
        return request.all(Known::IfNoneMatch).any(|line| {
            line.trim_ascii() == b"*" || tag.is_some_and(|t| tags(line).any(|m| weakly_equal(m, t)))
        });
    }
    let Some(since) = request.get(Known::IfModifiedSince) else {
        return false;
    };
    let Some(since) = date::parse(since, received) else {
        return false; // section 13.1.3: ignored
    };
    let of = |known| stored.get(known).and_then(|d| date::parse(d, received));
    let changed = of(Known::LastModified).or_else(|| of(Known::Date));
    changed.unwrap_or(received) <= since
}

/// Whether two entity tags are equal but for weakness (RFC 9110 section 8.8.3.2).
fn weakly_equal(a: &[u8], b: &[u8]) -> bool {
    fn opaque(tag: &[u8]) -> &[u8] {
        tag.strip_prefix(b"W/").unwrap_or(tag)
    }
    opaque(a) == opaque(b)
}

/// Whether two entity tags are equal and strong (RFC 9110 section 8.8.3.2).
pub(super) fn strongly_equal(a: &[u8], b: &[u8]) -> bool {
    a == b && !a.starts_with(b"W/")
}

/// The entity tags of a line; commas within quotes belong to the tag.
fn tags(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = line;
    std::iter::from_fn(move || {
        loop {
            rest = rest.trim_ascii_start();
            if rest.is_empty() {
                return None;
            }
            let mut quoted = false;
            let end = rest.iter().position(|b| {
                quoted ^= *b == b'"';
                *b == b',' && !quoted
            });
            let tag = rest[..end.unwrap_or(rest.len())].trim_ascii();
            rest = end.map_or(&[][..], |e| &rest[e + 1..]);
            if !tag.is_empty() {
                return Some(tag);
            }
        }
    })
}

/// The fields of a 304 (RFC 9110 section 15.4.5): those that guide caches; what describes the content
/// stays away.
pub fn not_modified(stored: &Fields) -> Fields {
    let mut kept = Fields::new();
    for (name, value) in stored.iter() {
        if !matches!(
            name,
            b"content-length"
                | b"content-encoding"
                | b"content-type"
                | b"content-range"
                | b"content-language"
        ) {
            kept.push(name, value);
        }
    }
    kept
}

/// Makes the entity tag of a response weak whose octets were changed and not its meaning (RFC 9110
/// section 8.8.1).
pub fn weaken(fields: &mut Fields) {
    let Some(tag) = fields.get(Known::ETag) else {
        return;
    };
    if tag.starts_with(b"W/") {
        return;
    }
    let weak = [b"W/", tag].concat();
    fields.set(Known::ETag, &weak);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fields(pairs: &[(&str, &str)]) -> Fields {
        pairs.iter().copied().collect()
    }

    fn tag_matches(asked: &str, stored: &str) -> bool {
        is_unmodified(
            &fields(&[("If-None-Match", asked)]),
            &fields(&[("ETag", stored)]),
            0,
        )
    }

    #[test]
    fn rfc9111_4_3_1_the_stored_validators_take_the_place_of_the_clients() {
        let mut request = RequestHead {
            fields: fields(&[
                ("If-None-Match", "\"client\""),
                ("Range", "bytes=0-1"),
                ("X", "1"),
            ]),
            ..RequestHead::default()
        };
        let modified = "Sun, 06 Nov 1994 08:49:37 GMT";
        let stored = fields(&[("ETag", "W/\"a\""), ("Last-Modified", modified)]);
        ask(&mut request, &stored, None);
        let names = |r: &RequestHead| -> Vec<Vec<u8>> {
            r.fields.iter().map(|(_, v)| v.to_vec()).collect()
        };
        assert_eq!(
            names(&request),
            [b"1", &b"W/\"a\""[..], modified.as_bytes()]
        );
        ask(&mut request, &stored, Some(b"\"a\""));
        assert_eq!(request.fields.get(Known::IfNoneMatch), Some(&b"\"a\""[..]));
    }

    #[test]
    fn rfc9110_13_1_2_if_none_match_compares_weakly() {
        assert!(tag_matches("\"a\"", "\"a\""));
        assert!(tag_matches("W/\"a\"", "\"a\""));
        assert!(tag_matches("\"a\"", "W/\"a\""));
        assert!(tag_matches("\"x\", \"a\" , \"y\"", "\"a\""));
        assert!(tag_matches("\"x,\", \"a,b\"", "\"a,b\""));
        assert!(tag_matches("*", "\"a\""));
        for other in ["\"b\"", "w/\"a\"", "a", "\"A\"", ""] {
            assert!(!tag_matches(other, "\"a\""), "{other}");
        }
    }

    #[test]
    fn rfc9110_13_1_3_if_modified_since_counts_alone() {
        let (early, late) = (
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Mon, 07 Nov 1994 08:49:37 GMT",
        );
        let since = |asked: &str, stored: &[(&str, &str)]| {
            is_unmodified(
                &fields(&[("If-Modified-Since", asked)]),
                &fields(stored),
                784_111_777,
            )
        };
        assert!(since(early, &[("Last-Modified", early)]));
        assert!(since(late, &[("Last-Modified", early)]));
        assert!(!since(early, &[("Last-Modified", late)]));
        assert!(since(late, &[("Date", early)]));
        assert!(since(late, &[]));
        assert!(!since("yesterday", &[("Last-Modified", early)]));
        let both = fields(&[("If-None-Match", "\"b\""), ("If-Modified-Since", late)]);
        let stored = fields(&[("ETag", "\"a\""), ("Last-Modified", early)]);
        assert!(!is_unmodified(&both, &stored, 784_111_777));
    }

    #[test]
    fn rfc9110_8_8_1_a_changed_body_has_a_weak_tag() {
        let mut f = fields(&[("ETag", "\"a\"")]);
        weaken(&mut f);
        assert_eq!(f.get(Known::ETag), Some(&b"W/\"a\""[..]));
        weaken(&mut f);
        assert_eq!(f.get(Known::ETag), Some(&b"W/\"a\""[..]));
    }

    proptest! {
        #[test]
        fn any_line_of_tags_is_read(line in prop::collection::vec(any::<u8>(), 0..60)) {
            let line: Vec<u8> = line.into_iter().filter(|b| !matches!(b, b'\r' | b'\n' | 0)).collect();
            let mut asked = Fields::new();
            asked.push(b"If-None-Match", &line);
            let _ = is_unmodified(&asked, &fields(&[("ETag", "\"a\"")]), 0);
            prop_assert!(tags(&line).all(|t| !t.is_empty()));
        }
    }
}
