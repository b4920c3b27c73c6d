//! Steered names: ECS scopes, families, CNAMEs, standings.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use proptest::prelude::*;

use crate::dns::message::flags::AA;
use crate::dns::rtype::{self, A, AAAA, ANY, HTTPS, MX, TXT};
use crate::engine::testkit::{Desk, Got, Steer, World, ask, endpoint, name};
use crate::health::{Override, OverrideKind, Scope};
use crate::ids::RegionId;
use crate::net::{Family, Prefix};
use crate::snapshot::View;
use crate::steer::LastResort;
use crate::telemetry::DnsEvent;
use crate::time::Moment;

const ZONE: &str = r#"
$TTL 300
@      SOA ns1 admin 1 7200 3600 604800 60
@      NS  ns1
ns1    A   192.0.2.53
geo    TXT "static beside steered"
alias  CNAME geo
toc    CNAME cdn
"#;

const SOA: &str = "x.test. 60 SOA ns1.x.test. admin.x.test. 1 7200 3600 604800 60";

fn world() -> World {
    let only4 = Steer {
        families: vec![Family::V4],
        ..Steer::new("only4.x.test", "geo")
    };
    let deaf = Steer {
        ignore_ecs: true,
        ..Steer::new("deaf.x.test", "geo")
    };
    let cdn = Steer {
        cname: true,
        ..Steer::new("cdn.x.test", "geo")
    };
    let two = Steer {
        answers: 2,
        ..Steer::new("two.x.test", "geo")
    };
    World::new("x.test", ZONE)
        .steer(Steer::new("geo.x.test", "geo"))
        .steer(Steer::new("nested.x.test", "nested"))
        .steer(Steer::new("own.x.test", "own"))
        .steer(Steer::new("near.x.test", "near"))
        .steer(Steer::new("sticky.x.test", "sticky"))
        .steer(Steer::new("near-sticky.x.test", "near-sticky"))
        .steer(Steer::new("weighted.x.test", "weighted"))
        .steer(Steer::new("turns.x.test", "turns"))
        .steer(Steer::new("*.wild.x.test", "geo"))
        .steer(only4)
        .steer(deaf)
        .steer(cdn)
        .steer(two)
}

static VIEW: LazyLock<Arc<View>> = LazyLock::new(|| Arc::new(world().view()));

fn desk() -> Desk {
    Desk::at(VIEW.clone())
}

/// The region that an answer's addresses lie in, all of them.
fn region(got: &Got) -> &'static str {
    let data = got.data();
    assert!(!data.is_empty());
    let of = |d: &String| match d.as_bytes()[if d.contains(':') { 12 } else { 4 }] {
        b'1' => "eu",
        b'2' => "us",
        b'3' => "ap",
        _ => panic!("{d}"),
    };
    let first = of(&data[0]);
    assert!(data.iter().all(|d| of(d) == first), "{data:?}");
    first
}

#[test]
fn e1_ecs_decides_and_is_echoed_with_a_scope() {
    let mut d = desk();
    for (net, want) in [
        ("192.0.2.0/24", "eu"),
        ("198.51.100.0/24", "us"),
        ("203.0.113.0/24", "ap"),
        ("198.51.100.128/25", "us"),
        ("2001:db8:1::/48", "eu"),
        ("2001:db8:3:ff00::/56", "ap"),
    ] {
        for qtype in [A, AAAA] {
            let q = ask("geo.x.test", qtype).ecs(net);
            let got = d.udp(&q);
            assert_eq!(region(&got), want, "{net}");
            assert!(got.flag(AA));
            assert_eq!(got.ede(), None);
            let (mut sent, back) = (q.opt.unwrap().2[4..].to_vec(), got.option(8).unwrap());
            assert!(back[3] > 0);
            sent[3] = back[3];
            assert_eq!(back, sent);
        }
    }
    assert_eq!(d.scratch.counters.get(DnsEvent::Ecs), 12);
    assert_eq!(d.scratch.counters.get(DnsEvent::SteeredNormal), 12);
}

#[test]
fn e2_nested_networks_never_share_a_scope() {
    let mut d = desk();
    let mut at = |net: &str| {
        let got = d.udp(&ask("nested.x.test", A).ecs(net));
        (region(&got), got.scope().unwrap())
    };
    assert_eq!(at("1.2.3.0/24"), ("ap", 24));
    let (r, scope) = at("1.9.9.0/24");
    assert_eq!(r, "us");
    let covers = Prefix::containing("1.9.9.0".parse().unwrap(), scope);
    assert!(!covers.contains("1.2.3.0".parse().unwrap()), "{covers}");
    assert_eq!(scope, 13, "and it is no longer than it must be");
    let (r, scope) = at("9.9.9.0/24");
    assert_eq!(r, "eu");
    assert!(scope > 0, "an unmatched client must not speak for all");
}

