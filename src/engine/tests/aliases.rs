//! Owners that share the answers of a steered name, the apex of a zone among them.

use crate::dns::rtype::{A, AAAA, HTTPS, MX, NS, SOA, TXT};
use crate::dns::svcb::Service;
use crate::engine::testkit::{Desk, Steer, World, ask};
use crate::telemetry::DnsEvent;

const ZONE: &str = r#"
$TTL 300
@      SOA ns1 admin 1 7200 3600 604800 60
@      NS  ns1
@      MX  10 ns1
ns1    A   192.0.2.53
flat   TXT "beside"
chain  CNAME flat
"#;

fn world() -> World {
    World::new("x.test", ZONE).steer(Steer {
        aliases: vec!["x.test", "flat.x.test"],
        https: Some(Service::new(1, &["h2"], true, None)),
        ..Steer::new("www.x.test", "geo")
    })
}

#[test]
fn an_apex_gives_the_steered_answers_beside_its_own_data() {
    let mut d = Desk::new(&world());
    let got = d.udp(&ask("x.test", A).ecs("198.51.100.0/24"));
    assert_eq!(got.answers().len(), 1);
    assert!(
        got.answers()[0].starts_with("x.test. 60 A 127.2.0.1"),
        "{got:?}"
    );
    assert_eq!(got.scope(), Some(24));
    let got = d.udp(&ask("X.test", AAAA).ecs("192.0.2.0/24"));
    assert!(
        got.answers()[0].contains(" 60 AAAA 2001:db8:f::1:"),
        "{got:?}"
    );
    let got = d.udp(&ask("x.test", HTTPS).ecs("192.0.2.0/24"));
    assert!(got.answers()[0].starts_with("x.test. 60 HTTPS 1 . alpn=h2, ipv4hint=127.1."));
    for (qtype, text) in [
        (SOA, "x.test. 300 SOA"),
        (NS, "x.test. 300 NS"),
        (MX, "x.test. 300 MX"),
    ] {
        let got = d.udp(&ask("x.test", qtype).ecs("192.0.2.0/24"));
        assert!(got.answers()[0].starts_with(text), "A2: {got:?}");
        assert_eq!(got.scope(), Some(0));
    }
    // Other types: no data, as at every name that exists.
    let got = d.udp(&ask("x.test", TXT));
    assert_eq!(
        (got.rcode(), got.authorities().len()),
        ("NoError".into(), 1)
    );
    assert_eq!(d.scratch.counters.get(DnsEvent::SteeredNormal), 3);
}

#[test]
fn an_alias_is_followed_and_keeps_its_static_data() {
    let mut d = Desk::new(&world());
    let got = d.udp(&ask("chain.x.test", A).ecs("203.0.113.0/24"));
    assert_eq!(got.answers()[0], "chain.x.test. 300 CNAME flat.x.test.");
    assert!(got.answers()[1].starts_with("flat.x.test. 60 A 127.3."));
    assert_eq!(got.scope(), Some(24));
    let got = d.udp(&ask("flat.x.test", TXT));
    assert_eq!(got.answers(), ["flat.x.test. 300 TXT beside"]);
}

/// One decision: by the same draw the alias and its name answer the same, whatever is down.
#[test]
fn an_alias_answers_what_its_name_answers() {
    for down in [
        vec![],
        vec!["eu"],
        vec!["eu", "us4-1"],
        vec!["eu", "us", "ap"],
    ] {
        let mut w = world();
        w.down = down;
        for net in [
            "192.0.2.0/24",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "8.8.8.0/24",
        ] {
            for qtype in [A, AAAA, HTTPS] {
                let at = |owner| {
                    let got = Desk::new(&w).udp(&ask(owner, qtype).ecs(net));
                    let ttls: Vec<u32> = got.message.answers.iter().map(|r| r.ttl).collect();
                    (got.data(), ttls, got.scope(), got.ede())
                };
                assert_eq!(at("www.x.test"), at("x.test"));
                assert_eq!(at("www.x.test"), at("flat.x.test"));
            }
        }
    }
}

#[test]
fn explain_says_whose_answers_they_are() {
    let mut d = Desk::new(&world());
    let got = d.tcp(&ask("_explain.x.test", TXT).ecs("192.0.2.0/24"));
    let text = got.data().join("\n");
    assert!(text.contains("x.test A on node node1"), "{text}");
    assert!(text.contains("alias-of www.x.test"), "{text}");
}
