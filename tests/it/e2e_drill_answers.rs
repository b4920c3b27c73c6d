//! What drills tell of DNS answers, what they demand of capacity by traffic, how they are shown among
//! orders, and changes bound to a tag, on the real binary (requirements O2, O11).

use std::net::{SocketAddr, UdpSocket};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use hickory_proto::rr::RecordType;
use serde_json::Value;

use crate::support::demo::tradewind;
use crate::support::node::{HEAD, Node, folder};
use crate::support::{dns, http, wait_for};

/// Two regions, all clients in the first; of weight `eu` and `us`.
fn world(eu: u32, us: u32) -> String {
    format!(
        r#"
[regions.us]
latitude = 39.0
longitude = -77.5

[pools.eu]
region = "eu"
endpoints = [{{ name = "eu-1", address = "192.0.2.1", weight = {eu} }}]

[pools.us]
region = "us"
endpoints = [{{ name = "us-1", address = "192.0.2.2", weight = {us} }}]

[policies.first]
stages = [{{ failover = {{}} }}, {{ weighted = {{}} }}]

[names."www.gslb.test"]
pools = ["eu", "us"]
policy = "first"
ttl = {{ min = "5s", max = "60s" }}
"#
    )
}

fn start(world: &str) -> Node {
    let head = HEAD.replace("roles =", "state-dir = \"state\"\nroles =");
    Node::start_in(folder(&format!("{head}{world}")))
}

/// What a command printed that ended with this code.
fn told(node: &Node, args: &[&str], code: i32) -> String {
    let out = tradewind()
        .args(args)
        .args(["--server", &format!("http://{}", node.admin)])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned();
    assert_eq!(out.status.code(), Some(code), "{args:?}: {text}");
    text
}

fn begin(node: &Node, args: &[&str]) -> String {
    let args = [args, &["--json", "--no-watch"]].concat();
    let json: Value = serde_json::from_str(&told(node, &args, 0)).unwrap();
    json["id"].as_str().unwrap().to_owned()
}

fn drill(node: &Node, id: &str) -> Value {
    http::get(node.admin, &format!("/v1/drills/{id}")).json()
}

fn reported(node: &Node, id: &str) -> Value {
    wait_for("the drill is reported", Duration::from_secs(60), || {
        let json = drill(node, id);
        (json["state"] == "reported").then_some(json)
    })
}

/// Sends a query and takes whatever comes, or nothing: what counts is that it was asked.
fn send(socket: &UdpSocket, server: SocketAddr, packet: &[u8]) {
    let mut buffer = [0; 1500];
    drop(socket.send_to(packet, server));
    drop(socket.recv_from(&mut buffer));
}

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let most = Some(Duration::from_secs(1));
    socket.set_read_timeout(most).unwrap();
    socket
}

/// Asks on and on for clients of a network, until it is stopped.
struct Asking(Arc<AtomicBool>, Option<JoinHandle<()>>);

