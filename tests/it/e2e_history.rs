//! What happened, and what was so: events as pages and as a stream, and explanations as of another time, on
//! the real binary.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::Duration;

use hickory_proto::rr::RecordType;
use serde_json::Value;

use crate::support::demo::tradewind;
use crate::support::node::{HEAD, Node, folder};
use crate::support::{dns, http, wait_for};

const BOUND: Duration = Duration::from_secs(20);

fn world(port: u16) -> String {
    let head = HEAD.replace("roles =", "state-dir = \"state\"\nroles =");
    format!(
        r#"{head}
[regions.us]
latitude = 39.0
longitude = -77.5

[monitors.m]
interval = "100ms"
timeout = "90ms"
rise = 1
fall = 1
tcp = {{}}

[health]
brake = "off"
discount-suspect-monitors = false

[pools.eu]
region = "eu"
monitor = "m"
endpoints = [{{ name = "eu-1", address = "127.0.0.1", port = {port} }}]

[pools.us]
region = "us"
endpoints = [{{ name = "us-1", address = "192.0.2.2" }}]

[policies.first]
stages = [{{ failover = {{}} }}, {{ weighted = {{}} }}]

[names."www.gslb.test"]
pools = ["eu", "us"]
policy = "first"
ttl = {{ min = "5s", max = "60s" }}
"#
    )
}

fn origin() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

fn dig(node: &Node) -> String {
    let m = dns::udp(node.dns, &dns::query("www.gslb.test", RecordType::A, None));
    dns::addresses(&m)[0].to_string()
}

fn wait_answer(node: &Node, address: &str) {
    wait_for(address, BOUND, || (dig(node) == address).then_some(()));
}

fn events(node: &Node, query: &str) -> Vec<Value> {
    let answer = http::get(node.admin, &format!("/v1/events?{query}"));
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()["events"].as_array().unwrap().clone()
}

/// The address and the whole of an explanation as of a time.
fn explained(node: &Node, at: &str) -> (String, Value) {
    let path = format!("/v1/explain?name=www.gslb.test&client=192.0.2.9&at={at}");
    let json = wait_for("an explanation", BOUND, || {
        let answer = http::get(node.admin, &path);
        (answer.status == 200).then(|| answer.json())
    });
    let address = json["answer"][0]["address"].as_str().unwrap().to_owned();
    (address, json)
}

/// A time between now and what comes, as the node tells it.
fn now(node: &Node) -> String {
    std::thread::park_timeout(Duration::from_millis(30));
    let refused = http::get(node.admin, "/v1/events?since=soon").json();
    std::thread::park_timeout(Duration::from_millis(30));
    let detail = refused["detail"].as_str().unwrap();
    let word = detail.split("write it as ").nth(1).unwrap();
    word.split(' ').next().unwrap().to_owned()
}

