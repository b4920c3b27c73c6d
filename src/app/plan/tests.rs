//! What a plan says is what asking for every address of a small table says.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::sync::Arc;

use proptest::prelude::*;
use tokio::sync::watch;

use crate::admin::plan::{PlanAsked, PlanDesk as _, PlanRefusal};
use crate::app::flows;
use crate::app::keeper::SharedLock;
use crate::app::load::Wanted;
use crate::balance::mix::{nth, scale};
use crate::compile::compile;
use crate::config::load::load_texts;
use crate::health::{Board, Cause, Override, OverrideKind, Overrides, Scope, State, Verdict};
use crate::ids::{EndpointId, NameId};
use crate::net::{Family, Prefix};
use crate::plan::{self, Basis, Report, Traffic, Weigh, all_up, compare, suppose};
use crate::server::tap::Taps;
use crate::snapshot::{Parts, Publisher, Snapshot, View};
use crate::steer::decision::Picks;
use crate::steer::{Ask, Chosen, Client, ClientSource, Draw, decide};
use crate::time::{Clock, Moment, SimClock};
use crate::units::Generation;

use super::Planner;

const NOW: Moment = Moment(1_000_000_000);

const ZONE: &str = "$TTL 300\n@ SOA ns1 h 1 3600 600 86400 60\n@ NS ns1\nns1 A 192.0.2.1\n";

/// Two regions far apart and one between them; four networks of clients, one of them IPv6.
const NETWORKS: &str = "network,continent,country,subdivision,latitude,longitude,asn,place\n\
    5.6.7.0/29,EU,DE,,50.1,8.6,64496,a\n\
    5.6.7.8/30,NA,US,,39.0,-77.4,64497,b\n\
    5.6.7.12/31,AS,SG,,1.3,103.8,64498,c\n\
    2a0a:1::/47,EU,FR,,48.8,2.3,64499,d\n\
    2a0a:2::/48,AS,JP,,35.6,139.7,64500,e\n";

fn snapshot(config: &str) -> Arc<Snapshot> {
    let mut read = |path: &std::path::Path| {
        Ok(match path.extension().and_then(|e| e.to_str()) {
            Some("csv") => NETWORKS.as_bytes().to_vec(),
            _ => ZONE.as_bytes().to_vec(),
        })
    };
    let texts = vec![(PathBuf::from("t.toml"), config.as_bytes().to_vec())];
    let loaded = load_texts(texts, &mut read);
    let (compiled, found) = compile(&loaded.spec, &loaded.inputs, &loaded.sources, None);
    let all = loaded.diagnostics.into_iter().chain(found);
    let said: Vec<String> = all.map(|d| d.message.clone()).collect();
    compiled
        .unwrap_or_else(|| panic!("{said:?}\n{config}"))
        .snapshot
}

struct Dice(u64, u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.1 += 1;
        scale(nth(self.0, self.1), n as u64) as usize
    }
}

