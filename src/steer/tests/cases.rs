//! The cases the requirements name, one by one.

use std::net::IpAddr;
use std::time::Duration;

use super::three::{REGIONS, Three, ask, five, near, networks, one_site};
use super::world::NOW;
use crate::health::{Board, OverrideKind, Scope, SiteTime, SiteTimes, State, Verdict};
use crate::ids::{EndpointId, NameId, PoolId, RegionId};
use crate::steer::decision::Standing;
use crate::steer::*;
use crate::units::{Ttl, Weight};

#[test]
fn e2_e3_nested_views_give_scopes_that_spare_the_inner_one() {
    let stage = networks(&[("1.0.0.0/8", 2), ("1.2.3.0/24", 0)], 1);
    let mut t = Three::new(vec![stage], Chooser::Weighted);
    let (got, d) = t.asks("1.2.3.0");
    assert_eq!(
        (got, d.scope.0),
        (vec!["ap-1".to_owned(), "ap-2".to_owned()], 24)
    );
    let (got, d) = t.asks("1.9.9.0");
    assert_eq!(got, ["us-1", "us-2"]);
    assert_eq!(
        d.scope.0, 13,
        "1.8.0.0/13 does not cover 1.2.3.0/24, 1.0.0.0/12 would"
    );
    let (got, d) = t.asks("9.9.9.0");
    assert_eq!(got, ["eu-1", "eu-2"]);
    assert_eq!(
        d.scope.0, 7,
        "8.0.0.0/7 stays off the special 10.0.0.0/8, its parent would not"
    );
    // In its other forms a client gets the same, with the offset in the scope.
    let (got, d) = t.asks("::ffff:1.9.9.0");
    assert_eq!(
        (got, d.scope.0),
        (vec!["us-1".to_owned(), "us-2".to_owned()], 109)
    );
    let (got, d) = t.asks("2002:102:300::");
    assert_eq!(
        (got, d.scope.0),
        (vec!["ap-1".to_owned(), "ap-2".to_owned()], 40)
    );
    // A failure moves the answer, not the scope.
    t.down(&["us-1", "us-2"]);
    let (got, d) = t.asks("1.9.9.0");
    assert_eq!((got.len(), d.scope.0), (4, 13), "{got:?}");
}

#[test]
fn e4_blind_policies_have_scope_zero_and_one_plan() {
    let t = Three::new(vec![Stage::Failover], Chooser::Weighted);
    let (got, d) = t.asks("192.0.2.0");
    assert_eq!(got, ["eu-1", "eu-2"]);
    assert_eq!(d.scope.0, 0);
    // Rules that treat all alike are as blind.
    let t = Three::new(vec![networks(&[], 2)], Chooser::Weighted);
    assert_eq!(t.asks("192.0.2.0").1.scope.0, 0);
}

#[test]
fn e7_rules_may_give_private_space_a_meaning() {
    let t = Three::new(vec![networks(&[("10.1.0.0/16", 0)], 1)], Chooser::Weighted);
    let s = t.steering();
    let slot = |a: &str| s.slot(NameId(0), a.parse().unwrap());
    assert!(!slot("10.1.2.3").0.bogon);
    assert!(slot("10.2.2.3").0.bogon);
    assert!(!slot("11.0.0.1").0.bogon);
    assert!(slot("10.2.2.3").1 > 8 && slot("11.0.0.1").1 == 8);
}