impl Asking {
    fn of(server: SocketAddr, subnet: &'static str) -> Asking {
        let stop = Arc::new(AtomicBool::new(false));
        let seen = stop.clone();
        let thread = std::thread::spawn(move || {
            let socket = socket();
            let packet = dns::query("www.gslb.test", RecordType::A, Some(subnet));
            while !seen.load(Ordering::Relaxed) {
                send(&socket, server, &packet);
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        Asking(stop, Some(thread))
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        drop(self.1.take().map(JoinHandle::join));
    }
}

/// How often clients were seen to be sent anywhere.
fn seen(node: &Node) -> f64 {
    let flows = http::get(node.admin, "/v1/flows?window=1h").json();
    let all = flows.as_array().unwrap().iter();
    all.filter_map(|f| f["queries"].as_f64()).sum()
}

fn share(json: &Value, region: &str, when: &str) -> Option<f64> {
    let mut all = json["answers"]["regions"].as_array().unwrap().iter();
    all.find(|r| r["region"] == region)?[when].as_f64()
}

#[test]
fn the_report_tells_where_answers_went_before_during_and_after() {
    let node = start(&world(1, 1));
    let asking = Asking::of(node.dns, "198.51.100.0/24");
    wait_for("enough was asked", Duration::from_secs(60), || {
        (seen(&node) >= 100.0).then_some(())
    });
    let id = begin(&node, &["drill", "fail", "region", "eu", "--for", "8s"]);
    let json = reported(&node, &id);
    drop(asking);
    assert_eq!(json["ended"], "finished", "{json}");
    let at = |region, when| share(&json, region, when).unwrap_or_else(|| panic!("{json}"));
    assert_eq!(at("eu", "before"), 1.0, "{json}");
    assert!(at("us", "during") > 0.8, "{json}");
    assert!(at("eu", "after") > 0.5, "{json}");
    let answers = &json["answers"];
    for moved in ["p50_ms", "p90_ms", "p99_ms"] {
        assert!(answers["away"][moved].as_u64().is_some(), "{moved}: {json}");
    }
    assert!(answers["back"]["p50_ms"].as_u64().is_some(), "{json}");
    assert!(answers["samples"]["before"].as_u64() >= Some(20), "{json}");
    assert_eq!(answers["nodes"][0], "n1");
    let page = told(&node, &["drill", "report", &id], 0);
    for part in [
        "## DNS answers",
        "| eu | 100.0 % |",
        "99 % of DNS answers",
        "| Moved away after |",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let shown = told(&node, &["drill", "show", &id], 0);
    for part in [
        "DNS answers to eu: 100.0 % before",
        "DNS answers moved away: 50 % ",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
}

#[test]
fn a_canary_counts_its_clients_and_where_nobody_asks_that_is_said() {
    let node = start(&world(1, 1));
    let asking = Asking::of(node.dns, "198.51.100.0/24");
    let others = Asking::of(node.dns, "203.0.113.0/24");
    wait_for("enough was asked", Duration::from_secs(60), || {
        (seen(&node) >= 200.0).then_some(())
    });
    let canary = [
        "drill",
        "fail",
        "region",
        "eu",
        "--for",
        "4s",
        "--canary",
        "198.51.100.0/24",
    ];
    let id = begin(&node, &canary);
    let json = reported(&node, &id);
    drop((asking, others));
    // The clients of the other network stay, and are not counted.
    assert!(share(&json, "us", "during") > Some(0.7), "{json}");
    assert_eq!(share(&json, "eu", "before"), Some(1.0), "{json}");

    let silent = [
        "drill",
        "fail",
        "region",
        "eu",
        "--for",
        "2s",
        "--canary",
        "192.0.2.0/24",
    ];
    let id = begin(&node, &silent);
    let json = reported(&node, &id);
    assert_eq!(
        json["answers"]["regions"],
        Value::Array(Vec::new()),
        "{json}"
    );
    assert_eq!(
        json["answers"]["why_not"],
        "no node saw a query from who is concerned"
    );
    let page = told(&node, &["drill", "report", &id], 0);
    assert!(
        page.contains("No node saw a query for these names"),
        "{page}"
    );
}

#[test]
fn o2_without_a_demand_traffic_says_how_much_capacity_must_remain() {
    // What takes over is of a tenth of the weight.
    let node = start(&world(9, 1));
    let packet = dns::query("www.gslb.test", RecordType::A, Some("198.51.100.0/24"));
    let socket = socket();
    // Few queries measure nothing, and that is said.
    let id = begin(&node, &["drill", "fail", "region", "eu", "--for", "1s"]);
    let json = drill(&node, &id);
    let said = |json: &Value| {
        let checks = json["checks"].as_array().unwrap().iter();
        let mut rules = checks.filter(|c| c["rule"] == "region-and-capacity");
        rules.next().unwrap()["text"].as_str().unwrap().to_owned()
    };
    assert!(
        said(&json).contains("nothing is demanded: no proxy of region eu reports"),
        "{json}"
    );
    assert!(said(&json).contains("of 1000 samples of queries"), "{json}");
    assert_eq!(json["measured"], Value::Null);
    reported(&node, &id);

    wait_for(
        "a thousand queries were seen",
        Duration::from_secs(120),
        || {
            (0..50).for_each(|_| send(&socket, node.dns, &packet));
            // Of a burst not every query is a sample.
            (seen(&node) >= 5000.0).then_some(())
        },
    );
    let args = ["drill", "fail", "region", "eu", "--for", "2s"];
    let refused = told(&node, &args, 1);
    for part in [
        "10 % of the capacity of name www.gslb.test would serve, ",
        "% is demanded",
        "as flows measure",
        "headroom -",
    ] {
        assert!(refused.contains(part), "{part}: {refused}");
    }
    // Who knows better says so, and that is what is told.
    let id = begin(&node, &[&args[..], &["--demand", "10%"]].concat());
    let json = drill(&node, &id);
    assert_eq!(json["demand"], 10, "{json}");
    assert!(
        said(&json).contains("10 % is demanded, as was said"),
        "{json}"
    );
    reported(&node, &id);
    // Production does not move under a label: nothing is demanded.
    let id = begin(&node, &[&args[..], &["--label"]].concat());
    let json = reported(&node, &id);
    assert!(said(&json).contains("only a few clients move"), "{json}");
    assert_eq!(
        json["answers"]["why_not"],
        "only who asks for the label is concerned"
    );
    // The other way round there is room, and how much is told.
    let id = begin(&node, &["drill", "fail", "region", "us", "--for", "2s"]);
    let json = drill(&node, &id);
    assert_eq!(json["measured"]["by"], "flows", "{json}");
    assert!(said(&json).contains("headroom +"), "{json}");
}

#[test]
fn the_order_of_a_drill_is_shown_as_such_everywhere() {
    let node = start(&world(1, 1));
    told(
        &node,
        &["weight", "endpoint", "us-1", "5", "--reason", "x"],
        0,
    );
    let canary = [
        "drill",
        "fail",
        "region",
        "eu",
        "--for",
        "1m",
        "--canary",
        "198.51.100.0/24",
    ];
    let id = begin(&node, &canary);
    let orders = http::get(node.admin, "/v1/overrides").json();
    let orders = orders["overrides"].as_array().unwrap().clone();
    let of = |kind: &str| orders.iter().find(|o| o["kind"] == kind).unwrap();
    let mine = &of("drill-fail")["drill"];
    assert_eq!(
        (&mine["id"], &mine["reach"]),
        (&Value::from(&*id), &"canary".into())
    );
    assert_eq!(mine["canary"], "198.51.100.0/24");
    assert_eq!(of("weight")["drill"], Value::Null);
    let text = told(&node, &["overrides"], 0);
    assert!(
        text.contains(&format!(
            "drill {id}: only clients in 198.51.100.0/24 are concerned"
        )),
        "{text}"
    );
    let status = http::get(node.admin, "/v1/status").json();
    assert_eq!(
        (&status["overrides"], &status["drill_orders"]),
        (&2.into(), &1.into())
    );
    let warned = status["warnings"].to_string();
    assert!(
        warned.contains(&format!("drill {id} is under way: drill-fail of region eu")),
        "{warned}"
    );
    assert!(told(&node, &["status"], 0).contains("1 of drills"));
    let explain = |client: &str| {
        let path = format!("/v1/explain?name=www.gslb.test&type=A&client={client}");
        http::get(node.admin, &path).json()
    };
    let inside = explain("198.51.100.7/32");
    let orders = inside["overrides"].as_array().unwrap();
    assert!(
        orders
            .iter()
            .any(|o| o["drill"]["id"] == *id && o["drill"]["reach"] == "canary"),
        "{inside}"
    );
    let outside = explain("203.0.113.7/32");
    let orders = outside["overrides"].as_array().unwrap();
    assert!(orders.iter().all(|o| o["drill"].is_null()), "{outside}");
}

fn curl(args: &[&str]) -> String {
    let out = Command::new("curl")
        .args(["-si"])
        .args(args)
        .output()
        .unwrap();
    String::from_utf8(out.stdout).unwrap()
}

fn field<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    answer.lines().find_map(|l| {
        let (n, value) = l.split_once(": ")?;
        n.eq_ignore_ascii_case(name).then_some(value.trim())
    })
}

#[test]
fn a_drill_begins_and_ends_only_where_drills_stand_as_the_tag_says() {
    let node = start(&world(1, 1));
    let url = |path: &str| format!("http://{}{path}", node.admin);
    let tag = |path: &str| field(&curl(&[&url(path)]), "etag").unwrap().to_owned();
    let post = |path: &str, tag: &str, body: &str| {
        let condition = format!("If-Match: {tag}");
        curl(&[
            "-H",
            &condition,
            "-H",
            "Content-Type: application/json",
            "-d",
            body,
            &url(path),
        ])
    };
    let wanted = r#"{"effect": "fail", "scope": "region", "name": "eu", "for": "1m", "reason": "x", "owner": "ann", "label": true}"#;
    let before = tag("/v1/drills");
    assert!(before.starts_with('"'), "a strong tag: {before}");
    let begun = post("/v1/drills", &before, wanted);
    assert!(begun.starts_with("HTTP/1.1 201 "), "{begun}");
    let place = field(&begun, "location").unwrap().to_owned();
    let own = field(&begun, "etag").unwrap().to_owned();
    // It stays what it is while nothing is entered.
    assert_eq!(tag(&place), own);
    let late = post("/v1/drills", &before, wanted);
    assert!(late.starts_with("HTTP/1.1 412 "), "{late}");
    let now = field(&late, "etag").unwrap().to_owned();
    assert_eq!(now, tag("/v1/drills"));
    // Both values are told.
    for part in [&before, &now, "If-Match"] {
        assert!(late.contains(&part.replace('"', "\\\"")), "{part}: {late}");
    }
    let (abort, by) = (format!("{place}/abort"), r#"{"owner": "ann"}"#);
    let refused = post(&abort, &before, by);
    assert!(refused.starts_with("HTTP/1.1 412 "), "{refused}");
    assert_eq!(field(&refused, "etag"), Some(&*own));
    assert!(post(&abort, "nothing", by).starts_with("HTTP/1.1 400 "));
    let ended = post(&abort, &own, by);
    assert!(ended.starts_with("HTTP/1.1 200 "), "{ended}");
    assert_ne!(tag(&place), own);
    assert!(post("/v1/drills/none/abort", &own, by).starts_with("HTTP/1.1 404 "));
    // Whoever sends no tag is not asked for one.
    let free = curl(&[
        "-H",
        "Content-Type: application/json",
        "-d",
        wanted,
        &url("/v1/drills"),
    ]);
    assert!(free.starts_with("HTTP/1.1 201 "), "{free}");
}
