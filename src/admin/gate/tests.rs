//! Who is let in, without a network.

use axum::http::{HeaderMap, HeaderName, HeaderValue};

use super::cross_site;
use super::identify::{Now, identify};
use super::peer::Shown;
use super::replay::{self, Before, Seen};
use super::session::{self, Sessions};
use super::*;
use crate::compile::{CertificateAccess, Holder, TokenAccess};
use crate::config::spec::{CertificateIs, Sha256};
use crate::time::Moment;

const TOKEN: &str = "tradewind_00ff";
const NOW: Now = Now {
    moment: Moment(5_000_000_000),
    unix: 1_800_000_000,
};

fn sha256(text: &[u8]) -> Sha256 {
    let digest = ring::digest::digest(&ring::digest::SHA256, text);
    digest.as_ref().try_into().unwrap()
}

fn holder(role: Role, from: &[&str]) -> Holder {
    Holder {
        role,
        from: from.iter().map(|p| p.parse().unwrap()).collect(),
    }
}

fn token(name: &str, text: &str, role: Role) -> TokenAccess {
    TokenAccess {
        name: name.into(),
        hash: sha256(text.as_bytes()),
        holder: holder(role, &[]),
        expires: None,
    }
}

fn access() -> Access {
    Access {
        tokens: vec![
            token("other", "tradewind_11", Role::Admin),
            token("ci", TOKEN, Role::Operator),
        ],
        ..Access::default()
    }
}

fn headers(fields: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        let name: HeaderName = name.parse().unwrap();
        headers.append(name, HeaderValue::from_str(value).unwrap());
    }
    headers
}

fn from(address: &str) -> Peer {
    Peer {
        address: address.parse().unwrap(),
        secure: false,
        certificate: None,
    }
}

fn ask(access: &Access, fields: &[(&str, &str)], peer: &Peer) -> Result<Who, Refused> {
    identify(access, &Sessions::default(), &headers(fields), peer, NOW)
}

#[test]
fn s1_strangers_are_nobody_and_this_machine_is_local() {
    let access = access();
    let far = ask(&access, &[("host", "gslb.example")], &from("192.0.2.9"));
    assert_eq!(far, Err(Refused::Nobody));
    for near in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
        let who = ask(&access, &[("host", "127.0.0.1:8053")], &from(near)).unwrap();
        assert_eq!(
            (&*who.name, who.role, who.by),
            ("local", Role::Admin, By::Loopback)
        );
    }
    for (role, expected) in [
        (Some(Role::Viewer), Ok(Role::Viewer)),
        (None, Err(Refused::Nobody)),
    ] {
        let access = Access {
            loopback: role,
            ..access.clone()
        };
        let who = ask(&access, &[], &from("127.0.0.1"));
        assert_eq!(who.map(|w| w.role), expected);
    }
}

#[test]
fn s1_a_request_that_was_passed_on_is_not_from_this_machine() {
    for field in ["Forwarded", "X-Forwarded-For", "X-Real-IP", "Via"] {
        let refused = ask(&access(), &[(field, "x")], &from("127.0.0.1"));
        assert_eq!(refused, Err(Refused::Nobody), "{field}");
    }
}

#[test]
fn s1_without_credentials_a_node_is_not_asked_by_a_name_that_may_be_anybodys() {
    for host in [
        "127.0.0.1",
        "127.0.0.1:8053",
        "[::1]:8053",
        "localhost:8053",
        "LOCALHOST",
        "a.localhost",
        "192.0.2.1:80",
    ] {
        assert!(
            ask(&access(), &[("host", host)], &from("127.0.0.1")).is_ok(),
            "{host}"
        );
    }
    for host in [
        "evil.example",
        "evil.example:8053",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "",
    ] {
        let refused = ask(&access(), &[("host", host)], &from("127.0.0.1"));
        assert!(
            matches!(refused, Err(Refused::Host(_))),
            "{host}: {refused:?}"
        );
    }
    let bearer = format!("Bearer {TOKEN}");
    let fields = [("host", "evil.example"), ("authorization", bearer.as_str())];
    assert!(
        ask(&access(), &fields, &from("127.0.0.1")).is_ok(),
        "a token is no browser's"
    );
}

