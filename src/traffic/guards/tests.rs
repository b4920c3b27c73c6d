//! Keys of rates, redirects to TLS, questions to an authorisation.

use std::time::Duration;

use super::*;
use crate::ids::UpstreamId;
use crate::limit::{Algorithm, Prefixes, Rate, Taken};
use crate::message::{Fields, Known, Method, Name, RequestHead, ResponseHead};
use crate::traffic::fields::Facts;

fn head(authority: &str, target: &str, fields: &[(&str, &str)]) -> RequestHead {
    RequestHead {
        authority: authority.into(),
        target: target.into(),
        fields: fields.iter().copied().collect(),
        ..RequestHead::default()
    }
}

fn hash(parts: &[&str], client: &str, head: &RequestHead) -> u64 {
    let key = RateKey {
        parts: parts.iter().map(|p| KeyPart::parse(p).unwrap()).collect(),
        prefixes: Prefixes::new(24, 64),
    };
    let facts = KeyFacts {
        head,
        client: client.parse().unwrap(),
        listener: "web",
        route: "api",
    };
    key.hash(&facts, [1, 2])
}

#[test]
fn requests_with_the_same_parts_are_counted_together() {
    let a = head(
        "a.example",
        "/x?k=1",
        &[("X-Key", "one"), ("Cookie", "sid=7")],
    );
    let b = head(
        "a.example",
        "/x?k=2",
        &[("X-Key", "two"), ("Cookie", "sid=7")],
    );
    let same = |parts: &[&str]| hash(parts, "192.0.2.1", &a) == hash(parts, "192.0.2.99", &b);
    assert!(same(&[]) && same(&["source"]) && same(&["cookie:sid", "path", "route", "host"]));
    assert!(!same(&["header:x-key"]) && !same(&["query:k"]));
    assert_ne!(
        hash(&["source"], "192.0.2.1", &a),
        hash(&["source"], "192.0.3.1", &a)
    );
    assert_eq!(
        hash(&["source"], "192.0.2.1", &a),
        hash(&["source"], "::ffff:192.0.2.1", &a)
    );
}

#[test]
fn parts_cannot_be_shifted_into_each_other() {
    let a = head("h", "/", &[("A", "xy"), ("B", "z")]);
    let b = head("h", "/", &[("A", "x"), ("B", "yz")]);
    let parts = ["header:a", "header:b"];
    assert_ne!(hash(&parts, "192.0.2.1", &a), hash(&parts, "192.0.2.1", &b));
}

#[test]
fn words_of_parts() {
    for word in KeyPart::words() {
        let text = if word.ends_with(':') {
            format!("{word}x")
        } else {
            word.to_owned()
        };
        assert!(KeyPart::parse(&text).is_some(), "{text}");
    }
    for bad in ["sauce", "header:", "header", "cookie:a b", "tls:x"] {
        assert_eq!(KeyPart::parse(bad), None, "{bad}");
    }
}

#[test]
fn waits_are_told_in_whole_seconds() {
    assert_eq!(retry_after(Duration::ZERO), 1);
    assert_eq!(retry_after(Duration::from_millis(1001)), 2);
    let rule = RateRule {
        name: "per-ip".into(),
        key: RateKey {
            parts: Box::default(),
            prefixes: Prefixes::new(32, 64),
        },
        rate: Rate {
            algorithm: Algorithm::TokenBucket,
            amount: 100,
            window: Duration::from_secs(60),
            burst: 100,
        },
        status: 429,
        enforce: true,
        tell: true,
        table_bytes: 1 << 20,
    };
    let taken = Taken {
        granted: true,
        remaining: 9,
        wait: Duration::from_millis(1500),
    };
    let mut fields = Fields::new();
    write_rate_fields(&rule, taken, &mut fields);
    let text = |n: &[u8]| fields.get_named(&Name::new(n)).map(<[u8]>::to_vec);
    assert_eq!(text(b"ratelimit"), Some(b"\"per-ip\";r=9;t=2".to_vec()));
    assert_eq!(
        text(b"ratelimit-policy"),
        Some(b"\"per-ip\";q=100;w=60".to_vec())
    );
}

