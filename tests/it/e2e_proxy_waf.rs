//! The web application firewall on the real binary.

use crate::support::backend::Backend;
use crate::support::http;
use crate::support::proxy::{Answer, Proxy, Raw, backend_entry};

fn start(mode: &str, backend: &Backend) -> Proxy {
    Proxy::start(&format!(
        r#"
[listeners.web]
bind = ["127.0.0.1:0"]
[routes.all]
waf = "basic"
forward = "app"
[waf.basic]
mode = "{mode}"
inspect-body = "1KiB"
[[waf.basic.rules]]
name = "trace"
methods = ["TRACE"]
[[waf.basic.rules]]
name = "union"
in = ["path", "query", "headers", "body"]
patterns = ['(?i)union\s+select']
[[waf.basic.rules]]
name = "quote"
score = 2
in = ["query"]
patterns = ["'"]
[[waf.basic.rules]]
name = "comment"
score = 3
in = ["query"]
patterns = ["--"]
[[waf.basic.rules]]
name = "long-query"
max-query = "100B"
[[waf.basic.rules]]
name = "large"
path-prefixes = ["/small"]
max-body = "10B"
[[waf.basic.rules]]
name = "large-unseen"
path-prefixes = ["/medium"]
max-body = "4KiB"
[upstreams.app]
{}"#,
        backend_entry("app", "b", backend.addr)
    ))
}

fn ask(proxy: &Proxy, text: &str) -> Answer {
    let mut raw = Raw::connect(proxy.addr("web"));
    raw.send(text.as_bytes());
    raw.answer()
}

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n")
}

fn post(target: &str, body: &str) -> String {
    let n = body.len();
    format!("POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: {n}\r\n\r\n{body}")
}

#[test]
fn requests_that_look_like_attacks_are_refused_and_others_are_whole() {
    let backend = Backend::start();
    let proxy = start("block", &backend);
    let long = format!("/?{}", "x".repeat(101));
    let late = format!("{}union select", "x".repeat(2_000));
    for (text, want) in [
        (get("/"), 200),
        ("TRACE / HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), 403),
        (get("/union%20select"), 403),
        (get("/?q=1+UnIoN+SELECT+2"), 403),
        (get("/?q=%2575nion%2520select"), 403),
        (
            "GET / HTTP/1.1\r\nHost: x\r\nX: union select\r\n\r\n".to_owned(),
            403,
        ),
        (get("/?q='"), 200),
        (get("/?q=--"), 200),
        (get("/?q='--"), 403),
        (get(&long), 403),
        (post("/", "harmless"), 200),
        (post("/", "id=1'+union%0aselect+1"), 403),
        (post("/small", "0123456789"), 200),
        (post("/small", "0123456789a"), 403),
        // Beyond what is looked at.
        (post("/", &late), 200),
    ] {
        let before = backend.requests();
        let answer = ask(&proxy, &text);
        assert_eq!(answer.status, want, "{text}");
        assert_eq!(
            backend.requests() - before,
            usize::from(want == 200),
            "{text}"
        );
    }
    let chunked = "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    let whole = ask(
        &proxy,
        &format!("{chunked}5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"),
    );
    assert_eq!(whole.json()["body"], "hello world");
    let split = ask(
        &proxy,
        &format!("{chunked}5\r\nunion\r\n7\r\n select\r\n0\r\n\r\n"),
    );
    assert_eq!(split.status, 403);
    // Longer than what is looked at, and nobody said so.
    for (octets, want) in [(4096, 200), (4097, 413)] {
        let head = chunked.replace("/echo", "/medium");
        let body = format!("{octets:x}\r\n{}\r\n0\r\n\r\n", "z".repeat(octets));
        assert_eq!(
            ask(&proxy, &format!("{head}{body}")).status,
            want,
            "{octets}"
        );
    }
    let large = "y".repeat(100_000);
    let echoed = ask(&proxy, &post("/echo", &large));
    assert_eq!(echoed.json()["body"], large.as_str());
    let metrics = http::get(proxy.node.admin, "/metrics").body;
    let line = metrics
        .lines()
        .find(|l| l.starts_with("tradewind_proxy_waf_denied_total"));
    assert!(!line.unwrap_or_default().ends_with(" 0"), "{line:?}");
}

#[test]
fn a_set_that_only_detects_lets_all_pass_and_counts() {
    let backend = Backend::start();
    let proxy = start("detect", &backend);
    assert_eq!(ask(&proxy, &get("/union%20select")).status, 200);
    assert_eq!(ask(&proxy, &get("/plain")).status, 200);
    let metrics = http::get(proxy.node.admin, "/metrics").body;
    let count: f64 = metrics
        .lines()
        .filter(|l| l.starts_with("tradewind_proxy_waf_detected_total"))
        .filter_map(|l| l.rsplit(' ').next()?.parse::<f64>().ok())
        .sum();
    assert!((count - 1.0).abs() < 0.5, "{count}");
}