#[test]
fn tiers_take_over_in_order_and_the_last_resort_comes_last() {
    let mut t = Three::new(vec![near()], Chooser::Weighted);
    let client = "192.0.2.0";
    assert_eq!(t.asks(client).0, ["eu-1", "eu-2"]);
    t.down(&["eu-1"]);
    assert_eq!(t.asks(client).0, ["eu-2"]);
    t.down(&["eu-2"]);
    let (got, d) = t.asks(client);
    assert_eq!(
        (got, d.standing),
        (vec!["us-1".to_owned(), "us-2".to_owned()], Standing::Normal)
    );
    t.down(&["us-1", "us-2", "ap-1", "ap-2"]);
    let (got, d) = t.asks(client);
    assert_eq!((got.len(), d.standing), (6, Standing::LastResort));
    assert_eq!(d.ttl, Ttl::from_secs(5), "t3");
    t.order(Scope::Pool(PoolId(1)), OverrideKind::Drain, None);
    let (got, d) = t.asks(client);
    assert_eq!(
        got,
        ["ap-1", "ap-2", "us-1", "us-2"],
        "f1: drained stays out"
    );
    assert!(d.overridden);
    t.name.last_resort = LastResort::Pool(PoolId(1));
    assert_eq!(
        t.asks(client).1.chosen,
        Chosen::ServFail,
        "f1: drained stays out of a pinned pool"
    );
    t.overrides.0.clear();
    assert_eq!(t.asks(client).0, ["eu-1", "eu-2"]);
    t.name.last_resort = LastResort::ServFail;
    assert_eq!(t.asks(client).1.chosen, Chosen::ServFail);
    t.name.last_resort = LastResort::Cname("sorry.example".parse().unwrap());
    assert_eq!(t.asks(client).1.chosen, Chosen::LastResortCname);
}

#[test]
fn f5_a_pool_below_min_live_is_passed_over_while_another_has_enough() {
    let mut t = Three::new(vec![near()], Chooser::Weighted);
    t.min_live = 2;
    t.down(&["eu-1"]);
    assert_eq!(t.asks("192.0.2.0").0, ["us-1", "us-2"]);
    t.down(&["us-1", "ap-1"]);
    let (got, d) = t.asks("192.0.2.0");
    assert_eq!(
        (got, d.standing),
        (vec!["eu-2".to_owned()], Standing::Degraded)
    );
}

#[test]
fn f2_zero_weight_serves_after_every_positive_one_in_any_tier() {
    let mut t = Three::new(vec![near()], Chooser::Weighted);
    t.weights[2] = 0;
    t.down(&["eu-2"]);
    assert_eq!(t.asks("192.0.2.0").0, ["us-1", "us-2"]);
    t.down(&["us-1", "us-2", "ap-1", "ap-2"]);
    let (got, d) = t.asks("192.0.2.0");
    assert_eq!(
        (got, d.standing),
        (vec!["eu-1".to_owned()], Standing::Degraded)
    );
}

#[test]
fn o9_orders_narrow_scopes_win_and_a_weight_lifts_no_drain() {
    let mut t = Three::new(vec![near()], Chooser::Weighted);
    t.order(Scope::Region(RegionId(1)), OverrideKind::Drain, None);
    t.order(
        Scope::Endpoint(EndpointId(2)),
        OverrideKind::Weight(Weight(5)),
        None,
    );
    assert_eq!(t.asks("192.0.2.0").0, ["us-1", "us-2"]);
    t.order(Scope::Endpoint(EndpointId(3)), OverrideKind::ForceUp, None);
    assert_eq!(t.asks("192.0.2.0").0, ["eu-2"]);
    t.overrides.0.clear();
    t.order(Scope::Name(NameId(0)), OverrideKind::ForceDown, None);
    assert_eq!(t.asks("192.0.2.0").1.standing, Standing::LastResort);
    t.order(Scope::Pool(PoolId(0)), OverrideKind::ForceUp, None);
    assert_eq!(t.asks("192.0.2.0").0, ["ap-1", "ap-2"]);
}

