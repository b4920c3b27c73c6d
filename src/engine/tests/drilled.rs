//! Drills with a scope: who is answered under them, for whom an answer holds, what is proved.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::rr::RecordType;
use proptest::prelude::*;

use crate::dns::rtype::{self, A, AAAA};
use crate::dnssec::Denial;
use crate::engine::explain::{Supposition, suppose};
use crate::engine::testkit::{Desk, Got, Outcome, Steer, Validator, World, ask, name};
use crate::engine::{ExplainClient, explain, explain_in_full};
use crate::health::{Override, OverrideKind, Overrides, Scope};
use crate::ids::RegionId;
use crate::net::{Family, Prefix};
use crate::overrides::Reach;
use crate::snapshot::View;
use crate::snapshot::drills::DrillOrders;
use crate::steer::Draw;
use crate::time::Moment;
use crate::units::Generation;

const ZONE: &str = r#"
$TTL 300
@      SOA ns1 admin 1 7200 3600 604800 60
@      NS  ns1
ns1    A   192.0.2.53
geo    TXT "static beside steered"
*.far  A   192.0.2.99
"#;

fn world() -> World {
    World::new("x.test", ZONE)
        .steer(Steer::new("geo.x.test", "geo"))
        .steer(Steer::new("nested.x.test", "nested"))
        .steer(Steer::new("near.x.test", "near"))
        .steer(Steer::new("sticky.x.test", "sticky"))
        .steer(Steer::new("weighted.x.test", "weighted"))
        .steer(Steer::new("*.wild.x.test", "geo"))
        .steer(Steer {
            ignore_ecs: true,
            ..Steer::new("deaf.x.test", "geo")
        })
        .steer(Steer {
            cname: true,
            ..Steer::new("cdn.x.test", "geo")
        })
        .steer(Steer {
            families: vec![Family::V4],
            ..Steer::new("only4.x.test", "geo")
        })
}

/// The view of a world in which region `region` fails for whom `reach` says.
fn drilled(world: &World, region: u32, reach: Reach) -> Arc<View> {
    let plain = world.view();
    let ends = Moment::ZERO + Duration::from_secs(40);
    let mut parts = plain.parts();
    parts.drills = Arc::new([DrillOrders {
        id: "k2f9".into(),
        reach,
        ends,
        orders: vec![Override {
            scope: Scope::Region(RegionId(region)),
            kind: OverrideKind::ForceDown,
            owner: "ann".into(),
            reason: "drill k2f9".into(),
            expires: Some(ends),
        }],
    }]);
    Arc::new(View::new(plain.generation, Moment::ZERO, parts))
}

fn canary(prefix: &str) -> Reach {
    Reach::Canary(prefix.parse().unwrap())
}

fn at(view: &Arc<View>, name: &str, net: &str) -> Got {
    Desk::at(view.clone()).udp(&ask(name, A).ecs(net))
}

const EU: u32 = 0;

const DRAW: Draw = Draw {
    random: 0x0123_4567_89ab_cdef,
    turn: 3,
};

