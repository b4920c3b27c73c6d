//! Explanations of the running node: what they say is what clients get, now and if what they suppose is so.

use std::collections::BTreeSet;
use std::process::Output;
use std::time::Duration;

use hickory_proto::op::Message;
use hickory_proto::rr::RecordType;
use serde_json::Value;

use crate::support::demo::tradewind;
use crate::support::node::Node;
use crate::support::{dns, http, wait_for};

/// Three regions of which nothing is probed, and a name for each kind of policy. The last resorts are
/// endpoints that nobody drains.
const WORLD: &str = r#"
[regions.us]
latitude = 39.04
longitude = -77.49
[regions.ap]
latitude = 1.35
longitude = 103.82

[pools.eu]
region = "eu"
endpoints = [{ name = "eu-1", address = "192.0.2.1" }]
[pools.us]
region = "us"
endpoints = [{ name = "us-1", address = "192.0.2.2" }]
[pools.ap]
region = "ap"
endpoints = [{ name = "ap-1", address = "192.0.2.3" }]

[policies.geo]
stages = [{ geo = { rules = [
    { networks = ["1.0.0.0/8"], regions = ["us"] },
    { networks = ["1.2.3.0/24"], regions = ["ap"] },
    { default = true, regions = ["eu"] },
] } }, { random = {} }]
[policies.order]
stages = [{ failover = {} }, { random = {} }]
[policies.near]
stages = [{ proximity = {} }, { random = {} }]
[policies.quick]
stages = [{ latency = {} }, { random = {} }]
[policies.split]
stages = [{ weighted = {} }]
[policies.turns]
stages = [{ round-robin = {} }]
[policies.sticky]
stages = [{ sticky = {} }]

[names."geo.gslb.test"]
pools = ["eu", "us", "ap"]
policy = "geo"
[names."order.gslb.test"]
pools = ["us", "eu", "ap"]
policy = "order"
[names."near.gslb.test"]
pools = ["eu", "us", "ap"]
policy = "near"
[names."quick.gslb.test"]
pools = ["eu", "us", "ap"]
policy = "quick"
[names."split.gslb.test"]
pools = ["eu", "us"]
policy = "split"
weights = { eu = 3, us = 1 }
[names."turns.gslb.test"]
pools = ["eu", "us", "ap"]
policy = "turns"
[names."sticky.gslb.test"]
pools = ["eu", "us", "ap"]
policy = "sticky"
"#;

const NAMES: [&str; 7] = ["geo", "order", "near", "quick", "split", "turns", "sticky"];

fn explained(node: &Node, name: &str, client: &str) -> Value {
    let path = format!("/v1/explain?name={name}.gslb.test&client={client}&resolver=127.0.0.1");
    let answer = http::get(node.admin, &path);
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()
}

fn dig(node: &Node, name: &str, client: &str) -> Message {
    let name = format!("{name}.gslb.test");
    dns::udp(node.dns, &dns::query(&name, RecordType::A, Some(client)))
}

fn got(m: &Message) -> Vec<String> {
    dns::addresses(m).iter().map(ToString::to_string).collect()
}

fn texts<'j>(list: &'j Value, key: &str) -> BTreeSet<&'j str> {
    let list = list.as_array().unwrap();
    list.iter().map(|v| v[key].as_str().unwrap()).collect()
}

/// Those of the candidates that have a share.
fn possible(json: &Value) -> BTreeSet<&str> {
    let all = json["candidates"].as_array().unwrap();
    let some = all
        .iter()
        .filter(|c| c["share-percent"].as_f64() > Some(0.0));
    some.map(|c| c["address"].as_str().unwrap()).collect()
}