#[test]
fn s1_a_token_is_its_holder_wherever_it_may_be_used() {
    let mut access = access();
    access.tokens[1].holder.from = vec!["192.0.2.0/24".parse().unwrap()];
    let bearer = |text: &str, peer: &str| ask(&access, &[("authorization", text)], &from(peer));
    for text in [format!("Bearer {TOKEN}"), format!("bearer   {TOKEN} ")] {
        let who = bearer(&text, "192.0.2.9").unwrap();
        assert_eq!(
            (&*who.name, who.role, who.by),
            ("ci", Role::Operator, By::Token)
        );
    }
    let elsewhere = bearer(&format!("Bearer {TOKEN}"), "198.51.100.1").unwrap_err();
    assert!(matches!(&elsewhere, Refused::Place { name, .. } if &**name == "ci"));
    // Even from this machine, which would need none.
    for wrong in [
        "Bearer tradewind_22",
        "Bearer tradewind_00f",
        "Bearer tradewind_00ff0",
    ] {
        assert_eq!(bearer(wrong, "127.0.0.1"), Err(Refused::Token), "{wrong}");
    }
    for other in ["Basic dTpw", "Bearer", "Bearer ", TOKEN, ""] {
        assert_eq!(bearer(other, "127.0.0.1"), Err(Refused::Scheme), "{other}");
    }
    let twice = [("authorization", "Bearer a"), ("authorization", "Bearer b")];
    assert_eq!(
        ask(&access, &twice, &from("127.0.0.1")),
        Err(Refused::Scheme)
    );
}

#[test]
fn s1_a_token_ends_at_the_second_it_says() {
    let mut access = access();
    for (expires, is_good) in [(NOW.unix + 1, true), (NOW.unix, false), (0, false)] {
        access.tokens[1].expires = Some(expires);
        let bearer = format!("Bearer {TOKEN}");
        let who = ask(
            &access,
            &[("authorization", bearer.as_str())],
            &from("192.0.2.9"),
        );
        match who {
            Ok(_) => assert!(is_good),
            Err(e) => {
                assert!(!is_good && matches!(e, Refused::Expired { .. }), "{e:?}");
                assert!(!e.detail().contains(TOKEN) && !format!("{e:?}").contains(TOKEN));
            }
        }
    }
}

#[test]
fn s1_a_client_certificate_has_the_role_that_the_configuration_gives_it() {
    let mut params = rcgen::CertificateParams::new(vec!["ann.example".to_owned()]).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, "ann");
    let made = params
        .self_signed(&rcgen::KeyPair::generate().unwrap())
        .unwrap();
    let shown = Arc::new(Shown::read(made.der()).unwrap());
    let peer = Peer {
        certificate: Some(shown),
        ..from("192.0.2.9")
    };
    for (is, fits) in [
        (CertificateIs::Subject("CN=ann".to_owned()), true),
        (CertificateIs::Subject("CN=an".to_owned()), false),
        (CertificateIs::San("ANN.example".to_owned()), true),
        (CertificateIs::San("example".to_owned()), false),
        (CertificateIs::Fingerprint(sha256(made.der())), true),
        (CertificateIs::Fingerprint([0; 32]), false),
    ] {
        let access = Access {
            certificates: vec![CertificateAccess {
                name: "ann".into(),
                is: is.clone(),
                holder: holder(Role::Viewer, &[]),
            }],
            ..access()
        };
        match ask(&access, &[], &peer) {
            Ok(who) => assert!(
                fits && who.role == Role::Viewer && who.by == By::Certificate,
                "{is:?}"
            ),
            Err(e) => assert!(!fits && e == Refused::Certificate, "{is:?}: {e:?}"),
        }
        let long_after = Now {
            unix: 70_000_000_000,
            ..NOW
        };
        let sessions = Sessions::default();
        let late = identify(&access, &sessions, &HeaderMap::new(), &peer, long_after);
        assert_eq!(
            late,
            Err(Refused::Certificate),
            "it has expired since the handshake"
        );
    }
}

/// The value of a cookie as the browser sends it back.
fn cookie(value: &str) -> HeaderMap {
    headers(&[
        ("cookie", "a=b; c"),
        ("cookie", &format!("x=y;tradewind={value} ; z=1")),
    ])
}

