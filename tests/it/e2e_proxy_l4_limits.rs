//! Bounds of layer 4 on the real binary: how often and how many, queues, backends that fail, and what a
//! client sees of it.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::e2e_proxy_l4_balance::{config, connect, connect_from, name_on, speaker};
use crate::support::proxy::{Proxy, head};
use crate::support::stream::StreamBackend;
use crate::support::{http, wait_for};

const PATIENCE: Duration = Duration::from_secs(20);

fn listener(more: &str) -> impl Fn(String) -> String + use<> {
    let more = format!("forward = \"app\"\n{more}\n");
    move |text| text.replacen("forward = \"app\"\n", &more, 1)
}

/// Whether the proxy closes the connection without an octet.
fn is_refused(stream: &mut TcpStream) -> bool {
    name_on(stream).is_empty()
}

#[test]
fn a_source_may_connect_so_often_and_have_so_many() {
    let a = speaker("a");
    let limits = listener("connection-rate = \"5/h\"\nsource-prefix4 = 24\n");
    let proxy = Proxy::start(&limits(config("", &[(&a, "")])));
    let from = |third: u8, fourth: u8| {
        let mut stream = connect_from(&proxy, [127, 0, third, fourth]);
        !is_refused(&mut stream)
    };
    // Neighbours are one source.
    let got: Vec<bool> = (0..8).map(|n| from(0, 10 + n)).collect();
    assert_eq!(got, [true, true, true, true, true, false, false, false]);
    assert!(from(1, 1));
    let limited = "tradewind_proxy_connections_limited_total";
    wait_for("the count", PATIENCE, || {
        (proxy.node.metric(limited) == 3).then_some(())
    });
    drop(proxy);
    let limits = listener("connections-per-source = 2\n");
    let proxy = Proxy::start(&limits(config("", &[(&a, "")])));
    let mut open: Vec<TcpStream> = (0..2).map(|_| connect(&proxy)).collect();
    assert!(open.iter_mut().all(|s| name_on(s) == "a"));
    assert!(is_refused(&mut connect(&proxy)));
    assert_eq!(name_on(&mut connect_from(&proxy, [127, 0, 0, 2])), "a");
    open.pop();
    wait_for("room for one more", PATIENCE, || {
        (name_on(&mut connect(&proxy)) == "a").then_some(())
    });
}