#[test]
fn a_canary_is_answered_under_the_drill_and_others_as_before() {
    let world = world();
    let (plain, view) = (
        Arc::new(world.view()),
        drilled(&world, EU, canary("192.0.2.0/28")),
    );
    let got = at(&view, "geo.x.test", "192.0.2.8/32");
    assert_ne!(got.data(), at(&plain, "geo.x.test", "192.0.2.8/32").data());
    assert_eq!(got.scope(), Some(28));
    // Its neighbours are answered as before, and none of their scopes holds it.
    for (net, scope) in [
        ("192.0.2.16/32", 28),
        ("192.0.2.32/28", 27),
        ("192.0.2.200/32", 25),
    ] {
        let got = at(&view, "geo.x.test", net);
        assert_eq!(
            got.answers(),
            at(&plain, "geo.x.test", net).answers(),
            "{net}"
        );
        assert_eq!(got.scope(), Some(scope), "{net}");
    }
    // Clients of other regions would notice nothing: their scopes stay (E3).
    for net in ["198.51.100.0/24", "203.0.113.0/24", "2001:db8:1::/48"] {
        let got = at(&view, "geo.x.test", net);
        assert_eq!(got.answers(), at(&plain, "geo.x.test", net).answers());
        assert_eq!(got.scope(), at(&plain, "geo.x.test", net).scope(), "{net}");
    }
    // Of a wider network a part is meant only: it is answered as before.
    let got = at(&view, "geo.x.test", "192.0.2.0/24");
    assert_eq!(
        got.answers(),
        at(&plain, "geo.x.test", "192.0.2.0/24").answers()
    );
    // Nor does a name that ignores the option look at it.
    let got = at(&view, "deaf.x.test", "192.0.2.8/32");
    assert_eq!((got.answers(), got.scope()), {
        let before = at(&plain, "deaf.x.test", "192.0.2.8/32");
        (before.answers(), Some(0))
    });
}

#[test]
fn t3_the_end_of_a_drill_bounds_the_ttl_of_its_clients_only() {
    let world = world();
    let view = drilled(&world, EU, canary("192.0.2.0/24"));
    let ttl = |net: &str, now: u64| {
        let mut desk = Desk::at(view.clone());
        desk.now = Moment::ZERO + Duration::from_secs(now);
        let got = desk.udp(&ask("geo.x.test", A).ecs(net));
        got.answers()[0]
            .split(' ')
            .nth(1)
            .unwrap()
            .parse::<u32>()
            .unwrap()
    };
    assert_eq!(ttl("198.51.100.0/24", 38), ttl("198.51.100.0/24", 0));
    assert!(ttl("192.0.2.0/24", 0) <= 5);
    assert_eq!(ttl("192.0.2.0/24", 38), 2);
    // Once it is over, it is over, whether or not a new view has come.
    let mut desk = Desk::at(view.clone());
    desk.now = Moment::ZERO + Duration::from_secs(41);
    let got = desk.udp(&ask("geo.x.test", A).ecs("192.0.2.0/24"));
    assert_eq!(
        got.answers(),
        at(&Arc::new(world.view()), "geo.x.test", "192.0.2.0/24").answers()
    );
}

#[test]
fn a_resolver_inside_the_canary_is_a_client_of_it() {
    let world = world();
    let view = drilled(&world, EU, canary("192.0.2.0/24"));
    let (mut inside, mut plain) = (
        Desk::at(view).from("192.0.2.9"),
        Desk::new(&world).from("192.0.2.9"),
    );
    let q = ask("geo.x.test", A);
    assert_ne!(inside.udp(&q).data(), plain.udp(&q).data());
}

#[test]
fn a_label_is_answered_under_the_drill_in_every_type_and_its_name_is_not() {
    let world = world();
    let (plain, view) = (Arc::new(world.view()), drilled(&world, EU, Reach::Label));
    let mut desk = Desk::at(view.clone());
    let mut of = |name: &str, t: u16| desk.udp(&ask(name, t).ecs("192.0.2.0/24"));
    for name in ["geo", "near", "only4", "any.wild"] {
        let name = format!("{name}.x.test");
        let label = format!("Drill-K2F9.{name}");
        let got = of(&label, A);
        assert_eq!(got.rcode(), "NoError", "{label}");
        let before = at(&plain, &name, "192.0.2.0/24");
        assert_ne!(got.data(), before.data(), "{label}");
        assert_eq!(got.scope(), before.scope(), "{label}");
        assert_eq!(at(&view, &name, "192.0.2.0/24").answers(), before.answers());
    }
    assert_eq!(of("drill-k2f9.cdn.x.test", A).answers().len(), 1);
    // What stands at the name by itself does not stand at the label; nor does what it has not.
    for (name, t) in [
        ("drill-k2f9.geo.x.test", rtype::TXT),
        ("drill-k2f9.geo.x.test", rtype::SOA),
        ("drill-k2f9.geo.x.test", rtype::DS),
        ("drill-k2f9.only4.x.test", AAAA),
    ] {
        let got = of(name, t);
        assert_eq!(
            (got.rcode(), got.answers().len()),
            ("NoError".to_owned(), 0),
            "{name} {t}"
        );
        assert_eq!(got.authorities().len(), 1);
    }
    for name in [
        "drill-k2f8.geo.x.test",
        "drill-k2f9.ns1.x.test",
        "a.drill-k2f9.geo.x.test",
        "drill-k2f9.x.test",
    ] {
        assert_eq!(of(name, A).rcode(), "NXDomain", "{name}");
    }
    // A wildcard of the zone answers as ever.
    assert_eq!(of("drill-k2f9.far.x.test", A).data(), ["192.0.2.99"]);
}

