//! Running a proxy: reloads under traffic (P2), draining at the end (P6), logs and metrics.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use crate::support::backend::Backend;
use crate::support::demo::tradewind;
use crate::support::node::folder;
use crate::support::proxy::{Proxy, Raw, WEB, backend_entry, get, head, web};
use crate::support::{http, wait_for};

const PATIENCE: Duration = Duration::from_secs(10);

fn reload(proxy: &Proxy, rest: &str) -> http::Response {
    let text = format!("{}{rest}", head());
    std::fs::write(proxy.node.file("tradewind.toml"), text).unwrap();
    http::request(proxy.node.admin, "POST", "/v1/reload")
}

/// Clients that ask over and over, each on one connection; what they were answered.
struct Clients {
    stop: Arc<AtomicBool>,
    answers: Arc<AtomicUsize>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Clients {
    fn start(addr: SocketAddr, count: usize) -> Clients {
        let stop = Arc::new(AtomicBool::new(false));
        let answers = Arc::new(AtomicUsize::new(0));
        let threads = (0..count).map(|_| {
            let (stop, answers) = (stop.clone(), answers.clone());
            std::thread::spawn(move || {
                let mut raw = Raw::connect(addr);
                while !stop.load(Ordering::Relaxed) {
                    assert!(raw.send(get("/size/100").as_bytes()));
                    let answer = raw.answer();
                    assert_eq!((answer.status, answer.body.len()), (200, 100));
                    answers.fetch_add(1, Ordering::Relaxed);
                }
            })
        });
        Clients {
            threads: threads.collect(),
            stop,
            answers,
        }
    }

    fn answers(&self) -> usize {
        self.answers.load(Ordering::Relaxed)
    }

    fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().unwrap();
        }
    }
}

#[test]
fn p2_reloads_under_load_lose_no_request_and_no_connection() {
    let (one, two) = (Backend::start(), Backend::start());
    let proxy = Proxy::web(&[&one]);
    let clients = Clients::start(proxy.addr("web"), 4);
    for round in 0..10 {
        let before = clients.answers();
        let backend = if round % 2 == 0 { &two } else { &one };
        let extra = "[listeners.extra]\nbind = [\"127.0.0.1:0\"]\n";
        let more = if round % 3 == 0 { extra } else { "" };
        let answer = reload(&proxy, &format!("{}{more}", web(&[backend])));
        assert_eq!(answer.status, 200, "{}", answer.body);
        wait_for("requests go on", PATIENCE, || {
            (clients.answers() > before + 50).then_some(())
        });
    }
    // Which asserts that every request was answered, all on the connection it began with.
    clients.end();
    assert!(one.requests() > 100 && two.requests() > 100);
}

#[test]
fn p2_new_requests_go_to_the_new_backend_once_the_api_has_answered() {
    let (one, two) = (Backend::start(), Backend::start());
    let proxy = Proxy::web(&[&one]);
    let mut kept = Raw::connect(proxy.addr("web"));
    kept.send(get("/one").as_bytes());
    assert_eq!(kept.answer().status, 200);
    assert_eq!(reload(&proxy, &web(&[&two])).status, 200);
    kept.send(get("/two").as_bytes());
    assert_eq!(kept.answer().status, 200);
    assert_eq!((one.requests(), two.requests()), (1, 1));
}

/// Someone else's socket; one that `shares` lets others of its user have the port as well.
fn taken(shares: bool) -> TcpListener {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_reuse_port(shares).unwrap();
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    socket.bind(&any.into()).unwrap();
    socket.listen(1).unwrap();
    socket.into()
}

/// A listener that wants an address, and what is said of one that cannot have it, behind the file's name.
fn extra(before: &str, addr: SocketAddr) -> (String, String) {
    let line = format!("{}{before}", head()).lines().count() + 2;
    let said = format!(
        "tradewind.toml:{line}:9: listener `extra` cannot listen on {addr} (TCP): Address already in use \
         (os error 98); another process has the port (`ss -lntp sport = :{}` says which): stop it, or \
         choose another address or port in `listeners.extra.bind`",
        addr.port()
    );
    (format!("[listeners.extra]\nbind = [\"{addr}\"]\n"), said)
}

