//! Routes on the real binary: every kind of condition, every action, and paths that try to get around.

use std::time::{Duration, Instant};

use crate::support::backend::{After, Backend, answer, stall};
use crate::support::demo::tradewind;
use crate::support::node::folder;
use crate::support::proxy::{Answer, Proxy, Raw, backend_entry, head};

/// A backend that answers with its name and what it was asked for.
fn named(name: &'static str) -> Backend {
    Backend::with(move |got, stream| {
        let text = format!("{name} {}", got.target);
        answer(stream, 200, text.as_bytes());
        After::Next
    })
}

fn config(routes: &str, upstreams: &[(&str, &Backend)]) -> String {
    let upstreams: String = upstreams
        .iter()
        .map(|(name, b)| format!("\n[upstreams.{name}]\n{}", backend_entry(name, "b", b.addr)))
        .collect();
    format!("\n[listeners.web]\nbind = [\"127.0.0.1:0\"]\n{routes}\n{upstreams}")
}

/// Sends a request with these further lines.
fn ask(proxy: &Proxy, line: &str, host: &str, fields: &str) -> Answer {
    let mut raw = Raw::connect(proxy.addr("web"));
    raw.send(format!("{line} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n").as_bytes());
    raw.answer()
}

#[test]
fn every_condition_leads_to_its_upstream() {
    let (yes, no) = (named("yes"), named("no"));
    let routes = r#"
[routes.rest]
forward = "no"
[routes.host]
hosts = ["exact.example", "*.below.example"]
forward = "yes"
[routes.path]
paths = ["/exact"]
path-prefixes = ["/prefix"]
path-regexes = ["^/regex/[0-9]+$"]
forward = "yes"
[routes.method]
path-prefixes = ["/method"]
methods = ["DELETE"]
forward = "yes"
[routes.header]
path-prefixes = ["/header"]
headers = [{ name = "x-a", exact = "1" }, { name = "x-b", regex = "^[0-9]+$" }, { name = "x-c" }]
forward = "yes"
[routes.cookie]
path-prefixes = ["/cookie"]
cookies = [{ name = "beta", prefix = "y" }]
forward = "yes"
[routes.query]
path-prefixes = ["/query"]
query = [{ name = "v", exact = "a b" }]
forward = "yes"
[routes.type]
path-prefixes = ["/type"]
content-types = ["application/json"]
forward = "yes"
[routes.near]
path-prefixes = ["/near"]
sources = ["127.0.0.0/8"]
forward = "yes"
[routes.far]
path-prefixes = ["/far"]
sources = ["192.0.2.0/24"]
forward = "yes"
[routes.nested]
path-prefixes = ["/nested"]
match = { any = [{ headers = [{ name = "x-a" }] }, { all = [{ methods = ["PUT"] }, { not = { headers = [{ name = "x-no" }] } }] }] }
forward = "yes"
"#;
    let proxy = Proxy::start(&config(routes, &[("yes", &yes), ("no", &no)]));
    for (line, host, fields, want) in [
        ("GET /", "exact.example", "", "yes"),
        ("GET /", "EXACT.example.:80", "", "yes"),
        ("GET /", "a.b.below.example", "", "yes"),
        ("GET /", "below.example", "", "no"),
        ("GET /exact", "x", "", "yes"),
        ("GET /exact/", "x", "", "no"),
        ("GET /prefix/a?b", "x", "", "yes"),
        ("GET /prefixed", "x", "", "no"),
        ("GET /regex/7", "x", "", "yes"),
        ("GET /regex/7a", "x", "", "no"),
        ("DELETE /method", "x", "", "yes"),
        ("GET /method", "x", "", "no"),
        ("GET /header", "x", "X-A: 1\r\nX-B: 22\r\nX-C: z\r\n", "yes"),
        ("GET /header", "x", "X-A: 1\r\nX-B: 2b\r\nX-C: z\r\n", "no"),
        ("GET /header", "x", "X-A: 1\r\nX-B: 22\r\n", "no"),
        ("GET /cookie", "x", "Cookie: a=1; beta=yes\r\n", "yes"),
        ("GET /cookie", "x", "Cookie: beta=no\r\n", "no"),
        ("GET /query?v=a+%62", "x", "", "yes"),
        ("GET /query?v=a", "x", "", "no"),
        (
            "GET /type",
            "x",
            "Content-Type: application/json; charset=utf-8\r\n",
            "yes",
        ),
        ("GET /type", "x", "Content-Type: text/html\r\n", "no"),
        ("GET /near", "x", "", "yes"),
        ("GET /far", "x", "", "no"),
        ("GET /nested", "x", "X-A: 1\r\n", "yes"),
        ("PUT /nested", "x", "Content-Length: 0\r\n", "yes"),
        ("PUT /nested", "x", "Content-Length: 0\r\nX-No: 1\r\n", "no"),
        ("GET /nested", "x", "", "no"),
    ] {
        let answer = ask(&proxy, line, host, fields);
        let target = line.split(' ').nth(1).unwrap();
        assert!(
            answer.text().starts_with(want),
            "{line} {host} {fields}: {answer:?}"
        );
        assert_eq!(answer.text().split(' ').nth(1), Some(target), "{line}");
    }
}

