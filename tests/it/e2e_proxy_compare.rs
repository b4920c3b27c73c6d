//! The comparison with other proxies stays able to run: a few short rounds of one workload, and what it
//! prints keeps its form.

use std::path::Path;
use std::process::Command;

use crate::support::demo::package;

#[test]
fn the_comparison_of_proxies_runs_and_ends_with_ratios() {
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
        .args(["--quick", "--only", "plain,tls", "--rounds", "3"])
        .arg("--tradewind")
        .arg(tradewind)
        .arg("--load")
        .arg(load)
        .output()
        .expect("python3 is installed");
    let text = String::from_utf8_lossy(&out.stdout);
    let all = format!("{text}{}", String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "{}\n{all}", out.status);
    assert!(
        text.contains("| workload | proxy | CPU µs/request"),
        "{all}"
    );
    assert!(text.contains("\nfailed: 0\n"), "{all}");

    // Nothing comes behind the lines for machines.
    let lines: Vec<&str> = text.lines().collect();
    let first = lines
        .iter()
        .position(|line| line.starts_with("ratio "))
        .unwrap_or_else(|| panic!("no ratios\n{all}"));
    let mut told = Vec::new();
    for line in &lines[first..] {
        let words: Vec<&str> = line.split(' ').collect();
        let ["ratio", workload, pair, value] = words[..] else {
            panic!("`{line}` is not a ratio\n{all}");
        };
        let value: f64 = value.parse().unwrap();
        // A build without optimisation beside packaged ones: only what makes no sense is refused.
        assert!(value > 0.1 && value < 100.0, "{line}");
        told.push((workload, pair));
    }
    for workload in ["plain", "tls"] {
        for rival in ["haproxy", "nginx", "better"] {
            let pair = format!("tradewind/{rival}");
            assert!(
                told.contains(&(workload, &*pair)),
                "{workload} {pair}\n{all}"
            );
        }
    }
}
