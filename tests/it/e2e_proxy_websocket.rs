//! WebSockets through the proxy (RFC 6455 section 4, RFC 9110 section 7.8): octets go through as they
//! are, both ways, until one side ends.

use std::time::Duration;

use crate::support::backend::{After, Backend, answer, send};
use crate::support::proxy::{Proxy, Raw, WEB, backend_entry, get, web};
use crate::support::wait_for;

const HELLO: &str = "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\n\
                     Upgrade: WebSocket\r\nSec-WebSocket-Version: 13\r\n\
                     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

fn open(proxy: &Proxy) -> Raw {
    let mut raw = Raw::connect(proxy.addr("web"));
    raw.send(HELLO.as_bytes());
    let answer = raw.answer();
    assert_eq!(answer.status, 101);
    assert_eq!(answer.field("upgrade"), Some("websocket"));
    let connection = answer.field("connection").unwrap_or_default();
    assert!(connection.eq_ignore_ascii_case("upgrade"), "{connection}");
    assert_eq!(answer.field("sec-websocket-accept"), Some("x"));
    // What the server said right behind its head.
    assert_eq!(raw.octets(5), b"hello");
    raw
}

#[test]
fn octets_go_through_both_ways() {
    let backend = Backend::start();
    let proxy = Proxy::web(&[&backend]);
    let mut raw = open(&proxy);
    let got = backend.got().pop().unwrap();
    assert_eq!(got.field("upgrade"), Some("WebSocket"));
    assert_eq!(
        got.field("connection")
            .map(str::to_ascii_lowercase)
            .as_deref(),
        Some("upgrade")
    );
    assert_eq!(got.field("sec-websocket-version"), Some("13"));
    for size in [1, 125, 70_000, 1_000_000] {
        // Not HTTP, and no UTF-8.
        let octets: Vec<u8> = (0..size).map(|i| (i * 7) as u8).collect();
        let copy = octets.clone();
        // Beside each other: neither side waits for the other.
        let mut back = Vec::new();
        for part in copy.chunks(50_000) {
            raw.send(part);
            back.extend(raw.octets(part.len()));
        }
        assert_eq!(back, octets);
    }
    drop(raw);
    wait_for("the backend's side ends", Duration::from_secs(10), || {
        (backend.busy() == 0).then_some(())
    });
}

/// What the client sends behind its request without waiting belongs to the other protocol.
#[test]
fn p3_what_follows_the_request_is_not_read_as_http() {
    let backend = Backend::start();
    let proxy = Proxy::web(&[&backend]);
    let mut raw = Raw::connect(proxy.addr("web"));
    raw.send(format!("{HELLO}{}", get("/smuggled")).as_bytes());
    assert_eq!(raw.answer().status, 101);
    assert_eq!(raw.octets(5), b"hello");
    assert_eq!(
        raw.octets(get("/smuggled").len()),
        get("/smuggled").as_bytes()
    );
    assert_eq!(backend.requests(), 1);
}

/// A server that does not want to is heard, and the connection goes on in HTTP.
#[test]
fn a_refusal_is_passed_on_and_what_follows_is_http() {
    let backend = Backend::start();
    let proxy = Proxy::web(&[&backend]);
    let mut raw = Raw::connect(proxy.addr("web"));
    raw.send(HELLO.replace("/ws", "/status/426").as_bytes());
    assert_eq!(raw.answer().status, 426);
    raw.send(get("/after").as_bytes());
    assert_eq!(raw.answer().text(), "ok");
}

/// A connection on which nothing is said for the tunnel's time is ended; others live on, also when the
/// times of HTTP are long over.
#[test]
fn silent_tunnels_end_and_others_do_not() {
    let backend = Backend::start();
    let entry = backend_entry("app", "b0", backend.addr);
    let times = "idle-timeout = \"20s\"\ntunnel-timeout = \"3s\"";
    let config = WEB.replace("idle-timeout = \"20s\"", times);
    let proxy = Proxy::start(&format!("{config}{entry}"));
    let (mut silent, mut lively) = (open(&proxy), open(&proxy));
    // The times of HTTP are shorter.
    for _ in 0..12 {
        lively.send(b"x");
        assert_eq!(lively.octets(1), b"x");
        std::thread::park_timeout(Duration::from_millis(400));
    }
    assert!(silent.is_closed_within(Duration::from_secs(15)));
    lively.send(b"y");
    assert_eq!(lively.octets(1), b"y");
}

/// Many at once, with a reload among them: none is cut.
#[test]
fn p2_a_reload_cuts_no_websocket() {
    let backend = Backend::start();
    let proxy = Proxy::web(&[&backend]);
    let mut all: Vec<Raw> = (0..20).map(|_| open(&proxy)).collect();
    let text = std::fs::read_to_string(proxy.node.file("tradewind.toml")).unwrap();
    let other = text.replace("path-prefixes = [\"/\"]", "path-prefixes = [\"/other\"]");
    assert_ne!(text, other);
    std::fs::write(proxy.node.file("tradewind.toml"), other).unwrap();
    proxy.node.signal("-HUP");
    wait_for(
        "the new routes are in force",
        Duration::from_secs(10),
        || (proxy.get("/x").status == 404).then_some(()),
    );
    for raw in &mut all {
        raw.send(b"still here");
        assert_eq!(raw.octets(10), b"still here");
    }
}

#[test]
fn other_protocols_go_on_only_where_the_listener_says_so() {
    // The backend answers such a wish with the same 101, whatever is asked for.
    let backend = Backend::with(|got, stream| {
        let asked = got.field("upgrade").map(str::to_owned);
        match asked {
            Some(protocol) => {
                let head = format!(
                    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: {protocol}\r\n\
                     Connection: Upgrade\r\n\r\nspoken"
                );
                send(stream, head.as_bytes());
                After::Close
            }
            None => {
                answer(stream, 200, b"plain");
                After::Next
            }
        }
    });
    let wish = b"GET /x HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: Own\r\n\r\n";
    let ask = |proxy: &Proxy| {
        let mut raw = Raw::connect(proxy.addr("web"));
        raw.send(wish);
        raw.answer()
    };
    assert_eq!(ask(&Proxy::web(&[&backend])).text(), "plain");
    let config = web(&[&backend]).replace(
        "[listeners.web]\n",
        "[listeners.web]\nupgrades = [\"own\"]\n",
    );
    assert_eq!(ask(&Proxy::start(&config)).status, 101);
}
