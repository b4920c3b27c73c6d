//! Who the client is, what strangers pretend, and what the backend is told.

use std::net::SocketAddr;

use proptest::prelude::*;

use super::element::node;
use super::*;
use crate::message::{Fields, Known, Name, RequestHead, Scheme};

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn reading(said: Said, hops: Option<u8>) -> Reading {
    Reading {
        trusted: ["10.0.0.0/8", "2001:db8:aaaa::/48"]
            .map(|p| p.parse().unwrap())
            .into(),
        said,
        hops,
    }
}

fn fields(pairs: &[(&str, &str)]) -> Fields {
    pairs.iter().copied().collect()
}

fn client(reading: &Reading, peer: &str, pairs: &[(&str, &str)]) -> String {
    reading.client(at(peer), &fields(pairs)).address.to_string()
}

#[test]
fn a_stranger_is_the_client_whatever_it_says() {
    for said in [
        Said::XForwarded,
        Said::Forwarded,
        Said::Field(Name::new(b"CF-Connecting-IP")),
    ] {
        let c = reading(said, None).client(
            at("192.0.2.1:999"),
            &fields(&[
                ("X-Forwarded-For", "203.0.113.9"),
                ("Forwarded", "for=203.0.113.9"),
                ("CF-Connecting-IP", "203.0.113.9"),
                ("X-Forwarded-Proto", "https"),
            ]),
        );
        assert_eq!(c.address, at("192.0.2.1:999"));
        assert!(!c.trusted && c.scheme.is_none());
    }
}

#[test]
fn the_last_address_that_is_not_trusted_is_the_client() {
    let r = reading(Said::XForwarded, None);
    let of = |xff: &str| client(&r, "10.0.0.1:1", &[("X-Forwarded-For", xff)]);
    assert_eq!(of("203.0.113.9"), "203.0.113.9:0");
    assert_eq!(
        of("6.6.6.6, 203.0.113.9"),
        "203.0.113.9:0",
        "a forged first one"
    );
    assert_eq!(
        of("6.6.6.6, 203.0.113.9, 10.1.1.1, 10.2.2.2"),
        "203.0.113.9:0"
    );
    assert_eq!(
        of("6.6.6.6,10.0.0.9"),
        "6.6.6.6:0",
        "10.0.0.9 vouches for it"
    );
    assert_eq!(
        of("10.0.0.8, 10.0.0.9"),
        "10.0.0.8:0",
        "all are trusted: the first"
    );
    assert_eq!(of("203.0.113.9:4711"), "203.0.113.9:4711");
    assert_eq!(of("[2001:db8::5]:80"), "[2001:db8::5]:80");
    assert_eq!(of("2001:db8::5"), "[2001:db8::5]:0");
    assert_eq!(of(""), "10.0.0.1:1");
}

#[test]
fn what_cannot_be_read_ends_the_walk() {
    let r = reading(Said::XForwarded, None);
    let of = |xff: &str| client(&r, "10.0.0.1:1", &[("X-Forwarded-For", xff)]);
    assert_eq!(of("6.6.6.6, unknown"), "10.0.0.1:1");
    assert_eq!(of("6.6.6.6, nonsense, 10.0.0.9"), "10.0.0.9:0");
    assert_eq!(of("6.6.6.6, 1.2.3.4.5"), "10.0.0.1:1");
    assert_eq!(of("6.6.6.6, 203.0.113.9:99999"), "10.0.0.1:1");
}

#[test]
fn lines_of_one_field_are_one_list() {
    let r = reading(Said::XForwarded, None);
    let lines = [
        ("X-Forwarded-For", "6.6.6.6"),
        ("X-Forwarded-For", "203.0.113.9, 10.0.0.3"),
    ];
    assert_eq!(client(&r, "10.0.0.1:1", &lines), "203.0.113.9:0");
}