/// A small configuration grown from one number: regions, pools and policies are alike often enough
/// that two of them have much in common.
fn config(seed: u64) -> String {
    let d = &mut Dice(seed, 0);
    let mut out = String::from(
        "version = 1\n[zones.\"x.test\"]\nfile = \"x.zone\"\n[geoip]\nnetworks = \"n.csv\"\n",
    );
    let regions = [("eu", 50.0, 8.0), ("us", 39.0, -77.0), ("ap", 1.0, 104.0)];
    for (name, latitude, longitude) in regions {
        let _ = writeln!(
            out,
            "[regions.{name}]\nlatitude = {latitude}\nlongitude = {longitude}"
        );
    }
    let count = 2 + d.below(2);
    for p in 0..count {
        let region = regions[if d.below(3) == 0 { d.below(3) } else { p % 3 }].0;
        let _ = writeln!(out, "[pools.p{p}]\nregion = \"{region}\"\nendpoints = [");
        for e in 0..1 + d.below(2) {
            let (weight, enabled) = (1 + d.below(3), d.below(6) > 0);
            for (family, address) in [
                (4, format!("203.0.113.1{p}{e}")),
                (6, format!("2001:db8::{p}{e}")),
            ] {
                let _ = writeln!(
                    out,
                    "{{ name = \"e{family}-{p}-{e}\", address = \"{address}\", weight = {weight}, \
                     enabled = {enabled} }},"
                );
            }
        }
        let _ = writeln!(out, "]");
    }
    let chooser = ["weighted", "random", "round-robin"][d.below(3)];
    let refine = match d.below(5) {
        0 => "{ failover = {} },".to_owned(),
        1 => format!(
            "{{ proximity = {{ band = \"{}km\" }} }},",
            1 + d.below(9000)
        ),
        2 => format!(
            "{{ geo = {{ mode = \"prefer\", rules = [{{ countries = [\"DE\", \"JP\"], pools = [\"p{}\"] }}, \
             {{ default = true, pools = [\"p{}\"] }}] }} }},",
            d.below(count),
            d.below(count)
        ),
        3 => format!(
            "{{ geo = {{ mode = \"fence\", rules = [{{ networks = [\"5.6.7.{}/31\", \"2a0a:1::/48\"], \
             pools = [\"p{}\"] }}, {{ default = true, pools = [\"p0\"] }}] }} }},",
            2 * d.below(8),
            d.below(count)
        ),
        _ => String::new(),
    };
    let _ = writeln!(
        out,
        "[policies.one]\nstages = [{refine} {{ {chooser} = {{}} }}]\n\
         [policies.two]\nstages = [{{ proximity = {{}} }}, {{ weighted = {{}} }}]"
    );
    let pools: Vec<String> = (0..count).map(|p| format!("\"p{p}\"")).collect();
    for (name, policy) in [("a", "one"), ("b", "two")] {
        let weights: Vec<String> = (0..count)
            .map(|p| format!("p{p} = {}", d.below(4)))
            .collect();
        let resort = ["{ all = {} }", "{ servfail = {} }"][d.below(2)];
        let _ = writeln!(
            out,
            "[names.\"{name}.x.test\"]\npools = [{}]\npolicy = \"{policy}\"\nweights = {{ {} }}\n\
             last-resort = {resort}",
            pools.join(", "),
            weights.join(", ")
        );
    }
    out
}

/// Every address of the table with its part of all: half are IPv4 addresses, half IPv6 /48 networks.
fn table() -> Vec<(IpAddr, f64)> {
    let first = u32::from(Ipv4Addr::new(5, 6, 7, 0));
    let four = (0..14).map(|i| (Ipv4Addr::from(first + i).into(), 0.5 / 14.0));
    let six = ["2a0a:1::1", "2a0a:1:1::1", "2a0a:2::1"];
    let six = six.map(|a| (a.parse::<Ipv6Addr>().unwrap().into(), 0.5 / 3.0));
    four.chain(six).collect()
}

/// Draws that are spread evenly, over the random word and over turns.
const DRAWS: u64 = 420;

/// How often each answer comes first for a client: by region, and by address.
type Told = (BTreeMap<String, f64>, BTreeMap<String, f64>);

fn ask_all(view: &View, name: NameId, addr: IpAddr, family: Family) -> Told {
    let steering = &view.snapshot.steering;
    let mut told = Told::default();
    for i in 0..DRAWS {
        let random = ((u128::from(i) << 64) / u128::from(DRAWS)) as u64;
        let ask = Ask {
            name,
            family,
            client: Client {
                addr,
                source: ClientSource::Resolver,
            },
            now: NOW,
            draw: Draw {
                random,
                turn: i as u32,
            },
        };
        let decision = decide(steering, &view.live, &ask, &mut crate::steer::NoTrace);
        let (region, address) = match &decision.chosen {
            Chosen::Endpoints(picks) => {
                let first = Picks::as_slice(picks)[0];
                let e = &steering.endpoints[first.index()];
                let region = steering.pools[e.pool.index()].region;
                (
                    steering.regions[region.index()].name.to_string(),
                    e.address.unwrap().to_string(),
                )
            }
            other => (format!("{other:?}"), format!("{other:?}")),
        };
        let part = 1.0 / DRAWS as f64;
        *told.0.entry(region).or_default() += part;
        *told.1.entry(address).or_default() += part;
    }
    told
}

