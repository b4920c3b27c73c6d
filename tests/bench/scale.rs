//! Large configurations: 100,000 names in three kinds of pools with 1,000,000 networks.
//!
//! For each kind prints, of the release binary: CPU seconds until it serves, its peak and steady
//! memory; the time from a failed probe's answer to DNS answers that obey; the CPU time per query
//! beside a node with few names and no networks; what reloads do to a stream of queries. Of the
//! library: what it takes to publish one change, and everything at once.
//!
//! `cargo bench --bench scale`, with `-- --quick` fewer rounds and flips; a kind's name as a further
//! argument measures that kind alone. Ends with lines `scale KIND FIGURE VALUE`.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark reads the clock, prints, and ends when something fails"
)]

/// The support code of the tests, as far as it is used here.
#[expect(
    dead_code,
    unreachable_pub,
    clippy::print_stderr,
    reason = "shared with the tests, which use all of it"
)]
#[path = "../it/support/mod.rs"]
mod support;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hickory_proto::rr::RecordType;

use support::large::{Kind, Large, name, write_networks};
use support::load::stream;
use support::node::Node;
use support::watch::Watched;
use support::{dns, wait_for};
use tradewind::app::load::{Wanted, load_all};
use tradewind::chunked::Chunked;
use tradewind::health::{
    Board, Council, Failure, Judge, Monitor, MonitorKind, Observation, Outcome, ProbeTarget,
    TcpCheck,
};
use tradewind::ids::{EndpointId, MonitorId, TargetId};
use tradewind::snapshot::{Parts, Snapshot, View};
use tradewind::steer::Measurements;
use tradewind::time::Moment;
use tradewind::units::Generation;

const NAMES: usize = 100_000;
const NETWORKS: usize = 1_000_000;
/// Queries under way at once.
const WINDOW: u16 = 32;
/// Distinct queries asked.
const ASKED: usize = 1_024;

fn main() {
    let quick = std::env::args().any(|a| a == "--quick");
    let only = Kind::ALL
        .into_iter()
        .find(|k| std::env::args().any(|a| a == k.name()));
    let dir = tempfile::tempdir().unwrap();
    write_networks(&dir.path().join("geo.mmdb"), NETWORKS);
    for kind in Kind::ALL {
        if only.is_none_or(|only| only == kind) {
            measure(kind, dir.path(), quick);
        }
    }
}

fn say(kind: Kind, figure: &str, value: impl std::fmt::Display) {
    println!("scale {} {figure} {value}", kind.name());
}

fn measure(kind: Kind, dir: &Path, quick: bool) {
    let watched = Watched::start();
    let large = Large {
        kind,
        names: NAMES,
        networks: true,
        watch: Some(watched.port()),
        ttl: 60,
    };
    // A folder of its own beside the database.
    let folder = tempfile::tempdir_in(dir).unwrap();
    large.write(folder.path());
    publications(kind, folder.path());
    let node = Node::start_in(folder);
    say(
        kind,
        "load-cpu-s",
        format!("{:.2}", node.cpu().as_secs_f64()),
    );
    say(kind, "peak-mib", node.memory("VmHWM") / 1024);
    say(kind, "steady-mib", node.memory("VmRSS") / 1024);
    flips(kind, &node, &watched, if quick { 6 } else { 40 });
    cpu_per_query(kind, &node, dir, if quick { 10 } else { 40 });
    reloads(kind, &node, large, if quick { 3 } else { 6 });
    say(
        kind,
        "steady-after-reloads-mib",
        node.memory("VmRSS") / 1024,
    );
}

fn packets(names: usize) -> Vec<Vec<u8>> {
    (0..ASKED)
        .map(|i| {
            let subnet = format!("{}.{}.{}.0/24", 20 + i % 180, i * 7 % 256, i * 13 % 256);
            dns::query(&name(i * 7_919 % names), RecordType::A, Some(&subnet))
        })
        .collect()
}

