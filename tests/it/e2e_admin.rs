//! Who may use the admin API: roles, refusals, sessions, replays, sizes, and what the record says of them
//! (requirement S1).

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::support::demo::tradewind;
use crate::support::node::{HEAD, Node, folder};
use crate::support::wait_for;

const POOL: &str = r#"
[pools.eu]
region = "eu"
endpoints = [{ name = "eu-1", address = "192.0.2.1" }, { name = "eu-2", address = "192.0.2.2" }]

[policies.any]
stages = [{ weighted = {} }]

[names."www.gslb.test"]
pools = ["eu"]
policy = "any"
"#;

const VIEWER: &str = "tradewind_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const OPERATOR: &str = "tradewind_bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
const ADMIN: &str = "tradewind_cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc";
const OLD: &str = "tradewind_dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd";
const AWAY: &str = "tradewind_eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee";
const NONE: &str = "tradewind_ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff";

/// `[admin]` with `more`, in which nobody is known without a token.
pub fn guarded(more: &str) -> String {
    let hash = |token: &str| {
        let digest = ring::digest::digest(&ring::digest::SHA256, token.as_bytes());
        data_encoding::HEXLOWER.encode(digest.as_ref())
    };
    let token = |name: &str, text: &str, rest: &str| {
        format!(
            "[admin.tokens.{name}]\nhash = \"sha256:{}\"\n{rest}\n",
            hash(text)
        )
    };
    [
        format!("[admin]\nloopback = \"none\"\n{more}\n"),
        token("vera", VIEWER, "role = \"viewer\""),
        token(
            "otto",
            OPERATOR,
            "role = \"operator\"\nexpires = \"2099-01-01T00:00:00Z\"",
        ),
        token("ada", ADMIN, "role = \"admin\"\nfrom = [\"127.0.0.0/8\"]"),
        token(
            "old",
            OLD,
            "role = \"admin\"\nexpires = \"2020-01-01T00:00:00Z\"",
        ),
        token("away", AWAY, "role = \"admin\"\nfrom = [\"192.0.2.0/24\"]"),
        POOL.to_owned(),
    ]
    .join("\n")
}

/// An answer: its status, head and body.
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    fn read(text: &str) -> Answer {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        let status = head.split(' ').nth(1).and_then(|s| s.parse().ok());
        Answer {
            status: status.unwrap_or(0),
            head: head.to_owned(),
            body: body.to_owned(),
        }
    }

    /// The value of a field.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }
}

/// Sends octets and reads until the other end closes.
fn raw(addr: SocketAddr, octets: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    // A server that refuses what is too long may close before it has read all.
    let _ = stream.write_all(octets);
    let mut text = Vec::new();
    let _ = stream.read_to_end(&mut text);
    Answer::read(&String::from_utf8_lossy(&text))
}

