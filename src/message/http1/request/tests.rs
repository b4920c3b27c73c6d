//! Heads of requests: what is taken, what is refused, and that the split of the octets has no say.

use proptest::prelude::*;

use super::super::write::{Persistence, write_request};
use super::*;

const RULES: HeadRules = HeadRules {
    head: 4_096,
    fields: 16,
    target: 512,
};

type Outcome = Result<(RequestHead, RequestFraming, usize), Refusal>;

fn read(octets: &[u8]) -> Option<Outcome> {
    let mut head = RequestHead::default();
    match request(octets, &RULES, &mut head) {
        Ok(Parsed::Partial) => None,
        Ok(Parsed::Whole { octets, framing }) => Some(Ok((head, framing, octets))),
        Err(refusal) => Some(Err(refusal)),
    }
}

fn taken(octets: &[u8]) -> (RequestHead, RequestFraming) {
    match read(octets) {
        Some(Ok((head, framing, n))) => {
            assert_eq!(n, octets.len());
            (head, framing)
        }
        other => panic!("{}: {other:?}", octets.escape_ascii()),
    }
}

fn refused(octets: &[u8]) -> Refusal {
    match read(octets) {
        Some(Err(refusal)) => refusal,
        other => panic!("{}: {other:?}", octets.escape_ascii()),
    }
}

#[test]
fn a_plain_request() {
    let (head, framing) = taken(
        b"GET /a?b=c HTTP/1.1\r\nHost: WWW.Example:8080\r\nUser-Agent:x \r\nX-Own: \tv\xe9 w\r\nEmpty:\r\n\r\n",
    );
    assert_eq!(head.method, Method::Get);
    assert_eq!(head.version, Version::Http11);
    assert_eq!(head.target, b"/a?b=c");
    assert_eq!(head.authority, b"www.example:8080");
    let fields: Vec<_> = head.fields.iter().collect();
    assert_eq!(
        fields,
        [
            (&b"user-agent"[..], &b"x"[..]),
            (b"x-own", b"v\xe9 w"),
            (b"empty", b"")
        ]
    );
    assert_eq!(
        framing,
        RequestFraming {
            body: BodyFraming::None,
            keep_alive: true,
            upgrade: false,
            expect_continue: false
        }
    );
}

/// The smuggling table: what four other proxies let through is refused here.
#[test]
fn p3_smuggling_vectors_are_refused() {
    let post = |fields: &str| format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n");
    for (fields, refusal) in [
        (
            "Content-Length: 5\r\nTransfer-Encoding: chunked",
            Refusal::BothLengths,
        ),
        (
            "Transfer-Encoding: chunked\r\nContent-Length: 5",
            Refusal::BothLengths,
        ),
        (
            "Content-Length: 5\r\nContent-Length: 6",
            Refusal::ContentLength,
        ),
        (
            "Content-Length: 5\r\nContent-Length: 5",
            Refusal::ContentLength,
        ),
        ("Content-Length: 5, 5", Refusal::ContentLength),
        ("Content-Length: +5", Refusal::ContentLength),
        ("Content-Length: 0x5", Refusal::ContentLength),
        ("Content-Length: -1", Refusal::ContentLength),
        ("Content-Length:", Refusal::ContentLength),
        (
            "Content-Length: 18446744073709551616",
            Refusal::ContentLength,
        ),
        ("Transfer-Encoding: xchunked", Refusal::TransferEncoding),
        (
            "Transfer-Encoding: chunked, identity",
            Refusal::TransferEncoding,
        ),
        ("Transfer-Encoding: identity", Refusal::TransferEncoding),
        (
            "Transfer-Encoding: chunked, chunked",
            Refusal::TransferEncoding,
        ),
        ("Transfer-Encoding: \"chunked\"", Refusal::TransferEncoding),
        ("Transfer-Encoding: chunked;x=y", Refusal::TransferEncoding),
        ("Transfer-Encoding:", Refusal::TransferEncoding),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            Refusal::TransferEncoding,
        ),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
            Refusal::TransferEncoding,
        ),
        ("Transfer-Encoding: gzip, chunked", Refusal::UnknownCoding),
        ("Transfer-Encoding : chunked", Refusal::FieldName),
        ("Transfer-Encoding\t: chunked", Refusal::FieldName),
        ("Transfer-Encoding:\x0bchunked", Refusal::FieldValue),
        ("Content-Length : 5", Refusal::FieldName),
        ("X: a\r\n Transfer-Encoding: chunked", Refusal::FieldName),
        ("X: a\r\n\tb", Refusal::FieldName),
        (" X: a", Refusal::FieldName),
        ("X: a\0b", Refusal::FieldValue),
        ("X: a\x01b", Refusal::FieldValue),
        ("X: a\x7fb", Refusal::FieldValue),
        ("X: a\rTransfer-Encoding: chunked", Refusal::FieldValue),
        ("X: a\nTransfer-Encoding: chunked", Refusal::LineEnd),
        ("X: a\n", Refusal::LineEnd),
        ("X", Refusal::FieldName),
        (": x", Refusal::FieldName),
        ("X(: x", Refusal::FieldName),
        ("Host: b", Refusal::SeveralHosts),
        ("Host: a", Refusal::SeveralHosts),
    ] {
        let found = refused(post(fields).as_bytes());
        assert_eq!(found, refusal, "{fields:?}");
        let status = if refusal == Refusal::UnknownCoding {
            501
        } else {
            400
        };
        assert_eq!(found.status(), status);
    }
    let http10 = b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(refused(http10), Refusal::TransferEncodingInHttp10);
}

