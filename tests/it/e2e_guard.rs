//! Cookies, rates, access lists and class CH on the real binary, asked by dig, kdig and plain sockets.

use std::io::Read;
use std::net::{SocketAddr, UdpSocket};
use std::process::Command;
use std::time::{Duration, Instant};

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RecordType;
use hickory_proto::rr::rdata::opt::EdnsOption;

use crate::support::node::Node;
use crate::support::{dns, http, wait_for};

const CLIENT: [u8; 8] = [1, 2, 3, 4, 5, 6, 7, 8];

/// What a tool prints.
fn tool(name: &str, server: SocketAddr, args: &[&str]) -> String {
    let out = Command::new(name)
        .arg(format!("@{}", server.ip()))
        .args(["-p", &server.port().to_string()])
        .args(args)
        .output()
        .unwrap_or_else(|e| panic!("{name} is installed by tests/run: {e}"));
    String::from_utf8_lossy(&out.stdout).into_owned()
}

/// The value of a metric with exactly these labels.
fn metric(node: &Node, name: &str) -> u64 {
    let page = http::get(node.admin, "/metrics").body;
    page.lines()
        .find_map(|l| l.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
        .unwrap_or_else(|| panic!("no {name} in\n{page}"))
}

/// A query with a cookie option.
fn with_cookie(name: &str, cookie: &[u8]) -> Vec<u8> {
    let mut m = Message::from_vec(&dns::query(name, RecordType::A, None)).unwrap();
    let edns = m.edns.as_mut().unwrap();
    edns.options_mut()
        .insert(EdnsOption::Unknown(10, cookie.to_vec()));
    m.to_vec().unwrap()
}

/// The cookie of an answer.
fn cookie(m: &Message) -> Vec<u8> {
    let options = m.edns.as_ref().unwrap().options().as_ref();
    let found = options.iter().find_map(|(_, o)| match o {
        EdnsOption::Unknown(10, octets) => Some(octets.clone()),
        _ => None,
    });
    found.unwrap_or_else(|| panic!("no cookie in {m:?}"))
}

fn ask(node: &Node, sent: &[u8]) -> Message {
    dns::udp(node.dns, &with_cookie("static.gslb.test", sent))
}

fn learn(node: &Node) -> Vec<u8> {
    cookie(&ask(node, &CLIENT))
}

#[test]
fn a7_dig_and_kdig_take_cookies_and_come_again_with_them() {
    let node = Node::start("[dns.cookies]\nenforce = \"always\"\n[dns.rate-limit]\nexempt = []\n");
    // dig sends a client cookie by itself and tries again after BADCOOKIE.
    let out = tool("dig", node.dns, &["static.gslb.test", "A"]);
    assert!(out.contains("192.0.2.80"), "{out}");
    assert!(
        out.contains("; COOKIE: ") && out.contains("(good)"),
        "{out}"
    );
    let out = tool("dig", node.dns, &["+nobadcookie", "static.gslb.test", "A"]);
    assert!(
        out.contains("status: BADCOOKIE") && out.contains("(good)"),
        "{out}"
    );
    let out = tool("dig", node.dns, &["+nocookie", "static.gslb.test", "A"]);
    assert!(
        out.contains("192.0.2.80") && !out.contains("COOKIE"),
        "{out}"
    );
    let out = tool(
        "kdig",
        node.dns,
        &["+cookie", "+badcookie", "static.gslb.test", "A"],
    );
    assert!(out.contains("192.0.2.80"), "{out}");
    let out = tool(
        "kdig",
        node.dns,
        &["+tcp", "+cookie", "static.gslb.test", "A"],
    );
    assert!(out.contains("192.0.2.80"), "{out}");
    assert!(metric(&node, "tradewind_dns_cookies_total{server_part=\"good\"}") >= 2);
    assert!(metric(&node, "tradewind_dns_responses_total{rcode=\"BADCOOKIE\"}") >= 3);
}

#[test]
fn rfc9018_5_a_fleet_shares_its_secrets_and_rolls_them_without_a_bad_cookie() {
    let config = |secrets: &str| format!("[dns.cookies]\nsecrets = [{secrets}]\n");
    let old = "\"e5e973e5a6b2a43f48e7dc849e37bfcf\"";
    let new = "\"445536bcd2513298075a5d379663c962\"";
    let both = format!("{old}, {new}");
    let (a, b) = (Node::start(&config(old)), Node::start(&config(old)));
    let given = learn(&a);
    assert_eq!(
        cookie(&ask(&b, &given)),
        given,
        "made at one node, good at the other"
    );
    let good = |node: &Node| metric(node, "tradewind_dns_cookies_total{server_part=\"good\"}");
    assert_eq!(good(&b), 1);
    // Step 1, 2 and 3 at node a, one step behind at node b.
    for (step, secrets) in [both.clone(), format!("{new}, {old}"), new.to_owned()]
        .iter()
        .enumerate()
    {
        a.rewrite(&config(secrets));
        let reload = http::request(a.admin, "POST", "/v1/reload");
        assert_eq!(reload.status, 200, "{}", reload.body);
        let before = (good(&a), good(&b));
        ask(&b, &learn(&a));
        ask(&a, &learn(&b));
        assert_eq!(
            (good(&a), good(&b)),
            (before.0 + 1, before.1 + 1),
            "step {}",
            step + 1
        );
        b.rewrite(&config(secrets));
        assert_eq!(http::request(b.admin, "POST", "/v1/reload").status, 200);
    }
    // The old secret is gone now.
    let bad = "tradewind_dns_cookies_total{server_part=\"bad\"}";
    ask(&a, &given);
    assert_eq!(metric(&a, bad), 1);
    for secret in [old, new] {
        assert!(
            !a.logged(secret.trim_matches('"')),
            "a secret is in the log"
        );
    }
}

#[test]
fn a_process_keeps_its_own_secret_over_reloads() {
    let node = Node::start("");
    let other = Node::start("");
    let given = learn(&node);
    assert_eq!(http::request(node.admin, "POST", "/v1/reload").status, 200);
    assert_eq!(cookie(&ask(&node, &given)), given);
    assert_ne!(cookie(&ask(&other, &given)), given, "each has its own");
}

/// What came back.
#[derive(Debug, Default, PartialEq)]
struct Seen {
    full: u64,
    truncated: u64,
    bad_cookie: u64,
}

/// Sends `packet` `count` times, no faster than the server reads, and counts what comes back.
fn flood(node: &Node, packet: &[u8], count: u64) -> Seen {
    let received = "tradewind_dns_queries_total{transport=\"udp\",family=\"ipv4\"}";
    let before = metric(node, received);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(node.dns).unwrap();
    let mut seen = Seen::default();
    let mut buf = [0; 1_500];
    let mut drain = |wait: Duration| {
        socket.set_read_timeout(Some(wait)).unwrap();
        while let Ok(n) = socket.recv(&mut buf) {
            let m = Message::from_vec(&buf[..n]).unwrap();
            match (m.metadata.truncation, m.metadata.response_code) {
                (true, ResponseCode::NoError) => {
                    assert!(m.answers.is_empty() && n <= packet.len() + 32);
                    seen.truncated += 1;
                }
                (false, ResponseCode::BADCOOKIE) => {
                    assert!(m.answers.is_empty() && n <= packet.len() + 32);
                    seen.bad_cookie += 1;
                }
                (false, ResponseCode::NoError) => seen.full += 1,
                other => panic!("{other:?}"),
            }
        }
    };
    let mut sent = 0;
    while sent < count {
        for _ in 0..(count - sent).min(100) {
            socket.send(packet).unwrap();
            sent += 1;
        }
        wait_for("the server reads", Duration::from_secs(10), || {
            (metric(node, received) >= before + sent).then_some(())
        });
        drain(Duration::from_millis(1));
    }
    drain(Duration::from_millis(200));
    seen
}

#[test]
fn a8_a_flood_from_one_prefix_is_answered_no_more_than_configured() {
    let node = Node::start("[dns.rate-limit]\nresponses-per-second = 200\nslip = 2\nexempt = []\n");
    let packet = dns::query("static.gslb.test", RecordType::A, None);
    let start = Instant::now();
    let seen = flood(&node, &packet, 5_000);
    let most = 200 + start.elapsed().as_millis() as u64 / 5 + 1;
    assert!(
        (200..=most).contains(&seen.full),
        "{seen:?}, at most {most}"
    );
    let limited = 5_000 - seen.full;
    let share = seen.truncated as f64 / limited as f64;
    assert!(
        (0.45..=0.55).contains(&share),
        "{share} of the limited were truncated"
    );
    let truncated = metric(&node, "tradewind_dns_limited_total{action=\"truncated\"}");
    let dropped = metric(
        &node,
        "tradewind_dns_dropped_total{reason=\"response-rate\"}",
    );
    assert_eq!(
        (truncated, dropped),
        (seen.truncated, limited - seen.truncated)
    );
    // Another kind of answer, a stream, and a client with a cookie are served all the same.
    let gone = dns::query("gone.gslb.test", RecordType::A, None);
    assert_eq!(
        dns::udp(node.dns, &gone).metadata.response_code,
        ResponseCode::NXDomain
    );
    assert_eq!(dns::addresses(&dns::tcp(node.dns, &packet)).len(), 1);
    let mut given = None;
    for _ in 0..200 {
        // About half of these are dropped, as configured.
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(node.dns).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(100)))
            .unwrap();
        socket
            .send(&with_cookie("static.gslb.test", &CLIENT))
            .unwrap();
        let mut buf = [0; 1_500];
        if let Ok(n) = socket.recv(&mut buf) {
            given = Some(cookie(&Message::from_vec(&buf[..n]).unwrap()));
            break;
        }
    }
    let packet = with_cookie("static.gslb.test", &given.expect("a cookie"));
    assert_eq!(flood(&node, &packet, 1_000).full, 1_000);
}

