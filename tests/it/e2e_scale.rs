//! Large configurations under load: a reload drops no query, a flip reaches answers at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hickory_proto::rr::RecordType;

use crate::support::large::{Kind, Large, name};
use crate::support::load::stream;
use crate::support::node::Node;
use crate::support::watch::Watched;
use crate::support::{dns, wait_for};

/// A debug build takes seconds for what a release build does in tenths.
const NAMES: usize = if cfg!(debug_assertions) {
    5_000
} else {
    100_000
};

fn start(large: &Large) -> Node {
    let dir = tempfile::tempdir().unwrap();
    large.write(dir.path());
    Node::start_in(dir)
}

#[test]
fn o4_reloads_of_a_large_configuration_under_load_drop_no_query() {
    let large = Large {
        kind: Kind::OwnGeo,
        names: NAMES,
        networks: false,
        watch: None,
        ttl: 30,
    };
    let node = start(&large);
    let packets: Vec<Vec<u8>> = (0..997)
        .map(|i| dns::query(&name(i * 7919 % NAMES), RecordType::A, None))
        .collect();
    let over = AtomicBool::new(false);
    let outcome = std::thread::scope(|scope| {
        let load = scope.spawn(|| stream(node.dns, &packets, 32, |_| over.load(Ordering::Relaxed)));
        for round in 1..=3 {
            let next = Large {
                ttl: 30 + round,
                ..large
            };
            next.reload(&node);
        }
        over.store(true, Ordering::Relaxed);
        load.join().unwrap()
    });
    assert!(outcome.answered > 1_000, "{} answers", outcome.answered);
    assert_eq!(
        (outcome.answered, outcome.other),
        (outcome.sent, 0),
        "every query has its answer"
    );
    let m = dns::udp(node.dns, &dns::query(&name(1), RecordType::A, None));
    assert_eq!(m.answers[0].ttl, 33, "the last configuration is in force");
}

#[test]
fn an_endpoint_that_fails_among_many_leaves_the_answers_at_once_and_comes_back() {
    let watched = Watched::start();
    let large = Large {
        kind: Kind::OwnWeighted,
        names: NAMES,
        networks: false,
        watch: Some(watched.port()),
        ttl: 30,
    };
    let node = start(&large);
    let query = dns::query("watched.gslb.test", RecordType::A, None);
    let address = || dns::addresses(&dns::udp(node.dns, &query))[0].to_string();
    wait_for("it is up", Duration::from_secs(10), || {
        (address() == "127.0.0.1").then_some(())
    });
    for healthy in [false, true] {
        watched.set(healthy);
        let seen = wait_for("a probe saw it", Duration::from_secs(10), || watched.told());
        let expected = if healthy { "127.0.0.1" } else { "192.0.2.99" };
        wait_for("answers follow", Duration::from_secs(10), || {
            (address() == expected).then_some(())
        });
        // The bound of a quiet machine is 20 ms, which the bench measures; tests run beside others.
        let took = Instant::now() - seen;
        assert!(took < Duration::from_secs(1), "{took:?}");
    }
}