fn gone(old: &BTreeMap<String, f64>, new: &BTreeMap<String, f64>) -> f64 {
    let less = |(k, share): (&String, &f64)| (share - new.get(k).unwrap_or(&0.0)).max(0.0);
    old.iter().map(less).sum()
}

/// Shift and change of a name in the family of which more moves, by asking for every address.
fn brute(old: &View, new: &View, owner: &str, weights: &[(IpAddr, f64)]) -> (f64, f64) {
    let owner = owner.parse().unwrap();
    let id = |view: &View| view.snapshot.steering.name_id(&owner).unwrap();
    let of = |family| {
        let mut sums = (0.0, 0.0);
        for (addr, part) in weights {
            let a = ask_all(old, id(old), *addr, family);
            let b = ask_all(new, id(new), *addr, family);
            sums.0 += part * gone(&a.0, &b.0);
            sums.1 += part * gone(&a.1, &b.1);
        }
        sums
    };
    let (a, b) = (of(Family::V4), of(Family::V6));
    if b > a { b } else { a }
}

fn planned(old: &View, new: &View, traffic: &Traffic) -> Report {
    compare(old, new, traffic, Weigh::ByTraffic, &mut |_, _| {})
}

fn change<'r>(report: &'r Report, name: &str) -> Option<&'r plan::NameChange> {
    report.names.iter().find(|n| n.name.starts_with(name))
}

fn is_near(a: f64, b: f64) -> bool {
    (a - b).abs() < 0.02
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn shares_by_addresses_are_those_of_asking_for_each(old: u64, new: u64) {
        let (a, b) = (all_up(snapshot(&config(old)), NOW), all_up(snapshot(&config(new)), NOW));
        let report = planned(&a, &b, &Traffic::default());
        prop_assert_eq!(report.basis, Basis::Addresses);
        let mut sum = 0.0;
        for name in ["a.x.test", "b.x.test"] {
            let (shift, changed) = brute(&a, &b, name, &table());
            let told = change(&report, &name[..1]);
            let told = told.map_or((0.0, 0.0), |n| (n.shift, n.changed));
            prop_assert!(
                is_near(told.0, shift) && is_near(told.1, changed),
                "{name}: told {told:?}, asked {shift} {changed}\n{}\n{}", config(old), config(new)
            );
            let moved: f64 = change(&report, &name[..1]).map_or(0.0, |n| {
                n.moves.iter().map(|m| m.share).sum()
            });
            prop_assert!((moved - told.0).abs() < 1e-6, "moves add up: {moved} {}", told.0);
            sum += told.0 / 2.0;
        }
        prop_assert!((report.shift - sum).abs() < 1e-6);
        for side in [|l: &plan::Load| l.load.0, |l: &plan::Load| l.load.1] {
            let regions: f64 = report.load.iter().filter(|l| l.pool.is_none()).map(side).sum();
            let pools: f64 = report.load.iter().filter(|l| l.pool.is_some()).map(side).sum();
            prop_assert!((regions - pools).abs() < 1e-6 && regions < 1.0 + 1e-6);
        }
        // The same configuration moves nobody.
        let same = planned(&a, &all_up(snapshot(&config(old)), NOW), &Traffic::default());
        prop_assert_eq!((same.shift, same.changed, same.names.len()), (0.0, 0.0, 0));
    }

    #[test]
    fn shares_by_traffic_are_those_of_asking_for_each(old: u64, new: u64, seed: u64) {
        let (a, b) = (all_up(snapshot(&config(old)), NOW), all_up(snapshot(&config(new)), NOW));
        let d = &mut Dice(seed, 0);
        let mut traffic = Traffic::default();
        let mut weights = Vec::new();
        for (addr, _) in table() {
            let queries = d.below(100) as f64;
            // As fine as a table would have them where a border runs inside a /24.
            let len = if addr.is_ipv4() { 32 } else { 48 };
            traffic.add("a.x.test".parse().unwrap(), Prefix::containing(addr, len), queries);
            weights.push((addr, queries));
        }
        let whole: f64 = weights.iter().map(|(_, q)| q).sum();
        prop_assume!(whole > 0.0);
        weights.iter_mut().for_each(|(_, q)| *q /= whole);
        let report = planned(&a, &b, &traffic);
        prop_assert_eq!(report.basis, Basis::Traffic);
        let (shift, changed) = brute(&a, &b, "a.x.test", &weights);
        // Only the name that was asked for counts.
        prop_assert!(is_near(report.shift, shift) && is_near(report.changed, changed),
            "{} {} for {shift} {changed}", report.shift, report.changed);
        // The other one is told of by addresses.
        if let Some(b) = change(&report, "b") {
            prop_assert_eq!((b.basis, b.queries), (Basis::Addresses, 0.0));
        }
    }
}