#[test]
fn s1_a_session_is_worth_what_its_token_is_worth_now() {
    let mut access = access();
    let mut sessions = Sessions::default();
    let ends = NOW.moment + Duration::from_secs(60);
    let value = sessions.open(&access.tokens[1], [7; 32], NOW.moment, ends);
    let find = |access: &Access, sessions: &Sessions, now: Now| {
        identify(access, sessions, &cookie(&value), &from("192.0.2.9"), now)
    };
    let who = find(&access, &sessions, NOW).unwrap();
    assert_eq!(
        (&*who.name, who.role, who.by),
        ("ci", Role::Operator, By::Session)
    );
    let other = identify(&access, &sessions, &cookie("00"), &from("192.0.2.9"), NOW);
    assert_eq!(other, Err(Refused::SignedOut));
    // A cookie without the prefix is not taken over TLS.
    let secure = Peer {
        secure: true,
        ..from("192.0.2.9")
    };
    let plain = identify(&access, &sessions, &cookie(&value), &secure, NOW);
    assert_eq!(plain, Err(Refused::Nobody));
    access.tokens[1].holder.role = Role::Viewer;
    assert_eq!(find(&access, &sessions, NOW).unwrap().role, Role::Viewer);
    let later = Now {
        moment: ends,
        ..NOW
    };
    assert_eq!(find(&access, &sessions, later), Err(Refused::SignedOut));
    access.tokens[1].expires = Some(NOW.unix);
    assert_eq!(find(&access, &sessions, NOW), Err(Refused::SignedOut));
    access.tokens.remove(1);
    assert_eq!(find(&access, &sessions, NOW), Err(Refused::SignedOut));
    assert!(sessions.close(&cookie(&value), false) && !sessions.close(&cookie(&value), false));
}

#[test]
fn s1_sessions_are_bounded_and_nobody_pushes_others_out() {
    let access = access();
    let mut sessions = Sessions::default();
    let ends = NOW.moment + Duration::from_secs(600);
    let first = sessions.open(&access.tokens[0], [0xAA; 32], NOW.moment, ends);
    for n in 0..200u8 {
        let mut secret = [0xBB; 32];
        secret[0] = n;
        sessions.open(&access.tokens[1], secret, NOW.moment, ends);
    }
    assert_eq!(sessions.len(NOW.moment), 1 + 32);
    let other = identify(&access, &sessions, &cookie(&first), &from("192.0.2.9"), NOW);
    assert_eq!(&*other.unwrap().name, "other");
}

#[test]
fn s1_the_cookie_is_out_of_reach_for_scripts_and_other_sites() {
    let plain = session::cookie(false, "ab", Duration::from_secs(9));
    assert_eq!(
        plain,
        "tradewind=ab; Path=/; Max-Age=9; HttpOnly; SameSite=Strict"
    );
    let secure = session::cookie(true, "", Duration::ZERO);
    assert_eq!(
        secure,
        "__Host-tradewind=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict; Secure"
    );
}

#[test]
fn s1_a_change_by_a_browser_must_come_from_the_own_page() {
    let host = ("host", "gslb.example:8053");
    let own = ("origin", "http://gslb.example:8053");
    let (here, there) = (
        ("sec-fetch-site", "same-origin"),
        ("sec-fetch-site", "cross-site"),
    );
    type Case<'a> = (&'a [(&'a str, &'a str)], bool, bool);
    let cases: &[Case<'_>] = &[
        // What is told; whether a session's is taken; whether this machine's is.
        (&[host], false, true),
        (&[host, own], true, true),
        (&[host, here], true, true),
        (&[host, own, here], true, true),
        (&[host, there], false, false),
        (&[host, own, there], false, false),
        (&[host, ("sec-fetch-site", "same-site")], false, false),
        (
            &[host, ("origin", "https://gslb.example:8053")],
            false,
            false,
        ),
        (&[host, ("origin", "http://gslb.example")], false, false),
        (&[host, ("origin", "http://evil.example")], false, false),
        (&[host, ("origin", "null"), here], true, true),
        (&[host, ("origin", "null")], false, false),
        (&[host, ("origin", "null"), there], false, false),
        (&[own], false, false),
    ];
    let peer = from("127.0.0.1");
    for (fields, session, loopback) in cases {
        let check = |by, marked| cross_site::check(by, &headers(fields), &peer, marked).is_ok();
        assert_eq!(check(By::Session, true), *session, "{fields:?}");
        assert_eq!(check(By::Loopback, false), *loopback, "{fields:?}");
        assert!(!check(By::Session, false), "without a key: {fields:?}");
        assert!(
            check(By::Token, false),
            "a token is not sent by a browser itself"
        );
        assert_eq!(
            check(By::Certificate, false),
            *loopback,
            "a certificate is: {fields:?}"
        );
    }
}

