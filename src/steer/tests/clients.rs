//! What clients' own connections measured (requirements E2, E3, T1, S1).

use std::net::IpAddr;
use std::time::Duration;

use proptest::prelude::*;

use super::three::{REGIONS, Three, ask, five};
use super::world::{Dice, NOW, World, random_draw};
use crate::geo::GeoTable;
use crate::health::Board;
use crate::health::clients::{ClientPace, ClientTime, ClientTimes, ClientsOf};
use crate::ids::{LocationId, NameId, PlanId, RegionId};
use crate::net::{Family, Prefix, RangeMap};
use crate::steer::*;

fn policy(clients: bool) -> Vec<Stage> {
    vec![Stage::Latency {
        tolerance: five(),
        fallback_band_km: 0.0,
        clients,
    }]
}

/// A configuration whose clients in 192.0.0.0/20 are in Germany.
fn three(clients: bool) -> Three {
    let mut three = Three::new(policy(clients), Chooser::Weighted);
    let germany = (
        u32::from(std::net::Ipv4Addr::new(192, 0, 0, 0)),
        20,
        LocationId(2),
    );
    three.geo.v4 = RangeMap::from_prefixes(GeoTable::UNKNOWN, [germany]);
    three
}

/// Times in milliseconds of one prefix, by region in the order ap, eu, us.
fn row(prefix: &str, ms: [Option<u64>; 3], moving: bool) -> ClientsOf {
    let times = ms.iter().zip(0..).filter_map(|(ms, region)| {
        let latest = Duration::from_millis((*ms)?);
        Some(ClientTime {
            region: RegionId(region),
            rtt: Some(latest),
            latest,
            connections: 41,
            age: Duration::from_secs(40),
            moving,
        })
    });
    ClientsOf {
        prefix: prefix.parse().unwrap(),
        times: times.collect(),
    }
}

fn times(rows: Vec<ClientsOf>) -> Measurements {
    let mut rows = rows;
    rows.sort_by_key(|r| r.prefix);
    Measurements {
        clients: ClientTimes {
            revision: 7,
            at: NOW,
            pace: ClientPace::default(),
            rows: rows.into(),
            ..ClientTimes::default()
        },
        ..Measurements::default()
    }
}

struct Asked {
    steering: Steering,
    live: Live,
    board: Board,
    measurements: Measurements,
    three: Three,
}

impl Asked {
    fn of(clients: bool, measurements: Measurements) -> Asked {
        let three = three(clients);
        let steering = three.steering();
        let board = Board::new(three.verdicts.clone());
        let live = Live::resolve(&steering, &board, &measurements, &three.overrides, NOW);
        Asked {
            steering,
            live,
            board,
            measurements,
            three,
        }
    }

    fn decide(&self, client: &str) -> (String, Decision) {
        let decision = decide(&self.steering, &self.live, &ask(client, 1), &mut NoTrace);
        let Chosen::Endpoints(picks) = decision.chosen else {
            panic!("{decision:?}")
        };
        let pool = self.steering.endpoints[picks.as_slice()[0].index()].pool;
        let pool = &self.steering.pools[pool.index()];
        (pool.name.to_string(), decision)
    }

    fn words(&self, client: &str) -> Vec<String> {
        let mut trace = Recorder::new(Context {
            geo: &self.three.geo,
            board: &self.board,
            measurements: &self.measurements,
            overrides: &self.three.overrides,
        });
        decide(&self.steering, &self.live, &ask(client, 1), &mut trace);
        trace.steps.iter().map(Step::to_string).collect()
    }
}

#[test]
fn s1_clients_go_where_their_own_connections_are_short_and_nobody_else_does() {
    let far = times(vec![row("192.0.2.0/24", [None, Some(90), Some(20)], false)]);
    let off = Asked::of(false, far.clone());
    let (pool, before) = off.decide("192.0.2.77");
    assert_eq!(pool, "eu", "geography alone");
    let on = Asked::of(true, far);
    let (pool, after) = on.decide("192.0.2.77");
    assert_eq!((pool.as_str(), after.scope.0), ("us", 24));
    assert!(before.scope.0 <= 24);
    let (pool, other) = on.decide("192.0.3.77");
    assert_eq!(pool, "eu", "the network next door was not measured");
    assert!(other.scope.0 <= 24 && other.scope.0 >= before.scope.0);
}

#[test]
fn e3_what_confirms_the_order_narrows_no_scope_and_explain_tells_it_all_the_same() {
    let same = times(vec![row("192.0.2.0/24", [None, Some(20), Some(90)], false)]);
    let on = Asked::of(true, same);
    let without = Asked::of(true, times(Vec::new()));
    let (pool, decision) = on.decide("192.0.2.77");
    assert_eq!(pool, "eu");
    assert_eq!(decision, without.decide("192.0.2.77").1);
    let words = on.words("192.0.2.77");
    let stage = words.iter().find(|w| w.starts_with("latency")).unwrap();
    assert!(
        stage
            .contains("eu (measured by 41 connections from 192.0.2.0/24 in eu, 20.0 ms, 40 s ago)"),
        "{stage}"
    );
}

#[test]
fn one_measured_region_is_not_left_for_a_guess() {
    let slow = times(vec![row("192.0.2.0/24", [None, Some(900), None], false)]);
    assert_eq!(Asked::of(true, slow).decide("192.0.2.77").0, "eu");
    // But what is 5 ms from us is not in Europe, whatever the tables say.
    let us = times(vec![row("192.0.2.0/24", [None, None, Some(5)], false)]);
    assert_eq!(Asked::of(true, us).decide("192.0.2.77").0, "us");
}