/// Asks with these header fields.
fn ask(addr: SocketAddr, method: &str, path: &str, fields: &[(&str, &str)], body: &str) -> Answer {
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n");
    for (name, value) in fields {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() {
        let length = body.len();
        head.push_str(&format!(
            "Content-Type: application/json\r\nContent-Length: {length}\r\n"
        ));
    }
    raw(addr, format!("{head}\r\n{body}").as_bytes())
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

fn by(addr: SocketAddr, token: &str, method: &str, path: &str, body: &str) -> Answer {
    ask(
        addr,
        method,
        path,
        &[("Authorization", &bearer(token))],
        body,
    )
}

const DRAIN: &str =
    r#"{"scope":"endpoint","name":"eu-1","kind":"drain","reason":"test","break-glass":"test"}"#;

fn audit(addr: SocketAddr) -> String {
    by(addr, ADMIN, "GET", "/v1/audit?limit=500", "").body
}

#[test]
fn s1_each_role_may_do_its_own_and_what_is_below() {
    let node = Node::start(&guarded(""));
    let a = node.admin;
    for (token, see, order, reload) in [
        (VIEWER, 200, 403, 403),
        (OPERATOR, 200, 200, 403),
        (ADMIN, 200, 200, 200),
        (OLD, 401, 401, 401),
        (NONE, 401, 401, 401),
        (AWAY, 403, 403, 403),
    ] {
        assert_eq!(
            by(a, token, "GET", "/v1/regions", "").status,
            see,
            "{token}"
        );
        let ordered = by(a, token, "PUT", "/v1/overrides", DRAIN);
        assert_eq!(ordered.status, order, "{token}: {}", ordered.body);
        assert_eq!(
            by(a, token, "POST", "/v1/reload", "").status,
            reload,
            "{token}"
        );
    }
    let low = by(a, VIEWER, "PUT", "/v1/overrides", DRAIN).body;
    assert!(
        low.contains("takes the role operator; `vera` has the role viewer"),
        "{low}"
    );
    let nobody = ask(a, "GET", "/v1/regions", &[], "");
    assert_eq!(nobody.status, 401);
    assert_eq!(
        nobody.field("www-authenticate"),
        Some("Bearer realm=\"tradewind\"")
    );
    assert_eq!(
        nobody.field("content-type"),
        Some("application/problem+json")
    );
    let expired = by(a, OLD, "GET", "/v1/regions", "");
    assert!(
        expired
            .body
            .contains("token `old` expired at 2020-01-01T00:00:00Z"),
        "{}",
        expired.body
    );
    assert!(
        expired
            .field("www-authenticate")
            .unwrap()
            .contains("invalid_token")
    );
    // What everybody may ask says nothing to strangers.
    assert_eq!(ask(a, "GET", "/livez", &[], "").body, "ok\n");
    assert_eq!(ask(a, "GET", "/readyz", &[], "").status, 200);
    let why = ask(a, "GET", "/readyz?upstream=nothing", &[], "");
    assert!(
        why.status == 503 && !why.body.contains("nothing"),
        "{}",
        why.body
    );
    assert_eq!(ask(a, "GET", "/metrics", &[], "").status, 401);
    assert_eq!(by(a, VIEWER, "GET", "/metrics", "").status, 200);

    let record = audit(a);
    for line in [
        "token `old` expired at 2020-01-01T00:00:00Z",
        "`away` may not ask from 127.0.0.1",
        "GET /v1/regions from 127.0.0.1: no such token",
        "PUT /v1/overrides -> 200 (operator, by token from 127.0.0.1)",
        "POST /v1/reload -> 200 (admin, by token from 127.0.0.1)",
        "this takes the role admin; `otto` has the role operator",
    ] {
        assert!(record.contains(line), "no {line:?} in\n{record}");
    }
    // The order bears the name of whoever gave it.
    assert!(record.contains(r#""owner":"otto""#), "{record}");
    for secret in [VIEWER, OPERATOR, ADMIN, OLD, AWAY, NONE] {
        assert!(
            !node.logged(&secret[10..]) && !record.contains(&secret[10..]),
            "{secret}"
        );
    }
}

#[test]
fn s1_a_reload_changes_who_is_let_in() {
    let node = Node::start(&guarded(""));
    assert_eq!(by(node.admin, VIEWER, "GET", "/v1/regions", "").status, 200);
    let gone = guarded("metrics = \"open\"").replace("[admin.tokens.vera]", "[admin.tokens.vroni]");
    let gone = gone.replacen(
        "role = \"viewer\"",
        "role = \"viewer\"\nexpires = \"2020-01-01T00:00:00Z\"",
        1,
    );
    node.rewrite(&gone);
    let checked = tradewind()
        .arg("check")
        .arg(node.file("tradewind.toml"))
        .output()
        .unwrap();
    let said = String::from_utf8([checked.stdout, checked.stderr].concat()).unwrap();
    assert!(checked.status.success(), "{said}");
    assert!(
        said.contains("token `vroni` expired at 2020-01-01T00:00:00Z"),
        "{said}"
    );
    assert_eq!(by(node.admin, ADMIN, "POST", "/v1/reload", "").status, 200);
    assert_eq!(by(node.admin, VIEWER, "GET", "/v1/regions", "").status, 401);
    assert_eq!(ask(node.admin, "GET", "/metrics", &[], "").status, 200);
}

#[test]
fn s1_a_change_is_made_once() {
    let node = Node::start(&guarded(""));
    let give = |token: &str, key: &str| {
        let fields = [
            ("Authorization", bearer(token)),
            ("Idempotency-Key", key.to_owned()),
        ];
        let fields = fields.each_ref().map(|(n, v)| (*n, v.as_str()));
        ask(node.admin, "PUT", "/v1/overrides", &fields, DRAIN)
    };
    assert_eq!(give(OPERATOR, "k-1").status, 200);
    let again = give(OPERATOR, "k-1");
    assert_eq!(again.status, 409, "{}", again.body);
    assert!(again.body.contains("Idempotency-Key"), "{}", again.body);
    assert_eq!(give(ADMIN, "k-1").status, 200, "keys are each person's own");
    assert_eq!(give(OPERATOR, "k-2").status, 200);
    let wrong = give(OPERATOR, "k 3");
    assert_eq!(wrong.status, 400);
    assert!(
        wrong.body.contains(r#""parameter":"Idempotency-Key""#),
        "{}",
        wrong.body
    );
    let record = audit(node.admin);
    assert!(
        record.contains("a change with this `Idempotency-Key` came"),
        "{record}"
    );
}

#[test]
fn s4_an_array_is_refused_where_an_object_is_wanted() {
    let node = Node::start(&guarded(""));
    let a = node.admin;
    let (one, all) = (
        r#"["endpoint","eu-1","drain",null,null,"test",null,null,null,"test"]"#,
        r#"[[],null,"test",null,null,null,"test"]"#,
    );
    let drill = r#"["fail","region","eu","2m",null,true,null,"test",null,null,"test"]"#;
    let within =
        r#"{"orders":[["endpoint","eu-1","drain",null]],"reason":"test","break-glass":"test"}"#;
    for (method, path, body, parameter) in [
        ("PUT", "/v1/overrides", one, "body"),
        ("POST", "/v1/overrides", one, "body"),
        ("POST", "/v1/switchover", all, "body"),
        ("POST", "/v1/switchover", within, "orders[0]"),
        ("POST", "/v1/drills", drill, "body"),
        ("POST", "/v1/drills/x/abort", r#"[null,"test"]"#, "body"),
        ("POST", "/v1/plan", r#"[{},null,null]"#, "body"),
        ("POST", "/v1/session", r#"["tradewind_00"]"#, "body"),
    ] {
        let told = by(a, ADMIN, method, path, body);
        assert_eq!(told.status, 400, "{method} {path}: {}", told.body);
        let named = format!(r#""parameter":"{parameter}""#);
        assert!(told.body.contains(&named), "{method} {path}: {}", told.body);
    }
    let orders = by(a, VIEWER, "GET", "/v1/overrides", "").body;
    assert!(orders.contains(r#""overrides":[]"#), "{orders}");
}

#[test]
fn s1_what_is_too_large_or_no_json_is_refused_unread() {
    let node = Node::start(&guarded("body-limit = \"64KiB\""));
    let a = node.admin;
    let head = |fields: &str| {
        format!(
            "PUT /v1/overrides HTTP/1.1\r\nHost: {a}\r\nAuthorization: {}\r\nContent-Type: application/json\r\n{fields}\r\n",
            bearer(OPERATOR)
        )
    };
    // Not one octet of the body is sent.
    let told = raw(a, head("Content-Length: 65537\r\n").as_bytes());
    assert_eq!(told.status, 413, "{}", told.body);
    assert!(told.body.contains("65536 octets"), "{}", told.body);
    let mut chunked = head("Transfer-Encoding: chunked\r\n").into_bytes();
    for _ in 0..20 {
        chunked.extend(format!("1000\r\n{}\r\n", "x".repeat(0x1000)).into_bytes());
    }
    assert_eq!(raw(a, &chunked).status, 413);
    let stranger = head("Content-Length: 5000\r\n").replace(&bearer(OPERATOR), "none");
    let stranger = stranger.replace("Authorization: none\r\n", "");
    assert_eq!(
        raw(a, stranger.as_bytes()).status,
        413,
        "a stranger may send less"
    );
    let long = format!("/v1/names?q={}", "q".repeat(9_000));
    assert_eq!(by(a, VIEWER, "GET", &long, "").status, 414);
    let field = "f".repeat(9_000);
    let two = [
        ("Authorization", &*bearer(VIEWER)),
        ("X-A", &*field),
        ("X-B", &*field),
    ];
    assert_eq!(ask(a, "GET", "/v1/regions", &two, "").status, 431);
    let huge = "h".repeat(100_000);
    assert_eq!(
        ask(a, "GET", "/v1/regions", &[("X-A", &*huge)], "").status,
        431
    );
    let form = head("Content-Length: 3\r\n")
        .replace("application/json", "application/x-www-form-urlencoded");
    assert_eq!(raw(a, format!("{form}a=b").as_bytes()).status, 415);
    let record = audit(a);
    for line in [
        "the body may have 65536 octets",
        "the target may have",
        "the header fields may have",
    ] {
        assert!(record.contains(line), "no {line:?} in\n{record}");
    }
}

#[test]
fn s1_who_says_nothing_or_says_it_slowly_is_not_waited_for() {
    let node = Node::start(&guarded(""));
    let begun = Instant::now();
    let slow = raw(
        node.admin,
        b"GET /v1/regions HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ",
    );
    assert!(matches!(slow.status, 0 | 408), "{}", slow.head);
    let took = begun.elapsed();
    assert!(
        (Duration::from_secs(10)..Duration::from_secs(45)).contains(&took),
        "{took:?}"
    );
    assert_eq!(by(node.admin, VIEWER, "GET", "/v1/regions", "").status, 200);
}

#[test]
fn s1_connections_are_bounded_and_one_source_has_half_of_them() {
    let head = HEAD.replace("admin = { listen", "admin = { max-connections = 8, listen");
    let node = Node::start_in(folder(&format!("{head}{}", guarded(""))));
    let held: Vec<TcpStream> = (0..12)
        .map(|_| TcpStream::connect(node.admin).unwrap())
        .collect();
    for stream in &held {
        stream.set_nonblocking(true).unwrap();
    }
    let closed = || {
        let ends = |mut stream: &TcpStream| matches!(stream.read(&mut [0]), Ok(0));
        held.iter().filter(|stream| ends(stream)).count()
    };
    wait_for("all but four are closed", Duration::from_secs(10), || {
        (closed() == 8).then_some(())
    });
    drop(held);
    wait_for("places are free again", Duration::from_secs(10), || {
        (by(node.admin, VIEWER, "GET", "/v1/regions", "").status == 200).then_some(())
    });
}

#[test]
fn s1_who_asks_too_often_or_wrongly_is_told_when_to_come_back() {
    let node = Node::start(&guarded("requests-per-second = 1\nfailures-per-minute = 3"));
    let a = node.admin;
    let all: Vec<Answer> = (0..30)
        .map(|_| by(a, VIEWER, "GET", "/v1/session", ""))
        .collect();
    let refused = all
        .iter()
        .find(|r| r.status == 429)
        .expect("one of 30 is too many");
    assert!(
        refused
            .field("retry-after")
            .unwrap()
            .parse::<u64>()
            .unwrap()
            >= 1
    );
    assert!(
        refused.body.contains("requests-per-second"),
        "{}",
        refused.body
    );

    let node = Node::start(&guarded("failures-per-minute = 3"));
    let a = node.admin;
    let statuses: Vec<u16> = (0..6)
        .map(|_| by(a, NONE, "GET", "/v1/regions", "").status)
        .collect();
    assert_eq!(statuses, [401, 401, 401, 429, 429, 429]);
    // Who is known is not kept out by others behind the same address.
    assert_eq!(by(a, VIEWER, "GET", "/v1/regions", "").status, 200);
    assert!(audit(a).contains("too many wrong credentials"));
}

#[test]
fn s1_a_browser_signs_in_orders_from_its_own_page_and_signs_out() {
    let node = Node::start(&guarded(""));
    let a = node.admin;
    let login = format!(r#"{{"token":"{OPERATOR}"}}"#);
    let cross = [("Sec-Fetch-Site", "cross-site")];
    assert_eq!(ask(a, "POST", "/v1/session", &cross, &login).status, 403);
    let wrong = format!(r#"{{"token":"{NONE}"}}"#);
    assert_eq!(ask(a, "POST", "/v1/session", &[], &wrong).status, 401);
    let bad = ask(
        a,
        "POST",
        "/v1/session",
        &[],
        &login.replace("token", "tokens"),
    );
    assert!(
        bad.status == 400 && !bad.body.contains(&OPERATOR[10..]),
        "{}",
        bad.body
    );
    let signed = ask(a, "POST", "/v1/session", &[], &login);
    assert_eq!(signed.status, 200, "{}", signed.body);
    let set = signed.field("set-cookie").unwrap().to_owned();
    for part in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"] {
        assert!(set.contains(part), "{set}");
    }
    let cookie = set.split(';').next().unwrap().to_owned();
    assert!(
        !signed.body.contains(cookie.split('=').nth(1).unwrap()),
        "scripts do not see it"
    );
    let origin = format!("http://{a}");
    let me = ask(a, "GET", "/v1/session", &[("Cookie", &cookie)], "");
    let me: serde_json::Value = serde_json::from_str(&me.body).unwrap();
    assert_eq!(
        (&me["name"], &me["role"], &me["by"]),
        (&"otto".into(), &"operator".into(), &"session".into())
    );
    assert!(me["expires"].as_str().unwrap().ends_with('Z'));

    let order = |fields: &[(&str, &str)]| {
        let mut all = vec![("Cookie", cookie.as_str())];
        all.extend(fields);
        ask(a, "PUT", "/v1/overrides", &all, DRAIN).status
    };
    assert_eq!(order(&[("Origin", &origin), ("Idempotency-Key", "a")]), 200);
    assert_eq!(
        order(&[("Sec-Fetch-Site", "same-origin"), ("Idempotency-Key", "b")]),
        200
    );
    assert_eq!(order(&[("Origin", &origin)]), 403, "no key of its own");
    assert_eq!(order(&[("Idempotency-Key", "c")]), 403, "of no page");
    assert_eq!(
        order(&[("Origin", "http://evil.example"), ("Idempotency-Key", "d")]),
        403
    );
    assert_eq!(
        order(&[("Sec-Fetch-Site", "same-site"), ("Idempotency-Key", "e")]),
        403
    );

    let out = ask(a, "DELETE", "/v1/session", &[("Cookie", &cookie)], "");
    assert_eq!(out.status, 204);
    assert!(out.field("set-cookie").unwrap().contains("Max-Age=0"));
    let after = ask(a, "GET", "/v1/session", &[("Cookie", &cookie)], "");
    assert!(
        after.status == 401 && after.body.contains("session has ended"),
        "{}",
        after.body
    );
    let record = audit(a);
    for line in [
        "signed-in",
        "signed-out",
        "the page is of another site",
        "by session from 127.0.0.1",
    ] {
        assert!(record.contains(line), "no {line:?} in\n{record}");
    }
    let value = cookie.split('=').nth(1).unwrap();
    assert!(!node.logged(value) && !record.contains(value));
}

#[test]
fn s1_a_page_of_another_site_cannot_reach_a_node_on_this_machine() {
    let node = Node::start(POOL);
    let a = node.admin;
    assert_eq!(
        ask(a, "POST", "/v1/reload", &[], "").status,
        200,
        "a program on this machine"
    );
    let rebound = format!(
        "GET /v1/regions HTTP/1.1\r\nHost: evil.example:{}\r\nConnection: close\r\n\r\n",
        a.port()
    );
    let rebound = raw(a, rebound.as_bytes());
    assert!(
        rebound.status == 403 && rebound.body.contains("evil.example"),
        "{}",
        rebound.body
    );
    let local = format!(
        "GET /v1/regions HTTP/1.1\r\nHost: localhost:{}\r\nConnection: close\r\n\r\n",
        a.port()
    );
    assert_eq!(raw(a, local.as_bytes()).status, 200);
    for fields in [
        [("Origin", "http://evil.example")],
        [("Origin", "null")],
        [("Sec-Fetch-Site", "cross-site")],
    ] {
        assert_eq!(
            ask(a, "POST", "/v1/reload", &fields, "").status,
            403,
            "{fields:?}"
        );
    }
    let proxied = [("X-Forwarded-For", "192.0.2.9")];
    assert_eq!(
        ask(a, "GET", "/v1/regions", &proxied, "").status,
        401,
        "it was passed on"
    );
    let plain = ask(a, "GET", "/v1/regions", &[], "");
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        assert_eq!(plain.field(name), Some(value));
    }
    assert_eq!(plain.field("access-control-allow-origin"), None);
}

#[test]
fn s1_the_command_line_makes_tokens_and_shows_them() {
    let made = tradewind()
        .args([
            "admin",
            "token",
            "ann",
            "--role",
            "operator",
            "--expires",
            "1d",
            "--from",
            "127.0.0.0/8",
        ])
        .output()
        .unwrap();
    let text = String::from_utf8(made.stdout).unwrap();
    let (token, lines) = text.split_once('\n').unwrap();
    assert!(
        token.starts_with("tradewind_") && !lines.contains(token),
        "{text}"
    );
    let node = Node::start(&format!("[admin]\nloopback = \"none\"\n{lines}{POOL}"));
    let file = node.file("token");
    crate::support::certs::put(node.dir.path(), "token", token.as_bytes());
    let server = format!("http://{}", node.admin);
    let run = |args: &[&str], env: Option<&str>| {
        let mut command = tradewind();
        command
            .args(args)
            .args(["--server", &server])
            .env_remove("TRADEWIND_TOKEN");
        if let Some(token) = env {
            command.env("TRADEWIND_TOKEN", token);
        }
        let done = command.output().unwrap();
        let text = [done.stdout, done.stderr].concat();
        (done.status.success(), String::from_utf8(text).unwrap())
    };
    let (done, said) = run(&["overrides"], None);
    assert!(!done && said.contains("this needs a token"), "{said}");
    assert!(run(&["overrides"], Some(token)).0);
    let file = file.display().to_string();
    let drain = [
        "drain",
        "endpoint",
        "eu-1",
        "--reason",
        "x",
        "--break-glass",
        "x",
        "--owner",
        "ann",
        "--token-file",
        &file,
    ];
    // Each is marked anew.
    for _ in 0..2 {
        let (done, said) = run(&drain, None);
        assert!(done, "{said}");
    }
    let (_, record) = run(&["audit", "--token-file", &file], None);
    assert!(
        record.contains("ann (n1): PUT /v1/overrides -> 200 (operator, by token"),
        "{record}"
    );
    assert!(!record.contains(token));
}
