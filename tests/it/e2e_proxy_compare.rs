//! The comparison with other proxies stays able to run: a few short rounds, and what it prints keeps its
//! form.

use std::path::Path;
use std::process::Command;

use crate::support::demo::package;
use crate::support::ratios::{Ratio, ratios};

/// Runs it with these words and checks the form of what it prints. Returns all of it, and workload and pair
/// of each ratio.
fn compare(words: &[&str]) -> (String, Vec<(String, String)>) {
    let tradewind = Path::new(env!("CARGO_BIN_EXE_tradewind"));
    // Examples are built with the tests, and lie beside the binary.
    let load = tradewind.with_file_name("examples").join("proxy_load");
    assert!(
        load.exists(),
        "{} is missing; `cargo build --example proxy_load` makes it",
        load.display()
    );
    let out = Command::new("python3")
        .arg(package().join("tests/bench/proxy/compare"))
        .args(words)
        .arg("--tradewind")
        .arg(tradewind)
        .arg("--load")
        .arg(load)
        .output()
        .expect("python3 is installed");
    let text = String::from_utf8_lossy(&out.stdout);
    let all = format!("{text}{}", String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "{}\n{all}", out.status);
    assert!(text.contains("| workload | proxy | CPU"), "{all}");
    assert!(text.contains("\nfailed: 0\n"), "{all}");

    let told = ratios(&text).into_iter().map(|ratio| {
        let Ratio {
            workload,
            pair,
            value,
        } = ratio;
        // A build without optimisation beside packaged ones: only what makes no sense is refused.
        assert!(value > 0.05 && value < 100.0, "{workload} {pair}: {value}");
        (workload, pair)
    });
    let told = told.collect();
    (all, told)
}

fn assert_told(all: &str, told: &[(String, String)], workload: &str, rivals: &[&str]) {
    for rival in rivals {
        let pair = (workload.to_owned(), format!("tradewind/{rival}"));
        assert!(told.contains(&pair), "{pair:?}\n{all}");
    }
}

#[test]
fn the_comparison_of_proxies_runs_and_ends_with_ratios() {
    let (all, told) = compare(&["--quick", "--only", "plain,tls", "--rounds", "3"]);
    for workload in ["plain", "tls"] {
        assert_told(&all, &told, workload, &["haproxy", "nginx", "better"]);
    }
}

#[test]
fn the_comparison_at_layer_4_runs_and_tells_its_targets() {
    let (all, told) = compare(&["--quick", "--layer4", "--rounds", "3", "--millis", "100"]);
    let both = ["haproxy", "nginx", "better"];
    for workload in ["tcp-bulk", "tcp-round", "tcp-connect", "tcp-idle-memory"] {
        assert_told(&all, &told, workload, &both[..2]);
    }
    assert_told(&all, &told, "tcp-round-p99", &both);
    assert_told(&all, &told, "udp", &["nginx"]);
    for workload in ["tcp-bulk", "tcp-round", "tcp-connect", "udp"] {
        let target = format!("\ntarget {workload}: ");
        assert!(all.contains(&target), "{workload}\n{all}");
    }
}
