//! What layer 4 tells: a line and a reason for every connection (P1), metrics, the API, and how far
//! clients are.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

use crate::support::backend::Backend;
use crate::support::demo::{package, tradewind};
use crate::support::proxy::{Proxy, WEB, backend_entry, get};
use crate::support::stream::{StreamBackend, nobody};
use crate::support::{http, wait_for};

const PATIENCE: Duration = Duration::from_secs(20);

/// A listener of TCP to an upstream of one backend; both have its name.
fn listener(name: &str, backend: SocketAddr, more: &str) -> String {
    format!(
        "[listeners.{name}]\nbind = [\"127.0.0.1:0\"]\nprotocol = \"tcp\"\nforward = \"{name}\"\n{more}\n\
         [upstreams.{name}]\nconnect-timeout = \"2s\"\n{}",
        backend_entry(name, "b", backend)
    )
}

/// A connection from this source.
fn connect_from(source: &str, to: SocketAddr) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let source: SocketAddr = format!("{source}:0").parse().unwrap();
    socket.bind(&source.into()).unwrap();
    socket.connect(&to.into()).unwrap();
    let stream: TcpStream = socket.into();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Sends, reads as much, ends, and reads to the end.
fn exchange(stream: &mut TcpStream, octets: &[u8]) {
    stream.write_all(octets).unwrap();
    stream.read_exact(&mut vec![0; octets.len()]).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let _ = stream.read_to_end(&mut Vec::new());
}

/// The lines of the access log of a listener, once there are so many.
fn lines(proxy: &Proxy, listener: &str, count: usize) -> Vec<Value> {
    let path = proxy.node.file("access.log");
    wait_for("the lines are there", PATIENCE, || {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let all = text.lines().map(|l| serde_json::from_str(l).unwrap());
        let ours: Vec<Value> = all.filter(|l: &Value| l["listener"] == listener).collect();
        (ours.len() >= count).then_some(ours)
    })
}

fn page(proxy: &Proxy) -> String {
    http::get(proxy.node.admin, "/metrics").body
}

/// Waits until the page of metrics has this line.
fn wait_for_line(proxy: &Proxy, line: &str) -> String {
    let mut last = String::new();
    for _ in 0..400 {
        last = page(proxy);
        if last.lines().any(|l| l == line) {
            return last;
        }
        std::thread::park_timeout(Duration::from_millis(25));
    }
    panic!("no {line} in\n{last}");
}

const LOG: &str = "access-log = { to = \"access.log\" }";

#[test]
fn p1_every_connection_has_a_line_with_the_reason_of_its_end() {
    let (echo, named) = (StreamBackend::echo(), StreamBackend::named("hello"));
    let config = [
        listener("echo", echo.addr, LOG),
        listener("named", named.addr, LOG),
        listener("dead", nobody(), LOG),
        listener("one", echo.addr, &format!("max-connections = 1\n{LOG}")),
        listener(
            "few",
            echo.addr,
            &format!("connections-per-source = 1\n{LOG}"),
        ),
        listener(
            "idle",
            echo.addr,
            &format!("tcp = {{ idle-timeout = \"1s\" }}\n{LOG}"),
        ),
    ];
    let proxy = Proxy::start(&config.concat());

    exchange(&mut connect_from("127.9.9.9", proxy.addr("echo")), b"12345");
    let line = lines(&proxy, "echo", 1).remove(0);
    assert_eq!(line["end"], "client-closed");
    assert_eq!(
        (&line["client"], &line["protocol"]),
        (&"127.9.9.9".into(), &"tcp".into())
    );
    assert_eq!(
        (&line["upstream"], &line["backend"]),
        (&"echo".into(), &"b".into())
    );
    assert_eq!(
        (&line["bytes-in"], &line["bytes-out"]),
        (&5.into(), &5.into())
    );
    for number in [
        "port",
        "queue-us",
        "connect-us",
        "total-us",
        "rtt-us",
        "min-rtt-us",
    ] {
        assert!(line[number].is_u64(), "{number} in {line}");
    }
    assert!(
        line["total-us"].as_u64() >= line["connect-us"].as_u64(),
        "{line}"
    );
    assert_eq!(line["retransmits"], 0);

    let mut all = String::new();
    let mut stream = connect_from("127.0.0.1", proxy.addr("named"));
    stream.read_to_string(&mut all).unwrap();
    drop(stream);
    assert_eq!(all, "hello");
    let line = lines(&proxy, "named", 1).remove(0);
    assert_eq!(
        (&line["end"], &line["bytes-out"]),
        (&"backend-closed".into(), &5.into())
    );

    let _ = connect_from("127.0.0.1", proxy.addr("dead")).read(&mut [0]);
    let line = lines(&proxy, "dead", 1).remove(0);
    assert_eq!(
        (&line["end"], &line["backend"]),
        (&"connect-failed".into(), &"b".into())
    );
    assert!(line.get("connect-us").is_none(), "{line}");

    for (name, reason) in [
        ("one", "max-connections"),
        ("few", "connections-per-source"),
    ] {
        let mut first = connect_from("127.0.0.1", proxy.addr(name));
        first.write_all(b"x").unwrap();
        first.read_exact(&mut [0]).unwrap();
        let _ = connect_from("127.0.0.1", proxy.addr(name)).read(&mut [0]);
        let line = lines(&proxy, name, 1).remove(0);
        assert_eq!(
            (&line["end"], &line["bytes-in"]),
            (&reason.into(), &0.into()),
            "{line}"
        );
        let refused = format!(
            "tradewind_proxy_listener_flows_refused_total{{listener=\"{name}\",protocol=\"tcp\",reason=\"{reason}\"}} 1"
        );
        wait_for_line(&proxy, &refused);
    }

    let _ = connect_from("127.0.0.1", proxy.addr("idle")).read(&mut [0]);
    assert_eq!(lines(&proxy, "idle", 1)[0]["end"], "idle-timeout");
}

