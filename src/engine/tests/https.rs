//! Steered HTTPS records: RFC 9460, requirements A4, E2, E5, T1, T2.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use hickory_proto::rr::RData;
use hickory_proto::rr::rdata::svcb::{SVCB, SvcParamValue};
use proptest::prelude::*;

use crate::dns::message::flags::AA;
use crate::dns::rtype::{A, AAAA, HTTPS, SRV};
use crate::dns::svcb::Service;
use crate::engine::explain;
use crate::engine::testkit::{Desk, Got, Steer, World, ask, endpoint, name};
use crate::engine::{ExplainClient, Transport};
use crate::net::{Family, Prefix};
use crate::snapshot::View;
use crate::steer::{Draw, LastResort};
use crate::time::Moment;

const ZONE: &str = r#"
$TTL 300
@      SOA ns1 admin 1 7200 3600 604800 60
@      NS  ns1
ns1    A   192.0.2.53
alias  CNAME geo
plain  HTTPS 1 . alpn=h2
_s     SRV 0 0 443 turns
"#;

fn service() -> Service {
    Service::new(1, &["h3", "h2"], true, Some(8443))
}

fn with_https(owner: &'static str, policy: &'static str) -> Steer {
    Steer {
        answers: 2,
        https: Some(service()),
        ..Steer::new(owner, policy)
    }
}

fn world() -> World {
    World::new("x.test", ZONE)
        .steer(with_https("geo.x.test", "geo"))
        .steer(with_https("nested.x.test", "nested"))
        .steer(with_https("sticky.x.test", "sticky"))
        .steer(with_https("near-sticky.x.test", "near-sticky"))
        .steer(with_https("weighted.x.test", "weighted"))
        .steer(with_https("turns.x.test", "turns"))
        .steer(with_https("*.wild.x.test", "geo"))
        .steer(Steer {
            families: vec![Family::V6],
            ..with_https("only6.x.test", "geo")
        })
        .steer(Steer::new("bare.x.test", "geo"))
        .steer(Steer::new("plain.x.test", "geo"))
        .steer(Steer {
            cname: true,
            ..Steer::new("cdn.x.test", "geo")
        })
}

static VIEW: LazyLock<Arc<View>> = LazyLock::new(|| Arc::new(world().view()));

fn desk() -> Desk {
    Desk::at(VIEW.clone())
}

fn binding(got: &Got) -> &SVCB {
    let [record] = &got.message.answers[..] else {
        panic!("{:?}", got.answers())
    };
    match &record.data {
        RData::HTTPS(https) => &https.0,
        other => panic!("{other}"),
    }
}

/// The addresses in the hints of the one HTTPS record.
fn hints(got: &Got) -> BTreeSet<IpAddr> {
    let mut all = BTreeSet::new();
    for (_, value) in &binding(got).svc_params {
        match value {
            SvcParamValue::Ipv4Hint(list) => all.extend(list.0.iter().map(|a| IpAddr::V4(a.0))),
            SvcParamValue::Ipv6Hint(list) => all.extend(list.0.iter().map(|a| IpAddr::V6(a.0))),
            _ => {}
        }
    }
    all
}

fn addresses(records: &[hickory_proto::rr::Record]) -> BTreeSet<IpAddr> {
    records.iter().filter_map(|r| r.data.ip_addr()).collect()
}

#[test]
fn a4_rfc9460_7_3_hints_are_the_addresses_of_both_families() {
    let got = desk().udp(&ask("geo.x.test", HTTPS).ecs("192.0.2.0/24"));
    assert!(got.flag(AA));
    let text = &got.answers()[0];
    assert!(
        text.starts_with("geo.x.test. 60 HTTPS 1 . alpn=h3,h2, port=8443 ipv4hint=127.1.0.1"),
        "{text}"
    );
    let eu = [
        "127.1.0.11",
        "127.1.0.12",
        "2001:db8:f::1:1",
        "2001:db8:f::1:2",
    ];
    assert_eq!(hints(&got), eu.iter().map(|a| a.parse().unwrap()).collect());
    // RFC 9460 section 4.1: the addresses come along.
    assert_eq!(addresses(&got.message.additionals), hints(&got));
    assert_eq!(got.scope(), Some(24));
    assert_eq!(got.ede(), None);
}

#[test]
fn a4_one_family_has_hints_of_that_family_only() {
    let got = desk().udp(&ask("only6.x.test", HTTPS).ecs("192.0.2.0/24"));
    let all = hints(&got);
    assert!(all.len() == 2 && all.iter().all(IpAddr::is_ipv6), "{all:?}");
    assert_eq!(got.scope(), Some(24));
}

