//! Fields that concern one connection only (RFC 9110 section 7.6.1): they end here.

use crate::message::{Fields, Known};

/// Hop-by-hop fields, apart from `connection`, `te` and `upgrade`, which need a closer look.
const ALWAYS: &[Known] = &[
    Known::KeepAlive,
    Known::ProxyConnection,
    Known::Trailer,
    Known::TransferEncoding,
    // It goes with `Upgrade: h2c` (RFC 9113 section 3.1), which is never passed on.
    Known::Http2Settings,
];

/// Removes the hop-by-hop fields of a request. `upgrade` stays when `keep_upgrade`: the caller has
/// decided to pass the change of protocol on. `te` becomes `trailers` or goes.
pub fn strip_request(fields: &mut Fields, keep_upgrade: bool) {
    strip(fields, keep_upgrade);
    // Whoever reads the body first tells the client to go on.
    fields.remove(Known::Expect);
    if fields.has(Known::Te) {
        let trailers = |m: &[u8]| m.eq_ignore_ascii_case(b"trailers");
        if fields.members(Known::Te).any(trailers) {
            fields.set(Known::Te, b"trailers");
        } else {
            fields.remove(Known::Te);
        }
    }
}

/// Removes the hop-by-hop fields of an answer. `upgrade` stays when `keep_upgrade`: in 101, and in 426,
/// where it names what the server wants to speak.
pub fn strip_response(fields: &mut Fields, keep_upgrade: bool) {
    strip(fields, keep_upgrade);
    fields.remove(Known::Te);
}

fn strip(fields: &mut Fields, keep_upgrade: bool) {
    if fields.has(Known::Connection) {
        strip_nominated(fields);
        fields.remove(Known::Connection);
    }
    for known in ALWAYS {
        fields.remove(*known);
    }
    if !keep_upgrade {
        fields.remove(Known::Upgrade);
    }
}

/// Removes what `connection` names. A field that this proxy looks at, or that tells the backend who
/// asks, is not removed on a stranger's word (`Connection: x-forwarded-for` would hide the client,
/// `Connection: cookie` would change a cached answer): such a nomination is ignored.
fn strip_nominated(fields: &mut Fields) {
    let ordinary = |m: &[u8]| {
        [&b"close"[..], b"keep-alive", b"upgrade", b"te"]
            .iter()
            .any(|o| m.eq_ignore_ascii_case(o))
    };
    if fields.members(Known::Connection).all(ordinary) {
        return;
    }
    let names: Vec<Vec<u8>> = fields
        .members(Known::Connection)
        .map(<[u8]>::to_ascii_lowercase)
        .filter(|name| !is_protected(name))
        .collect();
    fields.retain(|name, _| !names.iter().any(|n| n == name));
}

fn is_protected(name: &[u8]) -> bool {
    Known::from_lower(name).is_some() || name.starts_with(b"x-forwarded-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(pairs: &[(&str, &str)], keep_upgrade: bool) -> Vec<(String, String)> {
        let mut fields: Fields = pairs.iter().copied().collect();
        strip_request(&mut fields, keep_upgrade);
        let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
        fields.iter().map(|(n, v)| (text(n), text(v))).collect()
    }

    fn names(pairs: &[(&str, &str)]) -> Vec<String> {
        left(pairs, false).into_iter().map(|(n, _)| n).collect()
    }

    #[test]
    fn p3_hop_by_hop_fields_end_here() {
        let all = [
            ("Connection", "keep-alive"),
            ("Keep-Alive", "timeout=5"),
            ("Proxy-Connection", "keep-alive"),
            ("Transfer-Encoding", "chunked"),
            ("Trailer", "x"),
            ("Upgrade", "h2c"),
            ("HTTP2-Settings", "AAMAAABk"),
            ("TE", "gzip"),
            ("Accept", "*/*"),
        ];
        assert_eq!(names(&all), ["accept"]);
        let mut fields: Fields = all.into_iter().collect();
        strip_response(&mut fields, false);
        assert_eq!(fields.iter().count(), 1);
    }

    #[test]
    fn p3_nominated_fields_end_here_unless_they_are_protected() {
        assert_eq!(
            names(&[
                ("X-Real", "1"),
                (
                    "Connection",
                    "X-Real, close ,X-Forwarded-For,cookie, X-Forwarded-Own"
                ),
                ("X-Forwarded-For", "192.0.2.1"),
                ("X-Forwarded-Own", "a"),
                ("connection", "x-Other, Content-Length, authorization"),
                ("Cookie", "a=b"),
                ("X-Other", "2"),
                ("Content-Length", "5"),
                ("Authorization", "Basic x"),
            ]),
            [
                "x-forwarded-for",
                "x-forwarded-own",
                "cookie",
                "content-length",
                "authorization"
            ]
        );
    }

    #[test]
    fn te_says_trailers_or_goes() {
        assert_eq!(
            left(
                &[("TE", "deflate;q=0.5, Trailers"), ("Connection", "te")],
                false
            ),
            [("te".to_owned(), "trailers".to_owned())]
        );
        assert!(left(&[("TE", "trailers;q=0")], false).is_empty());
    }

    #[test]
    fn a_change_of_protocol_stays_when_it_is_passed_on() {
        let asked = [("Upgrade", "websocket"), ("Connection", "Upgrade")];
        assert_eq!(left(&asked, true).len(), 1);
        assert!(left(&asked, false).is_empty());
    }
}