#[test]
fn of_what_went_well_a_sample_is_written_and_of_what_failed_all() {
    let echo = StreamBackend::echo();
    let log = "access-log = { to = \"access.log\", sample = \"0%\" }";
    let config = [
        listener("echo", echo.addr, log),
        listener("dead", nobody(), log),
    ];
    let proxy = Proxy::start(&config.concat());
    for _ in 0..20 {
        exchange(&mut connect_from("127.0.0.1", proxy.addr("echo")), b"x");
    }
    let ended = "tradewind_proxy_listener_flows_ended_total{listener=\"echo\",protocol=\"tcp\",reason=\"client-closed\"} 20";
    wait_for_line(&proxy, ended);
    for _ in 0..3 {
        let _ = connect_from("127.0.0.1", proxy.addr("dead")).read(&mut [0]);
    }
    assert_eq!(lines(&proxy, "dead", 3).len(), 3);
    assert_eq!(lines(&proxy, "echo", 0).len(), 0);
}

#[test]
fn metrics_count_connections_octets_and_times_by_listener_and_backend() {
    let echo = StreamBackend::echo();
    let proxy = Proxy::start(&listener("echo", echo.addr, ""));
    exchange(
        &mut connect_from("127.0.0.1", proxy.addr("echo")),
        &[b'x'; 1000],
    );
    let mut open = connect_from("127.0.0.1", proxy.addr("echo"));
    open.write_all(b"x").unwrap();
    open.read_exact(&mut [0]).unwrap();
    let ended = |word: &str, labels: &str| {
        format!("tradewind_proxy_{word}_flows_ended_total{{{labels},reason=\"client-closed\"}} 1")
    };
    let of_listener = "listener=\"echo\",protocol=\"tcp\"";
    let of_backend = "upstream=\"echo\",backend=\"b\"";
    wait_for_line(&proxy, &ended("backend", of_backend));
    let page = wait_for_line(&proxy, &ended("listener", of_listener));
    for (word, labels) in [("listener", of_listener), ("backend", of_backend)] {
        for (name, value) in [
            ("flows_total", "2"),
            ("flows_open", "1"),
            ("flow_received_bytes_total", "1000"),
            ("flow_sent_bytes_total", "1000"),
            ("flow_duration_seconds_count", "1"),
        ] {
            let line = format!("tradewind_proxy_{word}_{name}{{{labels}}} {value}");
            assert!(page.lines().any(|l| l == line), "{line} in\n{page}");
        }
    }
    let connects = format!("tradewind_proxy_backend_flow_connect_seconds_count{{{of_backend}}} 2");
    assert!(page.lines().any(|l| l == connects), "{page}");
}

