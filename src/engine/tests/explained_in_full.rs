//! Explanations in full: what is stated beside the way to the answer is so.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use proptest::prelude::*;

use crate::dns::rtype::{A, AAAA, HTTPS};
use crate::dns::svcb::Service;
use crate::engine::explain::{Bounded, Supposition, suppose};
use crate::engine::testkit::{Steer, World, endpoint, name};
use crate::engine::{ExplainClient, FullExplanation, explain, explain_in_full};
use crate::health::{Override, OverrideKind, Scope};
use crate::ids::{PoolId, RegionId};
use crate::net::Prefix;
use crate::snapshot::{Parts, View};
use crate::steer::{Draw, LastResort};
use crate::time::Moment;
use crate::units::{Generation, Weight};

const ZONE: &str = "
$TTL 300
@     SOA ns1 admin 1 7200 3600 604800 60
@     NS  ns1
ns1   A   192.0.2.53
";

const NAMES: [&str; 8] = [
    "geo",
    "nested",
    "near",
    "sticky",
    "near-sticky",
    "weighted",
    "turns",
    "fast",
];

fn world() -> World {
    let mut world = World::new("x.test", ZONE);
    for policy in NAMES {
        let owner: &'static str = Box::leak(format!("{policy}.x.test").into_boxed_str());
        world = world.steer(Steer {
            https: Some(Service::new(1, &["h2"], true, None)),
            answers: if policy == "weighted" { 3 } else { 1 },
            last_resort: match policy {
                "near" => LastResort::ServFail,
                _ => LastResort::AllEligible,
            },
            ..Steer::new(owner, policy)
        });
    }
    world.rtt = vec![
        ("eu", "eu", 10),
        ("eu", "us", 90),
        ("eu", "ap", 160),
        ("us", "eu", 88),
        ("us", "us", 9),
        ("us", "ap", 190),
        ("ap", "eu", 170),
        ("ap", "us", 200),
        ("ap", "ap", 12),
    ];
    world
}

fn order(scope: Scope, kind: OverrideKind) -> Override {
    Override {
        scope,
        kind,
        owner: "ann".into(),
        reason: "works".into(),
        expires: Some(Moment::ZERO + Duration::from_secs(600)),
    }
}

/// Views in which ever less is as it should be.
static VIEWS: LazyLock<Vec<Arc<View>>> = LazyLock::new(|| {
    let drain_eu = || order(Scope::Region(RegionId(0)), OverrideKind::Drain);
    let cases: Vec<(Vec<&'static str>, Vec<Override>)> = vec![
        (vec![], vec![]),
        (vec!["eu"], vec![]),
        (vec!["eu4-1", "us4-2", "ap6-1", "us6-1"], vec![]),
        (vec!["eu", "us", "ap"], vec![]),
        (vec![], vec![drain_eu()]),
        (
            vec!["us4"],
            vec![
                order(Scope::Pool(PoolId(0)), OverrideKind::Weight(Weight(0))),
                order(Scope::Endpoint(endpoint("eu4-1")), OverrideKind::ForceUp),
                drain_eu(),
            ],
        ),
        (
            vec!["ap"],
            vec![order(
                Scope::Endpoint(endpoint("us4-1")),
                OverrideKind::ForceDown,
            )],
        ),
    ];
    let all = cases.into_iter().map(|(down, overrides)| {
        let mut world = world();
        world.down = down;
        world.overrides = overrides;
        Arc::new(world.view())
    });
    all.collect()
});

fn client(text: &str) -> ExplainClient {
    let prefix: Prefix = text.parse().unwrap();
    ExplainClient {
        addr: prefix.addr(),
        source: text.contains('/').then_some(prefix.len()),
        resolver: None,
    }
}

const DRAW: Draw = Draw {
    random: 0x0123_4567_89ab_cdef,
    turn: 3,
};