#[test]
fn the_same_place_with_tls() {
    let location = |port, authority: &str, target: &str| {
        let mut out = Vec::new();
        let redirect = SecureRedirect { port, status: 308 };
        let known = redirect.location(&head(authority, target, &[]), &mut out);
        known.then(|| String::from_utf8(out).unwrap())
    };
    let some = |t: &str| Some(t.to_owned());
    assert_eq!(
        location(443, "a.example:80", "/x?y=1"),
        some("https://a.example/x?y=1")
    );
    assert_eq!(
        location(8443, "[2001:db8::1]:80", "/"),
        some("https://[2001:db8::1]:8443/")
    );
    assert_eq!(location(443, "", "/x"), None);
    assert_eq!(location(443, "a.example", "*"), None);
}

fn auth() -> ForwardAuth {
    ForwardAuth {
        name: "sso".into(),
        upstream: UpstreamId(0),
        path: b"/verify".as_slice().into(),
        timeout: Duration::from_secs(1),
        copy: vec![Name::new(b"X-User")],
        show: None,
        allow_on_error: false,
    }
}

#[test]
fn the_question_is_the_head_without_body() {
    let asked = RequestHead {
        method: Method::Post,
        ..head(
            "shop.example",
            "/buy?x=1",
            &[
                ("Cookie", "sid=7"),
                ("Content-Length", "10"),
                ("Content-Type", "text/plain"),
                ("X-Forwarded-Uri", "/forged"),
                ("Expect", "100-continue"),
            ],
        )
    };
    let facts = Facts::new(&asked, "192.0.2.7:1".parse().unwrap());
    let question = auth().question(&facts);
    assert_eq!(
        (question.method.clone(), &question.target[..]),
        (Method::Get, &b"/verify"[..])
    );
    let all: Vec<_> = question
        .fields
        .iter()
        .map(|(n, v)| {
            format!(
                "{}={}",
                String::from_utf8_lossy(n),
                String::from_utf8_lossy(v)
            )
        })
        .collect();
    assert_eq!(
        all,
        [
            "cookie=sid=7",
            "x-forwarded-method=POST",
            "x-forwarded-proto=http",
            "x-forwarded-host=shop.example",
            "x-forwarded-uri=/buy?x=1",
            "x-forwarded-for=192.0.2.7",
            "x-original-method=POST",
            "x-original-url=http://shop.example/buy?x=1",
        ]
    );
    let few = ForwardAuth {
        show: Some(vec![Name::new(b"authorization")]),
        ..auth()
    };
    assert!(!few.question(&facts).fields.has(Known::Cookie));
}

#[test]
fn what_a_client_pretends_is_replaced_by_what_the_service_says() {
    let mut request: Fields = [("X-User", "root"), ("X-Other", "1")].into_iter().collect();
    let mut answer = ResponseHead::new(200);
    answer.fields.push(b"X-User", b"ann");
    answer.fields.push(b"X-Secret", b"s");
    auth().distrust(&mut request);
    auth().copy_to(&answer, &mut request);
    let names: Vec<_> = request
        .iter()
        .map(|(n, v)| (n.to_vec(), v.to_vec()))
        .collect();
    assert_eq!(
        names,
        [
            (b"x-other".to_vec(), b"1".to_vec()),
            (b"x-user".to_vec(), b"ann".to_vec())
        ]
    );
}

#[test]
fn only_success_passes_and_errors_are_no_ruling() {
    let of = |status| auth().ruling(status);
    assert_eq!([of(200), of(204)], [Ruling::Pass; 2]);
    assert_eq!([of(302), of(401), of(403), of(404)], [Ruling::Answer; 4]);
    assert_eq!([of(500), of(503), of(101)], [Ruling::Failed; 3]);
}