/// From the answer to a probe to a DNS answer that obeys, while other queries are answered.
fn flips(kind: Kind, node: &Node, watched: &Watched, count: usize) {
    let query = dns::query("watched.gslb.test", RecordType::A, None);
    let address = || dns::addresses(&dns::udp(node.dns, &query))[0].to_string();
    wait_for("up", Duration::from_secs(10), || {
        (address() == "127.0.0.1").then_some(())
    });
    let mut took = Vec::new();
    let mut changes: Vec<Instant> = Vec::new();
    let over = AtomicBool::new(false);
    let packets = packets(NAMES);
    let load = std::thread::scope(|scope| {
        let load = scope.spawn(|| {
            // A light load: what is looked for is a pause of the server, not a queue.
            stream(node.dns, &packets, 1, |_| over.load(Ordering::Relaxed))
        });
        for i in 0..count {
            let healthy = i % 2 == 1;
            let expected = if healthy { "127.0.0.1" } else { "192.0.2.99" };
            watched.set(healthy);
            let bound = Instant::now() + Duration::from_secs(10);
            while address() != expected {
                assert!(Instant::now() < bound, "answers never follow");
            }
            let seen = watched.told().expect("a probe saw it");
            changes.push(seen);
            took.push(seen.elapsed().as_secs_f64() * 1e3);
        }
        over.store(true, Ordering::Relaxed);
        load.join().unwrap()
    });
    took.sort_by(f64::total_cmp);
    say(
        kind,
        "flip-ms-median",
        format!("{:.1}", took[took.len() / 2]),
    );
    say(kind, "flip-ms-max", format!("{:.1}", took[took.len() - 1]));
    let near = |at: &Instant| {
        changes
            .iter()
            .any(|c| *at >= *c - Duration::from_millis(5) && *at < *c + Duration::from_millis(40))
    };
    let p99 = |mut times: Vec<Duration>| {
        times.sort_unstable();
        let at = times.len() * 99 / 100;
        times.get(at).map_or(0.0, |t| t.as_secs_f64() * 1e6)
    };
    let (during, beside): (Vec<_>, Vec<_>) = load.times.iter().partition(|(at, _)| near(at));
    let took = |of: Vec<(Instant, Duration)>| of.into_iter().map(|(_, took)| took).collect();
    say(
        kind,
        "p99-us-beside-flips",
        format!("{:.0}", p99(took(beside))),
    );
    say(
        kind,
        "p99-us-around-flips",
        format!("{:.0}", p99(took(during))),
    );
    say(kind, "lost-around-flips", load.sent - load.answered);
}

/// Server CPU per query beside a node with 10 names in shared pools and no networks, in turns.
fn cpu_per_query(kind: Kind, node: &Node, dir: &Path, rounds: usize) {
    let folder = tempfile::tempdir_in(dir).unwrap();
    let small = Large {
        kind,
        names: 10,
        networks: false,
        watch: None,
        ttl: 60,
    };
    small.write(folder.path());
    let small = Node::start_in(folder);
    let (many, few) = (packets(NAMES), packets(10));
    let round = |node: &Node, packets: &[Vec<u8>]| {
        let before = node.cpu();
        let done = stream(node.dns, packets, WINDOW, |s| s.answered >= 20_000);
        assert_eq!(done.sent, done.answered, "every query is answered");
        (node.cpu() - before).as_secs_f64() * 1e6 / done.sent as f64
    };
    let (mut large_us, mut small_us) = (0.0, 0.0);
    for warming in [true, false] {
        for _ in 0..if warming { 1 } else { rounds } {
            let (a, b) = (round(node, &many), round(&small, &few));
            if !warming {
                large_us += a / rounds as f64;
                small_us += b / rounds as f64;
            }
        }
    }
    say(kind, "cpu-us-per-query", format!("{large_us:.2}"));
    say(kind, "cpu-us-per-query-10-names", format!("{small_us:.2}"));
    say(kind, "cpu-ratio", format!("{:.3}", large_us / small_us));
}

/// A full stream of queries over reloads.
fn reloads(kind: Kind, node: &Node, large: Large, count: u32) {
    let packets = packets(NAMES);
    let over = AtomicBool::new(false);
    let (start, reloading, load) = std::thread::scope(|scope| {
        let start = Instant::now();
        let load =
            scope.spawn(|| stream(node.dns, &packets, WINDOW, |_| over.load(Ordering::Relaxed)));
        std::thread::park_timeout(Duration::from_secs(3));
        let reloading = Instant::now();
        for i in 1..=count {
            let next = Large {
                ttl: 60 + i,
                ..large
            };
            next.reload(node);
        }
        // The last old view is freed as well.
        std::thread::park_timeout(Duration::from_secs(1));
        over.store(true, Ordering::Relaxed);
        (start, reloading, load.join().unwrap())
    });
    let us = |share, from, to| format!("{:.0}", load.quantile(share, from, to).as_secs_f64() * 1e6);
    let now = Instant::now();
    say(kind, "reloads", count);
    say(kind, "queries", load.sent);
    say(kind, "queries-lost", load.sent - load.answered);
    say(kind, "p99-us-before-reloads", us(0.99, start, reloading));
    say(kind, "p99-us-during-reloads", us(0.99, reloading, now));
    say(kind, "worst-us-during-reloads", us(1.0, reloading, now));
}