#[test]
fn a1_names_without_https_have_no_data_or_that_of_the_zone() {
    let mut d = desk();
    let got = d.udp(&ask("bare.x.test", HTTPS).ecs("192.0.2.0/24"));
    assert_eq!(got.answers(), Vec::<String>::new());
    assert_eq!(got.authorities().len(), 1);
    assert_eq!(got.scope(), Some(0), "E5");
    let got = d.udp(&ask("plain.x.test", HTTPS));
    assert_eq!(got.answers(), ["plain.x.test. 300 HTTPS 1 . alpn=h2,"]);
    // The static record points to its own name, whose addresses are steered.
    assert_eq!(got.additionals().len(), 2);
    let got = d.udp(&ask("cdn.x.test", HTTPS).ecs("192.0.2.0/24"));
    assert!(got.answers()[0].contains(" CNAME eu-"), "{got:?}");
}

#[test]
fn aliases_and_wildcards_lead_to_steered_https() {
    let mut d = desk();
    let got = d.udp(&ask("alias.x.test", HTTPS).ecs("203.0.113.0/24"));
    assert_eq!(got.answers().len(), 2);
    assert!(got.answers()[1].starts_with("geo.x.test. 60 HTTPS 1 . "));
    assert!(got.additionals()[0].starts_with("geo.x.test. 60 A"));
    let got = d.udp(&ask("a.wild.x.test", HTTPS).ecs("203.0.113.0/24"));
    assert!(got.answers()[0].starts_with("a.wild.x.test. 60 HTTPS"));
}

#[test]
fn t1_t3_hints_follow_health_and_say_so() {
    let mut w = world();
    w.down = vec!["eu4"];
    let got = Desk::new(&w).udp(&ask("geo.x.test", HTTPS).ecs("192.0.2.0/24"));
    // No pool is whole in eu: both families move together.
    let all = hints(&got);
    assert!(!all.is_empty());
    assert!(!all.iter().any(|a| a.to_string().starts_with("127.1.")));
    assert!(
        !all.iter()
            .any(|a| a.to_string().starts_with("2001:db8:f::1:"))
    );

    w.down = vec!["eu", "us", "ap"];
    let got = Desk::new(&w).udp(&ask("geo.x.test", HTTPS).ecs("192.0.2.0/24"));
    assert_eq!(hints(&got).len(), 4);
    assert_eq!(got.message.answers[0].ttl, 5);
    assert!(got.ede().unwrap().1.contains("last resort"));

    w.down = vec!["eu4", "us4", "ap4"];
    let got = Desk::new(&w).udp(&ask("geo.x.test", HTTPS).ecs("192.0.2.0/24"));
    assert!(
        got.ede().unwrap().1.contains("last resort"),
        "the lesser of the two families is told"
    );
    assert_eq!(got.message.answers[0].ttl, 5, "and its TTL holds for both");
}

#[test]
fn f1_last_resorts_without_addresses() {
    for (last_resort, rcode, text) in [
        (LastResort::ServFail, "ServFail", None),
        (
            LastResort::Cname(name("sorry.x.test")),
            "NoError",
            Some("lr.x.test. 5 CNAME sorry.x.test."),
        ),
    ] {
        let mut w = world().steer(Steer {
            last_resort,
            ..with_https("lr.x.test", "geo")
        });
        w.down = vec!["eu", "us", "ap"];
        let got = Desk::new(&w).udp(&ask("lr.x.test", HTTPS));
        assert_eq!(got.rcode(), rcode);
        assert_eq!(got.answers(), text.into_iter().collect::<Vec<_>>());
    }
    // One family left: its addresses are the hints, and nobody is sent away.
    let mut w = world().steer(Steer {
        last_resort: LastResort::Endpoints(vec![endpoint("us4-2")]),
        ..with_https("lr.x.test", "geo")
    });
    w.down = vec!["eu", "us", "ap"];
    let got = Desk::new(&w).udp(&ask("lr.x.test", HTTPS));
    assert_eq!(hints(&got).len(), 1);
}

#[test]
fn https_takes_no_turn_of_the_address_families() {
    let taken = |between: &dyn Fn(&mut Desk)| -> Vec<Vec<String>> {
        let mut d = desk();
        (0..6)
            .map(|_| {
                between(&mut d);
                d.udp(&ask("turns.x.test", A)).data()
            })
            .collect()
    };
    let alone = taken(&|_| {});
    let beside = taken(&|d| {
        d.udp(&ask("turns.x.test", HTTPS));
        d.udp(&ask("_s.x.test", SRV));
    });
    assert_eq!(alone, beside);
    let mut d = desk();
    let all: BTreeSet<IpAddr> = (0..6)
        .flat_map(|_| hints(&d.udp(&ask("turns.x.test", HTTPS))))
        .collect();
    assert_eq!(all.len(), 12, "and has turns of its own: {all:?}");
}

