//! How fast the API answers with much to tell, and that it never slows DNS.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hickory_proto::rr::RecordType;

use crate::support::load::stream;
use crate::support::node::{HEAD, Node};
use crate::support::{dns, http};

/// Of an optimised build; a debug build has a tenth to do.
const SCALE: usize = if cfg!(debug_assertions) { 10 } else { 1 };
const NAMES: usize = 10_000 / SCALE;
const ENDPOINTS: usize = 100_000 / SCALE;
const IN_A_POOL: usize = 20;

/// Rounds at most, and requests in each: enough for a 99th percentile, or in a debug build to see what is
/// out of proportion.
const TRIES: usize = 4;
const REQUESTS: usize = if cfg!(debug_assertions) { 20 } else { 100 };

/// The bound of an optimised build on a quiet machine; a debug build proves no more than that nothing
/// grows out of proportion.
const BOUND: Duration = Duration::from_millis(if cfg!(debug_assertions) { 1_000 } else { 50 });

fn configuration() -> String {
    let mut text = HEAD.replace(
        "version = 1\n",
        "version = 1\n\n[admin]\nrequests-per-second = 0\n",
    );
    text.push_str("\n[policies.split]\nstages = [{ weighted = {} }]\n");
    let pools = ENDPOINTS / IN_A_POOL;
    for pool in 0..pools {
        let _ = write!(
            text,
            "\n[pools.p{pool:05}]\nregion = \"eu\"\nendpoints = [\n"
        );
        for i in 0..IN_A_POOL {
            let n = pool * IN_A_POOL + i;
            let (a, b, c) = (n >> 16 & 255, n >> 8 & 255, n & 255);
            let _ = writeln!(
                text,
                "    {{ name = \"e{n:06}\", address = \"100.{}.{b}.{c}\" }},",
                64 + a
            );
        }
        text.push_str("]\n");
    }
    for name in 0..NAMES {
        let (one, other) = (name % pools, (name * 7 + 1) % pools);
        let other = if one == other {
            (one + 1) % pools
        } else {
            other
        };
        let _ = write!(
            text,
            "\n[names.\"n{name:06}.gslb.test\"]\npools = [\"p{one:05}\", \"p{other:05}\"]\npolicy = \"split\"\n"
        );
    }
    text
}

fn node() -> Node {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(
        dir.path().join("gslb.test.zone"),
        crate::support::node::ZONE,
    )
    .unwrap();
    std::fs::write(dir.path().join("tradewind.toml"), configuration()).unwrap();
    Node::start_in(dir)
}

fn p99(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[(times.len() * 99 / 100).min(times.len() - 1)]
}

#[test]
fn api_reads_are_quick_with_10_000_names_and_100_000_endpoints() {
    let node = node();
    let (middle, pool) = (ENDPOINTS / 2, ENDPOINTS / IN_A_POOL / 2);
    let paths = [
        "/v1/status".to_owned(),
        "/v1/generation".to_owned(),
        "/v1/names?limit=1000".to_owned(),
        format!("/v1/names?after=n{:06}.gslb.test", NAMES / 2),
        "/v1/names?q=n0001".to_owned(),
        "/v1/names?standing=degraded".to_owned(),
        format!("/v1/names/n{:06}.gslb.test", NAMES / 2),
        "/v1/names/nothing.gslb.test".to_owned(),
        "/v1/pools?limit=1000".to_owned(),
        format!("/v1/pools/p{pool:05}"),
        "/v1/endpoints?limit=1000".to_owned(),
        format!("/v1/endpoints?after=e{middle:06}&state=up"),
        format!("/v1/endpoints/e{middle:06}"),
        "/v1/endpoints/e99999x".to_owned(),
        "/v1/votes?limit=100".to_owned(),
        "/v1/regions".to_owned(),
        "/v1/nodes".to_owned(),
        "/v1/monitors".to_owned(),
        "/v1/health".to_owned(),
        "/v1/latency".to_owned(),
        "/v1/config?limit=1000".to_owned(),
        "/v1/config?limit=100&after=50000".to_owned(),
        "/v1/overrides".to_owned(),
        "/v1/audit".to_owned(),
        format!(
            "/v1/explain?name=n{:06}.gslb.test&client=192.0.2.1",
            NAMES / 2
        ),
        "/v1/openapi.json".to_owned(),
    ];
    let mut slow = Vec::new();
    for path in &paths {
        // Whatever else this machine does must not count: the best of a few rounds.
        let mut best = Duration::MAX;
        for _ in 0..TRIES {
            let times = (0..REQUESTS).map(|_| {
                let start = Instant::now();
                let answer = http::get(node.admin, path);
                let known = matches!(answer.status, 200 | 404);
                assert!(known, "{path}: {}", answer.body);
                start.elapsed()
            });
            best = best.min(p99(&mut times.collect::<Vec<_>>()));
            if best <= BOUND {
                break;
            }
        }
        let p99 = best;
        eprintln!("api {path} p99-ms {:.1}", p99.as_secs_f64() * 1e3);
        if p99 > BOUND {
            slow.push(format!("{path}: {p99:?}"));
        }
    }
    assert!(slow.is_empty(), "p99 above {BOUND:?}: {}", slow.join(", "));
}