#[test]
fn only_the_configured_field_is_read() {
    let forged = [
        ("Forwarded", "for=6.6.6.6"),
        ("X-Forwarded-For", "203.0.113.9"),
    ];
    let r = reading(Said::XForwarded, None);
    assert_eq!(client(&r, "10.0.0.1:1", &forged), "203.0.113.9:0");
    let r = reading(Said::Forwarded, None);
    assert_eq!(client(&r, "10.0.0.1:1", &forged), "6.6.6.6:0");
    let r = reading(Said::Field(Name::new(b"True-Client-IP")), None);
    assert_eq!(client(&r, "10.0.0.1:1", &forged), "10.0.0.1:1");
    assert_eq!(
        client(&r, "10.0.0.1:1", &[("True-Client-IP", " 203.0.113.9 ")]),
        "203.0.113.9:0"
    );
    let twice = [
        ("True-Client-IP", "6.6.6.6"),
        ("True-Client-IP", "203.0.113.9"),
    ];
    assert_eq!(client(&r, "10.0.0.1:1", &twice), "10.0.0.1:1", "ambiguous");
}

#[test]
fn hops_are_counted_from_the_right() {
    let of = |hops, xff: &str| {
        let r = reading(Said::XForwarded, Some(hops));
        client(&r, "10.0.0.1:1", &[("X-Forwarded-For", xff)])
    };
    let chain = "6.6.6.6, 203.0.113.9, 198.51.100.7";
    assert_eq!(of(1, chain), "198.51.100.7:0");
    assert_eq!(
        of(2, chain),
        "203.0.113.9:0",
        "behind a network of unknown addresses"
    );
    assert_eq!(of(9, "203.0.113.9, 198.51.100.7"), "203.0.113.9:0");
}

#[test]
fn a_long_chain_costs_a_bounded_look() {
    let r = reading(Said::XForwarded, None);
    let mut all = vec!["6.6.6.6"];
    all.extend(["10.0.0.2"; 500]);
    let found = client(&r, "10.0.0.1:1", &[("X-Forwarded-For", &all.join(","))]);
    assert_eq!(found, "10.0.0.2:0");
}

#[test]
fn forwarded_is_read_as_rfc_7239_writes_it() {
    let of = |line: &str| {
        client(
            &reading(Said::Forwarded, None),
            "10.0.0.1:1",
            &[("Forwarded", line)],
        )
    };
    assert_eq!(
        of("for=192.0.2.60;proto=http;by=203.0.113.43"),
        "192.0.2.60:0"
    );
    assert_eq!(
        of("For=\"[2001:db8:cafe::17]:4711\""),
        "[2001:db8:cafe::17]:4711"
    );
    assert_eq!(
        of("for=6.6.6.6, for=192.0.2.43, for=\"[2001:db8:aaaa::1]\""),
        "192.0.2.43:0"
    );
    assert_eq!(of("for=6.6.6.6, for=unknown"), "10.0.0.1:1");
    assert_eq!(of("for=6.6.6.6, for=_hidden;proto=https"), "10.0.0.1:1");
    assert_eq!(of("for=\"192.0.2.43:_port\""), "192.0.2.43:0");
    // A comma in quotes is no border, and a broken element hides none before it.
    assert_eq!(
        of("host=\"a,b;for=6.6.6.6\";for=192.0.2.43"),
        "192.0.2.43:0"
    );
    assert_eq!(of("for=6.6.6.6, for=192.0.2.1;for=192.0.2.2"), "10.0.0.1:1");
    assert_eq!(of("for=6.6.6.6, \"for=192.0.2.1"), "10.0.0.1:1");
    // A quote that the client opened does not swallow what the proxy says after it.
    let swallowed = "for=6.6.6.6;host=\"a, for=192.0.2.43;host=\"b\"";
    assert_eq!(of(swallowed), "10.0.0.1:1");
}

#[test]
fn the_scheme_is_of_the_element_that_names_the_client() {
    let r = reading(Said::Forwarded, None);
    let line = [(
        "Forwarded",
        "for=6.6.6.6;proto=http, for=192.0.2.43;proto=https, for=10.0.0.9;proto=http",
    )];
    let c = r.client(at("10.0.0.1:1"), &fields(&line));
    assert_eq!(
        (c.address, c.scheme),
        (at("192.0.2.43:0"), Some(Scheme::Https))
    );
    let r = reading(Said::XForwarded, None);
    let lines = [
        ("X-Forwarded-For", "192.0.2.43"),
        ("X-Forwarded-Proto", "http, HTTPS"),
    ];
    assert_eq!(
        r.client(at("10.0.0.1:1"), &fields(&lines)).scheme,
        Some(Scheme::Https)
    );
}