#[test]
fn t1_what_is_about_to_count_shortens_the_ttl_of_its_network_alone() {
    let on = Asked::of(
        true,
        times(vec![row("192.0.2.0/24", [None, Some(20), Some(90)], true)]),
    );
    let here = on.decide("192.0.2.77").1;
    let there = on.decide("192.0.3.77").1;
    let group = on.steering.group_of(NameId(0));
    assert_eq!((here.ttl, here.scope.0), (group.ttl_min, 24));
    assert!(there.ttl > group.ttl_min);
    assert!(there.ttl.secs() <= 60, "no longer than a dwell");
}

#[test]
fn h1_a_region_that_is_down_is_not_answered_however_near_it_is() {
    let mut t = three(true);
    t.down(&["us-1", "us-2"]);
    let steering = t.steering();
    let board = Board::new(t.verdicts.clone());
    let near = times(vec![row("192.0.2.0/24", [None, Some(90), Some(20)], false)]);
    let live = Live::resolve(&steering, &board, &near, &t.overrides, NOW);
    let decision = decide(&steering, &live, &ask("192.0.2.77", 1), &mut NoTrace);
    let Chosen::Endpoints(picks) = decision.chosen else {
        panic!("{decision:?}")
    };
    let pool = steering.endpoints[picks.as_slice()[0].index()].pool;
    assert_eq!(&*steering.pools[pool.index()].name, "eu");
    assert_eq!(REGIONS.len(), 3);
}

#[test]
fn s1_a_hundred_thousand_prefixes_make_few_plans() {
    let mut rows = Vec::new();
    for n in 0..100_000_u32 {
        let prefix = std::net::Ipv4Addr::from(0x0b00_0000 + (n << 8));
        let ms = [
            None,
            Some(20 + u64::from(n % 50)),
            Some(25 + u64::from(n % 41)),
        ];
        rows.push(row(&format!("{prefix}/24"), ms, false));
    }
    let on = Asked::of(true, times(rows));
    let (plans, differing, turned_away) = on.live.narrow_plans();
    assert!(plans <= 32, "{plans} plans");
    assert!(differing > 0 && turned_away == 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    /// With the whole map a client gets what it gets with the used one: what was left out changes nothing.
    #[test]
    fn e3_plans_left_out_of_the_map_answer_as_those_beneath(seed: u64) {
        let w = World::random(seed);
        let d = &mut Dice::new(!seed);
        let live = w.live();
        for _ in 0..30 {
            let name = NameId::from_index(d.below(w.steering.names.len()));
            let addr = w.addr(d);
            let (slot, _) = live.slot(&w.steering, name, addr);
            let whole = live.plan(&w.steering, name, addr);
            prop_assert_eq!(
                live.stands(&w.steering, name, slot.plan),
                live.stands(&w.steering, name, whole)
            );
            prop_assert_eq!(
                live.base(&w.steering, name, whole),
                w.steering.slot(name, addr).0.plan
            );
        }
    }

    /// E3: prefixes next to each other, or over each other, whose clients get the same for every name of
    /// their shape, are not told apart.
    #[test]
    fn e3_a_narrow_plan_differs_from_the_plan_beneath_for_some_name_of_its_shape(seed: u64) {
        let w = World::random(seed);
        let d = &mut Dice::new(!seed);
        let live = w.live();
        let names = || (0..w.steering.names.len()).map(NameId::from_index);
        for _ in 0..30 {
            let name = NameId::from_index(d.below(w.steering.names.len()));
            let addr = w.addr(d);
            let (slot, _) = live.slot(&w.steering, name, addr);
            let base = live.base(&w.steering, name, slot.plan);
            if base == slot.plan {
                continue;
            }
            prop_assert!(!slot.bogon, "special-purpose space is nobody's network");
            let shape = w.steering.shape_id_of(name);
            let of_shape = names().filter(|n| w.steering.shape_id_of(*n) == shape);
            let stands = |n: NameId, plan: PlanId| live.stands(&w.steering, n, plan);
            // An order about one name hides what its group offers; that one counts all the same.
            let mut differs = of_shape.clone().any(|n| stands(n, slot.plan) != stands(n, base));
            differs |= of_shape.clone().any(|n| live.is_named(n));
            prop_assert!(differs, "{addr}: {slot:?} over {base:?}");
        }
    }

    /// Suppositions are resolved for the plan that says all: with nothing supposed, the same is answered.
    #[test]
    fn o3_supposing_nothing_answers_as_the_view_does(seed: u64) {
        let w = World::random(seed);
        let d = &mut Dice::new(!seed);
        let live = w.live();
        for _ in 0..10 {
            let name = NameId::from_index(d.below(w.steering.names.len()));
            let addr: IpAddr = w.addr(d);
            let ask = w.ask(name, d.of(&Family::ALL), addr, random_draw(d));
            let plan = live.plan(&w.steering, name, ask.client.addr);
            let known = Known {
                board: &w.board,
                measurements: &w.measurements,
                overrides: &w.overrides,
            };
            let then = live.of_one(&w.steering, known, (name, plan), NOW);
            let (a, b) = (
                decide(&w.steering, &live, &ask, &mut NoTrace),
                decide(&w.steering, &then, &ask, &mut NoTrace),
            );
            prop_assert_eq!((a.chosen, a.ttl, a.standing), (b.chosen, b.ttl, b.standing));
        }
    }
}

#[test]
fn prefixes_are_those_of_clients() {
    let prefix: Prefix = "192.0.2.0/24".parse().unwrap();
    let on = times(vec![row("192.0.2.0/24", [None, Some(1), None], false)]);
    assert_eq!(
        on.clients.of("192.0.2.9".parse().unwrap()).unwrap().prefix,
        prefix
    );
    assert!(on.clients.of("192.0.3.9".parse().unwrap()).is_none());
}