#[test]
fn s1_a_change_is_not_made_twice() {
    let mut seen = Seen::default();
    let (ann, bob): (Arc<str>, Arc<str>) = ("ann".into(), "bob".into());
    let at = |s| NOW.moment + Duration::from_secs(s);
    let mark = |name: &str, key: &[u8], body: &[u8]| {
        let (method, uri) = ("PUT".parse().unwrap(), "/v1/overrides".parse().unwrap());
        replay::mark(name, key, &method, &uri, body)
    };
    let before = |s, same| {
        Err(Before {
            ago: Duration::from_secs(s),
            same,
        })
    };
    let (anns, bobs) = (mark("ann", b"k1", b"{}"), mark("bob", b"k1", b"{}"));
    assert_eq!(seen.note(&ann, &anns, at(0)), Ok(()));
    assert_eq!(seen.note(&ann, &anns, at(5)), before(5, true));
    let other = mark("ann", b"k1", b"{ }");
    assert_eq!(seen.note(&ann, &other, at(6)), before(6, false));
    assert_eq!(
        seen.note(&bob, &bobs, at(5)),
        Ok(()),
        "keys are each person's own"
    );
    assert_eq!(seen.note(&ann, &anns, at(86_399)), before(86_399, true));
    assert_eq!(seen.note(&ann, &anns, at(86_400)), Ok(()));
    for n in 0..40_000u32 {
        let mark = mark("bob", &n.to_be_bytes(), b"");
        seen.note(&bob, &mark, at(86_400)).unwrap();
    }
    let last = mark("bob", &39_999u32.to_be_bytes(), b"");
    assert_eq!(seen.note(&bob, &last, at(86_400)), before(0, true));
    assert!(
        seen.note(&ann, &anns, at(86_401)).is_err(),
        "bob's do not push ann's out"
    );
}

#[test]
fn s1_a_mark_stands_for_whose_key_it_is_and_for_all_that_was_asked() {
    let mark = |name: &str, key: &str, method: &str, target: &str, body: &str| {
        let (method, uri) = (method.parse().unwrap(), target.parse().unwrap());
        replay::mark(name, key.as_bytes(), &method, &uri, body.as_bytes())
    };
    let first = mark("ann", "k", "DELETE", "/v1/overrides?name=a", "{}");
    assert_eq!(
        first,
        mark("ann", "k", "DELETE", "/v1/overrides?name=a", "{}")
    );
    for (name, key) in [("bob", "k"), ("ann", "l"), ("an", "nk"), ("annk", "")] {
        let other = mark(name, key, "DELETE", "/v1/overrides?name=a", "{}");
        assert_ne!(other.key, first.key, "{name} {key}");
        assert_eq!(other.body, first.body);
    }
    for (method, target, body) in [
        ("PUT", "/v1/overrides?name=a", "{}"),
        ("DELETE", "/v1/overrides?name=b", "{}"),
        ("DELETE", "/v1/overrides", "?name=a{}"),
        ("DELETE", "/v1/overrides?name=a", ""),
    ] {
        let other = mark("ann", "k", method, target, body);
        assert_ne!(other.body, first.body, "{method} {target}");
        assert_eq!(other.key, first.key);
    }
}

#[test]
fn a_key_is_one_short_word() {
    let long = "k".repeat(256);
    for (fields, key) in [
        (vec![], Ok(None)),
        (vec![("idempotency-key", "a-1")], Ok(Some(&b"a-1"[..]))),
        (vec![("idempotency-key", "")], Err(Refused::Key)),
        (vec![("idempotency-key", "a b")], Err(Refused::Key)),
        (vec![("idempotency-key", &long)], Err(Refused::Key)),
        (
            vec![("idempotency-key", "a"), ("idempotency-key", "b")],
            Err(Refused::Key),
        ),
    ] {
        assert_eq!(replay::key(&headers(&fields)), key, "{fields:?}");
    }
}

#[test]
fn s1_orders_bear_the_name_of_who_gives_them() {
    let who = |by| Who {
        name: "ci".into(),
        role: Role::Operator,
        by,
        mark: None,
    };
    let owner = |by, said: Option<&str>| who(by).owner(said.map(str::to_owned));
    assert_eq!(owner(By::Token, None).unwrap(), "ci");
    assert_eq!(owner(By::Token, Some("ci")).unwrap(), "ci");
    assert_eq!(owner(By::Session, Some(" ")).unwrap(), "ci");
    assert_eq!(owner(By::Token, Some("ann")).unwrap(), "ann (ci)");
    assert_eq!(
        owner(By::Certificate, Some("ann (ci)")).unwrap(),
        "ann (ci) (ci)"
    );
    assert_eq!(owner(By::Loopback, Some("ann")).unwrap(), "ann");
    assert!(owner(By::Loopback, None).is_err() && owner(By::Loopback, Some("")).is_err());
}