/// Octets of a connection that lives are counted as they come, not at its end.
#[test]
fn octets_of_a_long_connection_are_counted_as_they_come() {
    let echo = StreamBackend::echo();
    let proxy = Proxy::start(&listener("echo", echo.addr, ""));
    let mut stream = connect_from("127.0.0.1", proxy.addr("echo"));
    let name =
        "tradewind_proxy_listener_flow_received_bytes_total{listener=\"echo\",protocol=\"tcp\"}";
    wait_for("some octets are counted", PATIENCE, || {
        stream.write_all(b"x").unwrap();
        stream.read_exact(&mut [0]).unwrap();
        (proxy.node.metric(name) > 0).then_some(())
    });
}

#[test]
fn every_metric_of_the_documentation_is_on_the_page_and_the_other_way_round() {
    let echo = StreamBackend::echo();
    let proxy = Proxy::start(&listener("echo", echo.addr, ""));
    exchange(&mut connect_from("127.0.0.1", proxy.addr("echo")), b"x");
    let text = std::fs::read_to_string(package().join("src/docs/proxy-observability.md")).unwrap();
    let page = page(&proxy);
    let families: Vec<&str> = page
        .lines()
        .filter_map(|l| l.strip_prefix("# TYPE ")?.split(' ').next())
        .collect();
    let named = text.split('`').skip(1).step_by(2);
    let named: Vec<&str> = named.filter(|w| w.starts_with("tradewind_")).collect();
    assert!(named.len() > 20, "{named:?}");
    for name in &named {
        assert!(families.contains(name), "{name} is not on the page");
    }
    let ours =
        |f: &&&str| f.contains("_flow") && f.contains("proxy") || f.contains("proxy_client_");
    for family in families.iter().filter(ours) {
        assert!(
            named.contains(family),
            "{family} is not in the documentation"
        );
    }
}

#[test]
fn a_thousand_upstreams_add_nothing_to_what_layer_4_tells() {
    let echo = StreamBackend::echo();
    let mut config = listener("echo", echo.addr, "");
    for n in 0..1000 {
        let name = format!("u{n}");
        config += &format!(
            "[upstreams.{name}]\n{}",
            backend_entry(&name, "b", echo.addr)
        );
    }
    let proxy = Proxy::start(&config);
    exchange(&mut connect_from("127.0.0.1", proxy.addr("echo")), b"x");
    let ended = "tradewind_proxy_backend_flows_ended_total{upstream=\"echo\",backend=\"b\",reason=\"client-closed\"} 1";
    let page = wait_for_line(&proxy, ended);
    let samples = page
        .lines()
        .filter(|l| l.contains("_flow") && !l.starts_with('#'));
    let samples = samples.count();
    assert!(samples < 80, "{samples} samples");
}

#[test]
fn the_api_and_the_command_line_show_listeners_and_backends() {
    let echo = StreamBackend::echo();
    let backend = Backend::start();
    let web = format!("{WEB}{}", backend_entry("app", "b0", backend.addr));
    let proxy = Proxy::start(&format!("{}{web}", listener("echo", echo.addr, "")));
    assert_eq!(proxy.get("/").status, 200);
    exchange(&mut connect_from("127.0.0.1", proxy.addr("echo")), b"12345");
    let json = wait_for("its end is counted", PATIENCE, || {
        let json = http::get(proxy.node.admin, "/v1/proxy/listeners").json();
        let all = json["listeners"].as_array().unwrap().clone();
        let l4 = all.iter().find(|l| l["name"] == "echo").unwrap();
        (l4["ended"]["client-closed"] == 1).then_some(json)
    });
    let all = json["listeners"].as_array().unwrap();
    let l4 = all.iter().find(|l| l["name"] == "echo").unwrap();
    assert_eq!(
        (&l4["protocol"], &l4["forward"]),
        (&"tcp".into(), &"echo".into())
    );
    assert_eq!((&l4["total"], &l4["open"]), (&1.into(), &0.into()));
    assert_eq!(l4["addresses"][0], proxy.addr("echo").to_string());
    assert_eq!(
        (&l4["received_bytes"], &l4["sent_bytes"]),
        (&5.into(), &5.into())
    );
    let web = all.iter().find(|l| l["name"] == "web").unwrap();
    assert_eq!(
        (&web["protocol"], &web["requests"]),
        (&"http".into(), &1.into())
    );
    let backends = json["backends"].as_array().unwrap();
    assert_eq!(backends.len(), 1, "only those of layer 4");
    assert_eq!(
        (&backends[0]["backend"], &backends[0]["total"]),
        (&"b".into(), &1.into())
    );
    assert!(backends[0]["connect_ms"].is_f64());

    let server = format!("http://{}", proxy.node.admin);
    let told = tradewind()
        .args(["proxy", "listeners", "--server", &server])
        .output()
        .unwrap();
    let told = String::from_utf8(told.stdout).unwrap();
    let row = |first: &str| -> Vec<&str> {
        let line = told.lines().find(|l| l.starts_with(first));
        line.unwrap_or_else(|| panic!("{first}:\n{told}"))
            .split_whitespace()
            .collect()
    };
    let to = row("echo ");
    assert_eq!(to[3..10], ["echo", "0", "1", "5", "B", "5", "B"], "{told}");
    assert_eq!(row("echo/b")[2..4], ["0", "1"], "{told}");
}