#[test]
fn a_mapped_address_is_the_ipv4_address_it_stands_for() {
    let r = reading(Said::XForwarded, None);
    assert!(r.trusts("::ffff:10.1.2.3".parse().unwrap()));
    assert_eq!(node(b"::ffff:192.0.2.1"), Some(at("192.0.2.1:0")));
}

fn told(tells: &[Tell], via: bool, trusted: bool, pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut head = RequestHead {
        authority: b"shop.example".to_vec(),
        scheme: Scheme::Https,
        fields: fields(pairs),
        ..RequestHead::default()
    };
    let hop = Hop {
        client: Client {
            address: at(if trusted {
                "203.0.113.9:5"
            } else {
                "192.0.2.1:999"
            }),
            trusted,
            scheme: trusted.then_some(Scheme::Https),
        },
        peer: at("192.0.2.1:999"),
        local: at("198.51.100.1:8443"),
        node: "fra1",
    };
    Telling::new(tells, via).write(&mut head, &hop, &mut Vec::new());
    let text = |b: &[u8]| String::from_utf8(b.to_vec()).unwrap();
    head.fields
        .iter()
        .map(|(n, v)| (text(n), text(v)))
        .collect()
}

fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
        .collect()
}

const ALL_FORGED: [(&str, &str); 6] = [
    ("X-Forwarded-For", "6.6.6.6"),
    ("X-Forwarded-Proto", "ftp"),
    ("X-Forwarded-Host", "evil.example"),
    ("X-Forwarded-Port", "1"),
    ("X-Real-IP", "6.6.6.6"),
    ("Forwarded", "for=6.6.6.6"),
];

#[test]
fn nothing_that_a_stranger_says_reaches_the_backend() {
    assert_eq!(told(&[], false, false, &ALL_FORGED), []);
    assert_eq!(
        told(&Tell::ALL, false, false, &ALL_FORGED),
        owned(&[
            ("x-forwarded-for", "192.0.2.1"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "shop.example"),
            ("x-forwarded-port", "8443"),
            ("x-real-ip", "192.0.2.1"),
            (
                "forwarded",
                "for=192.0.2.1;by=198.51.100.1;host=\"shop.example\";proto=https"
            ),
        ])
    );
}