#[test]
fn t1_the_next_event_that_could_change_the_answer_bounds_the_ttl() {
    let mut t = Three::new(vec![near()], Chooser::Weighted);
    let ttl = |t: &Three| t.asks("192.0.2.0").1.ttl.secs();
    assert_eq!(ttl(&t), 60);
    t.verdicts[0].steady_for = Some(Duration::from_secs(7)); // ap: no part in it
    assert_eq!(ttl(&t), 60);
    t.verdicts[3].steady_for = Some(Duration::from_millis(19_900)); // eu-2 may fail
    assert_eq!(ttl(&t), 19);
    t.verdicts[3].steady_for = Some(Duration::from_secs(1));
    assert_eq!(ttl(&t), 5);
    t.down(&["eu-1", "eu-2"]);
    t.verdicts[3].steady_for = Some(Duration::from_secs(33)); // eu-2 may come back
    assert_eq!(ttl(&t), 33);
}

#[test]
fn t3_the_end_of_an_override_bounds_the_ttl() {
    let mut t = Three::new(vec![near()], Chooser::Weighted);
    t.order(Scope::Pool(PoolId(0)), OverrideKind::Drain, Some(3));
    assert_eq!(t.asks("192.0.2.0").1.ttl.secs(), 60, "ap has no part in it");
    t.order(Scope::Pool(PoolId(1)), OverrideKind::Drain, Some(300));
    let (got, d) = t.asks("192.0.2.0");
    assert_eq!((got[0].as_str(), d.ttl.secs()), ("us-1", 5));
    t.order(Scope::Region(RegionId(2)), OverrideKind::ForceUp, Some(3));
    assert_eq!(
        t.asks("192.0.2.0").1.ttl.secs(),
        3,
        "the end wins over ttl.min"
    );
    let s = t.steering();
    let live = t.live(&s);
    let mut late = ask("192.0.2.0", 1);
    late.now = NOW + Duration::from_secs(10);
    assert_eq!(decide(&s, &live, &late, &mut NoTrace).ttl.secs(), 1);
}

#[test]
fn latency_needs_every_member_measured_and_falls_back_to_distance() {
    let stage = Stage::Latency {
        tolerance: five(),
        fallback_band_km: 0.0,
        clients: false,
    };
    let mut t = Three::new(vec![stage, Stage::Failover], Chooser::Weighted);
    assert_eq!(t.asks("192.0.2.0").0, ["eu-1", "eu-2"]);
    let ms = |n| Some(Duration::from_millis(n));
    t.rtt = vec![ms(90), ms(20), ms(23), None, ms(70), ms(19)];
    // ap 20, eu 23, us 19: all within 5 ms, so the priority decides: eu.
    assert_eq!(t.asks("203.0.113.0").0, ["eu-1", "eu-2"]);
    t.rtt[2] = ms(50);
    assert_eq!(t.asks("203.0.113.0").0, ["us-1", "us-2"]);
    t.rtt[2] = None;
    assert_eq!(
        t.asks("203.0.113.0").0,
        ["ap-1", "ap-2"],
        "eu unknown: by distance"
    );
}