#[test]
fn a_network_across_a_border_counts_on_both_sides() {
    let fenced = |first: &str| {
        let geo = format!(
            "{{ geo = {{ mode = \"fence\", rules = [{{ networks = [\"{first}\"], pools = [\"us\"] }}, \
             {{ default = true, pools = [\"eu\"] }}] }} }},"
        );
        all_up(snapshot(&two(&geo, "")), NOW)
    };
    let (old, new) = (fenced("9.9.9.0/26"), fenced("9.9.9.0/25"));
    let mut traffic = Traffic::default();
    let name = || "www.x.test".parse().unwrap();
    traffic.add(name(), "9.9.9.0/24".parse().unwrap(), 30.0);
    traffic.add(name(), "9.9.8.0/24".parse().unwrap(), 10.0);
    let report = planned(&old, &new, &traffic);
    // A quarter of three quarters.
    assert!(
        (report.shift - 0.25 * 0.75).abs() < 1e-9,
        "{}",
        report.shift
    );
    assert_eq!(report.moves.len(), 1);
    let m = &report.moves[0];
    assert_eq!((m.from.text(), m.to.text()), ("eu", "us"));
    assert_eq!(m.examples[0].network.to_string(), "9.9.9.0/24");
    assert_eq!(report.names[0].partitions.0, report.names[0].partitions.1);
}

/// Two pools of one endpoint each; `stages` before the chooser, `more` at the end.
fn two(stages: &str, more: &str) -> String {
    format!(
        "version = 1\n[zones.\"x.test\"]\nfile = \"x.zone\"\n[geoip]\nnetworks = \"n.csv\"\n\
         [regions.eu]\nlatitude = 50\nlongitude = 8\n[regions.us]\nlatitude = 39\nlongitude = -77\n\
         [monitors.web]\nport = 80\n[monitors.web.tcp]\n\
         [pools.eu]\nregion = \"eu\"\nmonitor = \"web\"\nendpoints = [{{ name = \"eu-1\", address = \"203.0.113.1\" }}]\n\
         [pools.us]\nregion = \"us\"\nmonitor = \"web\"\nendpoints = [{{ name = \"us-1\", address = \"203.0.113.2\" }}]\n\
         [policies.p]\nstages = [{stages} {{ weighted = {{}} }}]\n\
         [names.\"www.x.test\"]\npools = [\"eu\", \"us\"]\npolicy = \"p\"\n{more}"
    )
}