#[test]
fn every_action_does_what_it_says() {
    let app = named("app");
    let routes = r#"
[routes.plain]
path-prefixes = ["/plain"]
forward = "app"
[routes.moved]
path-prefixes = ["/moved"]
redirect = { to = "https://${host}/new", status = 301, keep-path = true, keep-query = true }
rewrite = { strip-prefix = "/moved" }
[routes.fixed]
paths = ["/healthz"]
respond = { body = "fine", content-type = "text/x-fine" }
[routes.denied]
path-prefixes = ["/admin"]
deny = 403
[routes.slow-down]
paths = ["/busy"]
deny = 429
[routes.dropped]
path-prefixes = ["/secret"]
drop = true
[routes.strip]
path-prefixes = ["/v1"]
forward = "app"
rewrite = { strip-prefix = "/v1", prefix = "/api" }
[routes.groups]
path-prefixes = ["/u"]
forward = "app"
rewrite = { regex = "^/u/([0-9]+)", to = "/users/$1" }
[routes.alias]
path-prefixes = ["/static"]
path-regexes = ["^/static"]
forward = "app"
rewrite = { regex = "^/static(.*)$", to = "/files/$1" }
"#;
    let proxy = Proxy::start(&config(routes, &[("app", &app)]));
    let get = |path: &str| ask(&proxy, &format!("GET {path}"), "www.example:8080", "");
    assert_eq!(get("/plain/x?y").text(), "app /plain/x?y");
    assert_eq!(get("/nowhere").status, 404);
    let moved = get("/moved/a?b=c");
    assert_eq!(moved.status, 301);
    assert_eq!(
        moved.field("location"),
        Some("https://www.example/new/a?b=c")
    );
    let fixed = get("/healthz");
    assert_eq!((fixed.status, fixed.text().as_str()), (200, "fine"));
    assert_eq!(fixed.field("content-type"), Some("text/x-fine"));
    assert_eq!(get("/admin").status, 403);
    assert_eq!(get("/busy").status, 429);
    let secret = b"GET /secret HTTP/1.1\r\nHost: x\r\n\r\n";
    assert_eq!(proxy.exchange(secret), "");
    assert_eq!(get("/v1/x?y").text(), "app /api/x?y");
    assert_eq!(get("/u/7/z?y").text(), "app /users/7/z?y");
    assert_eq!(get("/static/a").text(), "app /files/a");
    assert_eq!(get("/static../etc").status, 400);
}

