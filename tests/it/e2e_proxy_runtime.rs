//! Orders about backends while the proxy runs, on the real binary: in force at once, kept over reloads
//! and crashes, audited (requirement P6).

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;

use crate::support::backend::Backend;
use crate::support::demo::tradewind;
use crate::support::node::{Node, folder};
use crate::support::proxy::{Proxy, Raw, WEB, backend_entry, get, head};
use crate::support::{http, wait_for};

const PATIENCE: Duration = Duration::from_secs(20);

fn start(upstream: &str, backends: &[&Backend]) -> Proxy {
    let head = head().replace("roles =", "state-dir = \"state\"\nroles =");
    let entries = backends.iter().enumerate();
    let entries = entries.map(|(i, b)| backend_entry("app", &format!("b{i}"), b.addr));
    let text = format!("{head}{WEB}{upstream}{}", entries.collect::<String>());
    Proxy {
        node: Node::start_in(folder(&text)),
    }
}

/// Runs `tradewind proxy` and gives what it says, good or bad.
fn tell(proxy: &Proxy, args: &[&str]) -> Result<String, String> {
    let out = tradewind()
        .arg("proxy")
        .args(args)
        .args(["--server", &format!("http://{}", proxy.node.admin)])
        .output()
        .unwrap();
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    match out.status.code() {
        Some(0) => Ok(text(&out.stdout)),
        _ => Err(text(&out.stderr)),
    }
}

fn order(proxy: &Proxy, args: &[&str]) -> String {
    tell(
        proxy,
        &[args, &["--reason", "test", "--owner", "ann"]].concat(),
    )
    .unwrap()
}

fn backends(proxy: &Proxy) -> Vec<Value> {
    let shown = http::get(proxy.node.admin, "/v1/proxy/upstreams/app").json();
    shown["upstreams"][0]["backends"]
        .as_array()
        .unwrap()
        .clone()
}

fn ask(proxy: &Proxy, times: usize) {
    (0..times).for_each(|_| assert_eq!(proxy.get("/ok").status, 200));
}