/// A measured time changes only after a dwell of a minute; one that is under way, or awaited, may
/// reorder the pools at once.
#[test]
fn t1_measured_times_bound_the_ttl() {
    let stage = Stage::Latency {
        tolerance: five(),
        fallback_band_km: 0.0,
        clients: false,
    };
    let mut t = Three::new(vec![stage], Chooser::Weighted);
    let ttl = |t: &Three, change: &dyn Fn(&mut SiteTimes)| {
        let s = t.steering();
        let mut sites = one_site(&t.rtt);
        change(&mut sites);
        let measurements = Measurements {
            sites,
            ..Measurements::default()
        };
        let board = Board::new(t.verdicts.clone());
        let live = Live::resolve(&s, &board, &measurements, &t.overrides, NOW);
        decide(&s, &live, &ask("192.0.2.0", 1), &mut NoTrace).ttl
    };
    let as_is = &|_: &mut SiteTimes| ();
    assert_eq!(
        ttl(&t, as_is),
        t.name.ttl_max,
        "by distance: nothing measured can change it"
    );
    t.name.ttl_max = Ttl::from_secs(300);
    t.rtt = vec![Some(Duration::from_millis(20)); 6];
    assert_eq!(ttl(&t, as_is), Ttl::from_secs(60), "a dwell");
    for rtt in [None, t.rtt[0]] {
        let moves = |sites: &mut SiteTimes| {
            let time = SiteTime {
                rtt,
                moving: true,
                ..SiteTime::default()
            };
            sites.rows[0].set(5, time);
        };
        assert_eq!(
            ttl(&t, &moves),
            t.name.ttl_min,
            "a time of another pool is awaited, or about to change"
        );
    }
    t.down(&["ap-1"]);
    assert_eq!(ttl(&t, as_is), Ttl::from_secs(60));
    t.verdicts[0].steady_for = Some(Duration::from_secs(25));
    assert_eq!(
        ttl(&t, as_is),
        Ttl::from_secs(25),
        "a probe may bring another endpoint back, wherever it is"
    );
    t.verdicts[0].steady_for = None;
    t.order(
        Scope::Endpoint(EndpointId(0)),
        OverrideKind::Drain,
        Some(200),
    );
    assert_eq!(
        ttl(&t, as_is),
        t.name.ttl_min,
        "and so may the end of an order"
    );
}

#[test]
fn latency_order_does_not_hang_on_pools_that_serve_nothing() {
    let stage = Stage::Latency {
        tolerance: five(),
        fallback_band_km: 0.0,
        clients: false,
    };
    let mut t = Three::new(vec![stage], Chooser::Weighted);
    let ms = |n| Some(Duration::from_millis(n));
    // The client is nearest to ap, but us answers faster.
    t.rtt = vec![ms(90), ms(90), ms(200), ms(200), ms(20), ms(20)];
    assert_eq!(t.asks("203.0.113.0").0, ["us-1", "us-2"]);
    t.down(&["eu-1", "eu-2"]);
    assert_eq!(
        t.asks("203.0.113.0").0,
        ["us-1", "us-2"],
        "eu died: nobody else's order changes"
    );
    t.rtt[2] = None;
    t.rtt[3] = None;
    assert_eq!(
        t.asks("203.0.113.0").0,
        ["us-1", "us-2"],
        "neither when eu was never reached at all"
    );
    t.rtt = Vec::new();
    for v in &mut t.verdicts {
        v.state = State::Unknown {
            counts_as_up: false,
        };
    }
    assert_eq!(
        t.asks("203.0.113.0").0,
        ["ap-1", "ap-2"],
        "nothing measured, nothing serves: by distance"
    );
}

#[test]
fn h1_the_unprobed_serve_only_where_nothing_known_is_left() {
    let mut t = Three::new(vec![near()], Chooser::Weighted);
    t.name.last_resort = LastResort::ServFail;
    let awaited = State::Unknown {
        counts_as_up: false,
    };
    // A reload brought eu-2: eu-1 is known, so it alone answers.
    t.verdicts[3].state = awaited;
    assert_eq!(t.asks("192.0.2.0").0, ["eu-1"]);
    // A reload brought both: other regions are known.
    t.verdicts[2].state = awaited;
    let (got, d) = t.asks("192.0.2.0");
    assert!(
        !got.is_empty() && got.iter().all(|e| !e.starts_with("eu")),
        "{got:?}"
    );
    assert_eq!(d.standing, Standing::Normal);
    // A reload replaced everything: no SERVFAIL while the first probes run, nearest first.
    for v in &mut t.verdicts {
        v.state = awaited;
    }
    let (got, d) = t.asks("192.0.2.0");
    assert_eq!(got, ["eu-1", "eu-2"]);
    assert_eq!((d.standing, d.ttl.secs()), (Standing::Degraded, 5));
    // What failed its first probe is no longer awaited.
    for v in &mut t.verdicts {
        v.last_probe = Some(NOW);
    }
    let (_, d) = t.asks("192.0.2.0");
    assert_eq!(
        (d.chosen, d.standing),
        (Chosen::ServFail, Standing::LastResort)
    );
}

