//! The README keeps its word: what it shows is what the program does.

use std::fs;

use crate::support::demo::{package, tradewind};
use crate::support::node::ZONE;

fn readme() -> String {
    fs::read_to_string(package().join("README.md")).unwrap()
}

/// The first fenced block of `kind` in the README.
fn block(kind: &str) -> String {
    let text = readme();
    let open = format!("```{kind}\n");
    let start = text
        .find(&open)
        .unwrap_or_else(|| panic!("no {kind} block"))
        + open.len();
    let len = text[start..].find("```").unwrap();
    text[start..start + len].to_owned()
}

#[test]
fn its_configuration_is_good() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(dir.path().join(name), bytes).unwrap();
    write("tradewind.toml", block("toml").as_bytes());
    write("gslb.example.com.zone", ZONE.as_bytes());
    write(
        "GeoLite2-City.mmdb",
        &fs::read(package().join("geoip/demo.mmdb")).unwrap(),
    );
    write(
        "own-networks.csv",
        &fs::read(package().join("geoip/networks.csv")).unwrap(),
    );
    let out = tradewind()
        .arg("check")
        .arg("--deny-warnings")
        .arg(dir.path())
        .output()
        .unwrap();
    assert_eq!(
        out.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
}

#[test]
fn its_errors_are_real() {
    let out = tradewind()
        .args(["check", "tests/golden/readme/broken.toml"])
        .output()
        .unwrap();
    assert_eq!(out.status.code(), Some(78));
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(
        readme().contains(&said),
        "the README's errors should be:\n{said}"
    );
}

#[test]
fn its_files_exist() {
    let text = readme();
    let mut links = 0;
    for link in text.split("](").skip(1) {
        let path = link.split(')').next().unwrap();
        assert!(package().join(path).exists(), "{path}");
        links += 1;
    }
    assert!(links > 5);
    for file in ["tests/run", ".ci/run", "config/demo"] {
        assert!(package().join(file).exists(), "{file}");
    }
}