#[test]
fn o10_labels_validate_in_both_kinds_of_denial() {
    for denial in [Denial::Compact, Denial::Nsec3] {
        let world = world().sign("x.test", denial);
        let view = drilled(&world, EU, Reach::Label);
        let outcome = |name: &str, t: u16| {
            let got = Desk::at(view.clone()).tcp(&ask(name, t).dnssec());
            Validator::new(&world).validate(&got, RecordType::from(t))
        };
        assert!(matches!(outcome("drill-k2f9.geo.x.test", A), Outcome::Data(d) if d.len() == 1));
        assert!(matches!(
            outcome("drill-k2f9.any.wild.x.test", AAAA),
            Outcome::Data(_)
        ));
        assert_eq!(outcome("drill-k2f9.geo.x.test", rtype::MX), Outcome::NoData);
        assert_eq!(outcome("drill-k2f9.only4.x.test", AAAA), Outcome::NoData);
        assert_eq!(outcome("drill-other.geo.x.test", A), Outcome::NxDomain);
        // The proof denies what is below the label, and not the label itself.
        assert_eq!(outcome("a.drill-k2f9.geo.x.test", A), Outcome::NxDomain);
    }
}

fn client() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<u32>().prop_map(|a| IpAddr::V4(Ipv4Addr::from(a))),
        (0u32..1 << 12).prop_map(|x| IpAddr::V4(Ipv4Addr::from(0xC000_0200 ^ x))),
        (0u32..1 << 20).prop_map(|x| IpAddr::V4(Ipv4Addr::from(0x0102_0300 ^ x))),
        (0u128..1 << 84).prop_map(|x| IpAddr::V6(Ipv6Addr::from((0x2001_0db8_0001 << 80) ^ x))),
    ]
}

