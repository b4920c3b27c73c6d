//! Which requests are traced, what backends are told, and what is exported of it.

use std::collections::BTreeMap;

use super::*;
use crate::ids::ListenerId;
use crate::telemetry::spans::{Kind, Span, Spanned as _, Value};

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const TRACE: u128 = 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736;
const ALL: u64 = 1 << 32;

fn tracing(share: u64, anyones: bool) -> Tracing {
    Tracing {
        spans: Arc::new(Spans::new(8)),
        share,
        anyones,
    }
}

fn head(fields: &[(&str, &str)]) -> RequestHead {
    let mut head = RequestHead {
        authority: b"www.example:8080".to_vec(),
        target: b"/a/b?secret=1".to_vec(),
        ..RequestHead::default()
    };
    for (name, value) in fields {
        head.fields.push(name.as_bytes(), value.as_bytes());
    }
    head
}

fn peer() -> Peer {
    Peer {
        listener: ListenerId(0),
        source: "192.0.2.1:4000".parse().unwrap(),
        local: "192.0.2.2:80".parse().unwrap(),
        tls: None,
        number: 1,
    }
}

fn client(trusted: bool) -> Client {
    Client {
        address: "203.0.113.9:0".parse().unwrap(),
        trusted,
        scheme: None,
    }
}

fn begin(tracing: &Tracing, trusted: bool, head: &mut RequestHead) -> Option<Box<Trace>> {
    tracing.begin(TraceContext::Pass, client(trusted), &peer(), head, (7, 9))
}

fn sent(head: &RequestHead) -> Option<String> {
    let mut all = head.fields.all(Known::Traceparent);
    let only = all.next()?;
    assert!(all.next().is_none(), "one field");
    Some(String::from_utf8(only.to_vec()).unwrap())
}

#[test]
fn o_sampling_is_that_of_the_parent_or_a_share() {
    let none = tracing(0, true);
    let mut sampled = head(&[("traceparent", PARENT), ("tracestate", "a=1")]);
    let trace = begin(&none, false, &mut sampled).unwrap();
    assert_eq!(
        (trace.own.trace, trace.parent),
        (TRACE, Some(0x00f0_67aa_0ba9_02b7))
    );
    let told = "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000009-01";
    assert_eq!(sent(&sampled).unwrap(), told);
    assert_eq!(sampled.fields.get(Known::Tracestate), Some(&b"a=1"[..]));
    // What its sender does not record goes on as it came, also where all else is recorded.
    let unsampled = PARENT.replace("-01", "-00");
    let mut quiet = head(&[("traceparent", &unsampled)]);
    assert!(begin(&tracing(ALL, true), false, &mut quiet).is_none());
    assert_eq!(sent(&quiet).unwrap(), unsampled);
    // Without a trace, or with nonsense for one, a new one begins, recorded or not.
    for fields in [
        &[][..],
        &[("traceparent", "nonsense"), ("tracestate", "a=1")],
    ] {
        let mut new = head(fields);
        let trace = begin(&tracing(ALL, true), false, &mut new).unwrap();
        assert_eq!(
            (trace.own.trace, trace.own.parent, trace.parent),
            (7, 9, None)
        );
        assert!(sent(&new).unwrap().ends_with("07-0000000000000009-01"));
        assert!(!new.fields.has(Known::Tracestate));
        let mut new = head(fields);
        assert!(begin(&none, false, &mut new).is_none());
        assert!(
            sent(&new).unwrap().ends_with("-00"),
            "nobody behind draws again"
        );
    }
    // The listener's own share comes first.
    let mut new = head(&[]);
    let start = TraceContext::Start(ALL);
    assert!(
        none.begin(start, client(false), &peer(), &mut new, (7, 9))
            .is_some()
    );
}

