//! Explain, over DNS and by call.

use std::sync::{Arc, LazyLock};

use proptest::prelude::*;

use crate::dns::message::flags::TC;
use crate::dns::rtype::{A, AAAA, TXT};
use crate::engine::testkit::{Desk, Got, Steer, World, ask, name};
use crate::engine::{ExplainClient, explain};
use crate::net::{Family, Prefix};
use crate::snapshot::View;
use crate::steer::decision::Standing;
use crate::telemetry::DnsEvent;

const ZONE: &str = "
$TTL 300
@     SOA ns1 admin 1 7200 3600 604800 60
@     NS  ns1
ns1   A   192.0.2.53
alias CNAME geo
";

fn world() -> World {
    World::new("x.test", ZONE)
        .steer(Steer::new("geo.x.test", "geo"))
        .steer(Steer::new("turns.x.test", "turns"))
        .steer(Steer::new("*.wild.x.test", "geo"))
        .steer(Steer {
            families: vec![Family::V6],
            ..Steer::new("only6.x.test", "near")
        })
}

fn lines(got: &Got) -> Vec<String> {
    got.message
        .answers
        .iter()
        .map(|r| {
            assert_eq!(r.ttl, 0);
            r.data.to_string()
        })
        .collect()
}

#[test]
fn explain_over_dns_names_the_place_and_the_answer() {
    let mut d = Desk::new(&world());
    let q = ask("_explain.geo.x.test", TXT).ecs("198.51.100.0/24");
    let got = d.tcp(&q);
    let lines = lines(&got);
    let text = lines.join("\n");
    assert_eq!(lines[0], "geo.x.test A on node node1 at generation 1");
    assert_eq!(lines[1], "client 198.51.100.0/24: from its ECS option");
    assert!(
        lines[2].starts_with("place of 198.51.100.0/24: continent NA"),
        "{text}"
    );
    assert!(lines[2].ends_with("(from own networks)"), "{text}");
    assert!(text.contains("\ngeo prefer by "), "{text}");
    assert!(text.contains("in region us"), "{text}");
    assert!(
        lines.last().unwrap().starts_with("ttl 60 s, scope /"),
        "{text}"
    );
    assert!(got.scope().unwrap() > 0);
    assert_eq!(d.scratch.counters.get(DnsEvent::Explained), 1);
    // The next query gets the answer that was explained.
    let answer = d.udp(&ask("geo.x.test", A).ecs("198.51.100.0/24")).data();
    assert!(
        text.contains(&format!("answer A {}: endpoint us4-", answer[0])),
        "{text}"
    );
}

#[test]
fn explain_over_dns_is_for_allowed_senders() {
    let mut d = Desk::new(&world()).from("192.0.2.1");
    let got = d.udp(&ask("_explain.geo.x.test", TXT));
    assert_eq!(got.rcode(), "NXDomain");
    // Allowed, but not steered: a normal lookup. Another type: no data, for the TXT exists.
    let mut d = Desk::new(&world());
    assert_eq!(d.udp(&ask("_explain.ns1.x.test", TXT)).rcode(), "NXDomain");
    assert_eq!(d.udp(&ask("_explain.geo.x.test", A)).rcode(), "NoError");
    assert_eq!(d.udp(&ask("_explain", TXT)).rcode(), "Refused");
    assert_eq!(d.scratch.counters.get(DnsEvent::Explained), 0);
}

#[test]
fn explain_over_dns_comes_by_tcp_when_it_is_long() {
    let mut d = Desk::new(&world());
    let q = ask("_Explain.any.wild.x.test", TXT).ecs("192.0.2.0/24");
    let mut plain = q.clone();
    plain.opt = None;
    let udp = d.udp(&plain);
    assert!(udp.flag(TC) && udp.answers().is_empty());
    let text = lines(&d.tcp(&q)).join("\n");
    assert!(text.contains("steered by *.wild.x.test"), "{text}");
}

#[test]
fn explain_does_not_move_anybody() {
    let mut plain = Desk::new(&world());
    let mut watched = Desk::new(&world());
    for _ in 0..5 {
        watched.tcp(&ask("_explain.turns.x.test", TXT));
        let q = ask("turns.x.test", A);
        assert_eq!(plain.udp(&q).answers(), watched.udp(&q).answers());
    }
}

#[test]
fn explain_replays_its_draw() {
    let d = Desk::new(&world());
    let us = ExplainClient {
        addr: "198.51.100.7".parse().unwrap(),
        source: Some(24),
        resolver: None,
    };
    for random in 0..50u64 {
        let draw = crate::steer::Draw {
            random: random.wrapping_mul(0x9E37_79B9_7F4A_7C15),
            turn: random as u32,
        };
        let of = |n: &str| explain(&d.view, &name(n), A, us, draw, d.now).unwrap();
        let (first, again) = (of("alias.x.test"), of("alias.x.test"));
        assert_eq!(first, again);
        assert_eq!(first.aliases, ["geo.x.test"]);
        assert_eq!(first.decision.standing, Standing::Normal);
        assert_eq!(first.answered[0].region, "us");
        assert_eq!(first.ecs.unwrap().to_string(), "198.51.100.0/24");
        assert_eq!(first.draw, draw);
    }
}