#[test]
fn e4_without_ecs_the_resolver_decides() {
    for (peer, want) in [
        ("192.0.2.9", "eu"),
        ("::ffff:198.51.100.9", "us"),
        ("2001:db8:3::9", "ap"),
    ] {
        let got = desk().from(peer).udp(&ask("geo.x.test", A));
        assert_eq!(region(&got), want);
        // SOURCE/0: the same, and the option is echoed with scope 0.
        let mut d = desk().from(peer);
        for zero in ["0.0.0.0/0", "::/0"] {
            let got = d.udp(&ask("geo.x.test", A).ecs(zero));
            assert_eq!((region(&got), got.scope()), (want, Some(0)));
        }
    }
}

#[test]
fn e4_ignore_ecs_and_blind_policies_have_scope_zero() {
    let mut d = desk().from("203.0.113.1");
    let got = d.udp(&ask("deaf.x.test", A).ecs("192.0.2.0/24"));
    assert_eq!((region(&got), got.scope()), ("ap", Some(0)));
    for blind in ["weighted.x.test", "turns.x.test"] {
        let got = d.udp(&ask(blind, A).ecs("192.0.2.0/24"));
        assert_eq!(got.scope(), Some(0));
        let got = d.udp(&ask(blind, A).ecs("10.0.0.0/8"));
        assert_eq!(got.scope(), Some(0));
    }
}

#[test]
fn e4_a_hashed_client_has_a_scope_as_long_as_the_hash() {
    let mut d = desk();
    for (net, least) in [
        ("192.0.2.0/24", 20),
        ("8.8.0.0/16", 20),
        ("2001:db8:1::/48", 40),
    ] {
        for policy in ["sticky.x.test", "near-sticky.x.test"] {
            let got = d.udp(&ask(policy, A).ecs(net));
            assert!(got.scope().unwrap() >= least, "{net}");
        }
    }
}

#[test]
fn e5_negative_answers_have_scope_zero() {
    let mut d = desk();
    for (q, qtype, rcode) in [
        ("geo.x.test", HTTPS, "NoError"),
        ("geo.x.test", MX, "NoError"),
        ("only4.x.test", AAAA, "NoError"),
        ("gone.x.test", A, "NXDomain"),
    ] {
        for net in ["192.0.2.0/24", "198.51.100.0/24", "10.0.0.0/24"] {
            let got = d.udp(&ask(q, qtype).ecs(net));
            assert_eq!(got.rcode(), rcode);
            assert!(got.answers().is_empty());
            assert_eq!(got.authorities(), [SOA]);
            assert_eq!(got.scope(), Some(0), "{q}");
        }
    }
}

#[test]
fn e6_a_steered_cname_stands_alone_for_every_type() {
    let mut d = desk();
    for qtype in [A, AAAA, TXT, HTTPS, rtype::CNAME, ANY] {
        let got = d.udp(&ask("cdn.x.test", qtype).ecs("198.51.100.0/24"));
        let text = got.answers();
        assert_eq!(text.len(), 1, "{text:?}");
        assert!(text[0].contains(" CNAME us-"), "{text:?}");
        assert!(got.authorities().is_empty());
        assert!(got.scope().unwrap() > 0);
    }
}

#[test]
fn a6_an_alias_of_a_steered_name_has_its_scope() {
    let mut d = desk();
    let direct = d.udp(&ask("geo.x.test", A).ecs("203.0.113.0/24"));
    let got = d.udp(&ask("alias.x.test", A).ecs("203.0.113.0/24"));
    assert_eq!(got.scope(), direct.scope());
    let text = got.answers();
    assert_eq!(text[0], "alias.x.test. 300 CNAME geo.x.test.");
    assert!(text[1].starts_with("geo.x.test. ") && text[1].contains(" A 127.3.0."));
    assert_eq!(d.udp(&ask("toc.x.test", A)).answers().len(), 2);
}

#[test]
fn rfc4592_2_steered_wildcards_answer_under_the_asked_name() {
    let got = desk().udp(&ask("Any.Wild.x.test", A).ecs("192.0.2.0/24"));
    assert_eq!(region(&got), "eu");
    assert!(got.answers()[0].starts_with("Any.Wild.x.test. "));
}