fn full(view: &View, of: &str, qtype: u16, from: &str) -> FullExplanation {
    let owner = name(&format!("{of}.x.test"));
    explain_in_full(view, &owner, qtype, client(from), DRAW, Moment::ZERO).unwrap()
}

#[test]
fn every_candidate_stands_there_with_what_is_known_of_it() {
    let e = full(&VIEWS[2], "fast", A, "192.0.2.0/24");
    assert_eq!((e.candidates.len(), e.candidates_in_all), (12, 12));
    let of = |name: &str| e.candidates.iter().find(|c| c.endpoint == name).unwrap();
    let eu2 = of("eu4-2");
    assert_eq!((&*eu2.pool, &*eu2.region, eu2.state), ("eu", "eu", "up"));
    assert_eq!((eu2.tier, eu2.share, eu2.chosen), (Some(1), 100.0, true));
    assert_eq!(eu2.rtt, Some(Duration::from_millis(10)));
    assert_eq!(eu2.rtt_from.as_deref(), Some("eu"));
    let eu1 = of("eu4-1");
    assert_eq!((eu1.state, eu1.share, eu1.chosen), ("down", 0.0, false));
    assert_eq!(of("ap4-1").tier, Some(3));
}

#[test]
fn every_elimination_names_its_rule() {
    let rules = |view: usize, of: &str| -> BTreeSet<(String, &'static str)> {
        let e = full(&VIEWS[view], of, A, "192.0.2.0/24");
        let who = |e: &crate::engine::explain::Elimination| match &e.endpoint {
            Some(endpoint) => endpoint.clone(),
            None => format!("pool {}", e.pool),
        };
        e.eliminations.iter().map(|e| (who(e), e.rule)).collect()
    };
    let set = |all: &[(&str, &'static str)]| -> BTreeSet<(String, &'static str)> {
        all.iter().map(|(w, r)| ((*w).to_owned(), *r)).collect()
    };
    assert_eq!(
        rules(0, "near"),
        set(&[("pool us", "proximity"), ("pool ap", "proximity")])
    );
    let drained = rules(4, "geo");
    assert!(drained.contains(&("eu4-1".to_owned(), "override")));
    assert!(drained.contains(&("pool eu".to_owned(), "min-live")));
    let down = rules(1, "fast");
    assert!(down.contains(&("eu6-2".to_owned(), "health")));
    assert!(
        down.contains(&("pool ap".to_owned(), "latency")),
        "{down:?}"
    );
}

#[test]
fn the_ttl_says_which_rule_gave_it() {
    let e = full(&VIEWS[0], "near", A, "192.0.2.0/24");
    assert_eq!(e.ttl.bound.rule(), "nothing-changes");
    assert_eq!((e.ttl.ttl, e.ttl.clamped), (e.ttl.max, Some("max")));
    let e = full(&VIEWS[4], "near", A, "192.0.2.0/24");
    assert_eq!(e.ttl.bound.rule(), "ending-override");
    assert_eq!((e.ttl.ttl, e.ttl.clamped), (e.ttl.min, Some("min")));
    assert_eq!(e.orders.len(), 1);
    assert_eq!((e.orders[0].kind, e.orders[0].scope), ("drain", "region"));
    assert_eq!(e.orders[0].ends_in, Some(Duration::from_secs(600)));
}

#[test]
fn the_words_of_counterfactuals_are_plain() {
    let texts = |view: usize, of: &str| -> Vec<String> {
        let e = full(&VIEWS[view], of, A, "192.0.2.0/24");
        assert!(e.searched);
        e.counterfactuals.into_iter().map(|c| c.text).collect()
    };
    let fast = texts(0, "fast");
    let has = |all: &[String], part: &str| {
        assert!(all.iter().any(|t| t.contains(part)), "{part}\n{all:#?}");
    };
    has(
        &fast,
        "of pool us in region us would answer if region eu were drained",
    );
    has(
        &fast,
        "in region ap would answer if region eu were drained and region us were drained",
    );
    has(&fast, "SERVFAIL would be answered if");
    // 90 ms and a tenth of it are as good; beyond, us alone is better.
    has(
        &fast,
        "if the round-trip time to pool eu rose to 99.0 ms for 60 s",
    );
    // us comes beside eu when it is within 5 ms of it.
    has(
        &fast,
        "if the round-trip time to pool us fell to 15.0 ms for 60 s",
    );
    has(
        &texts(1, "near"),
        "in region eu would answer if eu4-1, eu4-2, eu6-1 and eu6-2 came back up",
    );
    has(&texts(4, "near"), "if the drain of region eu by ann ended");
}

/// The answer under a supposition that is no supposition any more, by the plain function.
fn applied(
    view: &View,
    all: &[Supposition],
    of: &str,
    qtype: u16,
    from: ExplainClient,
    draw: Draw,
) -> View {
    let supposed = suppose(view, all);
    let parts = Parts {
        board: supposed.board,
        measurements: supposed.measurements,
        overrides: supposed.overrides,
        ..view.parts()
    };
    let then = View::new(Generation(view.generation.0 + 1), view.published, parts);
    // It must be explainable as well.
    let _ = explain(&then, &name(of), qtype, from, draw, Moment::ZERO).unwrap();
    then
}

proptest! {
    /// Each stated counterfactual, applied for real, gives the stated answer.
    #[test]
    fn what_is_supposed_comes_true(
        view in 0..7usize,
        which in 0..NAMES.len(),
        qtype in 0..3usize,
        addr in any::<u32>(),
        near in 0..4usize,
        source in 8u8..=32,
        random in any::<u64>(),
        turn in any::<u32>(),
    ) {
        let view = &VIEWS[view];
        let owner = format!("{}.x.test", NAMES[which]);
        let qtype = [A, AAAA, HTTPS][qtype];
        let addr = match near {
            0 => addr,
            1 => 0xC000_0200 | addr & 0xFF,
            2 => 0xC633_6400 | addr & 0xFF,
            _ => 0xCB00_7100 | addr & 0xFF,
        };
        let net = Prefix::containing(std::net::Ipv4Addr::from(addr).into(), source);
        let from = ExplainClient { addr: net.addr(), source: Some(source), resolver: Some("198.51.100.9".parse().unwrap()) };
        let draw = Draw { random, turn };
        let e = explain_in_full(view, &name(&owner), qtype, from, draw, Moment::ZERO).unwrap();
        let plain = explain(view, &name(&owner), qtype, from, draw, Moment::ZERO).unwrap();
        prop_assert_eq!(&e.told, &plain);
        let lines = e.told.lines().into_iter().chain(e.further_lines());
        prop_assert!(lines.into_iter().all(|l| !l.contains('\n')));
        let total: f64 = e.candidates.iter().map(|c| c.share).sum();
        prop_assert!(plain.answered.is_empty() || total > 99.9, "{}", total);
        for c in &e.counterfactuals {
            let then = applied(view, &c.supposed, &owner, qtype, from, draw);
            let got = explain(&then, &name(&owner), qtype, from, draw, Moment::ZERO).unwrap();
            prop_assert_eq!(&c.answered, &got.answered, "{}", c.text);
            prop_assert_eq!(&c.otherwise, &got.otherwise, "{}", c.text);
            prop_assert_eq!(c.standing, got.decision.standing, "{}", c.text);
        }
    }

    /// A time just short of the stated one leaves the answer's pools as they are.
    #[test]
    fn thresholds_are_tight(site in 0..3usize, random in any::<u64>()) {
        let from = ["192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"][site];
        let draw = Draw { random, turn: 0 };
        let e = explain_in_full(&VIEWS[0], &name("fast.x.test"), A, client(from), draw, Moment::ZERO).unwrap();
        let pools = |v: &View| -> Vec<String> {
            let e = explain_in_full(v, &name("fast.x.test"), A, client(from), draw, Moment::ZERO).unwrap();
            let some = e.candidates.iter().filter(|c| c.share > 0.0).map(|c| c.pool.clone());
            some.collect::<BTreeSet<_>>().into_iter().collect()
        };
        let mut seen = 0;
        for c in &e.counterfactuals {
            let [Supposition::Rtt { pool, sites, rtt, rises }] = &c.supposed[..] else { continue };
            seen += 1;
            let step = Duration::from_micros(100);
            let short = Supposition::Rtt {
                pool: *pool,
                sites: sites.clone(),
                rtt: if *rises { *rtt - step } else { *rtt + step },
                rises: *rises,
            };
            let at = |s: Supposition| applied(&VIEWS[0], &[s], "fast.x.test", A, client(from), draw);
            let called = VIEWS[0].snapshot.steering.pools[pool.index()].name.to_string();
            prop_assert_eq!(pools(&at(short)).contains(&called), *rises, "{}", &c.text);
            prop_assert_eq!(pools(&at(c.supposed[0].clone())).contains(&called), !rises, "{}", &c.text);
        }
        prop_assert!(seen >= 2, "{:?}", e.further_lines());
    }

    /// E3: the parent of the scope holds the neighbour that is said to bound it, and that one's plan is
    /// another; E2: within the scope there is one plan.
    #[test]
    fn e3_the_neighbours_prove_the_scope(
        which in 0..NAMES.len(),
        six in any::<bool>(),
        addr in any::<u128>(),
        near in 0..7usize,
    ) {
        let view = &VIEWS[0];
        let owner = format!("{}.x.test", NAMES[which]);
        let addr: IpAddr = match (near, six) {
            (0, true) => std::net::Ipv6Addr::from(addr).into(),
            (1, true) => std::net::Ipv6Addr::from(0x2001_0db8_0001 << 80 | addr >> 60).into(),
            (2, true) => std::net::Ipv6Addr::from(0xffff << 32 | addr & 0xffff_ffff).into(),
            (3, true) => std::net::Ipv6Addr::from(0x2002_c000_0200 << 80 | addr >> 48).into(),
            (1, _) => std::net::Ipv4Addr::from(0xC000_0200 | addr as u32 & 0x3FF).into(),
            (2, _) => std::net::Ipv4Addr::from(0xCB00_7100 | addr as u32 & 0x3FF).into(),
            (3, _) => std::net::Ipv4Addr::from(0x0102_0300 | addr as u32 & 0xFFFF).into(),
            _ => std::net::Ipv4Addr::from(addr as u32).into(),
        };
        let from = ExplainClient { addr, source: Some(if addr.is_ipv4() { 32 } else { 128 }), resolver: None };
        let e = explain_in_full(view, &name(&owner), A, from, DRAW, Moment::ZERO).unwrap();
        let b = &e.bounds;
        let steering = &view.snapshot.steering;
        let id = steering.name_id(&name(&owner)).unwrap();
        prop_assert!(b.network.contains(addr) || e.told.client != addr);
        prop_assert_eq!(b.network.len(), e.told.decision.scope.0.max(b.network.len()));
        let sides: Vec<_> = b.below.iter().chain(&b.above).collect();
        for n in &sides {
            let (slot, len) = steering.slot(id, n.network.addr());
            prop_assert_eq!((slot.plan.0, len), (n.plan, n.network.len()));
            prop_assert!(n.plan != b.plan || n.special_purpose || slot.bogon != steering.slot(id, b.network.addr()).0.bogon);
            prop_assert!(!b.network.contains(n.network.addr()));
        }
        match b.by {
            Bounded::Plan => {
                prop_assert!(sides.iter().any(|n| n.bounds), "{:?}", b);
                for n in sides.iter().filter(|n| n.bounds) {
                    prop_assert!(b.parent.unwrap().contains(n.network.addr()));
                }
            }
            Bounded::Hash => prop_assert!(owner.contains("sticky")),
            Bounded::Not => prop_assert_eq!(b.network.len(), 0),
            Bounded::Drill => prop_assert!(false, "no drill is on"),
        }
    }
}