#[test]
fn explain_says_what_is_wrong_with_the_question() {
    let mut d = Desk::new(&world());
    let client = ExplainClient {
        addr: "192.0.2.1".parse().unwrap(),
        source: None,
        resolver: None,
    };
    let draw = crate::steer::Draw { random: 0, turn: 0 };
    let error = |n: &str, qtype| {
        explain(&d.view, &name(n), qtype, client, draw, d.now)
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        error("goe.x.test", A),
        "`goe.x.test` is not a steered name; did you mean `geo.x.test`?"
    );
    assert_eq!(
        error("turns.x.tset", A),
        "no zone here holds `turns.x.tset`; did you mean `turns.x.test`?"
    );
    assert_eq!(
        error("geo.x.test", TXT),
        "`geo.x.test` is steered, but not its type TXT; ask for A or AAAA, or HTTPS where it has `https`"
    );
    let e = explain(&d.view, &name("only6.x.test"), A, client, draw, d.now).unwrap();
    assert_eq!(e.otherwise.as_deref(), Some("no data of this type"));
    // As dig sees it in the SOA record: the zone's negative TTL, not that of an answer.
    let negative = d.udp(&ask("only6.x.test", A)).message.authorities[0].ttl;
    assert_eq!((e.ttl.secs(), negative), (60, 60));
    let e = explain(&d.view, &name("only6.x.test"), AAAA, client, draw, d.now).unwrap();
    assert_eq!(e.answered[0].region, "eu");
    assert_eq!(
        e.client_why,
        "the resolver's address: no ECS network was sent"
    );
}

#[test]
fn explain_says_why_no_scope_is_sent_where_the_plan_has_one() {
    let d = Desk::new(&world());
    let draw = crate::steer::Draw { random: 0, turn: 0 };
    let last = |source| {
        let client = ExplainClient {
            addr: "198.51.100.0".parse().unwrap(),
            source,
            resolver: None,
        };
        let e = explain(&d.view, &name("geo.x.test"), A, client, draw, d.now).unwrap();
        e.lines().pop().unwrap()
    };
    let (resolver, ecs) = (last(None), last(Some(24)));
    assert!(
        resolver.contains("scope /0 (no ECS network to answer), normal"),
        "{resolver}"
    );
    assert!(ecs.contains("scope /24, normal"), "{ecs}");
}

#[test]
fn e7_explain_says_that_the_resolver_decided() {
    let mut d = Desk::new(&world()).from("127.0.0.1");
    let text = lines(&d.tcp(&ask("_explain.geo.x.test", TXT).ecs("10.0.0.0/8"))).join("\n");
    assert!(
        text.contains("client 127.0.0.1: the resolver's address: the ECS network is special-purpose address space (ECS 10.0.0.0/8)"),
        "{text}"
    );
}

/// Views with nothing down, a region down, half of each region down, and everything down.
static VIEWS: LazyLock<Vec<Arc<View>>> = LazyLock::new(|| {
    let down: [&[&'static str]; 4] = [
        &[],
        &["eu"],
        &["eu4-1", "us4-2", "ap6-1", "us6-1"],
        &["eu", "us", "ap"],
    ];
    let all = down.into_iter().map(|down| {
        let mut world = world()
            .steer(Steer::new("near.x.test", "near"))
            .steer(Steer::new("near-sticky.x.test", "near-sticky"))
            .steer(Steer {
                answers: 3,
                ..Steer::new("weighted.x.test", "weighted")
            });
        world.down = down.to_vec();
        Arc::new(world.view())
    });
    all.collect()
});

proptest! {
    #[test]
    fn explain_is_what_the_query_gets(
        view in 0..4usize,
        which in 0..6usize,
        six in any::<bool>(),
        addr in any::<u32>(),
        near in any::<bool>(),
        source in 1u8..=32,
        earlier in 0..4u8,
    ) {
        let owner = ["geo", "turns", "a.wild", "near", "near-sticky", "weighted"][which];
        let owner = format!("{owner}.x.test");
        let qtype = if six { AAAA } else { A };
        let addr = if near { 0xC000_0200 | addr & 0xFF } else { addr };
        let net = Prefix::containing(std::net::Ipv4Addr::from(addr).into(), source);
        let mut d = Desk::at(VIEWS[view].clone()).from("198.51.100.9");
        let q = ask(&owner, qtype).ecs(&net.to_string());
        for _ in 0..earlier {
            d.udp(&q);
        }
        let id = match d.view.snapshot.zones.lookup(name(&owner).as_bytes(), qtype).found {
            crate::zone::Found::Steered { name } => name,
            other => panic!("{other:?}"),
        };
        let draw = d.scratch.peek(id, if six { Family::V6 } else { Family::V4 });
        let client = ExplainClient {
            addr: net.addr(),
            source: Some(source),
            resolver: Some("198.51.100.9".parse().unwrap()),
        };
        let e = explain(&d.view, &name(&owner), qtype, client, draw, d.now).unwrap();
        let got = d.udp(&q);
        let mut data: Vec<String> = e.answered.iter().map(|a| a.data.clone()).collect();
        data.sort();
        prop_assert_eq!(data, got.data());
        prop_assert_eq!(e.ttl.secs(), got.message.answers[0].ttl);
        prop_assert_eq!(Some(e.scope.0), got.scope());
        prop_assert!(e.lines().iter().all(|l| l.chars().count() <= 255));
    }
}

#[test]
fn rfc8020_explain_has_no_other_types_but_exists() {
    let mut d = Desk::new(&world());
    let got = d.udp(&ask("_explain.geo.x.test", A));
    assert_eq!(
        got.message.metadata.response_code,
        hickory_proto::op::ResponseCode::NoError
    );
    assert!(got.message.answers.is_empty());
    assert_eq!(got.message.authorities.len(), 1, "the SOA");
    let got = d.udp(&ask("_explain.nothing.x.test", A));
    assert_eq!(
        got.message.metadata.response_code,
        hickory_proto::op::ResponseCode::NXDomain
    );
}