#[test]
fn p2_a_port_that_is_taken_refuses_the_reload_and_nothing_changes() {
    let backend = Backend::start();
    let proxy = Proxy::web(&[&backend]);
    for shares in [false, true] {
        let taken = taken(shares);
        let (extra, said) = extra(&web(&[&backend]), taken.local_addr().unwrap());
        let answer = reload(&proxy, &format!("{}{extra}", web(&[&backend])));
        assert_eq!(answer.status, 503, "{}", answer.body);
        assert!(answer.body.contains(&said), "{}\n{said}", answer.body);
        proxy.node.wait_logged(&said);
        proxy.assert_serves();
    }
}

#[test]
fn a_port_that_is_taken_ends_the_start_with_the_place_that_wants_it() {
    for shares in [false, true] {
        let taken = taken(shares);
        let (extra, said) = extra("", taken.local_addr().unwrap());
        let dir = folder(&format!("{}{extra}", head()));
        let out = tradewind()
            .args(["run", "--node", "n1", "--config"])
            .arg(dir.path())
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), Some(1), "{told}");
        assert!(told.contains(&said), "{told}\n{said}");
    }
}

#[test]
fn p2_a_listener_that_a_reload_renames_keeps_what_waits_in_its_sockets() {
    let backend = Backend::start();
    let addr = taken(false).local_addr().unwrap();
    let named = |name: &str| {
        web(&[&backend])
            .replace("127.0.0.1:0", &addr.to_string())
            .replace("listeners.web", &format!("listeners.{name}"))
    };
    let proxy = Proxy::start(&named("web"));
    let stop = AtomicBool::new(false);
    let answers = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let mut raw = Raw::connect(addr);
                    assert!(raw.send(get("/size/100").as_bytes()));
                    assert_eq!(raw.answer().status, 200);
                    answers.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for round in 0..20 {
            let before = answers.load(Ordering::Relaxed);
            let name = if round % 2 == 0 { "other" } else { "web" };
            let answer = reload(&proxy, &named(name));
            assert_eq!(answer.status, 200, "{}", answer.body);
            wait_for("requests go on", PATIENCE, || {
                (answers.load(Ordering::Relaxed) > before + 10).then_some(())
            });
        }
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn p2_a_connection_that_begins_during_a_reload_is_one_of_its_own_listener() {
    let backend = Backend::start();
    let first = "[listeners.first]\nbind = [\"127.0.0.1:0\"]\n";
    let behind = "proxy-protocol = { from = [\"127.0.0.1/32\"], timeout = \"20s\" }\nmax-head";
    let rest = web(&[&backend]).replacen("max-head", behind, 1);
    let proxy = Proxy::start(&format!("{first}{rest}"));
    let (said, request) = ("PROXY TCP4 192.0.2.1 192.0.2.2 1000 80\r\n", get("/one"));
    let mut raw = Raw::connect(proxy.addr("web"));
    assert!(raw.send(&said.as_bytes()[..20]));
    wait_for("it is accepted", PATIENCE, || {
        let open = "tradewind_proxy_connections_open";
        (proxy.node.metric(open) == 1).then_some(())
    });
    // The one before it is gone: all that come after have other places in the plan.
    assert_eq!(reload(&proxy, &rest).status, 200);
    assert!(raw.send(&said.as_bytes()[20..]));
    assert!(raw.send(request.as_bytes()));
    assert_eq!(raw.answer().status, 200);
}

#[test]
fn p2_a_reload_that_fails_for_want_of_keys_leaves_the_proxy_as_it_was() {
    let (one, two) = (Backend::start(), Backend::start());
    let proxy = Proxy::web(&[&one]);
    let text = format!("{}{}", head(), web(&[&two]))
        .replace("roles =", "state-dir = \"state\"\nroles =")
        .replace("gslb.test.zone\"", "gslb.test.zone\"\ndnssec = \"default\"");
    std::fs::write(proxy.node.file("tradewind.toml"), text).unwrap();
    let answer = http::request(proxy.node.admin, "POST", "/v1/reload");
    assert_eq!(answer.status, 503, "{}", answer.body);
    assert!(answer.body.contains("no `state-dir`"), "{}", answer.body);
    proxy.assert_serves();
    assert_eq!((one.requests(), two.requests()), (1, 0));
    let events = http::get(proxy.node.admin, "/v1/events").body;
    assert!(events.contains("configuration refused"), "{events}");
}

#[test]
fn p2_listeners_come_and_go_with_a_reload() {
    let backend = Backend::start();
    let proxy = Proxy::web(&[&backend]);
    // A port that nobody has, as far as one can know.
    let addr = {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        free.local_addr().unwrap()
    };
    let extra = format!("[listeners.extra]\nbind = [\"{addr}\"]\n");
    assert_eq!(
        reload(&proxy, &format!("{}{extra}", web(&[&backend]))).status,
        200
    );
    let mut raw = Raw::connect(addr);
    raw.send(get("/extra").as_bytes());
    assert_eq!(raw.answer().status, 200);
    assert_eq!(reload(&proxy, &web(&[&backend])).status, 200);
    wait_for("the listener is gone", PATIENCE, || {
        TcpStream::connect(addr).is_err().then_some(())
    });
    // Who was connected is answered once more, and told that it was the last time.
    raw.send(get("/last").as_bytes());
    let last = raw.answer();
    assert_eq!(last.status, 200);
    assert_eq!(last.field("connection"), Some("close"));
    proxy.assert_serves();
}

#[test]
fn p2_a_websocket_survives_reloads_that_change_everything_else() {
    let (one, two) = (Backend::start(), Backend::start());
    let proxy = Proxy::web(&[&one]);
    let mut raw = Raw::connect(proxy.addr("web"));
    raw.send(
        b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
          Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    assert_eq!(raw.answer().status, 101);
    assert_eq!(raw.octets(5), b"hello");
    for _ in 0..3 {
        assert_eq!(reload(&proxy, &web(&[&two])).status, 200);
        raw.send(b"still there");
        assert_eq!(raw.octets(11), b"still there");
    }
}

#[test]
fn p6_a_proxy_that_is_stopped_finishes_what_is_under_way() {
    let backend = Backend::start();
    let proxy = Proxy::web(&[&backend]);
    let (mut idle, mut busy) = (
        Raw::connect(proxy.addr("web")),
        Raw::connect(proxy.addr("web")),
    );
    idle.send(get("/idle").as_bytes());
    assert_eq!(idle.answer().status, 200);
    busy.send(get("/delay/3000").as_bytes());
    wait_for("the backend has it", PATIENCE, || {
        (backend.busy() == 1).then_some(())
    });
    proxy.node.signal("-TERM");
    // At once, not when it has idled for long enough.
    assert!(idle.is_closed_within(Duration::from_secs(2)));
    let answer = busy.answer();
    assert_eq!((answer.status, answer.text()), (200, "late".to_owned()));
    assert_eq!(answer.field("connection"), Some("close"));
    wait_for("the process ends", PATIENCE, || {
        proxy.node.logged("stopping").then_some(())
    });
}

#[test]
fn p6_the_drain_timeout_bounds_the_end() {
    let backend = Backend::start();
    let rest = format!(
        "[nodes.n1.proxy]\ndrain-timeout = \"300ms\"\n{}",
        web(&[&backend])
    );
    let proxy = Proxy::start(&rest);
    let mut raw = Raw::connect(proxy.addr("web"));
    raw.send(
        b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
          Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    assert_eq!(raw.answer().status, 101);
    proxy.node.signal("-TERM");
    assert!(raw.is_closed_within(Duration::from_secs(5)));
    proxy.node.wait_logged("the drain timeout is over");
}

fn log_lines(proxy: &Proxy, file: &str, count: usize) -> Vec<String> {
    let path = proxy.node.file(file);
    wait_for(&format!("{count} lines in {file}"), PATIENCE, || {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        (lines.len() >= count).then_some(lines)
    })
}

fn with_log(backend: &Backend, log: &str) -> String {
    let listener = "bind = [\"127.0.0.1:0\"]";
    assert!(WEB.contains(listener));
    let text = WEB.replace(listener, &format!("{listener}\naccess-log = {log}"));
    format!("{text}{}", backend_entry("app", "b0", backend.addr))
}

#[test]
fn an_exchange_is_a_line_of_json_with_its_phases() {
    let backend = Backend::start();
    let proxy = Proxy::start(&with_log(&backend, r#"{ to = "access.log" }"#));
    let mut raw = Raw::connect(proxy.addr("web"));
    raw.send(
        b"POST /echo?a=1 HTTP/1.1\r\nHost: www.example\r\nUser-Agent: te\"st\r\n\
          Content-Length: 5\r\n\r\nhello",
    );
    assert_eq!(raw.answer().status, 200);
    assert_eq!(proxy.get("/close").status, 502);
    let lines = log_lines(&proxy, "access.log", 2);
    let line: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
    for (key, value) in [
        ("client", "127.0.0.1"),
        ("listener", "web"),
        ("method", "POST"),
        ("host", "www.example"),
        ("target", "/echo?a=1"),
        ("version", "HTTP/1.1"),
        ("user-agent", "te\"st"),
        ("route", "all"),
        ("upstream", "app"),
        ("backend", "b0"),
    ] {
        assert_eq!(line[key], value, "{key} in {line}");
    }
    assert_eq!(line["status"], 200);
    assert_eq!(line["bytes-in"], 5);
    assert!(line["bytes-out"].as_u64().unwrap() > 20);
    let us = |key: &str| {
        line[key]
            .as_u64()
            .unwrap_or_else(|| panic!("{key} in {line}"))
    };
    assert!(us("queue-us") + us("first-byte-us") <= us("total-us"));
    // P1: what went wrong is named.
    let line: serde_json::Value = serde_json::from_str(&lines[1]).unwrap();
    assert_eq!(line["status"], 502);
    assert_eq!(line["failure"], "backend-closed");
}

#[test]
fn combined_lines_are_sampled_and_failures_never_are() {
    let backend = Backend::start();
    let log = r#"{ to = "access.log", format = "combined", sample = "0%" }"#;
    let proxy = Proxy::start(&with_log(&backend, log));
    for _ in 0..5 {
        assert_eq!(proxy.get("/fine").status, 200);
    }
    assert_eq!(proxy.get("/close").status, 502);
    let lines = log_lines(&proxy, "access.log", 1);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].starts_with("127.0.0.1 - - ["), "{}", lines[0]);
    assert!(
        lines[0].contains("] \"GET /close HTTP/1.1\" 502 "),
        "{}",
        lines[0]
    );
    // A file that was moved away is made anew.
    let path = proxy.node.file("access.log");
    std::fs::rename(&path, proxy.node.file("access.log.1")).unwrap();
    assert_eq!(proxy.get("/close").status, 502);
    assert_eq!(log_lines(&proxy, "access.log", 1).len(), 1);
}

#[test]
fn metrics_count_by_listener_route_and_backend() {
    let backend = Backend::start();
    let proxy = Proxy::web(&[&backend]);
    for path in ["/size/100", "/size/100", "/status/404", "/close"] {
        proxy.get(path);
    }
    let last = "tradewind_proxy_listener_requests_total{listener=\"web\",class=\"5xx\"} 1";
    // An exchange is counted once its last octet is out, which the client may see first.
    let page = wait_for("the last one is counted", PATIENCE, || {
        let page = http::get(proxy.node.admin, "/metrics").body;
        page.contains(last).then_some(page)
    });
    for line in [
        "tradewind_proxy_listener_requests_total{listener=\"web\",class=\"2xx\"} 2",
        "tradewind_proxy_listener_requests_total{listener=\"web\",class=\"4xx\"} 1",
        "tradewind_proxy_listener_requests_total{listener=\"web\",class=\"5xx\"} 1",
        "tradewind_proxy_route_requests_total{route=\"all\",class=\"2xx\"} 2",
        "tradewind_proxy_backend_requests_total{upstream=\"app\",backend=\"b0\",class=\"2xx\"} 2",
        "tradewind_proxy_backend_failures_total{upstream=\"app\",backend=\"b0\"} 1",
        "tradewind_proxy_listener_duration_seconds_count{listener=\"web\"} 4",
        "tradewind_proxy_backend_up{upstream=\"app\",backend=\"b0\"} 1",
        "tradewind_proxy_backend_in_flight{upstream=\"app\",backend=\"b0\"} 0",
        "tradewind_proxy_upstream_backends_used{upstream=\"app\"} 1",
        "tradewind_proxy_upstream_queue_refused_total{upstream=\"app\"} 0",
    ] {
        assert!(page.contains(line), "{line} in\n{page}");
    }
    assert!(proxy.node.metric("tradewind_proxy_requests_total") >= 4);
}

#[test]
fn a_client_that_leaves_ends_its_request_at_the_backend() {
    let backend = Backend::start();
    let proxy = Proxy::start(&with_log(&backend, r#"{ to = "access.log" }"#));
    let mut raw = Raw::connect(proxy.addr("web"));
    raw.send(get("/silent").as_bytes());
    wait_for("the backend has it", PATIENCE, || {
        (backend.busy() == 1).then_some(())
    });
    drop(raw);
    let lines = log_lines(&proxy, "access.log", 1);
    let line: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
    assert_eq!(
        (&line["status"], &line["end"]),
        (&499.into(), &"client-gone".into())
    );
    proxy.assert_serves();
}