#[test]
fn s1_where_only_trusted_proxies_count_no_client_chooses_what_is_recorded() {
    let careful = tracing(0, false);
    let mut forged = head(&[("traceparent", PARENT), ("tracestate", "a=1")]);
    assert!(begin(&careful, false, &mut forged).is_none());
    let sent_on = sent(&forged).unwrap();
    assert!(
        !sent_on.contains("4bf92f35") && sent_on.ends_with("-00"),
        "{sent_on}"
    );
    assert!(!forged.fields.has(Known::Tracestate));
    let mut told = head(&[("traceparent", PARENT)]);
    assert_eq!(begin(&careful, true, &mut told).unwrap().own.trace, TRACE);
}

fn asked<'a>(upstream: &'a Upstream, backend: &'a str, resent: u32, at: u64) -> Asked<'a> {
    Asked {
        upstream,
        backend,
        address: "192.0.2.7:81".parse().unwrap(),
        resent,
        at: Moment(at),
    }
}

fn ending(status: Option<u16>, error: Option<&'static str>) -> Ending {
    Ending {
        wall: Wall::new(Moment::ZERO, Duration::from_secs(1)),
        began: Moment(100),
        time: Duration::from_nanos(900),
        status,
        octets: (3, 5),
        listener: "web".into(),
        route: Some("all".into()),
        cache: None,
        error,
    }
}

fn told(trace: &Trace) -> Vec<(Span, BTreeMap<&'static str, Value>)> {
    let mut spans = Vec::new();
    trace.tell(&mut || 0, &mut spans);
    assert_eq!(trace.count(), spans.len() as u64);
    let with = spans.into_iter().map(|s| {
        let attributes = s.attributes.iter().cloned().collect();
        (s, attributes)
    });
    with.collect()
}

fn number(n: u64) -> Value {
    Value::from(n)
}

#[test]
fn o_each_try_is_a_span_of_which_its_backend_is_told() {
    let upstream = Upstream {
        name: "app".into(),
        ..Upstream::default()
    };
    let mut head = head(&[("User-Agent", "curl/8")]);
    let mut trace = begin(&tracing(ALL, true), true, &mut head).unwrap();
    trace.begin_try(&asked(&upstream, "b1", 0, 200), 21, &mut head);
    assert!(sent(&head).unwrap().ends_with("-0000000000000015-01"));
    trace.not_answered("connect-refused", Moment(300));
    head.target = b"/rewritten?secret=1".to_vec();
    trace.begin_try(&asked(&upstream, "b2", 1, 400), 22, &mut head);
    assert!(sent(&head).unwrap().ends_with("-0000000000000016-01"));
    trace.answered(200);
    trace.end(ending(Some(200), None));
    let spans = told(&trace);
    let (request, attributes) = &spans[0];
    assert_eq!((&*request.name, request.kind), ("GET all", Kind::Server));
    assert_eq!(
        (request.began_ns, request.took.as_nanos()),
        (1_000_000_100, 900)
    );
    for (key, value) in [
        ("http.request.method", "GET".into()),
        ("url.scheme", "http".into()),
        ("url.path", "/a/b".into()),
        ("server.address", "www.example".into()),
        ("server.port", number(8080)),
        ("network.protocol.version", "1.1".into()),
        ("client.address", "203.0.113.9".into()),
        ("network.peer.address", "192.0.2.1".into()),
        ("user_agent.original", "curl/8".into()),
        ("http.response.status_code", number(200)),
        ("tradewind.listener", "web".into()),
        ("tradewind.route", "all".into()),
        ("tradewind.upstream", "app".into()),
        ("tradewind.backend", "b2".into()),
        ("tradewind.tries", number(2)),
    ] {
        assert_eq!(attributes.get(key), Some(&value), "{key}");
    }
    assert!(!request.failed && !attributes.contains_key("error.type"));
    let (first, attributes) = &spans[1];
    assert_eq!((first.id, first.parent), (21, Some(9)));
    assert_eq!(
        (first.began_ns, first.took.as_nanos()),
        (1_000_000_200, 100)
    );
    assert!(first.failed && first.kind == Kind::Client);
    assert_eq!(attributes["error.type"], "connect-refused".into());
    assert_eq!(attributes["url.full"], "http://192.0.2.7:81/a/b".into());
    assert!(!attributes.contains_key("http.request.resend_count"));
    let (second, attributes) = &spans[2];
    assert_eq!(
        (second.id, second.took.as_nanos()),
        (22, 600),
        "to the end of the answer"
    );
    assert_eq!(attributes["http.request.resend_count"], number(1));
    assert_eq!(attributes["http.response.status_code"], number(200));
    assert_eq!(
        attributes["url.full"],
        "http://192.0.2.7:81/rewritten".into()
    );
    let all = format!("{spans:?}");
    assert!(!all.contains("secret"), "no query stands anywhere: {all}");
}