#[test]
fn health_and_orders_in_force_are_carried_over() {
    let old = snapshot(&two("{ failover = {} },", ""));
    let down = |name: &str| {
        let mut v = Verdict::unmonitored();
        if name == "eu-1" {
            v.state = State::Down;
            v.cause = Cause::Failing("refused".into());
        }
        v
    };
    let endpoints = &old.steering.endpoints;
    let board = Board::new(endpoints.iter().map(|e| down(&e.name)).collect());
    let view = |overrides| {
        let parts = Parts {
            overrides: Arc::new(Overrides(overrides)),
            ..Parts::new(old.clone(), Arc::new(board.clone()))
        };
        View::new(Generation(5), NOW, parts)
    };
    // Another endpoint comes, and the order of names with it: ids are others, health is the same.
    let more = two("{ failover = {} },", "").replace(
        "endpoints = [{ name = \"us-1\"",
        "endpoints = [{ name = \"a-new\", address = \"203.0.113.9\" }, { name = \"us-1\"",
    );
    let new = snapshot(&more);
    let at = |name: &str| {
        let found = new.steering.endpoints.iter().position(|e| &*e.name == name);
        EndpointId::from_index(found.unwrap())
    };
    let now = view(Vec::new());
    let supposed = suppose(&now, new.clone(), NOW);
    let state = |name: &str| supposed.view.board.verdict(at(name)).state;
    assert_eq!((state("eu-1"), state("us-1")), (State::Down, State::Up));
    assert_eq!(supposed.assumed_up, [at("a-new")]);
    assert_eq!(supposed.view.generation, Generation(6));
    // eu is down, so all are in us before and after; half of them at the new address.
    let report = planned(&now, &supposed.view, &Traffic::default());
    assert_eq!((report.shift, report.names.len()), (0.0, 1));
    assert!((report.changed - 0.5).abs() < 1e-9);

    // With us drained as well, nobody serves before; a drained one does not come back after.
    let order = Override {
        scope: Scope::Endpoint(EndpointId::from_index(1)),
        kind: OverrideKind::Drain,
        owner: "o".into(),
        reason: "r".into(),
        expires: None,
    };
    assert_eq!(&*old.steering.endpoints[1].name, "us-1");
    let drained = view(vec![order]);
    let supposed = suppose(&drained, new.clone(), NOW);
    assert_eq!(
        supposed.view.overrides.0[0].scope,
        Scope::Endpoint(at("us-1"))
    );
    let report = planned(&drained, &supposed.view, &Traffic::default());
    let us = report
        .load
        .iter()
        .find(|l| l.region == "us" && l.pool.is_none());
    let us = us.unwrap();
    assert_eq!((us.weight, us.serving), ((1, 2), (0, 1)));
    assert!((report.shift - 1.0).abs() < 1e-9, "{report:?}");

    // A check of another kind knows nothing yet.
    let other = snapshot(&two("{ failover = {} },", "").replace("port = 80", "port = 81"));
    assert_eq!(suppose(&now, other, NOW).assumed_up.len(), 2);
}

#[test]
fn what_came_and_went_and_what_is_slower_is_told() {
    let old = all_up(snapshot(&two("", "")), NOW);
    let slower = two(
        "",
        "ttl = { min = \"20s\", max = \"60s\" }\n[names.\"new.x.test\"]\npools = [\"eu\"]\npolicy = \"p\"\n",
    );
    let new = all_up(snapshot(&slower), NOW);
    let report = planned(&old, &new, &Traffic::default());
    assert_eq!(
        (report.shift, report.changed, report.unchanged),
        (0.0, 0.0, 0)
    );
    assert_eq!(report.steered.added, ["new.x.test"]);
    assert_eq!(report.names[0].name, "www.x.test");
    let (a, b) = report.names[0].failover;
    assert_eq!((b.unwrap() - a.unwrap()).as_secs(), 15);
    let back = planned(&new, &old, &Traffic::default());
    assert_eq!(back.steered.removed, ["new.x.test"]);
    let names: HashSet<&str> = report.load.iter().map(|l| l.region.as_str()).collect();
    assert_eq!(names, HashSet::from(["eu", "us"]));
}

#[tokio::test]
async fn one_plan_at_a_time() {
    let publisher = Publisher::new(all_up(snapshot(&two("", "")), NOW));
    let clock: Arc<dyn Clock> = Arc::new(SimClock::default());
    let (_stop, stopped) = watch::channel(false);
    let given = flows::Given {
        publisher: &publisher,
        clock: &clock,
        state_dir: None,
        lock: &SharedLock::default(),
        stopped: &stopped,
    };
    let (flows, _reading) = flows::start(&mut Taps::default(), &given);
    let planner = Planner::new(&Wanted::default(), &publisher, &clock, flows);
    let under_way = planner.one_at_a_time.clone().try_acquire_owned().unwrap();
    let ask = || planner.plan(PlanAsked::default());
    assert_eq!(ask().await, Err(PlanRefusal::Busy));
    drop(under_way);
    // What comes next is looked at; it has no files.
    assert!(matches!(ask().await, Err(PlanRefusal::Files(_))));
    assert!(matches!(ask().await, Err(PlanRefusal::Files(_))));
}
