//! Which fields of a response are stored (RFC 9111 section 3.1), and which a validation may change
//! (section 3.2).

use crate::message::Fields;

/// Whether the field belongs to one connection or one hop. `Proxy-Authentication-Info` and the other
/// fields of proxy authentication are for the next hop alone (RFC 9110 section 11.7).
fn is_of_hop(name: &[u8]) -> bool {
    matches!(
        name,
        b"connection"
            | b"keep-alive"
            | b"proxy-authenticate"
            | b"proxy-authentication-info"
            | b"proxy-authorization"
            | b"proxy-connection"
            | b"te"
            | b"trailer"
            | b"transfer-encoding"
            | b"upgrade"
    )
}

/// The fields that are stored of a response: without those of the hop, without what is computed anew
/// (`Age`, `Content-Length`), and without those that `Connection` named.
pub fn stored(of: &Fields) -> Fields {
    let nominated: Vec<Vec<u8>> = of
        .members(crate::message::Known::Connection)
        .map(<[u8]>::to_ascii_lowercase)
        .collect();
    let mut kept = Fields::new();
    for (name, value) in of.iter() {
        let computed = matches!(name, b"age" | b"content-length" | b"cache-status");
        if !is_of_hop(name) && !computed && !nominated.iter().any(|n| n == name) {
            kept.push(name, value);
        }
    }
    kept
}

/// Whether a 304 leaves this stored field as it is: those that describe the octets that are stored.
fn describes_content(name: &[u8]) -> bool {
    matches!(
        name,
        b"content-encoding"
            | b"content-length"
            | b"content-md5"
            | b"content-range"
            | b"content-digest"
            | b"etag"
    )
}

/// The stored fields after a 304 said that they are still good: its fields take the place of the stored
/// ones of the same name (section 3.2).
pub fn freshened(old: &Fields, by: &Fields) -> Fields {
    let mut new = stored(by);
    new.retain(|name, _| !describes_content(name));
    let mut all = Fields::new();
    for (name, value) in old.iter() {
        if !new.iter().any(|(n, _)| n == name) {
            all.push(name, value);
        }
    }
    for (name, value) in new.iter() {
        all.push(name, value);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Known;

    #[test]
    fn rfc9111_3_1_fields_of_the_hop_are_not_stored() {
        let all: Fields = [
            ("Connection", "X-Hop, close"),
            ("X-Hop", "1"),
            ("Keep-Alive", "timeout=5"),
            ("Transfer-Encoding", "chunked"),
            ("Proxy-Authentication-Info", "x"),
            ("Age", "10"),
            ("Content-Length", "3"),
            ("ETag", "\"a\""),
            ("Set-Cookie", "a=b"),
        ]
        .into_iter()
        .collect();
        let kept = stored(&all);
        let names: Vec<_> = kept.iter().map(|(n, _)| n).collect();
        assert_eq!(names, [&b"etag"[..], b"set-cookie"]);
    }

    #[test]
    fn rfc9111_3_2_a_304_changes_all_but_what_describes_the_content() {
        let old: Fields = [
            ("ETag", "\"a\""),
            ("Cache-Control", "max-age=1"),
            ("X-Kept", "1"),
            ("Content-Encoding", "gzip"),
            ("Content-Type", "text/plain"),
        ]
        .into_iter()
        .collect();
        let by: Fields = [
            ("ETag", "\"b\""),
            ("Cache-Control", "max-age=60"),
            ("Content-Encoding", "br"),
            ("Content-Length", "9"),
            ("Content-Type", "text/html"),
            ("Date", "x"),
        ]
        .into_iter()
        .collect();
        let new = freshened(&old, &by);
        assert_eq!(new.get(Known::ETag), Some(&b"\"a\""[..]));
        assert_eq!(new.get(Known::CacheControl), Some(&b"max-age=60"[..]));
        assert_eq!(new.get(Known::ContentEncoding), Some(&b"gzip"[..]));
        assert_eq!(new.get(Known::ContentType), Some(&b"text/html"[..]));
        assert!(new.has(Known::Date) && !new.has(Known::ContentLength));
        assert_eq!(new.len(), 6);
    }
}
