//! P3: whatever has two readings is refused, and nothing of it reaches a backend: the smuggling table,
//! over real sockets, with what the backend got looked at octet by octet.

use crate::support::backend::Backend;
use crate::support::proxy::{Proxy, Raw};

/// Follows every vector: it must never be answered by a backend behind something ambiguous.
const NEXT: &str = "GET /smuggled HTTP/1.1\r\nHost: www.example\r\n\r\n";

struct Vector {
    what: &'static str,
    octets: &'static str,
    status: u16,
}

const fn v(what: &'static str, octets: &'static str, status: u16) -> Vector {
    Vector {
        what,
        octets,
        status,
    }
}

/// Refused with the head: the backend hears nothing at all.
const HEADS: &[Vector] = &[
    v(
        "Content-Length beside chunked",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    v(
        "chunked beside Content-Length",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        400,
    ),
    v(
        "differing Content-Length",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 0\r\n\r\nhello",
        400,
    ),
    v(
        "equal Content-Length twice",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        400,
    ),
    v(
        "a list of Content-Length",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\nhello",
        400,
    ),
    v(
        "Content-Length with a sign",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello",
        400,
    ),
    v(
        "a Content-Length that overflows",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551621\r\n\r\nhello",
        400,
    ),
    v(
        "xchunked",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    v(
        "chunked, identity",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        400,
    ),
    v(
        "chunked twice",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    v(
        "a coding that is not implemented",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        501,
    ),
    v(
        "space before the colon",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    v(
        "chunked behind a vertical tab",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    v(
        "chunked in HTTP/1.0",
        "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    v(
        "a folded line",
        "GET / HTTP/1.1\r\nHost: a\r\nX-Own: a\r\n Content-Length: 5\r\n\r\n",
        400,
    ),
    v(
        "NUL in a value",
        "GET / HTTP/1.1\r\nHost: a\r\nX-Own: a\0b\r\n\r\n",
        400,
    ),
    v("bare LF", "GET / HTTP/1.1\nHost: a\n\n", 400),
    v(
        "bare LF between fields",
        "GET / HTTP/1.1\r\nHost: a\r\nX-Own: b\nContent-Length: 5\r\n\r\n",
        400,
    ),
    v(
        "bare CR in a value",
        "GET / HTTP/1.1\r\nHost: a\r\nX-Own: b\rContent-Length: 5\r\n\r\n",
        400,
    ),
    v("no Host", "GET / HTTP/1.1\r\nX-Own: a\r\n\r\n", 400),
    v(
        "several Host",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        400,
    ),
    v(
        "a Host that is none",
        "GET / HTTP/1.1\r\nHost: a/b@c\r\n\r\n",
        400,
    ),
    v(
        "the target names another host",
        "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n",
        400,
    ),
    v(
        "a field without a colon",
        "GET / HTTP/1.1\r\nHost: a\r\nGET /smuggled HTTP/1.1\r\n\r\n",
        400,
    ),
    v(
        "octets that no URI has",
        "GET /\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n",
        400,
    ),
    v(
        "two spaces in the request line",
        "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        400,
    ),
    v(
        "a version that nobody speaks",
        "GET / HTTP/1.7\r\nHost: a\r\n\r\n",
        505,
    ),
    v(
        "a tunnel to somewhere",
        "CONNECT a:22 HTTP/1.1\r\nHost: a:22\r\nContent-Length: 5\r\n\r\nhello",
        400,
    ),
];

#[test]
fn p3_ambiguous_heads_are_refused_and_nothing_reaches_a_backend() {
    let backend = Backend::start();
    let proxy = Proxy::web(&[&backend]);
    for vector in HEADS {
        let all = proxy.exchange(format!("{}{NEXT}", vector.octets).as_bytes());
        let status = format!("HTTP/1.1 {} ", vector.status);
        assert!(all.starts_with(&status), "{}: {all:?}", vector.what);
        // One answer, which says that the connection ends.
        assert_eq!(all.matches("HTTP/1.1").count(), 1, "{}", vector.what);
        assert!(all.contains("connection: close\r\n"), "{}", vector.what);
        assert_eq!(backend.requests(), 0, "{}", vector.what);
        assert!(backend.raw().concat().is_empty(), "{}", vector.what);
    }
    proxy.assert_serves();
}

/// The same whether it comes at once or octet by octet.
#[test]
fn p3_the_split_has_no_say() {
    let backend = Backend::start();
    let proxy = Proxy::web(&[&backend]);
    for vector in HEADS.iter().step_by(3) {
        let mut raw = Raw::connect(proxy.addr("web"));
        for octet in vector.octets.as_bytes() {
            if !raw.send(&[*octet]) {
                break;
            }
        }
        let status = raw.try_answer(false).map(|a| a.status);
        assert_eq!(status, Some(vector.status), "{}", vector.what);
        assert!(raw.rest().is_empty(), "{}", vector.what);
    }
    assert_eq!(backend.requests(), 0);
}

/// The head is sound and may have been passed on when the body turns out not to be: the backend never
/// gets a whole request, and what follows is never read as one.
#[test]
fn p3_broken_chunks_end_the_request_and_both_connections() {
    let bodies = [
        ("no size", "\r\nhello\r\n0\r\n\r\n"),
        ("a size with a sign", "+5\r\nhello\r\n0\r\n\r\n"),
        ("a size in C", "0x5\r\nhello\r\n0\r\n\r\n"),
        (
            "a size that overflows",
            "10000000000000005\r\nhello\r\n0\r\n\r\n",
        ),
        ("bare LF behind the size", "5\nhello\r\n0\r\n\r\n"),
        ("LF in an extension", "5;a\nb\r\nhello\r\n0\r\n\r\n"),
        ("CR in an extension", "5;a\rb\r\nhello\r\n0\r\n\r\n"),
        ("no CRLF behind the chunk", "5\r\nhelloX\r\n0\r\n\r\n"),
        ("bare LF behind the chunk", "5\r\nhello\n0\r\n\r\n"),
        ("bare LF at the end", "5\r\nhello\r\n0\r\n\n"),
        (
            "a request as trailer",
            "5\r\nhello\r\n0\r\nGET /smuggled HTTP/1.1\r\n\r\n",
        ),
        ("a folded trailer", "5\r\nhello\r\n0\r\nX: a\r\n b\r\n\r\n"),
        ("NUL in a trailer", "5\r\nhello\r\n0\r\nX: \0\r\n\r\n"),
    ];
    let backend = Backend::start();
    let proxy = Proxy::web(&[&backend]);
    for (what, body) in bodies {
        let head = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        let all = proxy.exchange(format!("{head}{body}{NEXT}").as_bytes());
        assert!(all.starts_with("HTTP/1.1 400 "), "{what}: {all:?}");
        assert_eq!(all.matches("HTTP/1.1").count(), 1, "{what}: {all:?}");
        assert_eq!(backend.requests(), 0, "{what}");
    }
    let reached = String::from_utf8(backend.raw().concat()).unwrap();
    assert!(!reached.contains("smuggled"), "{reached}");
    assert!(!reached.contains("\r\n0\r\n"), "{reached}");
    proxy.assert_serves();
}

/// What a lenient reader might take two ways is passed on in the one way that everybody reads alike.
#[test]
fn p3_what_is_passed_on_has_one_reading() {
    let backend = Backend::start();
    let proxy = Proxy::web(&[&backend]);
    let mut raw = Raw::connect(proxy.addr("web"));
    raw.send(
        b"\r\nPOST http://WWW.Example/echo?a=b HTTP/1.1\r\nHost: www.example:80\r\n\
          Transfer-Encoding: Chunked\r\nX-Own:\t1 \r\n\r\n\
          5;ext=\"a;b\"\r\nhello\r\n0006\r\n world\r\n0;last\r\n\
          X-Sum: 11\r\nContent-Length: 5\r\nHost: evil\r\nX-Forwarded-For: 1\r\n\r\n",
    );
    let echo = raw.answer().json();
    assert_eq!(echo["method"], "POST");
    assert_eq!(echo["target"], "/echo?a=b");
    assert_eq!(echo["body"], "hello world");
    assert_eq!(echo["trailers"], "x-sum: 11\r\n");
    let got = backend.got().pop().unwrap();
    assert_eq!(got.count("host"), 1);
    assert_eq!(got.field("host"), Some("www.example"));
    assert_eq!(got.field("x-own"), Some("1"));
    assert_eq!(got.field("transfer-encoding"), Some("chunked"));
    assert_eq!(got.count("content-length"), 0);
    let reached = String::from_utf8(backend.raw().concat()).unwrap();
    assert!(!reached.contains("ext"), "{reached}");
    assert!(!reached.contains("evil"), "{reached}");
}

#[test]
fn p3_hop_by_hop_fields_end_at_the_proxy_both_ways() {
    let backend = Backend::start();
    let proxy = Proxy::web(&[&backend]);
    let mut raw = Raw::connect(proxy.addr("web"));
    raw.send(
        b"GET /echo HTTP/1.1\r\nHost: a\r\nX-Real: 1\r\nKeep-Alive: 5\r\nTE: gzip\r\n\
          Connection: X-Real, keep-alive, Host, X-Forwarded-For, Cookie\r\nCookie: a=b\r\n\
          Proxy-Connection: keep-alive\r\nTrailer: x\r\n\r\n",
    );
    assert_eq!(raw.answer().status, 200);
    let got = backend.got().pop().unwrap();
    for gone in [
        "x-real",
        "keep-alive",
        "te",
        "connection",
        "proxy-connection",
        "trailer",
    ] {
        assert_eq!(got.field(gone), None, "{gone}");
    }
    // What tells who asks is not removed on a stranger's word.
    for kept in ["host", "cookie", "x-forwarded-for"] {
        assert_eq!(got.count(kept), 1, "{kept}");
    }
    raw.send(b"GET /hop HTTP/1.1\r\nHost: a\r\n\r\n");
    let answer = raw.answer();
    assert_eq!(answer.field("x-kept"), Some("2"));
    for gone in ["x-secret", "keep-alive", "connection"] {
        assert_eq!(answer.field(gone), None, "{gone}");
    }
}

/// `Upgrade: foo` is no licence to pass on what follows unread.
#[test]
fn p3_an_unknown_upgrade_is_stripped_and_the_next_request_is_one() {
    let backend = Backend::start();
    let proxy = Proxy::web(&[&backend]);
    for upgrade in ["foo", "h2c", "websocket, foo", "TLS/1.0"] {
        let mut raw = Raw::connect(proxy.addr("web"));
        let first = format!(
            "GET /echo HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\n\
             HTTP2-Settings: AAMAAABk\r\nUpgrade: {upgrade}\r\n\r\n"
        );
        raw.send(format!("{first}GET /echo/2 HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
        let (one, two) = (raw.answer().json(), raw.answer().json());
        assert_eq!(two["target"], "/echo/2");
        let fields = one["fields"].to_string();
        assert!(!fields.contains("upgrade"), "{fields}");
        assert!(!fields.contains("http2-settings"), "{fields}");
    }
}

/// Octets behind an answer are not the answer to somebody else's request.
#[test]
fn p3_a_backend_cannot_answer_what_nobody_asked() {
    let backend = Backend::start();
    let proxy = Proxy::web(&[&backend]);
    for path in ["/more", "/no-content-lie"] {
        for _ in 0..3 {
            assert!(matches!(proxy.get(path).status, 200 | 204));
            let mut raw = Raw::connect(proxy.addr("web"));
            raw.send(b"GET /echo HTTP/1.1\r\nHost: a\r\n\r\n");
            assert_eq!(raw.answer().json()["target"], "/echo", "{path}");
        }
    }
    for path in [
        "/both-lengths",
        "/two-lengths",
        "/bare-lf",
        "/unasked-upgrade",
    ] {
        assert_eq!(proxy.get(path).status, 502, "{path}");
        assert_eq!(proxy.get("/echo").json()["target"], "/echo");
    }
}