#[test]
fn o_a_failure_says_its_reason() {
    let upstream = Upstream::default();
    let traced = |end: Ending, answered: Option<u16>| {
        let mut head = head(&[]);
        let mut trace = begin(&tracing(ALL, true), true, &mut head).unwrap();
        trace.begin_try(&asked(&upstream, "b", 0, 200), 21, &mut head);
        if let Some(status) = answered {
            trace.answered(status);
        }
        trace.end(end);
        told(&trace)
    };
    let error = |(_, attributes): &(Span, BTreeMap<&'static str, Value>)| {
        attributes.get("error.type").cloned()
    };
    let late = traced(ending(Some(504), Some("backend-timeout")), None);
    assert!(
        late.iter()
            .all(|t| t.0.failed && error(t) == Some("backend-timeout".into()))
    );
    let broken = traced(ending(Some(500), None), Some(500));
    assert!(
        broken
            .iter()
            .all(|t| t.0.failed && error(t) == Some("500".into()))
    );
    // To who is asked a 404 is an answer like others, to who asks it is none.
    let missing = traced(ending(Some(404), None), Some(404));
    assert!(!missing[0].0.failed && missing[1].0.failed);
    // A client that went away got no status, and is nobody's failure but its own try's.
    let gone = traced(ending(None, Some("client-gone")), None);
    assert!(!gone[0].0.failed && gone[1].0.failed);
    assert!(!gone[0].1.contains_key("http.response.status_code"));
    assert_eq!(gone[0].1["tradewind.failure"], "client-gone".into());
    // What broke off behind a good status is a failure.
    let cut = traced(ending(Some(200), Some("backend-cut")), Some(200));
    assert!(
        cut.iter()
            .all(|t| t.0.failed && error(t) == Some("backend-cut".into()))
    );
}

#[test]
fn s4_what_a_client_sends_makes_no_span_grow() {
    let long = "x".repeat(5000);
    let state = format!("a={}", "b".repeat(200));
    let states = format!("{state},b{state},c{state}");
    let mut long_head = head(&[
        ("User-Agent", &long),
        ("traceparent", PARENT),
        ("tracestate", &states),
    ]);
    long_head.target = format!("/{long}").into_bytes();
    long_head.authority = long.clone().into_bytes();
    long_head.method = Method::Other(long.clone().into_bytes().into());
    let mut trace = begin(&tracing(ALL, true), true, &mut long_head).unwrap();
    let upstream = Upstream::default();
    for n in 0..100 {
        trace.begin_try(&asked(&upstream, "b", n, 200), 21, &mut long_head);
    }
    trace.end(ending(Some(200), None));
    let spans = told(&trace);
    assert_eq!(spans.len(), 1 + TRIES);
    assert_eq!(spans[0].0.name, "HTTP all");
    assert!(spans[0].0.state.is_empty(), "too long to be kept");
    let longest = spans
        .iter()
        .flat_map(|s| &s.0.attributes)
        .map(|(_, v)| match v {
            Value::Text(text) => text.len(),
            Value::Number(_) => 0,
        });
    assert!(longest.max().unwrap() <= LONGEST + 40);
}

#[test]
fn a_route_that_hides_the_trace_from_its_backends_is_obeyed() {
    let mut head = head(&[("traceparent", PARENT)]);
    let mut trace = begin(&tracing(ALL, true), true, &mut head).unwrap();
    head.fields.remove(Known::Traceparent);
    let upstream = Upstream::default();
    trace.begin_try(&asked(&upstream, "b", 0, 200), 21, &mut head);
    assert_eq!(sent(&head), None);
}