/// Keeps what is noted.
#[derive(Default)]
struct Notes(Mutex<Vec<Noted>>);

impl Auditor for Notes {
    fn note(&self, line: Noted) {
        self.0.lock().unwrap().push(line);
    }
}

#[test]
fn s1_strangers_cannot_flood_the_record_and_what_is_left_out_is_counted() {
    let notes = Arc::new(Notes::default());
    let record = Record::new(notes.clone());
    let peer = from("192.0.2.9");
    let asked = audit::Asked::new(
        &"GET".parse().unwrap(),
        &"/v1/names?secret=1".parse().unwrap(),
        &peer,
    );
    let known = Refused::Expired {
        name: "ci".into(),
        at: 0,
    };
    for n in 0..10_000u64 {
        record.refused(&Refused::Nobody, &asked, Moment(n));
    }
    record.refused(&known, &asked, Moment(10_000));
    let noted = notes.0.lock().unwrap().clone();
    assert_eq!(noted.len(), 60 + 1);
    assert!(
        noted
            .iter()
            .all(|l| l.event == "refused" && !l.text.contains("secret"))
    );
    assert_eq!((&*noted[0].who, &*noted[60].who), ("unknown", "ci"));
    let text = &noted[60].text;
    assert!(
        text.starts_with("GET /v1/names from 192.0.2.9: token `ci` expired"),
        "{text}"
    );
    assert!(
        text.ends_with("9940 more before were not written down"),
        "{text}"
    );
    let mut page = Page::with_capacity(100);
    record.metrics(&mut page);
    let text = page.into_text();
    assert!(
        text.contains("tradewind_admin_refused_total{reason=\"nobody\"} 10000\n"),
        "{text}"
    );
}

#[test]
fn s1_wrong_credentials_are_soon_not_looked_at_from_there() {
    let clock = Arc::new(crate::time::SimClock::default());
    let gate = Gate::new(access(), Arc::new(Notes::default()), clock).unwrap();
    let (one, other) = (from("192.0.2.9"), from("192.0.2.10"));
    for _ in 0..10 {
        assert_eq!(gate.counted(Refused::Token, &one), Refused::Token);
        assert_eq!(
            gate.counted(Refused::Nobody, &one),
            Refused::Nobody,
            "shows none"
        );
    }
    assert!(matches!(
        gate.counted(Refused::Token, &one),
        Refused::Failures { .. }
    ));
    assert_eq!(gate.counted(Refused::Token, &other), Refused::Token);
    gate.adopt(Access {
        failures_per_minute: 1,
        ..access()
    });
    assert_eq!(
        gate.counted(Refused::Token, &one),
        Refused::Token,
        "new rates begin anew"
    );
    assert!(matches!(
        gate.counted(Refused::Token, &one),
        Refused::Failures { .. }
    ));
    assert_eq!(format!("{gate:?}"), "Gate { .. }");
}

mod hostile {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever the fields hold, it is judged, and nobody becomes anybody by it.
        #[test]
        fn s4_any_header_fields_are_judged_and_let_nobody_in(
            authorization in prop::option::of("(Bearer |Basic )?[ -~\\xA0-\\xFF]{0,80}"),
            host in prop::option::of("[ -~]{0,40}"),
            cookie in prop::option::of("(tradewind=|__Host-tradewind=|;| |=|[a-f0-9]{1,64}){0,12}"),
            origin in prop::option::of("(https?://)?[ -~]{0,20}"),
            key in prop::option::of("[ -~]{0,300}"),
        ) {
            let mut fields = HeaderMap::new();
            let mut put = |name: &'static str, value: Option<String>| {
                let value = value.map(|v| HeaderValue::from_bytes(v.as_bytes()).unwrap());
                fields.extend(value.map(|v| (HeaderName::from_static(name), v)));
            };
            put("authorization", authorization);
            put("host", host);
            put("cookie", cookie);
            put("origin", origin);
            put("idempotency-key", key);
            let access = access();
            let sessions = Sessions::default();
            for peer in [from("192.0.2.9"), Peer { secure: true, ..from("2001:db8::1") }] {
                prop_assert!(identify(&access, &sessions, &fields, &peer, NOW).is_err());
                let _ = cross_site::check(By::Session, &fields, &peer, true);
            }
            let near = identify(&access, &sessions, &fields, &from("127.0.0.1"), NOW);
            prop_assert!(near.is_err() || near.is_ok_and(|w| w.by == By::Loopback));
            let _ = replay::key(&fields);
        }
    }
}