/// The clients that the API knows, by prefix.
fn clients(proxy: &Proxy, query: &str) -> Vec<(String, Value)> {
    let json = http::get(proxy.node.admin, &format!("/v1/proxy/clients{query}")).json();
    let all = json["clients"]
        .as_array()
        .unwrap_or_else(|| panic!("{json}"));
    all.iter()
        .map(|c| (c["prefix"].as_str().unwrap().to_owned(), c.clone()))
        .collect()
}

#[test]
fn round_trip_times_are_kept_by_client_prefix_of_http_and_of_layer_4() {
    let (echo, backend) = (StreamBackend::echo(), Backend::start());
    let web = WEB.replace(
        "max-head = \"16KiB\"",
        "max-head = \"16KiB\"\ntrusted-proxies = [\"127.7.7.0/24\"]\n\
         proxy-protocol = { from = [\"127.5.5.0/24\"] }",
    );
    assert_ne!(web, WEB);
    let web = format!("{web}{}", backend_entry("app", "b0", backend.addr));
    let behind = listener(
        "behind",
        echo.addr,
        "proxy-protocol = { from = [\"127.6.6.0/24\"] }",
    );
    let proxy = Proxy::start(&format!("{}{behind}{web}", listener("echo", echo.addr, "")));
    let ask = |source: &str, before: &str| {
        let mut stream = connect_from(source, proxy.addr("web"));
        stream.write_all(before.as_bytes()).unwrap();
        stream.write_all(get("/").as_bytes()).unwrap();
        let _ = stream.read(&mut [0; 1000]).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    };
    // A trusted proxy and one that sends a header are not clients: their distance is their own.
    ask("127.7.7.7", "");
    let header = "PROXY TCP4 192.0.2.1 192.0.2.2 1000 2000\r\n";
    ask("127.5.5.5", header);
    let mut stream = connect_from("127.6.6.6", proxy.addr("behind"));
    stream.write_all(header.as_bytes()).unwrap();
    exchange(&mut stream, b"x");
    for _ in 0..6 {
        ask("127.8.8.8", "");
        exchange(&mut connect_from("127.9.9.9", proxy.addr("echo")), b"12345");
    }
    wait_for("both prefixes are known well", PATIENCE, || {
        let known = clients(&proxy, "");
        let good = |prefix: &str| {
            let found = known.iter().find(|(p, _)| p == prefix);
            found.is_some_and(|(_, c)| c["connections"] == 6 && c["distance_ms"].is_f64())
        };
        (good("127.8.8.0/24") && good("127.9.9.0/24")).then_some(())
    });
    let known = clients(&proxy, "");
    assert_eq!(known.len(), 2, "{known:?}");
    let one = clients(&proxy, "?prefix=127.8.8.77&order=rtt&limit=5");
    assert_eq!(one.len(), 1);
    let path = &one[0].1;
    let ms = |key: &str| path[key].as_f64().unwrap();
    assert!(ms("rtt_ms") > 0.0 && ms("rtt_ms") < 1000.0, "{path}");
    assert!(
        ms("min_rtt_ms") > 0.0 && ms("last_seen_seconds_ago") < 60.0,
        "{path}"
    );
    assert_eq!(clients(&proxy, "?limit=1").len(), 1);
    for wrong in ["?limit=0", "?order=best", "?prefix=x", "?sort=rtt"] {
        let answer = http::get(proxy.node.admin, &format!("/v1/proxy/clients{wrong}"));
        assert_eq!(answer.status, 400, "{wrong}");
    }
    let server = format!("http://{}", proxy.node.admin);
    let told = tradewind()
        .args(["proxy", "clients", "127.9.9.0/24", "--server", &server])
        .output()
        .unwrap();
    let told = String::from_utf8(told.stdout).unwrap();
    assert!(
        told.contains("127.9.9.0/24") && !told.contains("127.8.8.0/24"),
        "{told}"
    );
}
