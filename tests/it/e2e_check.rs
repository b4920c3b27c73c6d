//! `tradewind check` on the real binary (requirement O4).

use std::path::Path;
use std::process::Output;

use crate::support::demo::tradewind;
use crate::support::node::{HEAD, folder};

/// Runs `tradewind check` in the repository's folder.
fn check(args: &[&str]) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = tradewind()
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .arg("check")
        .args(args)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

fn path(dir: &Path) -> &str {
    dir.to_str().unwrap()
}

#[test]
fn shipped_configurations_are_in_order() {
    for shipped in ["config/tradewind.toml", "config", "config/demo"] {
        let (code, out, err) = check(&["--deny-warnings", shipped]);
        assert_eq!(code, Some(0), "{shipped}: {err}");
        assert_eq!(err, "", "{shipped}");
        assert!(out.starts_with(&format!("{shipped}: ok (")), "{out}");
    }
}

#[test]
fn o4_all_errors_in_one_run_with_exit_78_grouped_by_file() {
    let dir = folder(&format!(
        "{HEAD}
        [monitors.web]
        interval = \"5\"
        [monitors.web.tcp]
        [geoip]
        databases = [\"gone.mmdb\"]
        networks = \"own.csv\"
        "
    ));
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write("own.csv", "network\n192.0.2.0/33\n");
    write("gslb.test.zone", "@ 60 SOA ns1 h 1 2 3 4\n");
    write(
        "names.toml",
        "[policies.any]\nstages = [{ random = {} }]\n[pools.a]\nregion = \"euu\"\n\
         endpoints = [{ name = \"a\", address = \"192.0.2.1\" }]\n\
         [names.\"www.other.test\"]\npools = [\"a\"]\npolicy = \"any\"\n",
    );
    let (code, out, err) = check(&[path(dir.path())]);
    assert_eq!((code, out.as_str()), (Some(78), ""), "{err}");
    let places: Vec<&str> = err
        .lines()
        .filter_map(|l| l.trim_start().strip_prefix("--> "))
        .collect();
    let at = |name: &str, place: &str| format!("{}:{place}", dir.path().join(name).display());
    assert_eq!(
        places,
        [
            at("names.toml", "4:10"),
            at("names.toml", "6:8"),
            at("tradewind.toml", "18:20"),
            at("tradewind.toml", "21:22"),
            at("gslb.test.zone", "1:22"),
            at("own.csv", "2:1"),
        ],
        "{err}"
    );
    assert!(err.ends_with("\n6 errors\n"), "{err}");
}

#[test]
fn o4_warnings_pass_unless_denied() {
    let spare = "[monitors.spare]\nport = 80\n[monitors.spare.tcp]\n";
    let dir = folder(&format!("{HEAD}{spare}"));
    let (code, out, err) = check(&[path(dir.path())]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("; 1 warning)"), "{out}");
    assert!(err.contains("warning: monitor `spare` is used by no pool"));
    let (code, out, err) = check(&["--deny-warnings", path(dir.path())]);
    assert_eq!((code, out.as_str()), (Some(78), ""));
    assert!(err.ends_with("1 warning\n"), "{err}");
}

#[test]
fn o4_a_folder_without_configuration_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let (code, _, err) = check(&[path(dir.path())]);
    assert_eq!(code, Some(78));
    assert!(err.contains("holds no *.toml file"), "{err}");
}
