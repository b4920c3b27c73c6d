//! OpenTelemetry and dnstap against receivers of the tests' own.

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use hickory_proto::rr::RecordType;
use serde_json::Value;

use super::collector::collector;
use crate::support::node::{HEAD, Node, folder};
use crate::support::{dns, http, wait_for};

const PATIENCE: Duration = Duration::from_secs(20);

fn find<'v>(items: &'v Value, name: &str) -> Option<&'v Value> {
    items.as_array()?.iter().find(|m| m["name"] == name)
}

#[test]
fn o_metrics_and_traces_reach_an_opentelemetry_collector() {
    let (url, posts) = collector();
    let node = Node::start(&format!(
        "[telemetry.otlp]\nendpoint = \"{url}\"\ninterval = \"1s\"\n"
    ));
    dns::udp(
        node.dns,
        &dns::query("static.gslb.test", RecordType::A, None),
    );
    http::get(node.admin, "/v1/regions");
    let (mut metrics, mut traces) = (None, None);
    wait_for("metrics and a trace", PATIENCE, || {
        while let Ok((path, body)) = posts.try_recv() {
            if path == "/v1/metrics" {
                let all = &body["resourceMetrics"][0]["scopeMetrics"][0]["metrics"];
                let queries = find(all, "tradewind_dns_queries_total").expect("queries");
                let points = queries["sum"]["dataPoints"].as_array().unwrap();
                if points.iter().any(|p| p["asDouble"] == 1.0) {
                    metrics = Some(body);
                }
            } else {
                assert_eq!(path, "/v1/traces");
                let spans = &body["resourceSpans"][0]["scopeSpans"][0]["spans"];
                if find(spans, "GET /v1/regions").is_some() {
                    traces = Some(spans.clone());
                }
            }
        }
        (metrics.is_some() && traces.is_some()).then_some(())
    });
    let who = &metrics.unwrap()["resourceMetrics"][0]["resource"]["attributes"];
    let instance = who.as_array().unwrap().iter();
    let instance = instance.filter(|a| a["key"] == "service.instance.id");
    assert!(
        instance
            .map(|a| &a["value"]["stringValue"])
            .eq([&Value::from("n1")])
    );
    let spans = traces.unwrap();
    let asked = find(&spans, "GET /v1/regions").unwrap();
    assert_eq!(
        (&asked["kind"], asked["traceId"].as_str().unwrap().len()),
        (&2.into(), 32)
    );
    assert!(node.metric("tradewind_otlp_exports_total{outcome=\"taken\"}") >= 2);
}

#[test]
fn o_a_collector_that_is_not_there_is_a_metric_and_nothing_else() {
    let node = Node::start(
        "[telemetry.otlp]\nendpoint = \"http://127.0.0.1:9\"\ninterval = \"1s\"\n\
         [telemetry.dnstap]\nsocket = \"nobody.sock\"\n",
    );
    wait_for("failures are counted", PATIENCE, || {
        dns::udp(
            node.dns,
            &dns::query("static.gslb.test", RecordType::A, None),
        );
        let failed = node.metric("tradewind_otlp_exports_total{outcome=\"failed\"}");
        let lost = node.metric("tradewind_dnstap_dropped_total{reason=\"undelivered\"}");
        (failed > 0 && lost > 0).then_some(())
    });
    assert_eq!(node.metric("tradewind_dnstap_connected"), 0);
    for said in [
        "the OpenTelemetry collector does not take the export",
        "sampled queries are not logged",
    ] {
        wait_for("it is told", PATIENCE, || node.logged(said).then_some(()));
    }
}

/// What dnstap-ldns reads in a file.
fn read(file: &Path) -> String {
    let out = Command::new("dnstap-ldns")
        .arg("-y")
        .arg("-r")
        .arg(file)
        .output()
        .unwrap();
    String::from_utf8_lossy(&out.stdout).into_owned()
}

#[test]
fn o_sampled_queries_are_a_dnstap_file_that_others_read() {
    let dir = folder(&format!("{HEAD}[telemetry.dnstap]\nfile = \"q.fstrm\"\n"));
    std::fs::write(dir.path().join("q.fstrm"), "of before").unwrap();
    let node = Node::start_in(dir);
    let query = dns::query("static.gslb.test", RecordType::A, None);
    dns::udp(node.dns, &query);
    dns::tcp(node.dns, &query);
    wait_for("two are written", PATIENCE, || {
        (node.metric("tradewind_dnstap_messages_total") == 2).then_some(())
    });
    let text = read(&node.file("q.fstrm"));
    for part in [
        "identity: \"n1\"",
        "type: AUTH_RESPONSE",
        "socket_protocol: UDP",
        "socket_protocol: TCP",
        "query_address: \"127.0.0.1\"",
        "static.gslb.test.",
        "192.0.2.80",
    ] {
        assert!(text.contains(part), "{part}:\n{text}");
    }
    let kept = std::fs::read_to_string(node.file("q.fstrm.1")).unwrap();
    assert_eq!(kept, "of before", "what was there is kept");
}

/// A control frame of the collector.
fn accept() -> Vec<u8> {
    let content = b"protobuf:dnstap.Dnstap";
    let mut frame = [0_u32, 34, 1, 1, 22].map(u32::to_be_bytes).concat();
    frame.extend(content);
    frame
}

fn frame(stream: &mut impl Read) -> Vec<u8> {
    let mut len = [0; 4];
    stream.read_exact(&mut len).unwrap();
    let mut len = u32::from_be_bytes(len);
    let control = len == 0;
    if control {
        let mut of = [0; 4];
        stream.read_exact(&mut of).unwrap();
        len = u32::from_be_bytes(of);
    }
    let mut octets = vec![0; len as usize];
    stream.read_exact(&mut octets).unwrap();
    octets
}

#[test]
fn o_a_collector_on_a_socket_gets_them_and_one_that_hangs_never_slows_dns() {
    let dir = folder(&format!(
        "{HEAD}[telemetry.dnstap]\nsocket = \"tap.sock\"\nmax-per-second = 100000\n"
    ));
    let listener = UnixListener::bind(dir.path().join("tap.sock")).unwrap();
    let node = Node::start_in(dir);
    let (mut stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(frame(&mut stream)[..4], [0, 0, 0, 4], "READY");
    stream.write_all(&accept()).unwrap();
    assert_eq!(frame(&mut stream)[..4], [0, 0, 0, 2], "START");
    let query = dns::query("static.gslb.test", RecordType::A, None);
    dns::udp(node.dns, &query);
    let first = frame(&mut stream);
    assert!(first.windows(6).any(|w| w == b"static"), "{first:?}");

    // From now on it takes nothing: the stream fills, then the queue, then samples are dropped.
    wait_for("samples are dropped", Duration::from_secs(60), || {
        for _ in 0..500 {
            assert_eq!(dns::addresses(&dns::udp(node.dns, &query)).len(), 1);
        }
        let dropped = |reason: &str| {
            node.metric(&format!(
                "tradewind_dnstap_dropped_total{{reason=\"{reason}\"}}"
            ))
        };
        (dropped("queue-full") + dropped("undelivered") > 0).then_some(())
    });
    // It is given up, and whoever listens next gets what comes then.
    drop(stream);
    let (mut stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(frame(&mut stream)[..4], [0, 0, 0, 4], "READY again");
}
