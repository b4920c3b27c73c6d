//! gRPC through the proxy, with its own C implementation at both ends: every kind of call, trailers,
//! statuses, cancelling, deadlines, and what a client is told when the proxy has no answer.

use std::process::Command;
use std::time::Duration;

use crate::support::backend::Backend;
use crate::support::daemon::Daemon;
use crate::support::demo::package;
use crate::support::proxy::{Proxy, WEB, backend_entry};
use crate::support::wait_for;

/// Debian's gRPC is for Debian's Python, which another one may stand before in PATH.
const PYTHON: &str = "/usr/bin/python3";

fn server(dir: &tempfile::TempDir) -> Daemon {
    let command = |port: u16| {
        let mut command = Command::new(PYTHON);
        command
            .arg(package().join("tests/it/grpc_peer.py"))
            .args(["server", &port.to_string()]);
        command
    };
    Daemon::start("grpc_peer.py", dir.path(), command, |addr| {
        std::net::TcpStream::connect(addr).is_ok()
    })
}

/// Calls through the proxy; what the client says of them, one line each.
fn client(proxy: &Proxy, cases: &str) -> String {
    let out = Command::new(PYTHON)
        .arg(package().join("tests/it/grpc_peer.py"))
        .args([cases, &proxy.addr("web").to_string()])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(
        out.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&out.stderr)
    );
    text
}

fn config(backend: &str) -> String {
    let http2 = "[upstreams.app]\nhttp2 = true";
    let short = WEB.replace("[upstreams.app]", http2);
    // Calls of many seconds, and large messages.
    let long = short
        .replace("max-body = \"1MiB\"", "max-body = \"64MiB\"")
        .replace("body-timeout = \"1s\"", "body-timeout = \"20s\"")
        .replace("idle-timeout = \"4s\"", "idle-timeout = \"20s\"");
    format!("{long}{backend}")
}

#[test]
fn every_kind_of_call_gets_through() {
    let dir = tempfile::tempdir().unwrap();
    let server = server(&dir);
    let proxy = Proxy::start(&config(&backend_entry("app", "grpc", server.addr)));
    let said = client(&proxy, "calls");
    for case in [
        "unary",
        "large",
        "client-stream",
        "server-stream",
        "both-streams",
        "empty-stream",
        "metadata",
        "status",
        "status-words",
        "unimplemented",
        "cancelled",
        "deadline",
        "at-once",
        "trailers-only",
    ] {
        assert!(said.contains(&format!("{case}: ok\n")), "{case}\n{said}");
    }
}

/// A client that looks for a gRPC status gets one, whatever kept the proxy from asking a backend.
#[test]
fn p1_what_the_proxy_says_itself_is_a_status_too() {
    let gone = Backend::start();
    let entry = backend_entry("app", "gone", gone.addr);
    drop(gone);
    let proxy = Proxy::start(&config(&entry));
    assert_eq!(client(&proxy, "status-of"), "UNAVAILABLE\n");
    // No route: nobody implements it.
    let other = config(&entry).replace("path-prefixes = [\"/\"]", "path-prefixes = [\"/other\"]");
    let proxy = Proxy::start(&other);
    assert_eq!(client(&proxy, "status-of"), "UNIMPLEMENTED\n");
    // A server that speaks no HTTP/2.
    let plain = Backend::start();
    let proxy = Proxy::start(&config(&backend_entry("app", "plain", plain.addr)));
    assert_eq!(client(&proxy, "status-of"), "UNAVAILABLE\n");
}

/// A call under way when its server dies ends with a status, at once.
#[test]
fn p1_a_call_whose_server_dies_ends() {
    let dir = tempfile::tempdir().unwrap();
    let server = server(&dir);
    let proxy = Proxy::start(&config(&backend_entry("app", "grpc", server.addr)));
    let asked = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| client(&proxy, "wait"));
        wait_for("the call is under way", Duration::from_secs(20), || {
            dir.path()
                .join("called")
                .exists()
                .then_some(())
                .or_else(|| {
                    // The server says so in its log.
                    let said = std::fs::read_to_string(dir.path().join("daemon.log")).ok()?;
                    said.contains("called").then_some(())
                })
        });
        drop(server);
        waiting.join().unwrap()
    });
    assert!(
        ["UNAVAILABLE\n", "INTERNAL\n", "UNKNOWN\n", "CANCELLED\n"].contains(&&*asked),
        "{asked}"
    );
}