#[test]
fn s4_no_spelling_of_a_path_gets_around_a_route() {
    let app = named("app");
    let routes = "[routes.admin]\npath-prefixes = [\"/admin\"]\ndeny = 403\n\
                  [routes.rest]\nforward = \"app\"\n";
    let text = config(routes, &[("app", &app)]);
    let proxy = Proxy::start(&text);
    let status = |path: &str| ask(&proxy, &format!("GET {path}"), "x", "").status;
    for path in [
        "/admin",
        "/admin/",
        "//admin",
        "/./admin",
        "/x/../admin",
        "/x/%2e%2e/admin",
        "/%61dmin",
        "/%61%64min/x",
        "/admin?x",
        "/x/..//admin/y",
    ] {
        assert_eq!(status(path), 403, "{path}");
    }
    for path in [
        "/../admin",
        "/%00admin",
        "/%zz",
        "/x/..;/admin",
        "/x%2f..%2fadmin",
        "/x%5c..%5cadmin",
    ] {
        assert_eq!(status(path), 400, "{path}");
    }
    assert_eq!(app.requests(), 0);
    // What was judged is what is sent.
    assert_eq!(
        ask(&proxy, "GET /a//b/../%7ec%2fd?//%7e", "x", "").text(),
        "app /a/~c%2Fd?//%7e"
    );
    drop(proxy);
    let strict = Proxy::start(&format!("[routing]\nencoded-slashes = \"refuse\"\n{text}"));
    assert_eq!(ask(&strict, "GET /a%2Fb", "x", "").status, 400);
    drop(strict);
    let sent = Proxy::start(&format!(
        "[routing]\nencoded-slashes = \"decode\"\nforward-path = \"as-sent\"\n{text}"
    ));
    assert_eq!(ask(&sent, "GET /x%2F..%2Fadmin", "x", "").status, 403);
    assert_eq!(ask(&sent, "GET /a//b%2Fc", "x", "").text(), "app /a//b%2Fc");
}

#[test]
fn a_split_keeps_its_shares_and_a_client_its_side() {
    let (stable, canary) = (named("stable"), named("canary"));
    let routes = "[routes.drawn]\npath-prefixes = [\"/drawn\"]\nforward = { split = { stable = 80, canary = 20 } }\n\
                  [routes.kept]\nforward = { split = { stable = 50, canary = 50 }, by = \"cookie:uid\" }\n";
    let proxy = Proxy::start(&config(routes, &[("stable", &stable), ("canary", &canary)]));
    let mut raw = Raw::connect(proxy.addr("web"));
    let mut ask = |path: &str, cookie: &str| {
        let text = format!("GET {path} HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\n\r\n");
        raw.send(text.as_bytes());
        raw.answer().text()
    };
    let drawn = (0..500).filter(|_| ask("/drawn", "a=b").starts_with("canary"));
    let drawn = drawn.count();
    assert!((60..=140).contains(&drawn), "{drawn} of 100 expected");
    let mut sides = std::collections::BTreeMap::new();
    for round in 0..3 {
        for uid in 0..20 {
            let side = ask("/", &format!("uid={uid}"));
            let first = sides.entry(uid).or_insert(side.clone());
            assert_eq!(*first, side, "client {uid} in round {round}");
        }
    }
    let canaries = sides.values().filter(|s| s.starts_with("canary")).count();
    assert!((1..20).contains(&canaries), "{canaries}");
}

fn wait_for(what: &str, is: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(10);
    while !is() {
        assert!(Instant::now() < end, "waited for {what}");
        std::thread::yield_now();
    }
}