#[test]
fn p3_lines_end_with_cr_and_lf() {
    for bad in [
        &b"GET / HTTP/1.1\nHost: a\n\n"[..],
        b"GET / HTTP/1.1\r\nHost: a\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n\n",
        b"GET / HTTP/1.1\nHost: a\r\n\r\n",
        b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\r\rGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        assert_eq!(refused(bad), Refusal::LineEnd, "{}", bad.escape_ascii());
    }
    let (head, _) = taken(b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(head.target, b"/");
}

#[test]
fn request_lines_that_are_none() {
    for (line, refusal) in [
        ("GET /", Refusal::RequestLine),
        ("GET  / HTTP/1.1", Refusal::RequestLine),
        (" GET / HTTP/1.1", Refusal::RequestLine),
        ("GET /  HTTP/1.1", Refusal::RequestLine),
        ("GET /a b HTTP/1.1", Refusal::RequestLine),
        ("G(T / HTTP/1.1", Refusal::RequestLine),
        ("GET / HTTP/1.10", Refusal::LineEnd),
        ("GET / http/1.1", Refusal::RequestLine),
        ("GET / HTTP/x.1", Refusal::RequestLine),
        ("GET / HTTP/2.0", Refusal::Version),
        ("GET / HTTP/1.2", Refusal::Version),
        ("PRI * HTTP/2.0", Refusal::Version),
        ("GET /\u{e9} HTTP/1.1", Refusal::Target),
        ("GET /a#b HTTP/1.1", Refusal::Target),
        ("GET a HTTP/1.1", Refusal::Target),
        ("GET * HTTP/1.1", Refusal::Target),
        ("GET ftp://a/ HTTP/1.1", Refusal::Target),
        ("GET /%0 HTTP/1.1", Refusal::Target),
        ("GET http://u@a/ HTTP/1.1", Refusal::Target),
        ("GET http:///x HTTP/1.1", Refusal::Target),
        ("GET http://b/ HTTP/1.1", Refusal::HostDiffers),
        ("CONNECT a HTTP/1.1", Refusal::Target),
        ("CONNECT / HTTP/1.1", Refusal::Target),
    ] {
        let octets = format!("{line}\r\nHost: a\r\n\r\n");
        assert_eq!(refused(octets.as_bytes()), refusal, "{line}");
    }
    let long = format!("{} / HTTP/1.1\r\nHost: a\r\n\r\n", "M".repeat(33));
    assert_eq!(refused(long.as_bytes()), Refusal::MethodTooLong);
    assert_eq!(refused(&b"A".repeat(40)), Refusal::MethodTooLong);
    // A TLS client at a plain listener.
    assert_eq!(
        refused(b"\x16\x03\x01\x02\x00\x01\x00"),
        Refusal::RequestLine
    );
}

#[test]
fn hosts() {
    let with = |host: &str| format!("GET / HTTP/1.1\r\n{host}\r\n\r\n");
    assert_eq!(refused(with("X: y").as_bytes()), Refusal::NoHost);
    for bad in [
        "", "a b", "u@a", "a/b", "a:x", "a,,\"", "[::1", "a\u{e9}", "http://a",
    ] {
        let octets = with(&format!("Host: {bad}"));
        assert_eq!(refused(octets.as_bytes()), Refusal::Host, "{bad}");
    }
    let (head, framing) = taken(b"GET / HTTP/1.0\r\n\r\n");
    assert!(head.authority.is_empty());
    assert!(!framing.keep_alive);
}

#[test]
fn forms_of_targets() {
    let split = |octets: &[u8]| {
        let (head, _) = taken(octets);
        let text = |b: &[u8]| String::from_utf8(b.to_vec()).unwrap();
        (text(&head.authority), text(&head.target))
    };
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    assert_eq!(
        split(b"GET http://A:80/x?y HTTP/1.1\r\nHost: a\r\n\r\n"),
        pair("a:80", "/x?y")
    );
    assert_eq!(
        split(b"GET HTTPS://a?y HTTP/1.1\r\nHost: a:443\r\n\r\n"),
        pair("a", "/?y")
    );
    assert_eq!(split(b"GET http://a HTTP/1.0\r\n\r\n"), pair("a", "/"));
    assert_eq!(
        split(b"OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n"),
        pair("a", "*")
    );
    assert_eq!(
        split(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"),
        pair("a", "*")
    );
    assert_eq!(
        split(b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"),
        pair("a:443", "")
    );
}

#[test]
fn framing_of_bodies_and_connections() {
    let framing = |version: &str, fields: &str| {
        let octets = format!("POST / HTTP/{version}\r\nHost: a\r\n{fields}\r\n");
        taken(octets.as_bytes()).1
    };
    assert_eq!(framing("1.1", "").body, BodyFraming::None);
    let length = framing("1.1", "content-length: 7\r\n");
    assert_eq!(length.body, BodyFraming::Length(7));
    let chunked = framing("1.1", "Transfer-Encoding:\tChunked \r\n");
    assert_eq!(chunked.body, BodyFraming::Chunked);
    assert!(!framing("1.1", "Connection: x, Close\r\n").keep_alive);
    assert!(framing("1.0", "Connection: Keep-Alive\r\n").keep_alive);
    assert!(!framing("1.0", "Connection: keep-alive, close\r\n").keep_alive);
    let upgrade = "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n";
    assert!(framing("1.1", upgrade).upgrade);
    assert!(!framing("1.0", upgrade).upgrade);
    assert!(!framing("1.1", "Upgrade: websocket\r\n").upgrade);
    let expect = "Expect: 100-Continue\r\n";
    assert!(framing("1.1", &format!("{expect}Content-Length: 1\r\n")).expect_continue);
    assert!(!framing("1.0", &format!("{expect}Content-Length: 1\r\n")).expect_continue);
    assert!(!framing("1.1", expect).expect_continue);
    let other = b"POST / HTTP/1.1\r\nHost: a\r\nExpect: more\r\n\r\n";
    assert_eq!(refused(other).status(), 417);
    let trace = b"TRACE / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n";
    assert_eq!(refused(trace), Refusal::BodyNotAllowed);
}

#[test]
fn p3_bounds_hold_before_the_head_is_complete() {
    let target = format!("GET /{}", "a".repeat(600));
    assert_eq!(refused(target.as_bytes()).status(), 414);
    let whole = format!("{target} HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(refused(whole.as_bytes()).status(), 414);
    let head = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}", "a".repeat(4_096));
    assert_eq!(refused(head.as_bytes()), Refusal::HeadTooLarge);
    let whole = format!("{head}\r\n\r\n");
    assert_eq!(refused(whole.as_bytes()), Refusal::HeadTooLarge);
    let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(16));
    assert_eq!(refused(many.as_bytes()), Refusal::TooManyFields);
    assert_eq!(Refusal::TooManyFields.status(), 431);
    let allowed = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(15));
    assert_eq!(taken(allowed.as_bytes()).0.fields.len(), 15);
    let rules = HeadRules {
        fields: 1_000,
        ..RULES
    };
    let more = format!(
        "GET / HTTP/1.1\r\nHost: a\r\n{}\r\n",
        "X: y\r\n".repeat(500)
    );
    let mut head = RequestHead::default();
    assert!(request(more.as_bytes(), &rules, &mut head).is_ok());
    assert_eq!(head.fields.len(), 500);
}

#[test]
fn what_was_in_the_head_before_is_gone() {
    let mut head = RequestHead::default();
    let first = b"POST /a HTTP/1.0\r\nHost: a\r\nX: y\r\n\r\n";
    let second = b"GET /b HTTP/1.1\r\nHost: b\r\n\r\n";
    request(first, &RULES, &mut head).unwrap();
    request(second, &RULES, &mut head).unwrap();
    assert_eq!(head, taken(second).0);
}

/// Octets that look like a head.
fn looks_like_a_head() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        &b"GET "[..],
        b"POST ",
        b"/",
        b"/a?b",
        b"http://a/",
        b"*",
        b" HTTP/1.1\r\n",
        b" HTTP/1.0\r\n",
        b"Host: a\r\n",
        b"Host: b\r\n",
        b"Content-Length: 5\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Connection: close\r\n",
        b"X-Own: y\r\n",
        b"\r\n",
        b"\n",
        b"\r",
        b" ",
        b"\t",
        b":",
        b"\0",
        b"\xff",
        b"\r\n\r\n",
        b"Expect: 100-continue\r\n",
    ]);
    let pieces = prop::collection::vec(piece, 0..12);
    pieces.prop_map(|p| p.concat())
}