proptest! {
    #[test]
    fn e2_e3_scopes_near_a_canary_are_sound_and_no_longer_than_they_must_be(
        of in client(),
        len in 6u8..=28,
        first in client(),
        near in any::<bool>(),
        bits in any::<u128>(),
        more in 0u8..=4,
        region in 0..3u32,
        name in 0..5usize,
        peer in 0..2usize,
    ) {
        let canary = Prefix::containing(of, len);
        let world = world();
        let view = drilled(&world, region, Reach::Canary(canary));
        let plain = Arc::new(world.view());
        let name = ["geo", "nested", "near", "sticky", "weighted"][name];
        let name = format!("{name}.x.test");
        let peer = ["203.0.113.9", "10.0.0.1"][peer];
        // Half of the clients are inside the canary or a few bits beside it.
        let inside = |p: Prefix, bits: u128| match p.addr() {
            IpAddr::V4(a) => {
                let host = (u64::from(u32::MAX) >> p.len()) as u32 & bits as u32;
                IpAddr::V4(Ipv4Addr::from(u32::from(a) | host))
            }
            IpAddr::V6(a) => {
                let host = if p.len() >= 128 { 0 } else { u128::MAX >> p.len() } & bits;
                IpAddr::V6(Ipv6Addr::from(u128::from(a) | host))
            }
        };
        let first = match near {
            true => inside(Prefix::containing(of, len - more.min(5)), bits.rotate_left(7)),
            false => first,
        };
        // For special-purpose space the resolver decides: it shall be outside.
        prop_assume!(!canary.contains(peer.parse().unwrap()));
        let max = Prefix::containing(first, 0).family().bits();
        let ask_at = |view: &Arc<View>, net: Prefix| {
            let mut desk = Desk::at(view.clone()).from(peer);
            let got = desk.udp(&ask(&name, A).ecs(&net.to_string()));
            (got.answers(), got.scope().unwrap())
        };
        let net = Prefix::containing(first, max);
        let (answer, scope) = ask_at(&view, net);
        let kept = Prefix::containing(first, scope);
        let other = Prefix::containing(inside(kept, bits), max);
        let (again, its) = ask_at(&view, other);
        prop_assert_eq!(&answer, &again, "{} and {} inside {}, canary {}", net, other, kept, canary);
        prop_assert_eq!(scope, its);
        // Where the drill made it longer, one bit less would hold clients with another answer: some of
        // those in the canary, or beside it.
        let (before, was) = ask_at(&plain, net);
        if scope > was {
            let wider = Prefix::containing(first, scope - 1);
            let beside = match canary.contains(first) {
                true => {
                    let bit = 1u128 << (max - scope);
                    inside(Prefix::containing(flip(first, bit), max), 0)
                }
                false => canary.addr(),
            };
            prop_assert!(wider.contains(beside), "{} {}", wider, beside);
            let under = |a: IpAddr| ask_at(&view, Prefix::containing(a, max));
            let plainly = |a: IpAddr| ask_at(&plain, Prefix::containing(a, max)).0;
            let differs = under(canary.addr()).0 != plainly(canary.addr())
                || (0..64).any(|n: u128| {
                    let a = inside(canary, n.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835));
                    under(a).0 != plainly(a)
                });
            prop_assert!(differs, "the drill changes nothing for {}", canary);
        } else {
            prop_assert!(scope >= was);
        }
        if !canary.contains(first) {
            prop_assert_eq!(answer, before, "outside of the canary nothing changes");
        }
    }
}

fn flip(a: IpAddr, bit: u128) -> IpAddr {
    match a {
        IpAddr::V4(a) => IpAddr::V4(Ipv4Addr::from(u32::from(a) ^ bit as u32)),
        IpAddr::V6(a) => IpAddr::V6(Ipv6Addr::from(u128::from(a) ^ bit)),
    }
}

#[test]
fn who_is_answered_under_a_drill_is_told_its_order_and_what_would_change_the_answer() {
    let world = world();
    let client = ExplainClient {
        addr: "192.0.2.0".parse().unwrap(),
        source: Some(24),
        resolver: None,
    };
    let cases = [
        (Reach::Label, "drill-k2f9.geo.x.test"),
        (canary("192.0.2.0/24"), "geo.x.test"),
    ];
    for (reach, asked) in cases {
        let view = drilled(&world, EU, reach);
        let explain = |text: &str| {
            let told = explain_in_full(&view, &name(text), A, client, DRAW, Moment::ZERO);
            told.unwrap()
        };
        let full = explain(asked);
        let orders: Vec<_> = full.orders.iter().map(|o| (o.kind, &*o.subject)).collect();
        assert_eq!(orders, [("force-down", "eu")], "{asked}");
        let ordered = full
            .candidates
            .iter()
            .any(|c| c.ordered == Some("force-down"));
        assert!(ordered, "{asked}");
        assert!(full.searched && !full.counterfactuals.is_empty(), "{asked}");
        // The end of the drill brings back what all others get.
        let plain = drilled(&world, EU, canary("203.0.113.0/24"));
        let plain = explain_in_full(&plain, &name("geo.x.test"), A, client, DRAW, Moment::ZERO);
        let before = plain.unwrap();
        assert!(before.orders.is_empty());
        let ended = full
            .counterfactuals
            .iter()
            .find(|c| c.text.contains("ended"));
        let ended = ended.unwrap_or_else(|| panic!("{asked}: {:?}", full.counterfactuals));
        assert_eq!(ended.answered, before.told.answered, "{asked}");
    }
}

