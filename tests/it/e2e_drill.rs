//! Drills on the real binary: whole, for a canary network and by label; how they end, and what they
//! report (requirements O2, O11, E2, T3).

use std::net::TcpListener;
use std::process::{Command, Output};
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use serde_json::Value;

use crate::support::demo::tradewind;
use crate::support::node::{HEAD, Node, folder};
use crate::support::{dns, http, wait_for};

const WORLD: &str = r#"
[regions.us]
latitude = 39.0
longitude = -77.5

[pools.eu]
region = "eu"
endpoints = [{ name = "eu-1", address = "192.0.2.1" }]

[pools.us]
region = "us"
endpoints = [{ name = "us-1", address = "192.0.2.2" }]

[policies.first]
stages = [{ failover = {} }, { weighted = {} }]

[names."www.gslb.test"]
pools = ["eu", "us"]
policy = "first"
ttl = { min = "5s", max = "60s" }
"#;

const EU: &str = "192.0.2.1";
const US: &str = "192.0.2.2";

fn start() -> Node {
    let head = HEAD.replace("roles =", "state-dir = \"state\"\nroles =");
    Node::start_in(folder(&format!("{head}{WORLD}")))
}

fn ask(node: &Node, name: &str, subnet: Option<&str>) -> (String, u32, Option<u8>) {
    let m = dns::udp(node.dns, &dns::query(name, RecordType::A, subnet));
    let addresses = dns::addresses(&m);
    assert_eq!(addresses.len(), 1, "{name} {subnet:?}: {m:?}");
    (addresses[0].to_string(), m.answers[0].ttl, dns::scope(&m))
}

fn www(node: &Node) -> String {
    ask(node, "www.gslb.test", None).0
}

fn tell(node: &Node, args: &[&str]) -> Output {
    tradewind()
        .args(args)
        .args(["--server", &format!("http://{}", node.admin)])
        .output()
        .unwrap()
}

/// What a command printed that ended with this code.
fn told(node: &Node, args: &[&str], code: i32) -> String {
    let out = tell(node, args);
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let errors = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(code), "{args:?}: {text}{errors}");
    format!("{text}{errors}")
}

/// Begins a drill; gives its name.
fn begin(node: &Node, args: &[&str]) -> String {
    let args = [args, &["--json", "--no-watch"]].concat();
    let json: Value = serde_json::from_str(&told(node, &args, 0)).unwrap();
    json["id"].as_str().unwrap().to_owned()
}

fn drill(node: &Node, id: &str) -> Value {
    http::get(node.admin, &format!("/v1/drills/{id}")).json()
}

/// Waits until a drill is reported.
fn reported(node: &Node, id: &str) -> Value {
    wait_for("the drill is reported", Duration::from_secs(30), || {
        let json = drill(node, id);
        (json["state"] == "reported").then_some(json)
    })
}