/// What the judge loop does between an observation and the swap, without waiting.
fn publications(kind: Kind, folder: &Path) {
    let loaded = load_all(&Wanted {
        config: folder.join("tradewind.toml"),
        ..Wanted::default()
    });
    let snapshot = loaded.unwrap_or_else(|r| panic!("{r}")).compiled.snapshot;
    let endpoints = snapshot.steering.endpoints.len();
    let mut judge = judge(endpoints);
    let (mut board, mut rtt) = (Board::default(), Chunked::default());
    let mut council = Council::new(Arc::default(), &mut judge, AT);
    council.renew(&mut judge, &mut board, &mut rtt, AT);
    let start = Instant::now();
    let mut view = View::new(Generation(1), AT, parts(&snapshot, &board, &rtt));
    say(kind, "publish-ms-anew", ms(start.elapsed()));
    let mut generation = 1;
    let mut publish = |judge: &mut Judge, view: &mut View| {
        generation += 1;
        let start = Instant::now();
        let mut board = (*view.board).clone();
        let mut rtt = view.measurements.rtt.clone();
        council.renew(judge, &mut board, &mut rtt, AT);
        let parts = parts(&snapshot, &board, &rtt);
        let next = View::after(view, Generation(generation), AT, parts);
        drop(std::mem::replace(view, next));
        start.elapsed()
    };
    let mut one: Vec<Duration> = (0..100)
        .map(|i| {
            judge.observe(&saw((i * 977) % endpoints, i % 3 == 0));
            publish(&mut judge, &mut view)
        })
        .collect();
    one.sort_unstable();
    say(kind, "publish-ms-one-endpoint", ms(one[50]));
    say(kind, "publish-ms-one-endpoint-worst", ms(one[99]));
    for (figure, passed) in [
        ("publish-ms-all-fail", false),
        ("publish-ms-all-pass", true),
    ] {
        for i in 0..endpoints {
            judge.observe(&saw(i, passed));
        }
        say(kind, figure, ms(publish(&mut judge, &mut view)));
    }
}

const AT: Moment = Moment(1_000_000_000);

fn ms(d: Duration) -> String {
    format!("{:.2}", d.as_secs_f64() * 1e3)
}

fn parts(snapshot: &Arc<Snapshot>, board: &Board, rtt: &Chunked<Option<Duration>>) -> Parts {
    Parts {
        measurements: Arc::new(Measurements {
            rtt: rtt.clone(),
            ..Measurements::default()
        }),
        ..Parts::new(snapshot.clone(), Arc::new(board.clone()))
    }
}

/// Every endpoint has a target of its own, and every observation changes its state.
fn judge(endpoints: usize) -> Judge {
    let monitor = Monitor {
        name: "m".into(),
        kind: MonitorKind::Tcp(TcpCheck::default()),
        interval: Duration::from_secs(10),
        timeout: Duration::from_secs(1),
        rise: 1,
        fall: 1,
        jitter_percent: 0,
        port: None,
        source: Vec::new(),
        family: None,
        retries: 0,
    };
    let targets: Vec<ProbeTarget> = (0..endpoints)
        .map(|i| ProbeTarget {
            addr: std::net::Ipv4Addr::from(i as u32).into(),
            port: 80,
            monitor: MonitorId(0),
            endpoints: vec![EndpointId::from_index(i)],
        })
        .collect();
    let mut judge = Judge::new(&[monitor], &targets, endpoints, AT);
    for i in 0..endpoints {
        judge.observe(&saw(i, true));
    }
    judge
}

fn saw(target: usize, passed: bool) -> Observation {
    Observation {
        target: TargetId::from_index(target),
        at: AT,
        outcome: match passed {
            true => Outcome::Pass {
                rtt: Duration::from_millis(5),
            },
            false => Outcome::Fail(Failure::Connect("refused".to_owned())),
        },
    }
}
