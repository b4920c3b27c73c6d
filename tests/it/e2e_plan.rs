//! Seeing who is sent where, and what another configuration would change: real queries, and after the
//! reload what was said.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::demo::tradewind;
use crate::support::node::{HEAD, Node, folder};
use crate::support::{http, wait_for};

const NETWORKS: &str = "network,continent,country,subdivision,latitude,longitude,asn,place\n\
    192.0.2.0/24,EU,DE,HE,50.11,8.68,64496,Frankfurt\n\
    198.51.100.0/24,NA,US,VA,39.04,-77.48,64497,Ashburn\n\
    203.0.113.0/24,AS,SG,,1.35,103.82,64498,Singapore\n";

/// Two regions; clients go to the nearest. `rules` come before that.
fn config(rules: &str) -> String {
    format!(
        r#"
[geoip]
networks = "networks.csv"

[regions.us]
latitude = 39.04
longitude = -77.48

[pools.eu]
region = "eu"
endpoints = [{{ name = "eu-1", address = "127.1.0.1" }}]

[pools.us]
region = "us"
endpoints = [{{ name = "us-1", address = "127.2.0.1" }}]

[policies.near]
stages = [{rules} {{ proximity = {{}} }}, {{ weighted = {{}} }}]

[names."www.gslb.test"]
pools = ["eu", "us"]
policy = "near"
"#
    )
}

/// Germany is sent to the other side.
const MOVED: &str = r#"{ geo = { mode = "fence", rules = [
    { countries = ["DE"], pools = ["us"] }, { default = true, pools = ["eu", "us"] }] } },"#;

fn start(head: &str) -> Node {
    let dir = folder(&format!("{head}{}", config("")));
    std::fs::write(dir.path().join("networks.csv"), NETWORKS).unwrap();
    Node::start_in(dir)
}

/// What dig gets for a client network; sent again where the machine was too busy.
fn dig(node: &Node, subnet: &str) -> String {
    let server = format!("@{}", node.dns.ip());
    let port = node.dns.port().to_string();
    let subnet = format!("+subnet={subnet}");
    let out = Command::new("dig")
        .args([&*server, "-p", &port, "www.gslb.test", "A", &subnet])
        .args(["+short", "+tries=3", "+time=5"])
        .output()
        .expect("dig (Debian package bind9-dnsutils)");
    String::from_utf8(out.stdout).unwrap().trim().to_owned()
}

fn flows(node: &Node, query: &str) -> Vec<Value> {
    let answer = http::get(node.admin, &format!("/v1/flows{query}"));
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json().as_array().unwrap().clone()
}

/// Queries by network and region, when there are `count` of them.
fn wait_flows(node: &Node, count: f64) -> BTreeMap<(String, String), f64> {
    wait_for("all queries are seen", Duration::from_secs(20), || {
        let mut sums = BTreeMap::new();
        for f in flows(node, "?window=24h") {
            let text = |key: &str| f[key].as_str().unwrap().to_owned();
            assert_eq!(text("name"), "www.gslb.test");
            *sums.entry((text("network"), text("region"))).or_default() +=
                f["queries"].as_f64().unwrap();
        }
        let all: f64 = sums.values().sum();
        (all >= count).then_some(sums)
    })
}

fn post(addr: SocketAddr, path: &str, body: &str) -> (u16, String, Value) {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let json = serde_json::from_str(body).unwrap_or(Value::Null);
    (status, head.to_ascii_lowercase(), json)
}

fn run(args: &[&str]) -> Output {
    tradewind().arg("plan").args(args).output().unwrap()
}

fn json_of(out: &Output) -> Value {
    serde_json::from_slice(&out.stdout).unwrap_or_else(|e| {
        panic!("{e}: {}", String::from_utf8_lossy(&out.stderr));
    })
}

/// A folder with another configuration, beside its zone and its networks.
fn other(text: &str) -> tempfile::TempDir {
    let dir = folder(text);
    std::fs::write(dir.path().join("networks.csv"), NETWORKS).unwrap();
    dir
}

fn path(dir: &Path) -> String {
    dir.join("tradewind.toml").to_str().unwrap().to_owned()
}