#[test]
fn who_speaks_for_nobody_in_particular_is_a_source_itself() {
    let a = speaker("a");
    let limits =
        listener("connections-per-source = 2\nproxy-protocol = { from = [\"127.0.0.1/32\"] }\n");
    let proxy = Proxy::start(&limits(config("", &[(&a, "")])));
    let behind = |header: &[u8]| {
        let mut stream = connect(&proxy);
        stream.write_all(header).unwrap();
        (name_on(&mut stream), stream)
    };
    let (local, unknown) = (b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", b"PROXY UNKNOWN\r\n");
    let open = [behind(local), behind(unknown)];
    assert!(open.iter().all(|(name, _)| name == "a"));
    assert_eq!(behind(local).0, "");
    assert_eq!(behind(unknown).0, "");
    // Those for whom it speaks are counted by themselves.
    let named = b"PROXY TCP4 192.0.2.1 192.0.2.2 1000 2000\r\n";
    assert_eq!(behind(named).0, "a");
    drop(open);
    wait_for("room for one more", PATIENCE, || {
        (behind(local).0 == "a").then_some(())
    });
}

#[test]
fn all_sources_together_may_connect_so_often() {
    let a = speaker("a");
    let limits = listener("connection-rate = \"3/h\"\ntotal-connection-rate = \"10/h\"\n");
    let proxy = Proxy::start(&limits(config("", &[(&a, "")])));
    // One that floods uses up its own share only.
    let flood = (0..20)
        .filter(|_| !is_refused(&mut connect(&proxy)))
        .count();
    assert_eq!(flood, 3);
    let others = (2..22).filter(|n| {
        let mut stream = connect_from(&proxy, [127, 0, 0, *n]);
        !is_refused(&mut stream)
    });
    assert_eq!(others.count(), 7);
    let flooded = "tradewind_proxy_connections_flooded_total";
    wait_for("the count", PATIENCE, || {
        (proxy.node.metric(flooded) == 13).then_some(())
    });
}

fn waiting(proxy: &Proxy) -> u64 {
    let shown = http::get(proxy.node.admin, "/v1/proxy/upstreams/app").json();
    shown["upstreams"][0]["queue"]["waiting"].as_u64().unwrap()
}

#[test]
fn a_full_backend_is_waited_for_in_order() {
    let a = speaker("a");
    let upstream = "max-connections = 1\nqueue = { size = 3, timeout = \"30s\" }";
    let proxy = Proxy::start(&config(upstream, &[(&a, "")]));
    let mut first = connect(&proxy);
    assert_eq!(name_on(&mut first), "a");
    let mut line = Vec::new();
    for n in 1..=3 {
        line.push(connect(&proxy));
        wait_for("it to wait", PATIENCE, || {
            (waiting(&proxy) == n).then_some(())
        });
    }
    // No more wait than may.
    assert!(is_refused(&mut connect(&proxy)));
    drop(first);
    for mut next in line {
        assert_eq!(name_on(&mut next), "a", "first come, first served");
    }
    assert_eq!(waiting(&proxy), 0);
}

#[test]
fn waiting_ends_with_a_close_or_a_reset() {
    for (refusal, end) in [("close", None), ("reset", Some(ErrorKind::ConnectionReset))] {
        let a = speaker("a");
        let upstream = "max-connections = 1\nqueue = { size = 3, timeout = \"300ms\" }";
        let refuse = listener(&format!("tcp.refuse-with = \"{refusal}\"\n"));
        let proxy = Proxy::start(&refuse(config(upstream, &[(&a, "")])));
        let mut first = connect(&proxy);
        assert_eq!(name_on(&mut first), "a");
        let began = Instant::now();
        let mut second = connect(&proxy);
        let mut space = [0; 8];
        let got = second.read(&mut space);
        match (got, end) {
            (Ok(0), None) => {}
            (Err(e), Some(end)) if e.kind() == end => {}
            (got, _) => panic!("{refusal}: {got:?}"),
        }
        assert!(began.elapsed() >= Duration::from_millis(250));
    }
}

/// P2: what waits at an upstream that a reload renames does not wait for nothing.
#[test]
fn p2_waiting_ends_when_the_upstream_goes() {
    let a = speaker("a");
    let upstream = "max-connections = 1\nqueue = { size = 3, timeout = \"10m\" }";
    let text = config(upstream, &[(&a, "")]);
    let proxy = Proxy::start(&text);
    let mut first = connect(&proxy);
    assert_eq!(name_on(&mut first), "a");
    let mut second = connect(&proxy);
    wait_for("it to wait", PATIENCE, || {
        (waiting(&proxy) == 1).then_some(())
    });
    let renamed = text
        .replace("upstreams.app", "upstreams.other")
        .replace("forward = \"app\"", "forward = \"other\"");
    let file = proxy.node.file("tradewind.toml");
    std::fs::write(file, format!("{}{renamed}", head())).unwrap();
    proxy.node.signal("-HUP");
    let began = Instant::now();
    assert!(is_refused(&mut second));
    assert!(began.elapsed() < Duration::from_secs(15));
    // The other goes on, and new ones find the upstream by its new name.
    assert_eq!(name_on(&mut connect(&proxy)), "a");
    drop(first);
}

fn backend(proxy: &Proxy, at: usize) -> serde_json::Value {
    let shown = http::get(proxy.node.admin, "/v1/proxy/upstreams/app").json();
    shown["upstreams"][0]["backends"][at].clone()
}

#[test]
fn p4_a_backend_that_takes_no_connection_is_passed_over_and_ejected() {
    let (gone, b) = (StreamBackend::absent(), speaker("b"));
    let upstream = "passive = { max-fails = 3, ejection-time = \"1m\" }";
    let proxy = Proxy::start(&config(upstream, &[(&gone, ""), (&b, "")]));
    // No client sees anything of it.
    for _ in 0..20 {
        assert_eq!(name_on(&mut connect(&proxy)), "b");
    }
    let shown = backend(&proxy, 0);
    assert_eq!(shown["state"], "ejected", "{shown}");
    // Three tries ejected it, and no more came.
    assert_eq!(shown["failed"]["connect"], 3, "{shown}");
}

#[test]
fn p1_tries_are_as_many_as_configured() {
    let gone = [(); 3].map(|()| StreamBackend::absent());
    let b = speaker("b");
    let backends = [(&gone[0], ""), (&gone[1], ""), (&gone[2], ""), (&b, "")];
    let tries = |attempts: u32| {
        let upstream = format!(
            "passive = {{ max-fails = 0 }}\nretries = {{ attempts = {attempts}, budget = \"100%\" }}"
        );
        let proxy = Proxy::start(&config(&upstream, &backends));
        let got = (0..8).map(|_| name_on(&mut connect(&proxy)));
        got.filter(|name| name == "b").count()
    };
    assert_eq!(tries(0), 2, "every fourth finds the one that is there");
    assert_eq!(tries(3), 8);
}

#[test]
fn p4_an_early_close_is_a_failure_only_where_that_is_configured() {
    let closes = || StreamBackend::with(drop);
    for (early, ejected) in [("", false), ("early-close = \"10s\", ", true)] {
        let (a, b) = (closes(), speaker("b"));
        let upstream = format!(
            "passive = {{ {early}max-fails = 3, consecutive = true, ejection-time = \"1m\" }}"
        );
        let proxy = Proxy::start(&config(&upstream, &[(&a, ""), (&b, "")]));
        for _ in 0..20 {
            let _ = name_on(&mut connect(&proxy));
        }
        let standing = if ejected { "ejected" } else { "up" };
        wait_for(standing, PATIENCE, || {
            (backend(&proxy, 0)["state"] == standing).then_some(())
        });
        let got = (0..10).filter(|_| name_on(&mut connect(&proxy)) == "b");
        assert_eq!(got.count(), if ejected { 10 } else { 5 });
    }
}

#[test]
fn an_open_circuit_refuses_connections_at_once() {
    let gone = StreamBackend::absent();
    let upstream = "passive = { max-fails = 0 }\n\
                    circuit = { failures = \"50%\", min-requests = 5, open-for = \"1h\" }";
    let proxy = Proxy::start(&config(upstream, &[(&gone, "")]));
    for _ in 0..10 {
        assert!(is_refused(&mut connect(&proxy)));
    }
    let shown = http::get(proxy.node.admin, "/v1/proxy/upstreams/app").json();
    let shown = &shown["upstreams"][0];
    assert_eq!(shown["circuit"], "open", "{shown}");
}

#[test]
fn connections_to_the_whole_upstream_are_bounded() {
    let a = speaker("a");
    let proxy = Proxy::start(&config("max-requests = 2", &[(&a, "")]));
    let mut open: Vec<TcpStream> = (0..2).map(|_| connect(&proxy)).collect();
    assert!(open.iter_mut().all(|s| name_on(s) == "a"));
    assert!(is_refused(&mut connect(&proxy)));
    open.pop();
    wait_for("room for one more", PATIENCE, || {
        (name_on(&mut connect(&proxy)) == "a").then_some(())
    });
}