#[test]
fn e2_e3_what_is_explained_is_what_dig_gets_and_the_neighbours_get_what_is_said() {
    let node = Node::start(WORLD);
    let mut bounded = 0;
    for name in NAMES {
        for client in [
            "1.2.3.0/24",
            "1.2.4.0/24",
            "1.0.0.0/16",
            "9.9.9.0/24",
            "203.0.113.0/24",
        ] {
            let json = explained(&node, name, client);
            let m = dig(&node, name, client);
            let possible = possible(&json);
            let addresses = got(&m);
            assert!(
                addresses.iter().all(|a| possible.contains(a.as_str())),
                "{name} for {client}: {addresses:?} of {possible:?}"
            );
            if possible.len() == 1 || name == "sticky" {
                let answer = texts(&json["answer"], "address");
                assert_eq!(answer, addresses.iter().map(String::as_str).collect());
            }
            assert_eq!(json["ttl"].as_u64(), Some(u64::from(m.answers[0].ttl)));
            assert_eq!(json["ttl-derivation"]["seconds"], json["ttl"]);
            assert_eq!(
                json["scope"].as_u64(),
                dns::scope(&m).map(u64::from),
                "{name} {client}"
            );

            let bounds = &json["neighbours"];
            if bounds["by"] != "plan" {
                continue;
            }
            let mut proof = false;
            for side in ["below", "above"] {
                let Some(network) = bounds[side]["network"].as_str() else {
                    continue;
                };
                let theirs = dig(&node, name, network);
                let said = texts(&bounds[side]["answer"], "address");
                assert_eq!(
                    said,
                    got(&theirs).iter().map(String::as_str).collect(),
                    "{network}"
                );
                let len: u8 = network.split_once('/').unwrap().1.parse().unwrap();
                assert_eq!(
                    dns::scope(&theirs),
                    Some(len),
                    "{network} is decided as one"
                );
                proof |= bounds[side]["bounds"] == true;
            }
            assert!(proof, "{bounds}");
            bounded += 1;
        }
    }
    assert!(bounded >= 3, "{bounded} answers have neighbours");
}

fn run(node: &Node, args: &[&str]) -> String {
    let server = format!("http://{}", node.admin);
    let Output {
        status,
        stdout,
        stderr,
    } = tradewind()
        .args(args)
        .args(["--server", &server])
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(status.success(), "{args:?}: {}", text(&stderr));
    text(&stdout)
}

#[test]
fn what_is_supposed_comes_true_when_it_is_ordered() {
    let node = Node::start(WORLD);
    for name in ["geo", "order"] {
        let before = explained(&node, name, "1.2.3.0/24");
        let all = before["counterfactuals"].as_array().unwrap();
        let one = all.iter().find(|c| {
            let terms = c["if"].as_array().unwrap();
            terms.len() == 1 && terms[0]["what"] == "drained" && terms[0]["scope"] == "region"
        });
        let one = one.unwrap_or_else(|| panic!("{all:#?}"));
        let region = one["if"][0]["names"][0].as_str().unwrap();
        run(&node, &["drain", "region", region, "--reason", "to see it"]);
        let draw = before["draw"].as_str().unwrap();
        let path = format!("/v1/explain?name={name}.gslb.test&client=1.2.3.0/24&draw={draw}");
        let after = http::get(node.admin, &path).json();
        assert_eq!(after["answer"], one["answer"], "{}", one["text"]);
        let overrides = after["overrides"].as_array().unwrap();
        assert_eq!(
            (&overrides[0]["kind"], &overrides[0]["name"]),
            (&"drain".into(), &region.into())
        );
        let said = texts(&one["answer"], "address");
        // Each query is drawn anew.
        wait_for("a query is drawn so", Duration::from_secs(10), || {
            let m = dig(&node, name, "1.2.3.0/24");
            (said == got(&m).iter().map(String::as_str).collect()).then_some(())
        });
        // And that the order ends would bring the first answer back.
        let back = after["counterfactuals"].as_array().unwrap();
        let ended = back
            .iter()
            .find(|c| c["if"][0]["what"] == "order-ended")
            .unwrap();
        assert_eq!(ended["answer"], before["answer"]);
        run(&node, &["clear", "region", region]);
    }
}

#[test]
fn explain_shows_people_what_bounds_the_scope_and_what_if() {
    let node = Node::start(WORLD);
    // Behind the named region the two others are equal, and the draw says which of them would be next: a
    // small one takes the first, a large one the last.
    for (draw, next) in [("0000000000000001", "eu"), ("f000000000000000", "us")] {
        let text = run(
            &node,
            &[
                "explain",
                "geo.gslb.test",
                "--client",
                "1.2.3.0/24",
                "--draw",
                draw,
            ],
        );
        let what_if =
            format!("what if: {next}-1 of pool {next} in region {next} would answer if region ap");
        for part in [
            "scope: below is 1.2.2.0/24 with plan",
            "inside 1.2.2.0/23: no shorter scope holds",
            &what_if,
        ] {
            assert!(text.contains(part), "{part} is missing:\n{text}");
        }
    }
    let wrong = http::get(
        node.admin,
        "/v1/explain?name=geo.gslb.test&client=1.2.3.4/24",
    );
    assert_eq!(
        (wrong.status, &wrong.json()["parameter"]),
        (400, &"client".into())
    );
}