/// An operator's drain of a region.
fn drain(region: u32) -> Override {
    Override {
        scope: Scope::Region(RegionId(region)),
        kind: OverrideKind::Drain,
        owner: "olga".into(),
        reason: "works".into(),
        expires: None,
    }
}

/// As [`drilled`], beside operators' orders; of a drill for everybody its own are among those in force.
fn drilled_beside(world: &World, region: u32, reach: Reach, operators: &[Override]) -> Arc<View> {
    let view = drilled(world, region, reach);
    let mut parts = view.parts();
    let drill = match reach {
        Reach::Everybody => view.drills[0].orders.clone(),
        Reach::Canary(_) | Reach::Label => Vec::new(),
    };
    parts.overrides = Arc::new(Overrides([&drill, operators].concat()));
    Arc::new(View::new(view.generation, Moment::ZERO, parts))
}

/// The view in which all that is supposed under a drill has really come: what recovered is up, what was
/// drained is drained by an operator, orders are taken back, and the drill is over where it is its order
/// that ended. Suppositions count the drill's own order first, and the operators' after it.
fn applied(view: &View, operators: &[Override], all: &[Supposition]) -> Arc<View> {
    let supposed = suppose(view, all);
    let over = all.contains(&Supposition::Ended(0));
    let standing = operators.iter().enumerate();
    let standing = standing.filter(|(at, _)| !all.contains(&Supposition::Ended(at + 1)));
    let mut orders: Vec<Override> = standing.map(|(_, o)| o.clone()).collect();
    orders.extend(all.iter().filter_map(|s| match s {
        Supposition::Drained(scope) => Some(Override {
            scope: *scope,
            ..drain(0)
        }),
        _ => None,
    }));
    let drill = &view.drills[0];
    if drill.reach == Reach::Everybody && !over {
        orders.splice(0..0, drill.orders.iter().cloned());
    }
    let mut parts = view.parts();
    parts.board = supposed.board;
    parts.measurements = supposed.measurements;
    parts.overrides = Arc::new(Overrides(orders));
    if over {
        parts.drills = Arc::default();
    }
    let generation = Generation(view.generation.0 + 1);
    Arc::new(View::new(generation, view.published, parts))
}

