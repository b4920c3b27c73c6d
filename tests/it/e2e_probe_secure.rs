//! Probes over TLS and gRPC, end to end: servers from other houses are probed by the real binary.

use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::daemon::Daemon;
use crate::support::demo::package;
use crate::support::node::{HEAD, Node, folder};
use crate::support::{http, wait_for};

const PATIENCE: Duration = Duration::from_secs(20);

/// Writes `server.pem` and `server.key`, for `www.gslb.test` and valid for so many days, and the
/// authority's `ca.pem`.
fn certificates(dir: &TempDir, days: i64) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let ca = params.self_signed(&key).unwrap().pem();
    let authority = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let mut leaf = CertificateParams::new(vec!["www.gslb.test".to_owned()]).unwrap();
    let now = std::time::SystemTime::now();
    leaf.not_before = (now - Duration::from_secs(86_400)).into();
    leaf.not_after = (now + Duration::from_secs(86_400 * days.unsigned_abs() + 3_600)).into();
    let leaf = leaf.signed_by(&key, &authority).unwrap();
    let write = |name: &str, text: String| std::fs::write(dir.path().join(name), text).unwrap();
    write("ca.pem", ca);
    write("server.pem", leaf.pem());
    write("server.key", key.serialize_pem());
}

/// `openssl s_server` with the certificate in `dir`; answers HTTP with a page of its own.
fn openssl(dir: &TempDir, alpn: &str) -> Daemon {
    let command = |port: u16| {
        let mut command = Command::new("openssl");
        command
            .current_dir(dir.path())
            .args(["s_server", "-quiet", "-www", "-cert", "server.pem"])
            .args(["-key", "server.key", "-alpn", alpn])
            .args(["-accept", &format!("127.0.0.1:{port}")]);
        command
    };
    Daemon::start("openssl s_server", dir.path(), command, |addr| {
        TcpStream::connect(addr).is_ok()
    })
}

/// One pool with one endpoint at `addr` for each monitor's table, named `e0`, `e1`, …
fn world(addr: SocketAddr, monitors: &[&str]) -> String {
    let mut rest = String::new();
    for (i, monitor) in monitors.iter().enumerate() {
        rest.push_str(&format!(
            "[monitors.m{i}]\ninterval = \"1s\"\ntimeout = \"900ms\"\nrise = 1\nfall = 1\n{monitor}\n\
             [pools.p{i}]\nregion = \"eu\"\nmonitor = \"m{i}\"\n\
             endpoints = [{{ name = \"e{i}\", address = \"{}\", port = {} }}]\n",
            addr.ip(),
            addr.port()
        ));
    }
    rest
}

fn endpoint(node: &Node, number: usize) -> Value {
    let health = http::get(node.admin, "/v1/health").json();
    let name = format!("e{number}");
    let list = health["endpoints"].as_array().unwrap();
    list.iter()
        .find(|e| e["name"] == name.as_str())
        .unwrap()
        .clone()
}

fn wait_endpoint(node: &Node, number: usize, what: &str, is: impl Fn(&Value) -> bool) -> Value {
    let mut last = Value::Null;
    wait_for(&format!("e{number}: {what}"), PATIENCE, || {
        last = endpoint(node, number);
        is(&last).then(|| last.clone())
    })
}

fn state(wanted: &str) -> impl Fn(&Value) -> bool {
    move |e| e["state"] == wanted
}