/// Rounds of one window without and one with load on the API.
const ROUNDS: usize = 7;
const WINDOW: Duration = Duration::from_millis(700);

#[test]
fn api_under_load_does_not_slow_dns() {
    let node = node();
    let packets: Vec<Vec<u8>> = (0..499)
        .map(|i| {
            let name = format!("n{:06}.gslb.test", i * 7919 % NAMES);
            dns::query(&name, RecordType::A, None)
        })
        .collect();
    let (over, hammer, asked) = (
        AtomicBool::new(false),
        AtomicBool::new(false),
        AtomicU64::new(0),
    );
    let paths = [
        "/v1/endpoints?limit=1000",
        "/v1/names?limit=1000",
        "/v1/status",
        "/v1/config?limit=1000",
    ];
    let mut windows = Vec::new();
    let outcome = std::thread::scope(|scope| {
        for path in paths {
            let (over, hammer, asked, admin) = (&over, &hammer, &asked, node.admin);
            scope.spawn(move || {
                // The askers are on the same machine here, and must not be what slows DNS.
                rustix::process::setpriority_process(None, 19).unwrap();
                while !over.load(Ordering::Relaxed) {
                    if hammer.load(Ordering::Relaxed) {
                        assert_eq!(http::get(admin, path).status, 200);
                        asked.fetch_add(1, Ordering::Relaxed);
                    } else {
                        std::thread::park_timeout(Duration::from_millis(5));
                    }
                }
            });
        }
        // One query at a time: what is looked for is a wait, not a queue.
        let load = scope.spawn(|| stream(node.dns, &packets, 1, |_| over.load(Ordering::Relaxed)));
        for _ in 0..ROUNDS {
            for on in [false, true] {
                hammer.store(on, Ordering::Relaxed);
                let start = Instant::now();
                while start.elapsed() < WINDOW {
                    std::thread::park_timeout(WINDOW - start.elapsed().min(WINDOW));
                }
                windows.push((on, start, Instant::now()));
            }
        }
        over.store(true, Ordering::Relaxed);
        load.join().unwrap()
    });
    assert_eq!(outcome.answered, outcome.sent, "every query has its answer");
    assert!(
        asked.load(Ordering::Relaxed) > 20,
        "the API was hardly asked"
    );
    let p99 = |on: bool| {
        let mut all: Vec<Duration> = windows
            .iter()
            .filter(|(o, ..)| *o == on)
            .map(|(_, from, to)| outcome.quantile(0.99, *from, *to))
            .collect();
        all.sort_unstable();
        all[all.len() / 2]
    };
    let (quiet, loaded) = (p99(false), p99(true));
    let ratio = loaded.as_secs_f64() / quiet.as_secs_f64();
    eprintln!("dns p99 quiet {quiet:?}, API hammered {loaded:?}, ratio {ratio:.2}");
    // 1.2 on a quiet machine with an optimised build (`src/docs/performance.md`); here others may run.
    let most = if cfg!(debug_assertions) { 3.0 } else { 1.5 };
    assert!(
        ratio <= most,
        "query p99 {quiet:?} → {loaded:?}: {ratio:.2} times, {most} are allowed"
    );
}