#[test]
fn what_a_plan_says_is_what_happens_after_the_reload() {
    let node = start(HEAD);
    for _ in 0..10 {
        assert_eq!(dig(&node, "192.0.2.0/24"), "127.1.0.1");
    }
    for _ in 0..6 {
        assert_eq!(dig(&node, "198.51.100.0/24"), "127.2.0.1");
    }
    let seen = wait_flows(&node, 16.0);
    let at = |network: &str, region: &str| seen[&(network.to_owned(), region.to_owned())];
    assert_eq!(at("192.0.2.0/24", "eu"), 10.0);
    assert_eq!(at("198.51.100.0/24", "us"), 6.0);
    let first = &flows(&node, "?window=24h&limit=1&name=WWW.gslb.test")[0];
    assert_eq!(
        (&first["country"], &first["pool"]),
        (&json!("DE"), &json!("eu"))
    );
    assert_eq!(first["latitude"], json!(50.11));

    // The plan says that ten of sixteen move, and the gate is in the way.
    let dir = other(&format!("{HEAD}{}", config(MOVED)));
    let server = format!("http://{}", node.admin);
    let new = path(dir.path());
    let out = run(&[&new, "--server", &server, "--json", "--max-shift", "10%"]);
    assert_eq!(out.status.code(), Some(4), "{out:?}");
    let plan = json_of(&out);
    assert_eq!(
        (&plan["basis"], &plan["node"]),
        (&json!("traffic"), &json!("n1"))
    );
    assert_eq!(
        (&plan["shift"], &plan["queries"]),
        (&json!(0.625), &json!(16.0))
    );
    let bound = &plan["certainty"]["at_most"];
    assert_eq!(
        plan["gate"],
        json!({ "max_shift": 0.1, "compared": bound, "passes": false })
    );
    assert_eq!(plan["certainty"]["samples"], json!(16));
    assert_eq!(plan["certainty"]["standard_error"], json!(0.121031));
    let warned = plan["warnings"].to_string();
    assert!(
        warned.contains("this rests on 16 samples of queries within "),
        "{warned}"
    );
    let m = &plan["moves"][0];
    assert_eq!(
        (&m["from"], &m["to"], &m["share"]),
        (&json!("eu"), &json!("us"), &json!(0.625))
    );
    let example = &m["examples"][0];
    assert_eq!(
        (
            &example["network"],
            &example["country"],
            &example["longitude"]
        ),
        (&json!("192.0.2.0/24"), &json!("DE"), &json!(8.68))
    );
    let us = plan["load"].as_array().unwrap().iter();
    let us = us
        .clone()
        .find(|l| l["region"] == "us" && l["pool"].is_null())
        .unwrap();
    assert_eq!(
        (&us["load"]["old"], &us["load"]["new"]),
        (&json!(0.375), &json!(1.0))
    );
    // 62.5 % of so few queries may well be more than 70 % of all: that is no reason to pass.
    let noise = run(&[&new, "--server", &server, "--max-shift", "70%"]);
    assert_eq!(noise.status.code(), Some(4), "{noise:?}");
    let text = run(&[&new, "--server", &server, "--max-shift", "82%"]);
    assert_eq!(text.status.code(), Some(0), "{text:?}");
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(
        text.contains("62.50%  eu -> us  (as 192.0.2.0/24 DE)"),
        "{text}"
    );
    assert!(
        text.contains("gate: 62.50%, surely no more than 81.52%, of at most 82.00%: passes"),
        "{text}"
    );

    // By addresses it is one of three networks.
    let out = run(&[&new, "--server", &server, "--json", "--by", "addresses"]);
    let by = json_of(&out);
    assert_eq!(
        (&by["basis"], &by["shift"]),
        (&json!("addresses"), &json!(0.333333))
    );

    // Nothing has changed yet; after the reload it is as was said.
    assert_eq!(dig(&node, "192.0.2.0/24"), "127.1.0.1");
    node.rewrite(&config(MOVED));
    let (status, _, _) = post(node.admin, "/v1/reload", "");
    assert_eq!(status, 200);
    assert_eq!(dig(&node, "192.0.2.0/24"), "127.2.0.1");
    assert_eq!(dig(&node, "198.51.100.0/24"), "127.2.0.1");
    assert_eq!(dig(&node, "203.0.113.0/24"), {
        let nearest = &by["names"][0]["moves"].as_array().unwrap();
        assert_eq!(nearest.len(), 1, "Singapore stays where it is");
        "127.1.0.1"
    });
    // Now the same configuration changes nothing.
    let out = run(&[&new, "--server", &server, "--json", "--max-shift", "0%"]);
    assert_eq!(out.status.code(), Some(0));
    assert_eq!(json_of(&out)["shift"], json!(0.0));
    assert!(node.metric("tradewind_dns_samples_total") >= 17);
}