#[test]
fn orders_are_in_force_at_once_and_outlive_reloads_and_crashes() {
    let all: Vec<Backend> = (0..3).map(|_| Backend::start()).collect();
    let mut proxy = start("", &[&all[0], &all[1]]);
    order(
        &proxy,
        &["add", "app/b2", "--address", &all[2].addr.to_string()],
    );
    order(&proxy, &["remove", "app/b0"]);
    order(&proxy, &["weight", "app/b1", "--to", "3"]);
    let check = |proxy: &Proxy| {
        let counts = || all.iter().map(Backend::requests).collect::<Vec<_>>();
        let before = counts();
        ask(proxy, 40);
        let after = counts();
        let got: Vec<usize> = after.iter().zip(before).map(|(a, b)| a - b).collect();
        assert_eq!(
            got,
            [0, 30, 10],
            "b0 is removed, b1 weighs 3, b2 was added with 1"
        );
    };
    check(&proxy);
    proxy.node.signal("-HUP");
    proxy.node.wait_logged("reloaded");
    check(&proxy);
    proxy.node.crash_and_restart();
    check(&proxy);
    let shown = backends(&proxy);
    let names: Vec<&str> = shown.iter().map(|b| b["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["b1", "b2"]);
    assert_eq!(shown[0]["orders"][0]["kind"], "weight 3");
    assert_eq!(shown[0]["orders"][0]["owner"], "ann");
    // What was ordered can be taken back.
    order(
        &proxy,
        &["add", "app/b0", "--address", &all[0].addr.to_string()],
    );
    order(&proxy, &["remove", "app/b2"]);
    order(&proxy, &["weight", "app/b1"]);
    let before = all[2].requests();
    let (zero, one) = (all[0].requests(), all[1].requests());
    ask(&proxy, 20);
    assert_eq!(all[2].requests(), before);
    assert_eq!(
        (all[0].requests() - zero, all[1].requests() - one),
        (10, 10)
    );
    let audit = http::get(proxy.node.admin, "/v1/audit").body;
    assert!(
        audit.contains("remove of backend `b0` of upstream `app`: test"),
        "{audit}"
    );
    assert!(
        audit.contains("weight 3 of backend `b1` of upstream `app`: test"),
        "{audit}"
    );
}

#[test]
fn p6_a_drained_backend_gets_no_new_clients_and_what_is_under_way_finishes() {
    let (one, two) = (Backend::start(), Backend::start());
    let proxy = start("drain-timeout = \"60s\"\n", &[&one, &two]);
    let mut tunnels: Vec<Raw> = (0..2).map(|_| open_tunnel(&proxy)).collect();
    wait_for("a tunnel each", PATIENCE, || {
        (one.busy() == 1 && two.busy() == 1).then_some(())
    });
    let said = order(&proxy, &["drain", "app/b0"]);
    assert_eq!(
        said,
        "drain of backend `b0` of upstream `app`; 1 requests under way\n"
    );
    let before = one.requests();
    ask(&proxy, 20);
    assert_eq!(one.requests(), before, "no new clients");
    for raw in &mut tunnels {
        raw.send(b"still here");
        assert_eq!(raw.octets(10), b"still here");
    }
    let status = tell(&proxy, &["status"]).unwrap();
    assert!(status.contains("drain by ann (test)"), "{status}");
    order(&proxy, &["enable", "app/b0"]);
    ask(&proxy, 20);
    assert!(one.requests() >= before + 10);
}

#[test]
fn p6_what_is_under_way_is_cut_when_the_drain_timeout_is_over() {
    let (one, two) = (Backend::start(), Backend::start());
    let proxy = start("drain-timeout = \"300ms\"\n", &[&one, &two]);
    let mut tunnels: Vec<Raw> = (0..2).map(|_| open_tunnel(&proxy)).collect();
    wait_for("a tunnel each", PATIENCE, || {
        (one.busy() == 1 && two.busy() == 1).then_some(())
    });
    order(&proxy, &["drain", "app/b0"]);
    wait_for("b0's tunnel to end", PATIENCE, || {
        (one.busy() == 0).then_some(())
    });
    assert_eq!(two.busy(), 1);
    wait_for("its client to be told", PATIENCE, || {
        let mut all = tunnels.iter_mut();
        all.any(|raw| raw.is_closed_within(Duration::from_millis(50)))
            .then_some(())
    });
    let mut ended = 0;
    for raw in &mut tunnels {
        ended += usize::from(raw.is_closed_within(Duration::from_millis(200)));
    }
    assert_eq!(ended, 1);
    order(&proxy, &["disable", "app/b1"]);
    wait_for("b1's tunnel to end", PATIENCE, || {
        (two.busy() == 0).then_some(())
    });
    let none = proxy.get("/ok");
    assert_eq!(
        (none.status, none.field("retry-after").is_some()),
        (503, true)
    );
}

fn open_tunnel(proxy: &Proxy) -> Raw {
    let mut raw = Raw::connect(proxy.addr("web"));
    raw.send(
        b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
          Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    assert_eq!(raw.answer().status, 101);
    assert_eq!(raw.octets(5), b"hello");
    raw
}

#[test]
fn what_cannot_be_ordered_is_refused_with_a_reason() {
    let backend = Backend::start();
    let proxy = start("", &[&backend]);
    let refused =
        |args: &[&str]| tell(&proxy, &[args, &["--reason", "test"]].concat()).unwrap_err();
    let text = refused(&["drain", "app/b7"]);
    assert!(
        text.contains("there is no backend `b7` of upstream `app`; it has: `b0`"),
        "{text}"
    );
    let text = refused(&["drain", "web/b0"]);
    assert!(
        text.contains("there is no upstream `web` here; there are: `app`"),
        "{text}"
    );
    let text = refused(&["weight", "app/b0", "--to", "1000001"]);
    assert!(text.contains("the largest allowed is 1000000"), "{text}");
    let address: SocketAddr = backend.addr;
    let text = refused(&["add", "app/b9", "--address", &address.to_string()]);
    assert!(text.contains("has the address"), "{text}");
    let text = refused(&["drain", "app"]);
    assert!(text.contains("UPSTREAM/BACKEND"), "{text}");
    assert_eq!(
        http::get(proxy.node.admin, "/v1/proxy/upstreams/web").status,
        404
    );
    let mut raw = Raw::connect(proxy.addr("web"));
    raw.send(get("/ok").as_bytes());
    assert_eq!(raw.answer().status, 200);
}

#[test]
fn p2_requests_that_wait_go_on_at_a_backend_that_is_added() {
    let slow = Backend::with(|_, stream| {
        crate::support::backend::stall(stream);
        crate::support::backend::After::Close
    });
    let quick = Backend::start();
    let proxy = start(
        "max-connections = 1\nqueue = { size = 10, timeout = \"15s\" }\n",
        &[&slow],
    );
    let ask = |method: &str| {
        let mut raw = Raw::connect(proxy.addr("web"));
        let text = format!("{method} /ok HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
        raw.send(text.as_bytes());
        raw
    };
    let first = ask("GET");
    wait_for("the only place to be taken", PATIENCE, || {
        (slow.busy() == 1).then_some(())
    });
    let waiting: Vec<Raw> = ["GET", "POST", "PUT", "GET"].map(ask).into();
    wait_for("four to wait", PATIENCE, || {
        let shown = http::get(proxy.node.admin, "/v1/proxy/upstreams/app").json();
        (shown["upstreams"][0]["queue"]["waiting"] == 4).then_some(())
    });
    order(
        &proxy,
        &["add", "app/b1", "--address", &quick.addr.to_string()],
    );
    for mut raw in waiting {
        assert_eq!(raw.answer().status, 200);
    }
    assert!(quick.got().iter().all(|got| got.body == b"hi"));
    drop(first);
}

#[test]
fn p6_a_request_without_an_answer_is_cut_off_too() {
    let backend = Backend::start();
    let proxy = start("", &[&backend]);
    let mut waiting = Raw::connect(proxy.addr("web"));
    waiting.send(get("/silent").as_bytes());
    let mut standing = Raw::connect(proxy.addr("web"));
    standing.send(get("/stall").as_bytes());
    wait_for("both", PATIENCE, || (backend.busy() == 2).then_some(()));
    order(&proxy, &["disable", "app/b0"]);
    assert_eq!(waiting.answer().status, 503);
    wait_for("the connections to end", PATIENCE, || {
        (backend.busy() == 0).then_some(())
    });
}

#[test]
fn an_order_about_a_backend_is_taken_only_where_its_tag_still_stands() {
    let backend = Backend::start();
    let proxy = start("", &[&backend]);
    let url = |path: &str| format!("http://{}/v1/proxy/upstreams{path}", proxy.node.admin);
    let curl = |args: &[&str]| {
        let out = std::process::Command::new("curl")
            .arg("-si")
            .args(args)
            .output()
            .unwrap();
        String::from_utf8(out.stdout).unwrap()
    };
    let tag_in = |answer: &str| {
        let mut lines = answer.lines().filter_map(|l| l.split_once(": "));
        let found = lines.find(|(name, _)| name.eq_ignore_ascii_case("etag"));
        found.unwrap().1.trim().to_owned()
    };
    let order = |tag: &str, action: &str| {
        let condition = format!("If-Match: {tag}");
        let body = format!(r#"{{"action": "{action}", "reason": "x", "owner": "ann"}}"#);
        let json = "Content-Type: application/json";
        curl(&[
            "-H",
            &condition,
            "-H",
            json,
            "-d",
            &body,
            &url("/app/backends/b0"),
        ])
    };
    let (one, all) = (tag_in(&curl(&[&url("/app")])), tag_in(&curl(&[&url("")])));
    assert!(one.starts_with('"'), "a strong tag: {one}");
    // Requests and probes go on without an order, and change no tag.
    ask(&proxy, 3);
    assert_eq!(tag_in(&curl(&[&url("/app")])), one);
    let taken = order(&one, "drain");
    assert!(taken.starts_with("HTTP/1.1 200 "), "{taken}");
    for old in [&one, &all] {
        let late = order(old, "enable");
        assert!(late.starts_with("HTTP/1.1 412 "), "{late}");
        let now = tag_in(&late);
        assert_eq!(now, tag_in(&curl(&[&url("/app")])));
        for part in [old, &now] {
            assert!(late.contains(&part.replace('"', "\\\"")), "{part}: {late}");
        }
    }
    assert_eq!(backends(&proxy)[0]["orders"][0]["kind"], "drain");
    let now = tag_in(&curl(&[&url("")]));
    let taken = order(&now, "enable");
    assert!(taken.starts_with("HTTP/1.1 200 "), "{taken}");
    assert!(order("*", "drain").starts_with("HTTP/1.1 200 "));
    assert!(order("x", "drain").starts_with("HTTP/1.1 400 "));
}
