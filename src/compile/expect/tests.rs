//! Many expectations, and explanations of a large configuration.

use std::fmt::Write as _;
use std::sync::Arc;

use crate::compile::{Compiled, compile};
use crate::config::load::load_texts;
use crate::engine::{ExplainClient, explain_in_full};
use crate::health::{Board, Verdict};
use crate::snapshot::{Parts, View};
use crate::steer::Draw;
use crate::time::Moment;
use crate::units::Generation;

/// So many names, pools of so many endpoints, expectations.
fn large(names: usize, endpoints: usize, expectations: usize) -> Compiled {
    let pools = names / 10;
    let mut text = String::from(
        "version = 1\n[zones.\"big.example\"]\nfile = \"big.zone\"\n\
         [policies.near]\nstages = [{ proximity = {} }, { weighted = {} }]\n",
    );
    for (region, latitude) in [("eu", 50), ("us", 39), ("ap", 1)] {
        let _ = writeln!(
            text,
            "[regions.{region}]\nlatitude = {latitude}\nlongitude = 8"
        );
    }
    for pool in 0..pools {
        let region = ["eu", "us", "ap"][pool % 3];
        let _ = writeln!(
            text,
            "[pools.p{pool}]\nregion = \"{region}\"\nendpoints = ["
        );
        for e in 0..endpoints {
            let _ = writeln!(
                text,
                "{{ name = \"e{pool}-{e}\", address = \"10.{}.{}.{e}\" }},",
                pool / 256,
                pool % 256
            );
        }
        let _ = writeln!(text, "]");
    }
    for name in 0..names {
        let (a, b, c) = (name % pools, (name + 1) % pools, (name + 2) % pools);
        let _ = writeln!(
            text,
            "[names.\"n{name}.big.example\"]\npools = [\"p{a}\", \"p{b}\", \"p{c}\"]\npolicy = \"near\""
        );
    }
    for name in 0..expectations {
        let (a, b, c) = (name % pools, (name + 1) % pools, (name + 2) % pools);
        let _ = writeln!(
            text,
            "[[expect]]\nname = \"n{name}.big.example\"\nclient = \"192.0.2.0/24\"\n\
             down = [\"p{a}\"]\nanswer = [\"p{b}\", \"p{c}\"]"
        );
    }
    let zone = b"$TTL 300\n@ SOA ns1 h 1 3600 600 86400 60\n@ NS ns1\nns1 A 192.0.2.1\n";
    let loaded = load_texts(vec![("big.toml".into(), text.into_bytes())], &mut |_| {
        Ok(zone.to_vec())
    });
    assert!(!loaded.has_errors());
    let start = cpu_time();
    let (compiled, found) = compile(&loaded.spec, &loaded.inputs, &loaded.sources, None);
    let took = cpu_time() - start;
    assert!(found.is_empty(), "{found:?}");
    // A debug build takes a few seconds; resolving everything for each would take hours.
    assert!(took < 60.0, "{took} s of CPU");
    compiled.unwrap()
}

#[test]
fn ten_thousand_expectations_are_tried_within_the_bound() {
    let compiled = large(10_000, 10, 10_000);
    let tried = &compiled.snapshot.settings.expectations;
    assert_eq!(tried.len(), 10_000);
    assert!(tried.iter().all(|t| t.holds()));
}

/// The API answers within 50 ms; what takes longest of it is this. A debug build may take 20 times as long.
#[test]
fn explanations_of_a_large_configuration_stay_within_the_bound() {
    let compiled = large(10_000, 100, 0);
    let count = compiled.snapshot.steering.endpoints.len();
    assert_eq!(count, 100_000);
    let board = Board::new(vec![Verdict::unmonitored(); count]);
    let parts = Parts::new(compiled.snapshot, Arc::new(board));
    let view = View::new(Generation(1), Moment::ZERO, parts);
    let client = ExplainClient {
        addr: "192.0.2.0".parse().unwrap(),
        source: Some(24),
        resolver: None,
    };
    let draw = Draw { random: 7, turn: 7 };
    let mut slowest = 0.0_f64;
    for i in 0..50 {
        let name = format!("n{}.big.example", i * 199).parse().unwrap();
        let start = cpu_time();
        let e = explain_in_full(&view, &name, 1, client, draw, Moment::ZERO).unwrap();
        slowest = slowest.max(cpu_time() - start);
        assert_eq!(e.candidates_in_all, 300);
        assert!(e.searched && !e.counterfactuals.is_empty());
    }
    assert!(slowest < 1.0, "{slowest} s of CPU");
}

/// CPU seconds of this thread, so that a busy machine does not matter.
fn cpu_time() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    let nanoseconds: f64 = stat.split(' ').next().unwrap().parse().unwrap();
    nanoseconds / 1e9
}