#[test]
fn p1_a_mirror_sees_what_the_backend_sees_and_never_delays_it() {
    let app = named("app");
    let shadow = named("shadow");
    let routes = "[routes.all]\nforward = { to = \"app\", mirror = \"shadow\" }\n";
    let proxy = Proxy::start(&config(routes, &[("app", &app), ("shadow", &shadow)]));
    let post = "Content-Length: 5\r\nX-A: b\r\n\r\nhello";
    let mut raw = Raw::connect(proxy.addr("web"));
    raw.send(format!("POST /a?b HTTP/1.1\r\nHost: x\r\n{post}").as_bytes());
    assert_eq!(raw.answer().text(), "app /a?b");
    let chunked = "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    raw.send(format!("POST /c HTTP/1.1\r\nHost: x\r\n{chunked}").as_bytes());
    assert_eq!(raw.answer().text(), "app /c");
    wait_for("both copies", || shadow.requests() == 2);
    let (mut got, mut copied) = (app.got(), shadow.got());
    got.sort_by(|a, b| a.target.cmp(&b.target));
    copied.sort_by(|a, b| a.target.cmp(&b.target));
    for (got, copied) in got.iter().zip(&copied) {
        assert_eq!(got.target, copied.target);
        assert_eq!(got.method, copied.method);
        assert_eq!(got.body, copied.body);
        assert_eq!(got.field("x-a"), copied.field("x-a"));
    }
    drop((proxy, shadow));
    // One that never answers, and one that is not there.
    let silent = Backend::with(|_, stream| {
        stall(stream);
        After::Close
    });
    let proxy = Proxy::start(&config(routes, &[("app", &app), ("shadow", &silent)]));
    let began = Instant::now();
    let mut raw = Raw::connect(proxy.addr("web"));
    for _ in 0..20 {
        raw.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(raw.answer().status, 200);
    }
    let body = vec![b'x'; 4 << 20];
    let head = format!(
        "POST /big HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    raw.send(head.as_bytes());
    raw.send(&body);
    assert_eq!(raw.answer().status, 200);
    assert!(
        began.elapsed() < Duration::from_secs(8),
        "{:?}",
        began.elapsed()
    );
    let got = app.got();
    assert_eq!(
        got.iter().find(|g| g.target == "/big").unwrap().body.len(),
        body.len()
    );
    drop((raw, silent));
    assert_eq!(ask(&proxy, "GET /", "x", "").status, 200);
}

#[test]
fn o4_the_command_says_which_route_and_why_not_the_others() {
    let app = named("app");
    let routes = r#"
[routes.all]
forward = "app"
[routes.beta]
hosts = ["www.example"]
path-prefixes = ["/v1"]
headers = [{ name = "x-beta", exact = "1" }]
forward = { split = { app = 9, other = 1 } }
rewrite = { strip-prefix = "/v1" }
[routes.elsewhere]
hosts = ["other.example"]
forward = "app"
[routes.office]
path-prefixes = ["/v1"]
sources = ["192.0.2.0/24"]
forward = "app"
"#;
    let text = config(routes, &[("app", &app), ("other", &app)]);
    let dir = folder(&format!("{}{text}", head()));
    let file = dir.path().join("tradewind.toml");
    let run = |args: &[&str]| {
        let mut command = tradewind();
        command.args(["route", "--config"]).arg(&file);
        let out = command.args(["--node", "n1"]).args(args).output().unwrap();
        assert!(out.status.success(), "{out:?}");
        String::from_utf8(out.stdout).unwrap()
    };
    assert_eq!(
        run(&["GET", "http://www.example/v1/%78?y", "-H", "X-Beta: 1"]),
        "target is read as /v1/x?y\n\
         route: beta\n  priority 0\n  host www.example\n  path prefix /v1\n  header `x-beta` is `1`\n\
         action: split: app 9, other 1\n\
         sent on as: /x?y\n\
         not taken:\n\
         \x20 all: it matches too, but comes later (priority 0)\n\
         \x20 elsewhere: it is for other hosts\n\
         \x20 office: not so: source in 192.0.2.0/24\n"
    );
    let plain = run(&["GET", "http://www.example/v1/x", "--source", "192.0.2.7"]);
    assert!(plain.starts_with("route: office\n"), "{plain}");
    assert!(
        plain.contains("  beta: not so: header `x-beta` is `1`\n"),
        "{plain}"
    );
    let bad = run(&["GET", "http://www.example/../x"]);
    assert!(bad.starts_with("answer: 400"), "{bad}");
}