#[test]
fn a_whole_drill_moves_answers_ends_by_itself_and_is_reported() {
    let node = start();
    assert_eq!(www(&node), EU);
    let said = told(
        &node,
        &[
            "drill",
            "fail",
            "region",
            "eu",
            "--for",
            "4s",
            "--owner",
            "alice",
            "--reason",
            "quarterly",
            "--watch",
        ],
        0,
    );
    for part in [
        "planned",
        "checked",
        "all of 7 rules hold",
        "running",
        "in force on 1 of 1 nodes",
        "finished",
        "its time is over",
        "reported",
        "every node obeyed after",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!(www(&node), EU);
    let list = told(&node, &["drill", "list"], 0);
    assert!(
        list.contains(": fail of region eu for all clients: finished"),
        "{list}"
    );
    let id = list.split([' ', ':']).nth(1).unwrap().to_owned();
    let json = drill(&node, &id);
    let steps: Vec<&str> = json["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s["step"].as_str().unwrap())
        .collect();
    assert_eq!(
        steps,
        ["planned", "checked", "running", "finished", "reported"]
    );
    assert_eq!(
        (&json["ended"], &json["owner"]),
        (&"finished".into(), &"alice".into())
    );
    assert!(
        json["nodes"][0]["begun"]["generation"].as_u64()
            < json["nodes"][0]["over"]["generation"].as_u64()
    );
    let report = told(&node, &["drill", "report", &id, "--markdown"], 0);
    assert!(
        report.starts_with(&format!("# Drill {id}: fail of region eu\n")),
        "{report}"
    );
    let same = http::get(node.admin, &format!("/v1/drills/{id}/report")).json();
    assert_eq!(same["id"], *id);
    // For programs the watch ends with the drill, and nothing else is printed.
    let args = ["drill", "show", &id, "--watch", "--json"];
    let watched: Value = serde_json::from_str(&told(&node, &args, 0)).unwrap();
    assert_eq!(
        (&watched["id"], &watched["state"]),
        (&id.as_str().into(), &"reported".into())
    );
    for line in [
        "tradewind_drills_running 0",
        "tradewind_drills_begun_total 1",
        "tradewind_drills_ended_total{end=\"finished\"} 1",
        "tradewind_drills_ended_total{end=\"rolled-back\"} 0",
        "tradewind_drills_refused_total 0",
    ] {
        let page = http::get(node.admin, "/metrics").body;
        assert!(page.lines().any(|l| l == line), "{line}: {page}");
    }
    // An order like others: the audit record has it.
    let audit = told(&node, &["audit"], 0);
    assert!(
        audit.contains("drill-fail of region eu: quarterly"),
        "{audit}"
    );
}

#[test]
fn while_a_drill_runs_clients_move_and_its_end_bounds_the_ttl() {
    let mut node = start();
    let id = begin(&node, &["drill", "drain", "pool", "eu", "--for", "20s"]);
    let (address, ttl, _) = ask(&node, "www.gslb.test", None);
    assert_eq!(address, US);
    assert!(ttl <= 5, "{ttl}");
    // Another may not begin beside it; the rule says so with both numbers.
    let refused = told(&node, &["drill", "fail", "region", "us", "--for", "5s"], 1);
    assert!(
        refused.contains("0 other drills may run, 1 run") && refused.contains(&id),
        "{refused}"
    );
    let page = http::get(node.admin, "/metrics").body;
    assert!(page.contains("\ntradewind_drills_running 1\n"), "{page}");
    assert!(
        page.contains("\ntradewind_drills_refused_total 1\n"),
        "{page}"
    );
    // Whom no node knows, nobody waits for.
    let asked = std::time::Instant::now();
    let unknown = told(&node, &["drill", "show", "nobody", "--watch"], 1);
    assert!(
        unknown.contains("no drill `nobody`") && asked.elapsed() < Duration::from_secs(8),
        "{unknown}"
    );
    // It outlives a crash of the only node, and ends in time.
    node.crash_and_restart();
    assert_eq!(www(&node), US);
    wait_for("the drill ends", Duration::from_secs(30), || {
        (www(&node) == EU).then_some(())
    });
    let json = reported(&node, &id);
    assert_eq!(json["ended"], "finished", "{json}");
    assert_eq!(
        http::get(node.admin, "/v1/overrides").json()["overrides"],
        Value::Array(Vec::new())
    );
    node.crash_and_restart();
    assert_eq!(drill(&node, &id)["state"], "reported", "reports are kept");
}

#[test]
fn o2_an_unsafe_drill_is_refused_with_both_numbers_and_broken_only_knowingly() {
    let node = start();
    told(&node, &["drain", "region", "us", "--reason", "x"], 0);
    let refused = told(&node, &["drill", "fail", "region", "eu", "--for", "5s"], 1);
    assert!(
        refused.contains(
            "at least one region must stay on: name www.gslb.test is served from 1 \
                          region now, and would be from 0"
        ),
        "{refused}"
    );
    assert_eq!(www(&node), EU);
    told(&node, &["clear", "region", "us"], 0);
    for (args, said) in [
        (
            &["drill", "fail", "region", "eux", "--for", "5s"][..],
            "did you mean `eu`?",
        ),
        (
            &["drill", "fail", "region", "eu", "--for", "2d"],
            "a drill lasts 1 s to 24 h",
        ),
        (
            &["drill", "fail", "name", "www", "--for", "5s"],
            "no scope of a drill",
        ),
        (
            &["drill", "fail", "region", "eu", "--for", "x"],
            "no duration",
        ),
        (
            &[
                "drill",
                "fail",
                "region",
                "eu",
                "--for",
                "5s",
                "--canary",
                "10.0.0.1/8",
            ],
            "did you mean `10.0.0.0/8`",
        ),
        (
            &[
                "drill", "fail", "region", "eu", "--for", "5s", "--demand", "60%",
            ],
            "60 % is demanded",
        ),
        (
            &["drill", "abort", "nothing"],
            "there is no drill `nothing`",
        ),
        (&["drill", "show", "nothing"], "there is no drill `nothing`"),
    ] {
        let refused = told(&node, args, 1);
        assert!(refused.contains(said), "{args:?}: {refused}");
    }
    // Broken knowingly it runs, and the report says so.
    let args = [
        "drill",
        "fail",
        "region",
        "eu",
        "--for",
        "3s",
        "--demand",
        "60%",
        "--break-glass",
        "we must know",
    ];
    let id = begin(&node, &args);
    assert_eq!(www(&node), US);
    let report = told(&node, &["drill", "report", &id], 0);
    assert!(
        report.contains("we must know") && report.contains("| **no** |"),
        "{report}"
    );
    let json = reported(&node, &id);
    assert_eq!(json["ended"], "finished", "{json}");
}

#[test]
fn an_operator_aborts_by_name_by_clearing_or_by_another_order() {
    let node = start();
    let id = begin(&node, &["drill", "fail", "region", "eu", "--for", "1m"]);
    assert_eq!(www(&node), US);
    let said = told(
        &node,
        &[
            "drill", "abort", &id, "--owner", "bob", "--reason", "enough",
        ],
        0,
    );
    assert!(said.contains("aborted"), "{said}");
    // The command has ended, so it is over.
    assert_eq!(www(&node), EU);
    let json = reported(&node, &id);
    assert_eq!(
        (&json["ended"], &json["steps"][3]["text"]),
        (&"aborted".into(), &"by bob: enough".into())
    );
    let late = told(&node, &["drill", "abort", &id], 1);
    assert!(late.contains("is over already: aborted"), "{late}");

    let id = begin(&node, &["drill", "fail", "region", "eu", "--for", "1m"]);
    told(&node, &["clear", "region", "eu", "--owner", "carol"], 0);
    assert_eq!(www(&node), EU);
    let json = reported(&node, &id);
    let text = json["steps"][3]["text"].as_str().unwrap();
    assert!(
        json["ended"] == "aborted" && text.contains("by carol"),
        "{json}"
    );

    let id = begin(&node, &["drill", "fail", "region", "eu", "--for", "1m"]);
    told(
        &node,
        &["force-up", "endpoint", "eu-1", "--reason", "it must serve"],
        0,
    );
    let json = reported(&node, &id);
    assert_eq!(json["ended"], "rolled-back", "{json}");
    let text = json["steps"][3]["text"].as_str().unwrap();
    assert!(text.contains("force-up of endpoint eu-1"), "{text}");
    assert_eq!(www(&node), EU);
}

#[test]
fn e2_a_canary_moves_only_its_clients_and_no_scope_holds_some_of_both() {
    let node = start();
    let id = begin(
        &node,
        &[
            "drill",
            "fail",
            "region",
            "eu",
            "--for",
            "1m",
            "--canary",
            "198.51.100.0/24",
        ],
    );
    let of = |subnet: &str| {
        let (address, ttl, scope) = ask(&node, "www.gslb.test", Some(subnet));
        (address, ttl, scope.unwrap())
    };
    let (address, ttl, scope) = of("198.51.100.77/32");
    assert_eq!((&*address, scope), (US, 24));
    assert!(ttl <= 60, "{ttl}");
    let (address, _, scope) = of("198.51.101.0/24");
    assert_eq!(
        (&*address, scope),
        (EU, 24),
        "the other half of 198.51.100.0/23"
    );
    let (address, _, scope) = of("203.0.113.0/24");
    assert_eq!((&*address, scope), (EU, 5), "203 and 198 share four bits");
    // Of a wider network only a part is meant.
    assert_eq!(of("198.51.0.0/16").0, EU);
    assert_eq!(of("2001:db8::/48").0, EU);
    assert_eq!(www(&node), EU, "who sends no network is where it is");
    let explained = http::get(
        node.admin,
        "/v1/explain?name=www.gslb.test&type=A&client=198.51.100.7/32",
    );
    assert!(
        explained.body.contains(&format!("drill {id}")),
        "{}",
        explained.body
    );
    told(&node, &["drill", "abort", &id], 0);
    let (address, _, scope) = of("198.51.100.77/32");
    assert_eq!((&*address, scope), (EU, 0));
}

#[test]
fn a_label_shows_the_failover_and_production_stays() {
    let node = start();
    let id = begin(
        &node,
        &["drill", "fail", "region", "eu", "--for", "1m", "--label"],
    );
    let label = format!("drill-{id}.www.gslb.test");
    let (address, ttl, scope) = ask(&node, &label, Some("198.51.100.0/24"));
    assert_eq!((&*address, scope), (US, Some(0)));
    assert!(ttl <= 60);
    assert_eq!(ask(&node, &label.to_uppercase(), None).0, US);
    let (address, _, scope) = ask(&node, "www.gslb.test", Some("198.51.100.0/24"));
    assert_eq!((&*address, scope), (EU, Some(0)));
    let code = |name: &str, rtype| {
        let m = dns::udp(node.dns, &dns::query(name, rtype, None));
        (
            m.metadata.response_code,
            m.answers.len(),
            m.authorities.len(),
        )
    };
    let nodata = (ResponseCode::NoError, 0, 1);
    let nxdomain = (ResponseCode::NXDomain, 0, 1);
    assert_eq!(code(&label, RecordType::MX), nodata);
    assert_eq!(code(&label, RecordType::AAAA), nodata);
    assert_eq!(code("drill-x.www.gslb.test", RecordType::A), nxdomain);
    assert_eq!(
        code(&format!("drill-{id}.static.gslb.test"), RecordType::A),
        nxdomain
    );
    assert_eq!(code(&format!("a.{label}"), RecordType::A), nxdomain);
    let m = dns::udp(
        node.dns,
        &dns::query(&format!("_explain.{label}"), RecordType::TXT, None),
    );
    let lines = dns::texts(&m);
    assert!(
        lines.iter().any(|l| l.contains(&format!("drill {id}"))),
        "{lines:?}"
    );
    told(&node, &["drill", "abort", &id], 0);
    assert_eq!(code(&label, RecordType::A), nxdomain);
}

/// An origin that probes look at, on an address of its own; gone when dropped.
fn origin(address: &str) -> TcpListener {
    TcpListener::bind((address, 0)).unwrap()
}

/// A node whose endpoints are these origins.
fn with_origins(eu: &TcpListener, us: &TcpListener) -> Node {
    let place = |of: &TcpListener| {
        let at = of.local_addr().unwrap();
        format!("\"{}\", port = {} }}", at.ip(), at.port())
    };
    let world = WORLD
        .replace("\nendpoints", "\nmonitor = \"web\"\nendpoints")
        .replace("\"192.0.2.1\" }", &place(eu))
        .replace("\"192.0.2.2\" }", &place(us));
    let monitor =
        "[monitors.web]\ntcp = {}\ninterval = \"1s\"\ntimeout = \"500ms\"\nrise = 1\nfall = 2\n";
    let head = HEAD.replace("roles =", "state-dir = \"state\"\nroles =");
    Node::start_in(folder(&format!("{head}{world}{monitor}")))
}

#[test]
fn a_survivor_that_dies_really_ends_the_drill() {
    let (eu, us) = (origin("127.0.0.2"), origin("127.0.0.3"));
    let node = with_origins(&eu, &us);
    assert_eq!(www(&node), "127.0.0.2");
    let id = begin(&node, &["drill", "fail", "region", "eu", "--for", "2m"]);
    assert_eq!(www(&node), "127.0.0.3");
    drop(us);
    let json = reported(&node, &id);
    assert_eq!(json["ended"], "rolled-back", "{json}");
    let text = json["steps"][3]["text"].as_str().unwrap();
    assert!(
        text.contains("must take over is down since: us-1"),
        "{text}"
    );
    assert_eq!(www(&node), "127.0.0.2");
    // Probes are what is promised by; it is said, and never rounded down.
    let shown = told(&node, &["drill", "show", &id], 0);
    assert!(
        shown.contains("promised at worst for www.gslb.test: "),
        "{shown}"
    );
    // With it down the next drill is not even begun.
    let refused = told(&node, &["drill", "fail", "region", "eu", "--for", "5s"], 1);
    assert!(
        refused.contains("all of 1 endpoints that must take over must pass their checks, 0 do"),
        "{refused}"
    );
}

fn run(program: &str, args: &[&str]) -> String {
    let done = Command::new(program).args(args).output().unwrap();
    String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned()
}

#[test]
fn o10_delv_validates_the_label_of_a_drill_in_a_signed_zone() {
    for policy in ["", "[dnssec.other]\ndenial = \"nsec3\"\n"] {
        let name = if policy.is_empty() {
            "default"
        } else {
            "other"
        };
        let head = HEAD
            .replace("roles =", "state-dir = \"state\"\nroles =")
            .replace("file = ", &format!("dnssec = \"{name}\"\nfile = "));
        let node = Node::start_in(folder(&format!("{head}{WORLD}{policy}")));
        let id = begin(
            &node,
            &["drill", "fail", "region", "eu", "--for", "1m", "--label"],
        );
        let (ip, port) = (node.dns.ip().to_string(), node.dns.port().to_string());
        let at = format!("@{ip}");
        let keys = run("dig", &[&at, "-p", &port, "+short", "gslb.test", "DNSKEY"]);
        let key = keys.lines().find(|l| l.starts_with("257 ")).unwrap();
        let mut words = key.splitn(4, ' ');
        let mut word = || words.next().unwrap().to_owned();
        let (flags, protocol, algorithm) = (word(), word(), word());
        let file = node.dir.path().join("delv.conf");
        let text = format!(
            "trust-anchors {{ gslb.test. static-key {flags} {protocol} {algorithm} \"{}\"; }};\n",
            word()
        );
        std::fs::write(&file, text).unwrap();
        let file = file.display().to_string();
        let delv = |name: &str, qtype: &str| {
            run(
                "delv",
                &[
                    &at,
                    "-p",
                    &port,
                    "-a",
                    &file,
                    "+root=gslb.test",
                    name,
                    qtype,
                ],
            )
        };
        let label = format!("drill-{id}.www.gslb.test");
        let said = delv(&label, "A");
        assert!(
            said.contains("; fully validated") && said.contains(US),
            "{said}"
        );
        let said = delv("www.gslb.test", "A");
        assert!(
            said.contains("; fully validated") && said.contains(EU),
            "{said}"
        );
        for (name, qtype) in [(&*label, "MX"), ("drill-x.www.gslb.test", "A")] {
            let said = delv(name, qtype);
            assert!(
                said.contains("; negative response, fully validated"),
                "{name}: {said}"
            );
        }
    }
}
