//! Operators' orders on the real binary: given, obeyed, kept over a crash, ended (requirements O1, O2,
//! O3, O9, T3).

use std::process::Output;
use std::time::Duration;

use hickory_proto::rr::RecordType;

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
endpoints = [{ name = "us-1", address = "192.0.2.2" }, { name = "us-2", address = "192.0.2.3", weight = 0 }]

[policies.first]
stages = [{ failover = {} }, { weighted = {} }]

[names."www.gslb.test"]
pools = ["eu", "us"]
policy = "first"
ttl = { min = "5s", max = "60s" }
"#;

fn start(state: bool) -> Node {
    let head = match state {
        true => HEAD.replace("roles =", "state-dir = \"state\"\nroles ="),
        false => HEAD.to_owned(),
    };
    Node::start_in(folder(&format!("{head}{WORLD}")))
}

fn ask(node: &Node) -> (String, u32) {
    let m = dns::udp(node.dns, &dns::query("www.gslb.test", RecordType::A, None));
    let address = dns::addresses(&m)[0].to_string();
    (address, m.answers[0].ttl)
}

fn tell(node: &Node, args: &[&str]) -> Output {
    tradewind()
        .args(args)
        .args(["--server", &format!("http://{}", node.admin)])
        .output()
        .unwrap()
}

/// What a command printed that went well.
fn told(node: &Node, args: &[&str]) -> String {
    let out = tell(node, args);
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let errors = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(0), "{args:?}: {text}{errors}");
    text
}

/// What a command complained of.
fn refused(node: &Node, args: &[&str]) -> String {
    let out = tell(node, args);
    assert_eq!(out.status.code(), Some(1), "{args:?}");
    String::from_utf8_lossy(&out.stderr).into_owned()
}

#[test]
fn o1_a_drain_moves_answers_outlives_a_crash_and_ends_by_itself() {
    let mut node = start(true);
    assert_eq!(ask(&node).0, "192.0.2.1");
    let text = told(
        &node,
        &[
            "drain",
            "region",
            "eu",
            "--for",
            "12s",
            "--reason",
            "kernel update",
            "--owner",
            "alice",
        ],
    );
    assert!(text.starts_with("drain of region eu until 2"), "{text}");
    assert!(text.contains("in force on 1 of 1 node "), "{text}");
    // The command has ended, so the order is in force; its end bounds the TTL (T3).
    let (address, ttl) = ask(&node);
    assert_eq!(address, "192.0.2.2");
    assert!(ttl <= 12, "{ttl}");
    let explained = dns::texts(&dns::udp(
        node.dns,
        &dns::query("_explain.www.gslb.test", RecordType::TXT, None),
    ));
    let line = explained
        .iter()
        .find(|l| l.contains("drain of region eu by alice"));
    assert!(
        line.is_some_and(|l| l.contains("kernel update")),
        "{explained:?}"
    );

    node.crash_and_restart();
    // The very first answer obeys.
    assert_eq!(ask(&node).0, "192.0.2.2");
    let list = told(&node, &["overrides"]);
    assert!(
        list.contains("drain of region eu by alice: kernel update (until ")
            && list.contains("beneath it: 1 up, 0 down, 0 unknown"),
        "{list}"
    );
    wait_for("the drain ends", Duration::from_secs(15), || {
        (ask(&node).0 == "192.0.2.1").then_some(())
    });
    wait_for("it is noted", Duration::from_secs(5), || {
        told(&node, &["audit"]).contains("expired").then_some(())
    });
    assert_eq!(told(&node, &["overrides"]), "no orders in force\n");
    assert!(ask(&node).1 > 12, "no order bounds the TTL any more");
    node.crash_and_restart();
    let audit = told(&node, &["audit"]);
    assert!(
        audit.contains("ordered     alice (n1): drain of region eu: kernel update"),
        "{audit}"
    );
}

#[test]
fn o9_drain_zero_weight_and_disable_differ() {
    let node = start(true);
    // Zero weight of a pool: the other tier takes over only where no positive weight is left in it.
    told(&node, &["weight", "pool", "eu", "0", "--reason", "canary"]);
    assert_eq!(ask(&node).0, "192.0.2.2");
    // A drain of all others brings the zero weight back: it may still serve.
    told(&node, &["drain", "region", "us", "--reason", "flood"]);
    assert_eq!(ask(&node).0, "192.0.2.1");
    // A weight does not lift a state and a state no weight.
    let list = told(&node, &["overrides"]);
    assert!(
        list.contains("weight 0 of pool eu") && list.contains("drain of region us"),
        "{list}"
    );
    told(&node, &["clear", "region", "us"]);
    assert_eq!(ask(&node).0, "192.0.2.2");
    told(&node, &["force-down", "pool", "us", "--reason", "test"]);
    told(&node, &["clear", "pool", "us"]);
    told(&node, &["clear", "pool", "eu", "--class", "weight"]);
    assert_eq!(ask(&node).0, "192.0.2.1");
}

