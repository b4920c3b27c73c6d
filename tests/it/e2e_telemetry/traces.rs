//! Traces of proxied requests, from a client's `traceparent` over the backend's to the collector.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::Receiver;
use std::time::Duration;

use serde_json::Value;

use super::collector::collector;
use crate::support::backend::{After, Backend, answer};
use crate::support::proxy::{Answer, Proxy, Raw, WEB, backend_entry};
use crate::support::wait_for;

const PATIENCE: Duration = Duration::from_secs(30);

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

/// A node that exports to `url`, with these further lines of the export, of the upstream, and of the
/// listener.
fn config(url: &str, export: &str, listener: &str, backends: &[&Backend]) -> String {
    let web = WEB
        .replace(
            "[listeners.web]\n",
            &format!("[listeners.web]\n{listener}\n"),
        )
        .replace(
            "[upstreams.app]\n",
            "[upstreams.app]\nretries = { attempts = 2, min-per-second = 1000 }\npassive = { max-fails = 0 }\n",
        );
    let entries = backends.iter().enumerate();
    let entries = entries.map(|(i, b)| backend_entry("app", &format!("b{i}"), b.addr));
    format!(
        "[telemetry.otlp]\nendpoint = \"{url}\"\ninterval = \"1h\"\ntraces = false\n{export}\n{web}{}",
        entries.collect::<String>()
    )
}

fn ask(proxy: &Proxy, path: &str, fields: &str) -> Answer {
    let mut raw = Raw::connect(proxy.addr("web"));
    raw.send(format!("GET {path} HTTP/1.1\r\nHost: www.example\r\n{fields}\r\n").as_bytes());
    raw.answer()
}

/// The only field of this name that reached the backend with its last request.
fn reached(backend: &Backend, name: &str) -> Option<String> {
    let got = backend.got().pop().unwrap();
    assert!(got.count(name) <= 1, "{got:?}");
    got.field(name).map(str::to_owned)
}

/// A span, with its attributes by name.
#[derive(Clone, Debug)]
struct Span {
    json: Value,
    attributes: BTreeMap<String, Value>,
}

impl Span {
    fn of(json: &Value) -> Span {
        let attributes = json["attributes"].as_array().unwrap().iter().map(|a| {
            let value = a["value"].as_object().unwrap().values().next().unwrap();
            (a["key"].as_str().unwrap().to_owned(), value.clone())
        });
        Span {
            attributes: attributes.collect(),
            json: json.clone(),
        }
    }

    fn text(&self, key: &str) -> &str {
        self.json[key].as_str().unwrap_or_default()
    }

    fn attribute(&self, key: &str) -> Option<&str> {
        self.attributes.get(key)?.as_str()
    }

    fn ns(&self, key: &str) -> u64 {
        self.text(key).parse().unwrap()
    }
}

/// Waits until so many spans have come.
fn spans(posts: &Receiver<(String, Value)>, wanted: usize) -> Vec<Span> {
    let mut all: Vec<Span> = Vec::new();
    wait_for("the spans", PATIENCE, || {
        while let Ok((path, body)) = posts.try_recv() {
            if path == "/v1/traces" {
                let spans = &body["resourceSpans"][0]["scopeSpans"][0]["spans"];
                all.extend(spans.as_array().unwrap().iter().map(Span::of));
            }
        }
        (all.len() >= wanted).then_some(())
    });
    assert_eq!(all.len(), wanted, "{all:#?}");
    all
}

fn kind(spans: &[Span], kind: u64) -> Vec<Span> {
    let mut those: Vec<Span> = spans
        .iter()
        .filter(|s| s.json["kind"] == kind)
        .cloned()
        .collect();
    those.sort_by_key(|s| s.ns("startTimeUnixNano"));
    those
}