#[test]
fn an_address_that_two_pools_share_is_answered_once() {
    for chooser in [Chooser::Weighted, Chooser::RoundRobin, Chooser::Random] {
        let mut t = Three::new(Vec::new(), chooser);
        t.name.answers = 6;
        let mut s = t.steering();
        s.endpoints[0].address = s.endpoints[2].address;
        let live = t.live(&s);
        for i in 0..20 {
            let Chosen::Endpoints(p) = decide(&s, &live, &ask("192.0.2.0", i), &mut NoTrace).chosen
            else {
                panic!("endpoints expected");
            };
            let mut all: Vec<_> = p
                .as_slice()
                .iter()
                .map(|e| s.endpoints[e.index()].address)
                .collect();
            all.sort();
            all.dedup();
            assert_eq!((p.as_slice().len(), all.len()), (5, 5));
        }
    }
}

#[test]
fn o7_chi_square_over_100000_draws() {
    let mut t = Three::new(Vec::new(), Chooser::Weighted);
    for (m, w) in t.name.members.iter_mut().zip([6, 3, 1]) {
        m.weight = Weight(w);
    }
    t.weights = [3, 1, 1, 1, 1, 4];
    let (s, mut seen) = (t.steering(), [0f64; 6]);
    let live = t.live(&s);
    for i in 0..100_000 {
        if let Chosen::Endpoints(p) = decide(&s, &live, &ask("192.0.2.0", i), &mut NoTrace).chosen {
            seen[p.as_slice()[0].index()] += 1.0;
        }
    }
    // Pool share × endpoint share, in thousandths.
    let expected = [450.0, 150.0, 150.0, 150.0, 20.0, 80.0].map(|e| e * 100.0);
    let chi: f64 = seen
        .iter()
        .zip(expected)
        .map(|(o, e)| (o - e) * (o - e) / e)
        .sum();
    assert!(
        chi < 20.52,
        "chi-square {chi} at 5 degrees of freedom, p = 0.001: {seen:?}"
    );
}

fn sticky() -> Three {
    let chooser = Chooser::Sticky {
        prefix4: 24,
        prefix6: 56,
    };
    Three::new(Vec::new(), chooser)
}

/// The first endpoint of each of 20,000 client networks.
fn assigned(t: &Three) -> Vec<EndpointId> {
    let s = t.steering();
    let live = t.live(&s);
    (0..20_000u32)
        .map(|i| {
            let mut a = ask("0.0.0.0", 0);
            a.client.addr = IpAddr::V4((0x2000_0000 + (i << 8)).into());
            match decide(&s, &live, &a, &mut NoTrace).chosen {
                Chosen::Endpoints(p) => p.as_slice()[0],
                other => panic!("{other:?}"),
            }
        })
        .collect()
}

#[test]
fn o6_a_dead_endpoint_moves_only_its_own_sticky_clients() {
    let mut t = sticky();
    let before = assigned(&t);
    t.verdicts[2].state = crate::health::State::Down;
    let after = assigned(&t);
    for (a, b) in before.iter().zip(&after) {
        match a.0 {
            2 => assert_eq!(b.0, 3, "to the other endpoint of its pool"),
            _ => assert_eq!(a, b, "nobody else moves"),
        }
    }
    let own = before.iter().filter(|e| e.0 == 2).count() as f64 / 20_000.0;
    assert!((own - 1.0 / 6.0).abs() < 0.01, "{own}");
}

#[test]
fn o6_sticky_weight_change_remaps_expected_share() {
    let mut t = sticky();
    let before = assigned(&t);
    t.name.members[1].weight = Weight(2); // eu from 1/3 to 1/2
    let after = assigned(&t);
    let moved: Vec<_> = before.iter().zip(&after).filter(|(a, b)| a != b).collect();
    let share = moved.len() as f64 / before.len() as f64;
    assert!((share - 1.0 / 6.0).abs() < 0.015, "{share}");
    assert!(
        moved.iter().all(|(_, b)| [2, 3].contains(&b.0)),
        "nobody else gains"
    );
}