/// Kilobytes of memory of a node.
fn resident(node: &Node) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", node.pid())).unwrap();
    let line = status
        .lines()
        .find_map(|l| l.strip_prefix("VmRSS:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn a8_clients_of_ten_thousand_prefixes_do_not_grow_the_memory() {
    // The table of who is sent where has a bound of its own.
    let node = Node::start(
        "[telemetry.sampling]\nmax-per-second = 0\n\
         [dns.rate-limit]\nexempt = []\ntable-size = \"64KiB\"\n",
    );
    let packet = dns::query("static.gslb.test", RecordType::A, None);
    let mut buf = [0; 512];
    let mut from_each = |prefixes: std::ops::Range<u32>| {
        for i in prefixes {
            let source = std::net::Ipv4Addr::from(0x7F00_0001 + (i << 8));
            let socket = UdpSocket::bind((source, 0)).unwrap();
            socket
                .set_read_timeout(Some(Duration::from_secs(5)))
                .unwrap();
            socket.send_to(&packet, node.dns).unwrap();
            socket.recv(&mut buf).unwrap();
        }
    };
    from_each(0..100);
    let before = node.settled_memory();
    from_each(100..10_100);
    let after = resident(&node);
    assert!(
        after <= before + 1_024,
        "{before} kB before, {after} kB after"
    );
}

#[test]
fn queries_over_the_limit_are_dropped_and_streams_refused_and_closed() {
    let node = Node::start("[dns.rate-limit]\nqueries-per-second = 50\nexempt = []\n");
    let packet = dns::query("static.gslb.test", RecordType::A, None);
    let start = Instant::now();
    let seen = flood(&node, &packet, 1_000);
    let most = 50 + start.elapsed().as_millis() as u64 / 20 + 1;
    assert!((50..=most).contains(&seen.full), "{seen:?}, at most {most}");
    assert_eq!(
        metric(&node, "tradewind_dns_dropped_total{reason=\"query-rate\"}"),
        1_000 - seen.full
    );
    let mut stream = dns::connect(node.dns);
    // Faster than 50 a second one of these is refused, and it is the last.
    let refused = (0..1_000).find_map(|_| {
        let m = dns::exchange(&mut stream, &packet);
        (m.metadata.response_code == ResponseCode::Refused).then_some(m)
    });
    let words = dns::extended_error(&refused.expect("a refusal"));
    assert_eq!(words.as_deref(), Some("too many queries from your network"));
    assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0, "closed");
    assert_eq!(
        metric(&node, "tradewind_dns_limited_total{action=\"refused\"}"),
        1
    );
}