/// Reads a stream of events line by line.
fn stream(admin: SocketAddr, query: &str, last: Option<u64>) -> mpsc::Receiver<String> {
    let mut socket = TcpStream::connect(admin).unwrap();
    let id = last.map_or_else(String::new, |n| format!("Last-Event-ID: {n}\r\n"));
    write!(
        socket,
        "GET /v1/events?{query} HTTP/1.1\r\nHost: {admin}\r\nAccept: text/event-stream\r\n{id}\r\n"
    )
    .unwrap();
    let (to, lines) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(socket).lines().map_while(Result::ok) {
            if to.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

/// The next event of this kind, as JSON.
fn heard(lines: &mpsc::Receiver<String>, kind: &str) -> Value {
    let mut of_kind = false;
    loop {
        let line = lines
            .recv_timeout(BOUND)
            .unwrap_or_else(|e| panic!("no {kind}: {e}"));
        if let Some(event) = line.strip_prefix("event: ") {
            of_kind = event == kind;
        }
        if let (true, Some(data)) = (of_kind, line.strip_prefix("data: ")) {
            return serde_json::from_str(data).unwrap();
        }
    }
}

#[test]
fn o1_a_failover_is_told_as_it_happens_and_explained_as_it_was_also_after_a_restart() {
    let (listener, port) = origin();
    let mut node = Node::start_in(folder(&world(port)));
    wait_answer(&node, "127.0.0.1");
    let lines = stream(node.admin, "kind=verdict", None);
    heard(&lines, "hello");
    let before = now(&node);

    drop(listener);
    let down = heard(&lines, "verdict");
    assert_eq!(down["subject"], "eu-1");
    assert_eq!(down["details"]["from"], "up");
    assert_eq!(down["details"]["to"], "down");
    assert_eq!(down["level"], "warning");
    wait_answer(&node, "192.0.2.2");
    let during = now(&node);
    heard(&lines, "generation");

    // The same number, text and time as a page.
    let page = events(&node, "kind=verdict&subject=eu-1&limit=1");
    assert_eq!(page[0], down);
    // Whoever was away hears it again.
    let again = stream(node.admin, "", Some(down["number"].as_u64().unwrap() - 1));
    assert_eq!(heard(&again, "verdict"), down);

    let (address, json) = explained(&node, &before);
    assert_eq!(address, "127.0.0.1");
    assert_eq!(json["based-on"]["missing"], Value::Array(Vec::new()));
    let (address, json) = explained(&node, &during);
    assert_eq!(address, "192.0.2.2");
    assert!(
        json["based-on"]["event"].as_u64() >= down["number"].as_u64(),
        "{json}"
    );

    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    wait_answer(&node, "127.0.0.1");
    node.crash_and_restart();
    wait_answer(&node, "127.0.0.1");
    assert_eq!(explained(&node, &before).0, "127.0.0.1");
    assert_eq!(explained(&node, &during).0, "192.0.2.2");
    let page = events(&node, "kind=verdict&subject=eu-1&limit=1000");
    assert!(page.contains(&down), "{page:?}");
    let history = http::get(node.admin, "/v1/endpoints/eu-1/history").json();
    let states: Vec<_> = history["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| &c["state"])
        .collect();
    assert!(states.contains(&&Value::from("down")), "{history}");
    // For longer than this process has run, with the time in which there was none.
    for path in [
        "/v1/endpoints/eu-1/history?since=-1h",
        "/v1/votes/history?since=-1h&q=EU-1",
    ] {
        let history = wait_for("the restart is recorded", BOUND, || {
            let history = http::get(node.admin, path).json();
            (history["gaps"].as_array()?.len() == 1).then_some(history)
        });
        assert_eq!(history["partial"], Value::Null, "{history}");
        let of = &history["endpoints"][0]["changes"];
        let changes = history["changes"].as_array().or(of.as_array()).unwrap();
        let states = changes.iter().map(|c| c["state"].as_str().unwrap());
        let states: Vec<_> = states.filter(|s| ["up", "down"].contains(s)).collect();
        assert!(states.ends_with(&["up", "down", "up"]), "{history}");
        let begins = history["begins"].as_str().unwrap();
        assert!(begins < history["gaps"][0]["from"].as_str().unwrap());
    }

    // On the command line.
    let said = |args: &[&str]| {
        let server = format!("http://{}", node.admin);
        let out = tradewind()
            .args(args)
            .args(["--server", &server])
            .output()
            .unwrap();
        let (text, errors) = (out.stdout, out.stderr);
        assert!(
            out.status.success(),
            "{args:?}: {}",
            String::from_utf8_lossy(&errors)
        );
        String::from_utf8(text).unwrap()
    };
    let text = said(&[
        "explain",
        "www.gslb.test",
        "--client",
        "192.0.2.9",
        "--at",
        &during,
    ]);
    assert!(
        text.starts_with("As of ") && text.contains("us-1"),
        "{text}"
    );
    let text = said(&["events", "--since", "1h", "--kind", "verdict"]);
    assert!(text.contains("endpoint eu-1 was up and is down"), "{text}");
    drop(listener);
}

#[test]
fn o1_another_configuration_and_orders_of_then_are_explained_as_they_were() {
    let (_listener, port) = origin();
    let node = Node::start_in(folder(&world(port)));
    wait_answer(&node, "127.0.0.1");
    let before = now(&node);
    let give = |args: &[&str]| {
        let server = format!("http://{}", node.admin);
        let mut command = tradewind();
        command.args(args).args(["--server", &server]);
        assert!(command.output().unwrap().status.success());
    };
    give(&[
        "drain",
        "region",
        "eu",
        "--reason",
        "secret plan",
        "--owner",
        "alice",
    ]);
    wait_answer(&node, "192.0.2.2");
    let drained = now(&node);
    give(&[
        "clear", "region", "eu", "--reason", "over", "--owner", "alice",
    ]);
    wait_answer(&node, "127.0.0.1");

    let other = world(port)
        .replace("192.0.2.2", "192.0.2.77")
        .replace("[\"eu\", \"us\"]", "[\"us\"]");
    std::fs::write(node.file("tradewind.toml"), other).unwrap();
    assert_eq!(http::request(node.admin, "POST", "/v1/reload").status, 200);
    wait_answer(&node, "192.0.2.77");
    let after = now(&node);

    assert_eq!(explained(&node, &before).0, "127.0.0.1");
    let (address, json) = explained(&node, &drained);
    assert_eq!(address, "192.0.2.2");
    assert_eq!(json["overridden"], true);
    let (address, now) = explained(&node, &after);
    assert_eq!(address, "192.0.2.77");
    assert_ne!(json["based-on"]["config"], now["based-on"]["config"]);

    std::fs::write(node.file("tradewind.toml"), "version = 9").unwrap();
    assert_eq!(http::request(node.admin, "POST", "/v1/reload").status, 422);
    let config = events(&node, "kind=config");
    assert_eq!(config[0]["details"]["step"], "refused");
    assert_eq!(config[1]["details"]["step"], "adopted");
    let orders = events(&node, "kind=order");
    assert!(
        orders
            .iter()
            .any(|e| e["text"].as_str().unwrap().contains("drain of region eu"))
    );
}

#[test]
fn s1_wrong_parameters_are_named_and_times_without_record_are_refused() {
    let (_listener, port) = origin();
    let node = Node::start_in(folder(&world(port)));
    for (query, parameter) in [
        ("since=soon", "since"),
        ("until=2026-02-30T00:00:00Z", "until"),
        ("kind=weather", "kind"),
        ("level=loud", "level"),
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("before=0", "before"),
        ("limit=x", "limit"),
        ("colour=red", "colour"),
    ] {
        let answer = http::get(node.admin, &format!("/v1/events?{query}"));
        assert_eq!(answer.status, 400, "{query}");
        assert_eq!(answer.json()["parameter"], parameter, "{query}");
    }
    for (at, status) in [("-1d", 404), ("2999-01-01T00:00:00Z", 400), ("x", 400)] {
        let path = format!("/v1/explain?name=www.gslb.test&client=192.0.2.9&at={at}");
        let answer = http::get(node.admin, &path);
        assert_eq!(answer.status, status, "{at}: {}", answer.body);
    }
    assert_eq!(
        http::get(node.admin, "/v1/endpoints/eu-2/history").status,
        404
    );
    assert_eq!(
        http::get(node.admin, "/v1/endpoints/eu-1/history?limit=0").status,
        400
    );
    for (query, status, parameter) in [
        ("since=soon", 400, "since"),
        ("since=2999-01-01T00:00:00Z", 400, "since"),
        ("limit=0", 400, "limit"),
        ("limit=101", 400, "limit"),
        ("pool=ue", 404, "pool"),
        ("colour=red", 400, "colour"),
    ] {
        let answer = http::get(node.admin, &format!("/v1/votes/history?{query}"));
        assert_eq!(answer.status, status, "{query}: {}", answer.body);
        assert_eq!(answer.json()["parameter"], parameter, "{query}");
    }
}

#[test]
fn a_stream_ends_with_the_process_and_says_so() {
    let (_listener, port) = origin();
    let node = Node::start_in(folder(&world(port)));
    let lines = stream(node.admin, "", None);
    heard(&lines, "hello");
    node.signal("-TERM");
    let detail = heard(&lines, "closing");
    assert!(
        detail["detail"].as_str().unwrap().contains("connect again"),
        "{detail}"
    );
}

#[test]
fn f4_a_history_that_cannot_be_written_stops_no_answer() {
    let (listener, port) = origin();
    let dir = folder(&world(port));
    // A folder where the file should be: nothing can be opened there.
    std::fs::create_dir_all(dir.path().join("state/history.redb")).unwrap();
    let node = Node::start_in(dir);
    wait_answer(&node, "127.0.0.1");
    drop(listener);
    wait_answer(&node, "192.0.2.2");
    let path = "/v1/explain?name=www.gslb.test&client=192.0.2.9&at=-0s";
    let answer = http::get(node.admin, path);
    assert_eq!(answer.status, 503, "{}", answer.body);
    assert!(
        answer.body.contains("the history cannot be read"),
        "{}",
        answer.body
    );
    // How verdicts changed is told of memory, and that something is missing.
    let history = http::get(node.admin, "/v1/votes/history?since=-1h").json();
    let why = history["partial"].as_str().unwrap();
    assert!(why.contains("is not to be had"), "{history}");
    let endpoints = history["endpoints"].as_array().unwrap();
    let eu = endpoints.iter().find(|e| e["endpoint"] == "eu-1").unwrap();
    assert_eq!(eu["changes"][0]["state"], "down", "{history}");
    // What happens is told all the same, and that something is missing.
    let page = http::get(node.admin, "/v1/events").json();
    assert!(page["partial"].is_string(), "{page}");
    let told = page["events"].as_array().unwrap();
    assert!(told.iter().any(|e| e["subject"] == "eu-1"), "{page}");
    let metrics = http::get(node.admin, "/metrics").body;
    assert!(
        metrics.contains("tradewind_history_recording 0"),
        "{metrics}"
    );
}