#[test]
fn o_a_request_is_a_span_each_try_is_one_below_and_the_backend_is_told() {
    let (url, posts) = collector();
    // Whoever is asked first closes without an answer.
    let asked = std::sync::Arc::new(AtomicUsize::new(0));
    let backend = || {
        let asked = asked.clone();
        Backend::with(move |_, stream| {
            if asked.fetch_add(1, Ordering::SeqCst) == 0 {
                return After::Close;
            }
            answer(stream, 200, b"hello");
            After::Next
        })
    };
    let (one, other) = (backend(), backend());
    let proxy = Proxy::start(&config(
        &url,
        "proxy-traces = true\nproxy-sample = 0",
        "",
        &[&one, &other],
    ));
    let fields = format!("traceparent: 00-{TRACE}-{CALLER}-01\r\ntracestate: a=1,b=2\r\n");
    assert_eq!(ask(&proxy, "/path?secret=1", &fields).status, 200);
    let all = spans(&posts, 3);
    assert!(
        all.iter()
            .all(|s| s.text("traceId") == TRACE && s.text("traceState") == "a=1,b=2")
    );
    let request = kind(&all, 2).remove(0);
    let tries = kind(&all, 3);
    assert_eq!(
        (request.text("name"), request.text("parentSpanId")),
        ("GET all", CALLER)
    );
    for (key, value) in [
        ("http.request.method", "GET"),
        ("url.path", "/path"),
        ("url.scheme", "http"),
        ("server.address", "www.example"),
        ("http.response.status_code", "200"),
        ("client.address", "127.0.0.1"),
        ("tradewind.listener", "web"),
        ("tradewind.route", "all"),
        ("tradewind.upstream", "app"),
        ("tradewind.tries", "2"),
        ("http.response.body.size", "5"),
    ] {
        assert_eq!(request.attribute(key), Some(value), "{key} of {request:?}");
    }
    assert!(request.json.get("status").is_none());
    let [failed, good] = &tries[..] else {
        panic!("{tries:?}");
    };
    for one in [failed, good] {
        assert_eq!(one.text("parentSpanId"), request.text("spanId"));
        assert!(one.ns("startTimeUnixNano") >= request.ns("startTimeUnixNano"));
        assert!(one.ns("endTimeUnixNano") <= request.ns("endTimeUnixNano"));
    }
    assert_eq!(failed.attribute("error.type"), Some("backend-closed"));
    assert_eq!(failed.json["status"]["code"], 2);
    assert_eq!(good.attribute("http.request.resend_count"), Some("1"));
    assert_eq!(good.attribute("http.response.status_code"), Some("200"));
    assert_ne!(
        failed.attribute("tradewind.backend"),
        good.attribute("tradewind.backend")
    );
    assert_eq!(
        request.attribute("tradewind.backend"),
        good.attribute("tradewind.backend")
    );
    // Each backend heard of the try that it was.
    for (backend, name) in [(&one, "b0"), (&other, "b1")] {
        let span = tries
            .iter()
            .find(|t| t.attribute("tradewind.backend") == Some(name));
        let told = format!("00-{TRACE}-{}-01", span.unwrap().text("spanId"));
        assert_eq!(reached(backend, "traceparent"), Some(told));
        assert_eq!(reached(backend, "tracestate").as_deref(), Some("a=1,b=2"));
        let target = &backend.got().pop().unwrap().target;
        assert_eq!(
            target, "/path?secret=1",
            "what is kept from spans is not kept from backends"
        );
    }
    assert!(!format!("{all:?}").contains("secret"));
    wait_for("they are counted", PATIENCE, || {
        (proxy.node.metric("tradewind_otlp_spans_total") == 3).then_some(())
    });
}