#[test]
fn without_a_node_two_configurations_are_compared_and_the_gate_has_its_exit_code() {
    let (old, new) = (
        other(&format!("{HEAD}{}", config(""))),
        other(&format!("{HEAD}{}", config(MOVED))),
    );
    let (old, new) = (path(old.path()), path(new.path()));
    let code = |args: &[&str]| run(args).status.code().unwrap();
    assert_eq!(code(&[&new, "--against", &old]), 0);
    assert_eq!(code(&[&new, "--against", &old, "--max-shift", "33%"]), 4);
    assert_eq!(code(&[&new, "--against", &old, "--max-shift", "34%"]), 0);
    assert_eq!(code(&[&old, "--against", &old, "--max-shift", "0%"]), 0);
    // A wrong configuration, a wrong percentage, nobody there.
    let wrong = other("version = 1\n[regions.eu]\nlatitude = 91\nlongitude = 0\n");
    assert_eq!(code(&[&path(wrong.path()), "--against", &old]), 78);
    assert_eq!(code(&[&path(wrong.path())]), 78);
    assert_eq!(code(&[&new, "--against", &old, "--max-shift", "10"]), 2);
    assert_eq!(code(&[&new, "--server", "http://127.0.0.1:1"]), 1);
    let plan = json_of(&run(&[&new, "--against", &old, "--json"]));
    assert_eq!(
        (&plan["generation"], &plan["shift"]),
        (&Value::Null, &json!(0.333333))
    );
}

#[test]
fn bad_plans_get_an_answer_that_names_the_parameter() {
    let node = start(HEAD);
    let ask = |body: &Value| post(node.admin, "/v1/plan", &body.to_string());
    let toml = format!("{HEAD}{}", config(""));
    for (body, parameter) in [
        (json!({}), "body"),
        (json!({ "files": 1 }), "body"),
        (json!({ "files": {} }), "files"),
        (json!({ "files": { "a.zone": "x" } }), "files"),
        (json!({ "files": { "": "x" } }), "files"),
        (
            json!({ "files": { "a.toml": toml }, "max-shift": "10" }),
            "max-shift",
        ),
        (json!({ "files": { "a.toml": toml }, "by": "luck" }), "by"),
        (json!({ "files": { "a.toml": toml }, "more": 1 }), "body"),
    ] {
        let (status, head, problem) = ask(&body);
        assert_eq!(
            (status, &problem["parameter"]),
            (400, &json!(parameter)),
            "{body}"
        );
        assert!(head.contains("application/problem+json"), "{head}");
    }
    let (status, _, _) = post(node.admin, "/v1/plan", "{");
    assert_eq!(status, 400);
    for query in ["?window=2h", "?limit=0", "?limit=x", "?name=..", "?other=1"] {
        assert_eq!(
            http::get(node.admin, &format!("/v1/flows{query}")).status,
            400,
            "{query}"
        );
    }

    // What it names must come with it, unless the node's own configuration names it.
    let (status, _, _) = ask(&json!({ "files": { "new.toml": toml } }));
    assert_eq!(status, 200);
    let shadow = toml.replace("\"networks.csv\"", "\"../../../../../../etc/passwd\"");
    let (status, _, problem) = ask(&json!({ "files": { "new.toml": shadow } }));
    assert_eq!(status, 422);
    let said = problem.to_string();
    assert!(said.contains("did not come with the request"), "{said}");
    assert!(!said.contains("root:"), "{said}");
    // And a configuration without this node.
    let stranger = toml.replace("[nodes.n1]", "[nodes.n2]");
    let (status, _, _) = ask(&json!({ "files": { "new.toml": stranger } }));
    assert_eq!(status, 422);
}

#[test]
fn sampling_can_be_turned_off_and_on_by_a_reload_and_flows_outlive_a_restart() {
    let state = tempfile::tempdir().unwrap();
    let head = HEAD.replace(
        "[nodes.n1]\n",
        &format!("[nodes.n1]\nstate-dir = \"{}\"\n", state.path().display()),
    );
    let off = "\n[telemetry.sampling]\nmax-per-second = 0\n";
    let node = start(&format!("{head}{off}"));
    let write = |text: String| std::fs::write(node.file("tradewind.toml"), text).unwrap();
    dig(&node, "192.0.2.0/24");
    assert!(flows(&node, "").is_empty());
    write(format!("{head}{}", config("")));
    assert_eq!(post(node.admin, "/v1/reload", "").0, 200);
    // The DNS threads look once a second whether it is wanted.
    wait_for("a sample", Duration::from_secs(20), || {
        dig(&node, "192.0.2.0/24");
        (!flows(&node, "").is_empty()).then_some(())
    });
    assert_eq!(node.metric("tradewind_dns_samples_dropped_total"), 0);
    let dir = node.dir.path().to_owned();
    let copy = tempfile::tempdir().unwrap();
    for file in ["tradewind.toml", "gslb.test.zone", "networks.csv"] {
        std::fs::copy(dir.join(file), copy.path().join(file)).unwrap();
    }
    drop(node);
    let kept = std::fs::read_to_string(state.path().join("flows.txt")).unwrap();
    assert!(
        kept.contains(" www.gslb.test 192.0.2.0/24 eu eu "),
        "{kept}"
    );
    let again = Node::start_in(copy);
    assert_eq!(flows(&again, "")[0]["network"], json!("192.0.2.0/24"));
}