#[test]
fn a_tls_monitor_verifies_and_warns_of_a_certificate_that_expires_soon() {
    let dir = folder(HEAD);
    certificates(&dir, 10);
    let server = openssl(&dir, "h2,http/1.1");
    let trust = "ca-file = \"ca.pem\"\nserver-name = \"www.gslb.test\"";
    let monitors = [
        format!("[monitors.m0.tls]\n{trust}\nalpn = [\"h2\"]"),
        format!("[monitors.m1.tls]\n{trust}\nwarn-days = 5"),
        format!("[monitors.m2.tls]\n{trust}\nalpn = [\"imap\"]"),
        "[monitors.m3.tls]\nserver-name = \"www.gslb.test\"".to_owned(),
        format!("[monitors.m4.http]\ntls = true\n{trust}\nexpect-body = \"Ciphers\""),
    ];
    let monitors: Vec<&str> = monitors.iter().map(String::as_str).collect();
    let config = format!("{HEAD}{}", world(server.addr, &monitors));
    std::fs::write(dir.path().join("tradewind.toml"), config).unwrap();
    let node = Node::start_in(dir);

    for number in [0, 1, 4] {
        let e = wait_endpoint(&node, number, "up", state("up"));
        assert_eq!(e["certificate_days"], 10, "{e}");
    }
    let e = wait_endpoint(&node, 2, "down", state("down"));
    assert!(
        e["last_error"]
            .as_str()
            .unwrap()
            .starts_with("TLS failed: "),
        "{e}"
    );
    let e = wait_endpoint(&node, 3, "down", state("down"));
    assert!(
        e["last_error"].as_str().unwrap().contains("certificate: "),
        "{e}"
    );
    assert_eq!(e["certificate_days"], Value::Null, "{e}");

    // With 14 days, which is the default, it is warned of; with 5 it is not.
    node.wait_logged("the certificate of a target expires soon");
    let page = http::get(node.admin, "/metrics").body;
    let name = "tradewind_endpoint_certificate_expiry_seconds{endpoint=\"e0\",pool=\"p0\"} ";
    let line = page.lines().find_map(|l| l.strip_prefix(name));
    assert!(
        line.is_some_and(|v| v.parse::<u64>().unwrap() > 1_700_000_000),
        "{page}"
    );
    assert!(page.contains("tradewind_probe_overdue_total 0\n"), "{page}");
    assert!(node.metric("tradewind_probe_runs_total") > 0);
    assert!(node.metric("tradewind_probe_in_flight_limit") >= 64);
}

#[test]
fn a_grpc_monitor_believes_serving_alone_and_has_no_opinion_where_it_asked_wrongly() {
    let dir = folder(HEAD);
    let says = dir.path().join("status");
    std::fs::write(&says, "1").unwrap();
    let command = |port: u16| {
        // Debian's Python is the one that Debian's gRPC is installed for.
        let mut command = Command::new("/usr/bin/python3");
        command
            .arg(package().join("tests/it/grpc_server.py"))
            .arg(port.to_string())
            .arg(&says);
        command
    };
    let server = Daemon::start("grpc_server.py", dir.path(), command, |addr| {
        TcpStream::connect(addr).is_ok()
    });
    let monitors = [
        "[monitors.m0.grpc]",
        "[monitors.m1.grpc]\nservice = \"shop\"",
        "[monitors.m2.grpc]\nservice = \"unknown\"",
    ];
    let rest = format!(
        "[dns]\nfirst-round = \"2s\"\n{}",
        world(server.addr, &monitors)
    );
    std::fs::write(dir.path().join("tradewind.toml"), format!("{HEAD}{rest}")).unwrap();
    let node = Node::start_in(dir);

    wait_endpoint(&node, 0, "up", state("up"));
    wait_endpoint(&node, 1, "up", state("up"));
    let e = wait_endpoint(&node, 2, "no opinion, in words", |e| {
        e["last_error"]
            .as_str()
            .is_some_and(|w| w.contains("NOT_FOUND"))
    });
    assert_eq!(
        (&e["state"], &e["serves"]),
        (&"unknown".into(), &true.into()),
        "{e}"
    );
    node.wait_logged("a check cannot be run on this node");
    assert!(node.metric("tradewind_probe_unable_total") > 0);

    std::fs::write(node.file("status"), "2").unwrap();
    let e = wait_endpoint(&node, 1, "down", state("down"));
    assert_eq!(
        e["last_error"],
        "the service is NOT_SERVING, expected SERVING"
    );
    std::fs::write(node.file("status"), "1").unwrap();
    wait_endpoint(&node, 1, "up again", state("up"));
    let e = endpoint(&node, 2);
    assert_eq!(
        (&e["state"], &e["serves"]),
        (&"unknown".into(), &true.into()),
        "{e}"
    );
}