#[test]
fn o2_a_switchover_is_all_or_nothing_and_break_glass_names_the_rule() {
    let node = start(true);
    let both = [
        "switchover",
        "--drain",
        "region/eu",
        "--disable",
        "region/us",
        "--reason",
        "x",
    ];
    let error = refused(&node, &both);
    assert!(
        error.contains("at least one region must stay on")
            && error.contains("from 2 regions now")
            && error.contains("from 0")
            && error.contains("nothing was changed"),
        "{error}"
    );
    assert_eq!(ask(&node).0, "192.0.2.1");
    let demand = [
        "switchover",
        "--drain",
        "region/us",
        "--demand",
        "60%",
        "--reason",
        "x",
    ];
    let error = refused(&node, &demand);
    assert!(
        error.contains("33 % of the capacity") && error.contains("60 % is demanded"),
        "{error}"
    );
    let text = told(
        &node,
        &[&both[..], &["--break-glass", "the data centres burn"]].concat(),
    );
    assert!(
        text.contains("warning: broken: at least one region"),
        "{text}"
    );
    let list = told(&node, &["overrides"]);
    assert!(
        list.contains("break-glass: the data centres burn (broke: at least one"),
        "{list}"
    );
    let audit = told(&node, &["audit"]);
    assert!(
        audit.contains("refused") && audit.contains("the data centres burn"),
        "{audit}"
    );
}

#[test]
fn o3_the_first_node_that_answers_takes_the_order_and_mistakes_are_explained() {
    let node = start(false);
    // Nobody listens on the first; no name has to be looked up.
    let out = tradewind()
        .args([
            "drain",
            "pool",
            "us",
            "--reason",
            "x",
            "--server",
            "http://127.0.0.1:1",
        ])
        .args(["--server", &format!("http://{}", node.admin)])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&out.stdout);
    assert_eq!(out.status.code(), Some(0), "{text}");
    assert!(
        text.contains("warning: the order is in force, but will not outlive this process here")
            && text.contains("no `state-dir`"),
        "{text}"
    );
    let out = tradewind()
        .args(["overrides", "--server", "http://127.0.0.1:1"])
        .output()
        .unwrap();
    assert_eq!(out.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&out.stderr).contains("no node answered"));

    for (args, words) in [
        (
            &["drain", "region", "eux", "--reason", "x"][..],
            "did you mean `eu`?",
        ),
        (
            &["drain", "planet", "eu", "--reason", "x"],
            "endpoint, pool, region and name",
        ),
        (
            &["drain", "region", "eu", "--reason", " "],
            "needs a reason",
        ),
        (
            &["drain", "region", "eu", "--reason", "x", "--for", "soon"],
            "30m",
        ),
        (
            &[
                "drain",
                "region",
                "eu",
                "--reason",
                "x",
                "--until",
                "2020-01-01T00:00:00Z",
            ],
            "has passed",
        ),
        (
            &["weight", "pool", "eu", "2000000", "--reason", "x"],
            "1000000",
        ),
        (&["clear", "region", "eu"], "there are orders about pool us"),
        (
            &["switchover", "--drain", "eu", "--reason", "x"],
            "region/eu",
        ),
        (&["switchover", "--reason", "x"], "nothing is ordered"),
    ] {
        let error = refused(&node, args);
        assert!(error.contains(words), "{args:?}: {error}");
    }
    // The statuses beneath the words.
    let status = |method: &str, path: &str| http::request(node.admin, method, path).status;
    assert_eq!(
        status("DELETE", "/v1/overrides?scope=region&name=eu&owner=x"),
        404
    );
    assert_eq!(status("DELETE", "/v1/overrides?scope=region"), 400);
    // A body that does not say that it is JSON.
    assert_eq!(status("PUT", "/v1/overrides"), 415);
    assert_eq!(status("POST", "/v1/switchover"), 415);
    assert_eq!(status("PATCH", "/v1/overrides"), 405);
    assert_eq!(node.metric("tradewind_overrides"), 1);
}