#[test]
fn what_a_trusted_proxy_says_is_extended() {
    let got = told(
        &Tell::ALL,
        true,
        true,
        &[
            ("X-Forwarded-For", "203.0.113.9"),
            ("X-Forwarded-Host", "www.example"),
            ("Forwarded", "for=203.0.113.9;proto=https"),
            ("Via", "2.0 edge"),
        ],
    );
    let want = owned(&[
        ("x-forwarded-host", "www.example"),
        ("x-forwarded-for", "203.0.113.9, 192.0.2.1"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-port", "443"),
        ("x-real-ip", "203.0.113.9"),
        (
            "forwarded",
            "for=203.0.113.9;proto=https, for=192.0.2.1;by=198.51.100.1;host=\"shop.example\";proto=https",
        ),
        ("via", "2.0 edge, 1.1 fra1"),
    ]);
    assert_eq!(got, want);
}

#[test]
fn ipv6_stands_in_brackets_and_quotes() {
    let mut head = RequestHead::default();
    let peer = at("[2001:db8::7]:1");
    let hop = Hop {
        client: Client {
            address: peer,
            trusted: false,
            scheme: None,
        },
        peer,
        local: at("[2001:db8::1]:80"),
        node: "",
    };
    Telling::new(&[Tell::Forwarded], false).write(&mut head, &hop, &mut Vec::new());
    assert_eq!(
        head.fields.get(Known::Forwarded),
        Some(&b"for=\"[2001:db8::7]\";by=\"[2001:db8::1]\";proto=http"[..])
    );
}

#[test]
fn request_ids_of_trusted_proxies_are_kept() {
    let id = |trusted, pairs: &[(&str, &str)]| {
        let mut f = fields(pairs);
        String::from_utf8(request_id(&mut f, trusted, 0xabc).to_vec()).unwrap()
    };
    let made = "00000000000000000000000000000abc";
    assert_eq!(id(true, &[("X-Request-Id", "req-1")]), "req-1");
    assert_eq!(id(false, &[("X-Request-Id", "req-1")]), made);
    assert_eq!(id(true, &[]), made);
    assert_eq!(id(true, &[("X-Request-Id", "a b")]), made);
    assert_eq!(
        id(true, &[("X-Request-Id", "a"), ("X-Request-Id", "b")]),
        made
    );
    assert_eq!(id(true, &[("X-Request-Id", &"x".repeat(129))]), made);
}

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[test]
fn a_trace_context_is_passed_checked_or_begun() {
    let after = |mode: TraceContext, pairs: &[(&str, &str)]| {
        let mut f = fields(pairs);
        mode.apply(&mut f, (7, 9));
        let text = |k| f.get(k).map(|v| String::from_utf8(v.to_vec()).unwrap());
        (text(Known::Traceparent), text(Known::Tracestate))
    };
    let some = |t: &str| Some(t.to_owned());
    let good = [("traceparent", PARENT), ("tracestate", "a=1")];
    let bad = [("traceparent", "nonsense"), ("tracestate", "a=1")];
    let all = TraceContext::Start(1 << 32);
    for mode in [TraceContext::Pass, TraceContext::Check, all] {
        assert_eq!(after(mode, &good), (some(PARENT), some("a=1")));
    }
    assert_eq!(after(TraceContext::Pass, &bad).0, some("nonsense"));
    assert_eq!(after(TraceContext::Check, &bad), (None, None));
    let begun = "00-00000000000000000000000000000007-0000000000000009-01";
    assert_eq!(after(all, &bad), (some(begun), None));
    let unsampled = after(TraceContext::Start(0), &[]).0.unwrap();
    assert!(unsampled.ends_with("-00"));
    let state = [
        ("traceparent", PARENT),
        ("tracestate", "a=1"),
        ("tracestate", "nonsense"),
    ];
    assert_eq!(after(TraceContext::Check, &state), (some(PARENT), None));
    let twice = [("traceparent", PARENT), ("traceparent", PARENT)];
    assert_eq!(after(TraceContext::Check, &twice), (None, None));
}

proptest! {
    /// No text makes a client out of what a stranger sent to a trusted proxy: what stands left of the
    /// last address that is not trusted has no say.
    #[test]
    fn what_stands_left_of_the_client_has_no_say(forged in "[ -~]{0,60}") {
        let r = reading(Said::XForwarded, None);
        let line = format!("{forged}, 203.0.113.9, 10.0.0.7");
        prop_assert_eq!(client(&r, "10.0.0.1:1", &[("X-Forwarded-For", &line)]), "203.0.113.9:0");
    }

    #[test]
    fn any_forwarded_field_is_read_without_a_panic(line in any::<Vec<u8>>()) {
        for element in elements(&line) {
            let _ = element;
        }
        let _ = node(&line);
    }

    /// A forged `Forwarded` before the element that a trusted proxy added: also an open quote.
    #[test]
    fn forwarded_left_of_the_client_has_no_say_unless_it_breaks_the_whole(forged in "[ -!#-~]{0,60}") {
        let r = reading(Said::Forwarded, None);
        let line = format!("{forged}, for=203.0.113.9");
        prop_assert_eq!(client(&r, "10.0.0.1:1", &[("Forwarded", &line)]), "203.0.113.9:0");
    }
}

#[test]
fn a_quote_that_a_client_opens_as_a_name_hides_nobody() {
    let line = b"for=6.6.6.6;\", for=203.0.113.9";
    let clients: Vec<_> = super::element::elements(line).map(|e| e.client).collect();
    assert_eq!(clients, [None]);
}