#[test]
fn o_who_is_recorded_follows_the_caller_and_else_the_share() {
    let (url, posts) = collector();
    let backend = Backend::start();
    let proxy = Proxy::start(&config(
        &url,
        "proxy-traces = true\nproxy-sample = 0",
        "",
        &[&backend],
    ));
    // Not recorded by its caller: handed on as it came, also what a later version says more.
    for parent in [
        format!("00-{TRACE}-{CALLER}-00"),
        format!("cc-{TRACE}-{CALLER}-00-more"),
    ] {
        let fields = format!("traceparent: {parent}\r\ntracestate: a=1\r\n");
        assert_eq!(ask(&proxy, "/", &fields).status, 200);
        assert_eq!(reached(&backend, "traceparent"), Some(parent));
        assert_eq!(reached(&backend, "tracestate").as_deref(), Some("a=1"));
    }
    // None, or none that is good: one begins, which nobody records, and the state is gone.
    for fields in [
        String::new(),
        "traceparent: nonsense\r\ntracestate: a=1\r\n".to_owned(),
        format!("traceparent: 00-{TRACE}-{CALLER}-01\r\n").repeat(2),
    ] {
        assert_eq!(ask(&proxy, "/", &fields).status, 200);
        let begun = reached(&backend, "traceparent").unwrap();
        assert!(begun.ends_with("-00") && !begun.contains(TRACE), "{begun}");
        assert_eq!(reached(&backend, "tracestate"), None);
    }
    // A state that is none goes, and the parent stays.
    let fields = format!("traceparent: 00-{TRACE}-{CALLER}-01\r\ntracestate: nonsense\r\n");
    assert_eq!(ask(&proxy, "/status/503", &fields).status, 503);
    assert_eq!(reached(&backend, "tracestate"), None);
    // The only one that was recorded, and it failed.
    let all = spans(&posts, 2);
    let request = kind(&all, 2).remove(0);
    assert_eq!(request.text("parentSpanId"), CALLER);
    assert_eq!(request.attribute("error.type"), Some("503"));
    assert_eq!(request.json["status"]["code"], 2);
    drop(proxy);

    let share = "proxy-traces = true\nproxy-sample = 1.0\nproxy-parents = \"trusted\"";
    let proxy = Proxy::start(&config(&url, share, "", &[&backend]));
    let fields = format!("traceparent: 00-{TRACE}-{CALLER}-00\r\ntracestate: a=1\r\n");
    assert_eq!(ask(&proxy, "/", &fields).status, 200);
    let told = reached(&backend, "traceparent").unwrap();
    assert!(
        told.ends_with("-01") && !told.contains(TRACE),
        "a stranger has no say: {told}"
    );
    let all = spans(&posts, 2);
    let request = kind(&all, 2).remove(0);
    assert!(told.contains(request.text("traceId")) && request.json.get("parentSpanId").is_none());
    drop(proxy);

    let trusted = "trusted-proxies = [\"127.0.0.0/8\"]";
    let proxy = Proxy::start(&config(&url, share, trusted, &[&backend]));
    assert_eq!(ask(&proxy, "/", &fields).status, 200);
    let told = reached(&backend, "traceparent");
    assert_eq!(
        told,
        Some(format!("00-{TRACE}-{CALLER}-00")),
        "a trusted proxy has"
    );
}

#[test]
fn o_without_tracing_the_context_passes_unchanged() {
    let (url, _posts) = collector();
    let backend = Backend::start();
    let proxy = Proxy::start(&config(&url, "", "", &[&backend]));
    for parent in [
        format!("00-{TRACE}-{CALLER}-01"),
        format!("00-{TRACE}-{CALLER}-00"),
        "nonsense".to_owned(),
    ] {
        let fields = format!("traceparent: {parent}\r\ntracestate: no state\r\n");
        assert_eq!(ask(&proxy, "/", &fields).status, 200);
        assert_eq!(reached(&backend, "traceparent"), Some(parent));
        assert_eq!(reached(&backend, "tracestate").as_deref(), Some("no state"));
    }
    assert_eq!(ask(&proxy, "/", "").status, 200);
    assert_eq!(reached(&backend, "traceparent"), None);
}

#[test]
fn o_a_collector_that_hangs_costs_spans_and_no_request() {
    // Takes connections, and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let backend = Backend::start();
    let proxy = Proxy::start(&config(
        &url,
        "proxy-traces = true\nproxy-sample = 1.0",
        "",
        &[&backend],
    ));
    let mut raw = Raw::connect(proxy.addr("web"));
    let dropped = "tradewind_otlp_dropped_total{what=\"spans\"}";
    wait_for("spans are dropped", Duration::from_secs(120), || {
        for _ in 0..500 {
            raw.send(b"GET / HTTP/1.1\r\nHost: www.example\r\n\r\n");
            assert_eq!(raw.answer().status, 200);
        }
        (proxy.node.metric(dropped) > 0).then_some(())
    });
    assert_eq!(proxy.node.metric("tradewind_otlp_spans_total"), 0);
    assert_eq!(ask(&proxy, "/", "").status, 200);
}