#[test]
fn o1_a_reload_keeps_orders_also_those_about_what_is_gone() {
    let node = start(true);
    told(&node, &["drain", "endpoint", "eu-1", "--reason", "x"]);
    assert_eq!(ask(&node).0, "192.0.2.2");
    let config = std::fs::read_to_string(node.file("tradewind.toml")).unwrap();
    let reload = |text: &str| {
        std::fs::write(node.file("tradewind.toml"), text).unwrap();
        let answer = http::request(node.admin, "POST", "/v1/reload");
        assert_eq!(answer.status, 200, "{}", answer.body);
    };
    reload(&config.replace("eu-1", "eu-9"));
    assert_eq!(ask(&node).0, "192.0.2.1");
    assert!(told(&node, &["overrides"]).contains("about nothing in this configuration"));
    reload(&config);
    assert_eq!(ask(&node).0, "192.0.2.2");
    told(&node, &["clear", "endpoint", "eu-1"]);
    assert_eq!(ask(&node).0, "192.0.2.1");
}

#[test]
fn a_damaged_store_never_stops_the_start() {
    let mut node = start(true);
    told(&node, &["drain", "region", "eu", "--reason", "x"]);
    std::fs::write(node.file("state/orders.redb"), vec![0x5a; 9000]).unwrap();
    node.crash_and_restart();
    assert!(node.logged("is damaged"));
    assert!(node.file("state/orders.damaged-1").exists());
    assert_eq!(ask(&node).0, "192.0.2.1");
    told(&node, &["drain", "region", "eu", "--reason", "x"]);
    node.crash_and_restart();
    assert_eq!(ask(&node).0, "192.0.2.2");
}

#[test]
fn f9_a_manual_failback_waits_for_the_operators_word() {
    let dir = folder("");
    let flag = dir.path().join("well");
    std::fs::write(&flag, "").unwrap();
    let (first, rest) = HEAD.split_once("[nodes.n1]\n").unwrap();
    let monitor = format!(
        "
[monitors.m]
interval = \"1s\"
timeout = \"900ms\"
rise = 1
fall = 1
exec = {{ command = [\"/usr/bin/test\", \"-e\", \"{}\"] }}
[dns]
first-round = \"5s\"
",
        flag.display()
    );
    let world = WORLD.replace(
        "[pools.eu]\n",
        "[pools.eu]\nmonitor = \"m\"\nfailback = \"manual\"\n",
    );
    let head = format!("{first}[nodes.n1]\nstate-dir = \"state\"\nallow-exec = true\n{rest}");
    std::fs::write(
        dir.path().join("tradewind.toml"),
        format!("{head}{monitor}{world}"),
    )
    .unwrap();
    let mut node = Node::start_in(dir);
    let held = |node: &Node| -> String {
        let health = http::get(node.admin, "/v1/health").json();
        let mut all = health["endpoints"].as_array().unwrap().iter();
        let eu = all.find(|e| e["name"] == "eu-1").unwrap();
        eu["held"].as_str().unwrap_or_default().to_owned()
    };
    let patience = Duration::from_secs(30);
    let answered = |node: &Node, address: &str| {
        wait_for(address, patience, || (ask(node).0 == address).then_some(()));
    };
    let waits = |node: &Node| {
        wait_for("it waits for an operator", patience, || {
            held(node).contains("waits for an operator").then_some(())
        });
    };
    answered(&node, "192.0.2.1");
    // Nothing waits: the order is taken, and what begins to wait later is not its matter.
    let failback = ["failback", "pool", "eu", "--reason", "disk replaced"];
    let text = told(&node, &failback);
    assert!(text.contains("warning: nothing of pool eu waits"), "{text}");
    std::fs::remove_file(&flag).unwrap();
    answered(&node, "192.0.2.2");
    std::fs::write(&flag, "").unwrap();
    waits(&node);
    assert_eq!(ask(&node).0, "192.0.2.2");
    // Nor does it end with a restart that brings the order along. Two writes of the store: the second
    // has what is known now.
    let store = node.file("state/orders.redb");
    let written = || std::fs::metadata(&store).unwrap().modified().unwrap();
    for _ in 0..2 {
        let before = written();
        wait_for("verdicts are written", patience, || {
            (written() != before).then_some(())
        });
    }
    node.crash_and_restart();
    waits(&node);
    assert_eq!(ask(&node).0, "192.0.2.2");

    let text = told(&node, &failback);
    assert!(
        text.starts_with("failback of pool eu until 2") && !text.contains("warning"),
        "{text}"
    );
    // The command has ended, so the order is obeyed.
    assert_eq!(ask(&node).0, "192.0.2.1");
    assert_eq!(held(&node), "");
    let list = told(&node, &["overrides"]);
    assert!(
        list.contains("failback of pool eu by ") && list.contains(": disk replaced (until "),
        "{list}"
    );
    // Taking the order back does not take the endpoint back.
    told(&node, &["clear", "pool", "eu", "--class", "failback"]);
    assert_eq!(ask(&node).0, "192.0.2.1");
    assert_eq!(told(&node, &["overrides"]), "no orders in force\n");
}