proptest! {
    /// The first answer about a beginning of the octets is the answer about all of them.
    #[test]
    fn p3_any_split_gives_the_same(octets in looks_like_a_head()) {
        let all = read(&octets);
        for end in 0..octets.len() {
            if let Some(early) = read(&octets[..end]) {
                prop_assert_eq!(Some(early), all);
                return Ok(());
            }
        }
    }

    /// What is written is read as what it was.
    #[test]
    fn what_is_written_is_read(
        method in "[A-Z]{1,8}",
        host in "[a-z0-9.-]{1,12}(:[1-9][0-9]{0,3})?",
        target in "/[a-z0-9/]{0,12}(\\?[a-z=&%]{0,8})?",
        fields in prop::collection::vec(("x-[a-z0-9-]{0,8}", "([!-~]([ -~\t]{0,10}[!-~])?)?"), 0..10),
        body in prop_oneof![
            Just(BodyFraming::None),
            any::<u32>().prop_map(|n| BodyFraming::Length(n.into())),
            Just(BodyFraming::Chunked),
        ],
        close in any::<bool>(),
    ) {
        prop_assume!(!matches!(&*method, "CONNECT" | "TRACE"));
        let head = RequestHead {
            method: Method::new(method.as_bytes()),
            authority: host.into_bytes(),
            target: target.into_bytes(),
            fields: fields.iter().map(|(n, v)| (n, v)).collect(),
            ..RequestHead::default()
        };
        let persistence = if close { Persistence::Close } else { Persistence::Implied };
        let mut octets = Vec::new();
        write_request(&head, body, persistence, &mut octets);
        let (mut again, framing) = taken(&octets);
        prop_assert_eq!(framing.body, body);
        prop_assert_eq!(framing.keep_alive, !close);
        for written in [Known::Connection, Known::ContentLength, Known::TransferEncoding] {
            again.fields.remove(written);
        }
        prop_assert_eq!(again, head);
    }

    #[test]
    fn no_octets_make_it_panic(octets in prop::collection::vec(any::<u8>(), 0..200)) {
        read(&octets);
    }
}
