//! The comparison with other servers stays able to run: its smoke mode measures Tradewind and the
//! floor, and what it prints keeps its form.

use std::path::Path;
use std::process::Command;

use crate::support::demo::package;
use crate::support::ratios::{Ratio, ratios};

/// Workloads that any build of Tradewind can be asked for.
const WORKLOADS: [&str; 6] = [
    "static", "names", "geo-ecs", "weighted", "signed", "nxdomain",
];

#[test]
fn the_comparison_runs_and_ends_with_ratios() {
    let tradewind = Path::new(env!("CARGO_BIN_EXE_tradewind"));
    // Examples are built with the tests, and lie beside the binary.
    let load = tradewind.with_file_name("examples").join("dns_load");
    assert!(
        load.exists(),
        "{} is missing; `cargo build --example dns_load` makes it",
        load.display()
    );
    let out = Command::new("python3")
        .arg(package().join("tests/bench/dns/compare"))
        .arg("--smoke")
        .arg("--tradewind")
        .arg(tradewind)
        .arg("--load")
        .arg(load)
        .output()
        .expect("python3 is installed");
    let text = String::from_utf8_lossy(&out.stdout);
    let all = format!("{text}{}", String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "{}\n{all}", out.status);
    assert!(text.contains("| workload | server | CPU µs/query"), "{all}");
    assert!(text.contains("\nlost answers: 0\n"), "{all}");

    let told = ratios(&text);
    for Ratio {
        workload,
        pair,
        value,
    } in &told
    {
        assert_eq!(pair, "tradewind/floor", "{workload}\n{all}");
        assert!(*value > 0.1 && value.is_finite(), "{workload}: {value}");
    }
    for workload in WORKLOADS {
        assert!(
            told.iter().any(|r| r.workload == workload),
            "no ratio for {workload}\n{all}"
        );
    }
}