proptest! {
    /// Each counterfactual that is stated under a running drill comes true when it is really brought
    /// about: for a canary, for the label, for everybody; the end of the drill among them.
    #[test]
    fn what_is_supposed_under_a_drill_comes_true(
        kind in 0..3usize,
        region in 0..3u32,
        drained in prop::option::of(0..3u32),
        which in 0..5usize,
        near in 0..3usize,
        random in any::<u64>(),
        turn in any::<u32>(),
    ) {
        let world = world();
        let net = ["192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"][near];
        let reach = [canary(net), Reach::Label, Reach::Everybody][kind];
        let operators: Vec<Override> = drained.into_iter().map(drain).collect();
        let view = drilled_beside(&world, region, reach, &operators);
        let plain = ["geo", "nested", "near", "sticky", "weighted"][which];
        let plain = format!("{plain}.x.test");
        let asked = match reach {
            Reach::Label => format!("drill-k2f9.{plain}"),
            _ => plain.clone(),
        };
        let prefix: Prefix = net.parse().unwrap();
        let from = ExplainClient { addr: prefix.addr(), source: Some(24), resolver: None };
        let draw = Draw { random, turn };
        let full = explain_in_full(&view, &name(&asked), A, from, draw, Moment::ZERO).unwrap();
        let of_drill = full.orders.iter().filter(|o| o.drill.is_some()).count();
        prop_assert_eq!(of_drill, 1, "whom it concerns is told of it, whether or not it changes the answer");
        for c in &full.counterfactuals {
            let then = applied(&view, &operators, &c.supposed);
            let over = c.supposed.contains(&Supposition::Ended(0));
            let gone = over && reach == Reach::Label;
            // The label goes with its drill; what is stated is what the name gives.
            let called = if gone { &plain } else { &asked };
            if gone {
                let got = Desk::at(then.clone()).udp(&ask(&asked, A).ecs(net));
                prop_assert_eq!(got.rcode(), "NXDomain");
                prop_assert!(c.text.contains("would not exist then"), "{}", &c.text);
            }
            if over {
                prop_assert!(c.text.contains("drill k2f9, the force-down of region"), "{}", &c.text);
            }
            let got = explain(&then, &name(called), A, from, draw, Moment::ZERO).unwrap();
            prop_assert_eq!(&c.answered, &got.answered, "{}", &c.text);
            prop_assert_eq!(&c.otherwise, &got.otherwise, "{}", &c.text);
            // Where the drill makes no difference to a canary then, its clients are answered as all are.
            let under = got.lines().iter().any(|l| l.contains("drill k2f9"));
            let as_all = kind == 0 && !under;
            prop_assert!(as_all || c.standing == got.decision.standing, "{}", &c.text);
            // And DNS answers one of those among whom it would be drawn.
            let got = Desk::at(then).udp(&ask(called, A).ecs(net));
            let data: Vec<String> = got.data();
            let may = |address: &String| c.possible.iter().any(|p| {
                let e = &view.snapshot.steering.endpoints[p.id.index()];
                e.address.is_some_and(|a| a.to_string() == *address)
            });
            prop_assert_eq!(data.is_empty(), c.possible.is_empty(), "{}", &c.text);
            prop_assert!(data.iter().all(may), "{:?} {}", data, &c.text);
        }
    }
}

#[test]
fn an_operators_order_about_the_same_stands_over_a_drill_whomever_it_concerns() {
    let world = world();
    let forced = Override {
        kind: OverrideKind::ForceUp,
        ..drain(EU)
    };
    let before = at(&Arc::new(world.view()), "geo.x.test", "192.0.2.0/24");
    for reach in [canary("192.0.2.0/24"), Reach::Label, Reach::Everybody] {
        let view = drilled_beside(&world, EU, reach, std::slice::from_ref(&forced));
        let asked = match reach {
            Reach::Label => "drill-k2f9.geo.x.test",
            _ => "geo.x.test",
        };
        assert_eq!(
            at(&view, asked, "192.0.2.0/24").data(),
            before.data(),
            "{reach}"
        );
    }
}

#[test]
fn the_order_of_a_drill_is_told_as_such_and_an_operators_is_not() {
    let world = world();
    let client = ExplainClient {
        addr: "192.0.2.0".parse().unwrap(),
        source: Some(24),
        resolver: None,
    };
    for reach in [canary("192.0.2.0/24"), Reach::Label, Reach::Everybody] {
        let view = drilled_beside(&world, EU, reach, &[drain(2)]);
        let asked = match reach {
            Reach::Label => "drill-k2f9.geo.x.test",
            _ => "geo.x.test",
        };
        let full = explain_in_full(&view, &name(asked), A, client, DRAW, Moment::ZERO).unwrap();
        let told: Vec<_> = full
            .orders
            .iter()
            .map(|o| (o.kind, o.drill.as_ref().map(|d| (&*d.id, d.reach))))
            .collect();
        let drill = ("force-down", Some(("k2f9", reach)));
        assert_eq!(told, [drill, ("drain", None)], "{reach}");
    }
}