#[test]
fn access_lists_apply_with_a_reload() {
    let node = Node::start("");
    let packet = dns::query("static.gslb.test", RecordType::A, None);
    assert_eq!(dns::addresses(&dns::udp(node.dns, &packet)).len(), 1);
    node.rewrite("[dns.access]\ndeny = [\"127.0.0.0/8\"]\n");
    assert_eq!(http::request(node.admin, "POST", "/v1/reload").status, 200);
    let out = tool("dig", node.dns, &["static.gslb.test", "A"]);
    assert!(out.contains("status: REFUSED"), "{out}");
    assert!(out.contains("EDE: 18 (Prohibited)"), "{out}");
    let m = dns::tcp(node.dns, &packet);
    assert_eq!(m.metadata.response_code, ResponseCode::Refused);
    assert!(metric(&node, "tradewind_dns_access_refused_total") >= 2);
    node.rewrite("[dns.access]\nallow = [\"192.0.2.0/24\"]\ndenied = \"drop\"\n");
    assert_eq!(http::request(node.admin, "POST", "/v1/reload").status, 200);
    let out = tool(
        "dig",
        node.dns,
        &["+tries=1", "+time=1", "static.gslb.test", "A"],
    );
    assert!(
        out.contains("no servers could be reached") || out.contains("timed out"),
        "{out}"
    );
    assert!(metric(&node, "tradewind_dns_dropped_total{reason=\"access\"}") >= 1);
}

#[test]
fn rfc4892_dig_asks_class_ch_who_the_server_is() {
    let node = Node::start("");
    let ch = |node: &Node, name: &str| {
        tool("dig", node.dns, &["+short", "CH", "TXT", name])
            .trim()
            .to_owned()
    };
    assert_eq!(ch(&node, "version.bind"), "\"tradewind\"");
    assert_eq!(ch(&node, "id.server"), "\"n1\"");
    assert_eq!(ch(&node, "hostname.bind"), "\"n1\"");
    node.rewrite("[dns.chaos]\nversion = \"\"\nid = \"édge 7\"\n");
    assert_eq!(http::request(node.admin, "POST", "/v1/reload").status, 200);
    assert_eq!(ch(&node, "id.server"), "\"\\195\\169dge 7\"");
    let out = tool("kdig", node.dns, &["CH", "TXT", "version.bind"]);
    assert!(out.contains("status: REFUSED"), "{out}");
}