#[test]
fn e7_special_purpose_clients_are_decided_by_the_resolver() {
    for (peer, want) in [("192.0.2.9", "eu"), ("203.0.113.9", "ap")] {
        let mut d = desk().from(peer);
        for net in [
            "10.1.2.0/24",
            "192.168.0.0/16",
            "fd00::/8",
            "::ffff:10.1.0.0/112",
        ] {
            let got = d.udp(&ask("geo.x.test", A).ecs(net));
            assert_eq!(region(&got), want, "{net}");
            assert!(
                got.scope().unwrap() > 0,
                "others are decided by their own address"
            );
        }
    }
    // A rule that names private space makes it meaningful.
    let mut d = desk().from("192.0.2.9");
    let got = d.udp(&ask("own.x.test", A).ecs("10.1.2.0/24"));
    assert_eq!((region(&got), got.scope()), ("us", Some(16)));
    assert_eq!(
        region(&d.udp(&ask("own.x.test", A).ecs("10.2.0.0/24"))),
        "eu"
    );
}

#[test]
fn a4_both_families_and_any_come_from_the_same_region() {
    let mut d = desk().from("198.51.100.1");
    for qtype in [A, AAAA] {
        assert_eq!(region(&d.udp(&ask("geo.x.test", qtype))), "us");
    }
    // The static data at the owner is a minimal answer to ANY; without it, one family.
    assert!(d.udp(&ask("geo.x.test", ANY)).answers()[0].contains(" TXT "));
    let got = d.udp(&ask("near.x.test", ANY));
    assert!(got.answers().iter().all(|a| a.contains(" A ")));
    assert!(d.udp(&ask("geo.x.test", TXT)).answers()[0].contains("static beside"));
}

#[test]
fn t2_several_answers_are_distinct_with_one_ttl() {
    let got = desk().udp(&ask("two.x.test", A).ecs("192.0.2.0/24"));
    assert_eq!(got.data(), ["127.1.0.11", "127.1.0.12"]);
    let ttls: Vec<u32> = got.message.answers.iter().map(|r| r.ttl).collect();
    assert_eq!(ttls, [60, 60]);
}

#[test]
fn o7_turns_take_everybody_once() {
    let mut d = desk();
    let mut seen: Vec<String> = (0..6)
        .map(|_| d.udp(&ask("turns.x.test", A)).data().remove(0))
        .collect();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 6);
}

#[test]
fn failure_moves_the_answer() {
    let mut world = world();
    world.down = vec!["eu"];
    let got = Desk::new(&world).udp(&ask("geo.x.test", A).ecs("192.0.2.0/24"));
    assert_ne!(region(&got), "eu");
    assert_eq!(got.ede(), None);
}

#[test]
fn f1_f3_t3_the_last_resort_is_loud_and_short() {
    let mut world = world();
    world.down = vec!["eu", "us", "ap"];
    let mut d = Desk::new(&world);
    let got = d.udp(&ask("geo.x.test", A).ecs("192.0.2.0/24"));
    assert_eq!(got.rcode(), "NoError");
    assert_eq!(got.answers().len(), 1);
    assert_eq!(got.message.answers[0].ttl, 5);
    assert_eq!(
        got.ede().unwrap(),
        (0, "last resort: no eligible endpoint is up".into())
    );
    assert_eq!(d.scratch.counters.get(DnsEvent::SteeredLastResort), 1);

    for (last_resort, rcode, text) in [
        (LastResort::ServFail, "ServFail", None),
        (
            LastResort::Cname(name("sorry.x.test")),
            "NoError",
            Some("lr.x.test. 5 CNAME sorry.x.test."),
        ),
        (
            LastResort::Endpoints(vec![endpoint("us4-2")]),
            "NoError",
            Some("lr.x.test. 5 A 127.2.0.12"),
        ),
    ] {
        let mut w = world.clone().steer(Steer {
            last_resort,
            ..Steer::new("lr.x.test", "geo")
        });
        w.generation = 9;
        let got = Desk::new(&w).udp(&ask("lr.x.test", A).option(3, &[]));
        assert_eq!(got.rcode(), rcode);
        assert_eq!(got.answers(), text.into_iter().collect::<Vec<_>>());
        assert!(got.ede().is_some());
        assert_eq!(got.option(3).unwrap(), b"node1#9");
    }
}