#[test]
fn a5_addresses_that_do_not_fit_are_left_out_without_truncation() {
    let long = vec!["x".repeat(32); 5];
    let w = World::new("x.test", ZONE).steer(Steer {
        answers: 32,
        https: Some(Service::new(1, &long, true, None)),
        ..Steer::new("all.x.test", "weighted")
    });
    let mut d = Desk::new(&w);
    // Without EDNS 512 octets: the record fits, not every additional RRset.
    let got = d.udp(&ask("all.x.test", HTTPS));
    assert_eq!(hints(&got).len(), 12);
    assert!(!got.message.metadata.truncation);
    assert!(got.bytes.len() <= 512);
    let whole = d.tcp(&ask("all.x.test", HTTPS));
    assert_eq!(addresses(&whole.message.additionals).len(), 12);
    assert!(got.message.additionals.len() < whole.message.additionals.len());
    // Whole RRsets only.
    let four = got
        .message
        .additionals
        .iter()
        .filter(|r| r.data.ip_addr().unwrap().is_ipv4());
    assert!([0, 6].contains(&four.count()));
}

#[test]
fn the_same_draw_gives_hints_that_explain_tells() {
    let view = VIEW.clone();
    let draw = Draw {
        random: 0x1234_5678_9abc_def0,
        turn: 3,
    };
    let client = ExplainClient {
        addr: "192.0.2.7".parse().unwrap(),
        source: Some(24),
        resolver: None,
    };
    let why = |qtype| {
        let owner = name("weighted.x.test");
        explain(&view, &owner, qtype, client, draw, Moment::ZERO).unwrap()
    };
    let both = why(HTTPS);
    let told = |e: &crate::engine::Explanation| -> Vec<String> {
        e.answered.iter().map(|a| a.data.clone()).collect()
    };
    let apart = [told(&why(A)), told(&why(AAAA))].concat();
    assert_eq!(told(&both), apart);
    let text = both.lines().join("\n");
    assert!(text.starts_with("weighted.x.test HTTPS on node"), "{text}");
    assert!(
        text.contains("\nfor IPv4:\n") && text.contains("\nfor IPv6:\n"),
        "{text}"
    );
    assert!(text.contains("answer HTTPS 127."), "{text}");
}

fn any_net() -> impl Strategy<Value = Prefix> {
    let near = prop_oneof![
        any::<u32>(),
        (0u32..1 << 12).prop_map(|x| 0xC000_0200 ^ x),
        (0u32..1 << 20).prop_map(|x| 0x0102_0300 ^ x),
    ];
    (near, 1u8..=32).prop_map(|(a, len)| Prefix::containing(IpAddr::V4(a.into()), len))
}

proptest! {
    #[test]
    fn e2_clients_inside_a_scope_get_one_https_answer(net in any_net(), host in any::<u32>(), which in 0..4usize) {
        let owner = ["geo.x.test", "nested.x.test", "sticky.x.test", "near-sticky.x.test"][which];
        let at = |net: Prefix| {
            let got = desk().udp(&ask(owner, HTTPS).ecs(&net.to_string()));
            (got.answers(), got.additionals(), got.scope().unwrap())
        };
        let first = at(net);
        let IpAddr::V4(base) = Prefix::containing(net.addr(), first.2).addr() else { unreachable!() };
        let free = u32::MAX.checked_shr(first.2.into()).unwrap_or(0);
        let other = IpAddr::V4((u32::from(base) | host & free).into());
        prop_assert_eq!(&first, &at(Prefix::containing(other, 32)), "{} and {}", net, other);
    }

    /// Requirement A4: whatever is down, the hints are a subset of what A and AAAA can answer then.
    #[test]
    fn a4_hints_are_answers_of_the_same_generation(down in prop::collection::btree_set(0..12usize, 0..12), net in any_net()) {
        let names = ["eu4-1", "eu4-2", "eu6-1", "eu6-2", "us4-1", "us4-2", "us6-1", "us6-2", "ap4-1", "ap4-2", "ap6-1", "ap6-2"];
        let mut w = world();
        w.down = down.iter().map(|i| names[*i]).collect();
        let view = Arc::new(w.view());
        let net = net.to_string();
        let mut d = Desk::at(view);
        for owner in ["geo.x.test", "weighted.x.test"] {
            let mut possible = BTreeSet::new();
            for _ in 0..60 {
                for qtype in [A, AAAA] {
                    possible.extend(addresses(&d.udp(&ask(owner, qtype).ecs(&net)).message.answers));
                }
            }
            for _ in 0..5 {
                let packet = ask(owner, HTTPS).ecs(&net).bytes();
                let got = Got::new(d.raw(&packet, Transport::Tcp).unwrap());
                let hints = hints(&got);
                prop_assert!(!hints.is_empty());
                prop_assert!(hints.is_subset(&possible), "{:?} of {:?}", hints, possible);
                prop_assert_eq!(addresses(&got.message.additionals), hints);
            }
        }
    }
}
