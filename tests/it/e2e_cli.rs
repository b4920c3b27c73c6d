//! The command line, as a person uses it.

use std::process::Output;

use crate::support::demo::{Demo, package, tradewind};

fn text(out: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr)
    )
}

#[test]
fn geoip_build_makes_the_committed_database_and_lookup_reads_it() {
    let dir = tempfile::tempdir().unwrap();
    let made = dir.path().join("made.mmdb");
    let out = tradewind()
        .args(["geoip", "build", "geoip/networks.csv"])
        .arg(&made)
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", text(&out));
    let committed = std::fs::read(package().join("geoip/demo.mmdb")).unwrap();
    assert_eq!(
        std::fs::read(&made).unwrap(),
        committed,
        "geoip/demo.mmdb is of another CSV"
    );

    for (address, country) in [
        ("192.0.2.7", "DE"),
        ("2001:db8:2::1", "US"),
        ("203.0.113.9", "SG"),
    ] {
        let out = tradewind()
            .args(["geoip", "lookup", address, "--database"])
            .arg(&made)
            .output()
            .unwrap();
        assert!(out.status.success(), "{}", text(&out));
        assert!(text(&out).contains(country), "{address}: {}", text(&out));
        assert!(
            text(&out).contains("made.mmdb"),
            "from where: {}",
            text(&out)
        );
    }
}

#[test]
fn geoip_errors_say_where_and_leave_the_old_file() {
    let dir = tempfile::tempdir().unwrap();
    let csv = dir.path().join("bad.csv");
    let out_file = dir.path().join("kept.mmdb");
    std::fs::write(&csv, "network,country\n10.0.0.1/8,DE\nx,FR\n").unwrap();
    std::fs::write(&out_file, "old").unwrap();
    let out = tradewind()
        .args(["geoip", "build"])
        .arg(&csv)
        .arg(&out_file)
        .output()
        .unwrap();
    assert_eq!(out.status.code(), Some(1));
    let said = text(&out);
    assert!(
        said.contains("bad.csv:2:") && said.contains("bad.csv:3:"),
        "{said}"
    );
    assert_eq!(std::fs::read_to_string(&out_file).unwrap(), "old");
    let out = tradewind()
        .args(["geoip", "lookup", "192.0.2.1", "--database"])
        .arg(&csv)
        .output()
        .unwrap();
    assert_eq!(out.status.code(), Some(1));
    assert!(text(&out).contains("bad.csv"), "{}", text(&out));
}

#[test]
fn explain_prints_the_trace_and_json() {
    let demo = Demo::start();
    let server = format!("http://{}", demo.admin);
    let explain = |more: &[&str]| {
        tradewind()
            .args([
                "explain",
                "www.gslb.example",
                "--client",
                "198.51.100.0/24",
                "--server",
            ])
            .arg(&server)
            .args(more)
            .output()
            .unwrap()
    };
    let out = explain(&[]);
    assert!(out.status.success(), "{}", text(&out));
    let said = text(&out);
    for part in ["country US", "proximity", "us-1", "scope /24", "generation"] {
        assert!(said.contains(part), "{part} is missing:\n{said}");
    }
    let out = explain(&["--json"]);
    let json: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(json["answer"][0]["region"], "us");
}

#[test]
fn explain_errors_name_what_is_wrong() {
    let demo = Demo::start();
    let server = format!("http://{}", demo.admin);
    let said = |name: &str, client: &str, server: &str| {
        let out = tradewind()
            .args(["explain", name, "--client", client, "--server", server])
            .output()
            .unwrap();
        assert_eq!(out.status.code(), Some(1), "{}", text(&out));
        text(&out)
    };
    assert!(
        said("ww.gslb.example", "192.0.2.0/24", &server)
            .contains("did you mean `www.gslb.example`")
    );
    assert!(said("www.gslb.example", "192.0.2.1/24", &server).contains("192.0.2.0/24"));
    assert!(
        said("www.gslb.example", "192.0.2.1", "http://127.0.0.1:1").contains("no node answered")
    );
}

#[test]
fn usage_errors_exit_2() {
    for args in [
        &["nonsense"][..],
        &["run"],
        &["run", "--config"],
        &["explain"],
    ] {
        let out = tradewind().args(args).output().unwrap();
        assert_eq!(out.status.code(), Some(2), "{args:?}: {}", text(&out));
    }
}