#[test]
fn names_with_own_pools_share_one_shape() {
    let mut t = Three::new(vec![near()], Chooser::Weighted);
    t.name.answers = 2;
    let n = 2_000u32;
    let s = t.steering();
    let pools = (0..3 * n).map(|p| Pool {
        name: format!("{}-{:06}", REGIONS[(p / n) as usize].0, p % n).into(),
        region: RegionId(p / n),
        endpoints: vec![EndpointId(p)],
        min_live: 1,
    });
    let endpoints = (0..3 * n).map(|e| Endpoint {
        name: format!("e-{e:06}").into(),
        pool: PoolId(e),
        ..s.endpoints[0].clone()
    });
    let names = (0..n).map(|i| {
        let mut name = t.name.clone();
        name.owner = format!("n{i}.gslb.example").parse().unwrap();
        for (k, m) in name.members.iter_mut().enumerate() {
            m.pool = PoolId(k as u32 * n + i);
        }
        name
    });
    let s = Steering::build(
        s.regions.clone(),
        pools.collect(),
        endpoints.collect(),
        s.policies.clone(),
        names.collect(),
        &t.geo,
    );
    assert_eq!((s.shapes.len(), s.groups.len()), (1, n as usize));
    assert_eq!(
        s.shapes[0].partition.plans.len(),
        4,
        "three places and an unknown one"
    );
    t.verdicts = vec![Verdict::unmonitored(); 3 * n as usize];
    let live = t.live(&s);
    assert!(live.heap_bytes() < 1_000 * n as usize);
    let owner = "n77.gslb.example".parse().unwrap();
    let mut a = ask("203.0.113.0", 1);
    a.name = s.name_id(&owner).unwrap();
    match decide(&s, &live, &a, &mut NoTrace).chosen {
        Chosen::Endpoints(p) => assert_eq!(p.as_slice(), [EndpointId(77)]),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_trace_reads_as_a_person_expects() {
    let mut t = Three::new(vec![near()], Chooser::Weighted);
    t.down(&["eu-1"]);
    t.verdicts[2].last_error = Some("connect failed: refused".into());
    t.order(
        Scope::Endpoint(EndpointId(3)),
        OverrideKind::Drain,
        Some(90),
    );
    let s = t.steering();
    let live = t.live(&s);
    let board = Board::new(t.verdicts.clone());
    let measurements = Measurements::default();
    let mut r = Recorder::new(Context {
        geo: &t.geo,
        board: &board,
        measurements: &measurements,
        overrides: &t.overrides,
    });
    decide(&s, &live, &ask("192.0.2.0", 0), &mut r);
    let lines: Vec<String> = r.steps.iter().map(Step::to_string).collect();
    assert_eq!(
        lines,
        [
            "members: ap, eu, us",
            "proximity by distance from 52.500,13.400, band 100 km: eu (422 km) > us (6733 km) > ap (9917 km)",
            "endpoint eu-1 of pool eu: down for 1000s: connect failed: refused",
            "endpoint eu-2 of pool eu: drain of endpoint eu-2 by alice: drill",
            "pool eu passed over: live 0 IPv4; at least 1 of each wanted",
            "tier 2 of 3 answers (normal): the first with a pool that has enough live endpoints",
            "override: drain of endpoint eu-2 by alice: drill (ends in 90s)",
            "candidates: us-1 50.0 %, us-2 50.0 %",
            "weighted by draw 5692161d100b05e5: us-1",
            "ttl 5 s: an override with an end takes part: the smallest",
            "scope /24: the widest prefix around the client with plan 1 alone",
        ]
    );
}
