//! Expectations on the real binary: a configuration that breaks one is refused everywhere (requirement O4).

use std::process::Output;

use hickory_proto::rr::RecordType;

use crate::support::demo::tradewind;
use crate::support::node::{HEAD, Node, folder};
use crate::support::{dns, http};

const WORLD: &str = r#"
[regions.us]
latitude = 39.04
longitude = -77.49

[pools.eu]
region = "eu"
endpoints = [{ name = "eu-1", address = "192.0.2.1" }]
[pools.us]
region = "us"
endpoints = [{ name = "us-1", address = "192.0.2.2" }]

[policies.order]
stages = [{ failover = {} }, { random = {} }]

[names."www.gslb.test"]
pools = ["eu", "us"]
policy = "order"

[[expect]]
name = "www.gslb.test"
answer = ["eu"]

[[expect]]
name = "www.gslb.test"
client = "198.51.100.0/24"
down = ["eu"]
answer = ["192.0.2.2"]
because = "America takes over"
"#;

/// The same, but America is gone from the name.
fn broken() -> String {
    WORLD.replace("pools = [\"eu\", \"us\"]", "pools = [\"us\"]")
}

fn tradewind_says(args: &[&str]) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = tradewind().args(args).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn o4_a_reload_that_breaks_an_expectation_is_refused_and_the_old_one_answers_on() {
    let node = Node::start(WORLD);
    let address = || {
        let query = dns::query("www.gslb.test", RecordType::A, None);
        let m = dns::udp(node.dns, &query);
        dns::addresses(&m)
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    assert_eq!(address(), ["192.0.2.1"]);
    let shown = http::get(node.admin, "/v1/expectations").json();
    assert_eq!((&shown["total"], &shown["broken"]), (&2.into(), &0.into()));
    let first = &shown["expectations"][0];
    assert_eq!(first["question"], "www.gslb.test A for everybody");
    assert!(
        first["place"].as_str().unwrap().contains("tradewind.toml:"),
        "{first}"
    );

    node.rewrite(&broken());
    let answer = http::request(node.admin, "POST", "/v1/reload");
    assert_eq!(answer.status, 422, "{}", answer.body);
    let json = answer.json();
    let problems: Vec<&str> = json["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p.as_str().unwrap())
        .collect();
    let told = problems
        .iter()
        .find(|p| p.contains("does not get what is expected"));
    let told = told.unwrap_or_else(|| panic!("{problems:#?}"));
    for part in [
        "tradewind.toml:",
        "error: www.gslb.test A for everybody",
        "expected eu",
        "us-1 100.0% in region us",
        "why: failover",
    ] {
        assert!(told.contains(part), "{part} is missing: {told}");
    }
    assert_eq!(
        address(),
        ["192.0.2.1"],
        "the configuration in force answers on"
    );
    assert_eq!(
        http::get(node.admin, "/v1/expectations").json()["generation"],
        shown["generation"]
    );

    node.rewrite(&WORLD.replace("192.0.2.1", "192.0.2.7"));
    assert_eq!(http::request(node.admin, "POST", "/v1/reload").status, 200);
    assert_eq!(address(), ["192.0.2.7"]);
    for (page, parameter) in [
        ("limit=0", "limit"),
        ("limit=x", "limit"),
        ("after=-1", "after"),
    ] {
        let refused = http::get(node.admin, &format!("/v1/expectations?{page}"));
        assert_eq!(
            (refused.status, &refused.json()["parameter"]),
            (400, &parameter.into())
        );
    }
    let second = http::get(node.admin, "/v1/expectations?limit=1&after=1").json();
    assert_eq!(second["expectations"][0]["because"], "America takes over");
    assert_eq!(second["next"], serde_json::Value::Null);
}

#[test]
fn o4_expectations_are_tried_by_test_check_and_start() {
    let good = folder(&format!("{HEAD}{WORLD}"));
    let bad = folder(&format!("{HEAD}{}", broken()));
    let path = |dir: &tempfile::TempDir| dir.path().to_str().unwrap().to_owned();

    let (code, out, _) = tradewind_says(&["test", &path(&good)]);
    assert_eq!(code, Some(0), "{out}");
    assert!(
        out.ends_with("2 expectations: 2 hold, 0 are broken\n"),
        "{out}"
    );

    let (code, out, _) = tradewind_says(&["test", &path(&bad)]);
    assert_eq!(code, Some(1), "{out}");
    for part in [
        "BROKEN  ",
        "www.gslb.test A for everybody",
        "wanted   eu",
        "| failover",
        "1 holds, 1 is broken",
    ] {
        assert!(out.contains(part), "{part} is missing:\n{out}");
    }
    let (code, out, _) = tradewind_says(&["test", "--json", &path(&bad)]);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &json["broken"]), (Some(1), &1.into()));
    assert_eq!(json["expectations"][1]["holds"], true);

    let bad_path = path(&bad);
    for args in [
        &["check", &bad_path][..],
        &["run", "--node", "n1", "--config", &bad_path],
    ] {
        let (code, _, err) = tradewind_says(args);
        assert_eq!(code, Some(78), "{args:?}: {err}");
        assert!(
            err.contains("does not get what is expected"),
            "{args:?}: {err}"
        );
    }
    let unread = folder(&format!(
        "{HEAD}{}",
        WORLD.replace("down = [\"eu\"]", "down = [\"eux\"]")
    ));
    let (code, _, err) = tradewind_says(&["test", &path(&unread)]);
    assert_eq!(code, Some(78), "{err}");
    assert!(err.contains("did you mean `eu`?"), "{err}");
}