#[test]
fn t3_a7_an_override_is_said_and_bounds_the_ttl() {
    let mut world = world();
    world.overrides = vec![Override {
        scope: Scope::Region(RegionId(0)),
        kind: OverrideKind::Drain,
        owner: "ann".into(),
        reason: "works".into(),
        expires: Some(Moment::ZERO + Duration::from_secs(3)),
    }];
    let got = Desk::new(&world).udp(&ask("geo.x.test", A).ecs("192.0.2.0/24"));
    assert_ne!(region(&got), "eu");
    assert!(got.message.answers[0].ttl <= 3);
    assert!(got.ede().unwrap().1.contains("override"));
}

/// An address near the interesting places, or anywhere.
fn client() -> impl Strategy<Value = IpAddr> {
    let v4 = prop_oneof![
        any::<u32>(),
        (0u32..1 << 12).prop_map(|x| 0xC000_0200 ^ x),
        (0u32..1 << 20).prop_map(|x| 0x0102_0300 ^ x),
        (0u32..1 << 26).prop_map(|x| 0x0A01_0000 ^ x),
    ];
    let v6 = prop_oneof![
        any::<u128>(),
        (0u128..1 << 84).prop_map(|x| (0x2001_0db8_0001 << 80) ^ x),
        any::<u128>().prop_map(|x| x >> 7 | 0xFD << 120),
    ];
    prop_oneof![
        v4.clone().prop_map(|a| IpAddr::V4(Ipv4Addr::from(a))),
        v6.prop_map(|a| IpAddr::V6(Ipv6Addr::from(a))),
        (v4, 0..4usize).prop_map(|(a, form)| {
            let (block, len, offset) = crate::geo::table::EMBEDDED[form];
            let _ = len;
            IpAddr::V6(Ipv6Addr::from(
                u128::from(block) | u128::from(a) << (96 - offset),
            ))
        }),
    ]
}

proptest! {
    #[test]
    fn e2_clients_inside_a_scope_get_one_answer(
        first in client(),
        bits in any::<u128>(),
        source in 1u8..=128,
        name in 0..6usize,
        peer in 0..3usize,
    ) {
        let name = ["geo", "nested", "own", "near", "sticky", "near-sticky"][name];
        let name = format!("{name}.x.test");
        let peer = ["192.0.2.9", "203.0.113.9", "10.0.0.1"][peer];
        let at = |net: Prefix| {
            let got = desk().from(peer).udp(&ask(&name, A).ecs(&net.to_string()));
            (got.answers(), got.scope().unwrap())
        };
        let net = Prefix::containing(first, source);
        let (answer, scope) = at(net);
        // The resolver keeps the answer for this network.
        let max = net.family().bits();
        let kept = Prefix::containing(net.addr(), scope);
        let other = match (kept.addr(), bits) {
            (IpAddr::V4(a), bits) => {
                let host = if scope >= 32 { 0 } else { bits as u32 & (u32::MAX >> scope) };
                IpAddr::V4(Ipv4Addr::from(u32::from(a) | host))
            }
            (IpAddr::V6(a), bits) => {
                let host = if scope >= 128 { 0 } else { bits & (u128::MAX >> scope) };
                IpAddr::V6(Ipv6Addr::from(u128::from(a) | host))
            }
        };
        prop_assert!(kept.contains(other));
        let (again, its) = at(Prefix::containing(other, max));
        prop_assert_eq!(&answer, &again, "{} and {} inside {}", net, other, kept);
        prop_assert_eq!(scope, its, "{} and {}", net, other);
    }

    #[test]
    fn e4_the_option_does_not_change_what_location_blind_names_answer(net in client()) {
        let net = Prefix::containing(net, 24).to_string();
        let with = desk().udp(&ask("weighted.x.test", A).ecs(&net));
        let without = desk().udp(&ask("weighted.x.test", A));
        prop_assert_eq!(with.answers(), without.answers());
        prop_assert_eq!(with.scope(), Some(0));
    }
}

#[test]
fn turns_move_on_for_each_family_by_itself() {
    let world = World::new("x.test", ZONE).steer(Steer::new("turns.x.test", "turns"));
    let mut d = Desk::at(std::sync::Arc::new(world.view()));
    let mut seen = (Vec::new(), Vec::new());
    for _ in 0..6 {
        seen.0.extend(d.udp(&ask("turns.x.test", A)).data());
        seen.1.extend(d.udp(&ask("turns.x.test", AAAA)).data());
        // What is not answered takes no turn.
        d.udp(&ask("turns.x.test", TXT));
    }
    for mut all in [seen.0, seen.1] {
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 6, "asked alternately, each in turn: {all:?}");
    }
}
