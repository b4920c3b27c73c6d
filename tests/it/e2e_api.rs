//! The API on the real binary: what it shows, what it refuses, and what its document promises.

use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::support::backend::Backend;
use crate::support::demo::package;
use crate::support::node::Node;
use crate::support::proxy::{Proxy, WEB, backend_entry};
use crate::support::{http, wait_for};

/// Names, pools and a proxy with a cache: something of everything that the API shows.
const WORLD: &str = r#"
[admin]
requests-per-second = 0

[monitors.tcp]
interval = "1s"
timeout = "500ms"
tcp = {}

[pools.main]
region = "eu"
monitor = "tcp"
endpoints = [
    { name = "main-1", address = "127.0.0.1", port = 1 },
    { name = "main-2", address = "127.0.0.2", port = 1 },
]

[policies.split]
stages = [{ weighted = {} }]

[names."www.gslb.test"]
pools = ["main"]
policy = "split"
ttl = { min = "1s", max = "30s" }
"#;

fn world() -> (Proxy, Backend) {
    let backend = Backend::start();
    let entry = backend_entry("app", "one", backend.addr);
    (Proxy::start(&format!("{WORLD}{WEB}{entry}")), backend)
}

fn node() -> Node {
    Node::start(WORLD)
}

#[test]
fn everything_is_shown_and_found_by_its_name() {
    let node = node();
    let get = |path: &str| {
        let answer = http::get(node.admin, path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.json()
    };
    let status = wait_for("two endpoints are down", Duration::from_secs(20), || {
        let status = get("/v1/status");
        (status["endpoints"]["down"] == 2).then_some(status)
    });
    assert_eq!(status["node"], "n1");
    assert_eq!(status["names"]["total"], 1);
    assert_eq!(status["names"]["last-resort"], 1);
    let warnings = status["warnings"].as_array().unwrap();
    assert!(
        warnings
            .iter()
            .any(|w| w.as_str().unwrap().contains("www.gslb.test"))
    );
    let name = get("/v1/names/www.gslb.test");
    assert_eq!(name["standing"], "last-resort");
    assert_eq!(name["by_plan"][0]["tiers"][0][0], "main");
    assert_eq!(get("/v1/names?q=WWW")["matching"], 1);
    assert_eq!(get("/v1/names?standing=normal")["matching"], 0);
    assert_eq!(get("/v1/pools/main")["members"][1]["name"], "main-2");
    let page = get("/v1/endpoints?limit=1");
    assert_eq!(page["next"], "main-1");
    let rest = get("/v1/endpoints?after=main-1");
    assert_eq!(rest["endpoints"][0]["name"], "main-2");
    assert!(rest.get("next").is_none());
    let endpoint = get("/v1/endpoints/main%2D1");
    assert_eq!(endpoint["state"], "down");
    assert_eq!(endpoint["monitor"], "tcp");
    assert_eq!(
        get("/v1/votes")["endpoints"][0]["votes"][0]["opinion"],
        "down"
    );
    assert_eq!(get("/v1/regions")["regions"][0]["endpoints"]["down"], 2);
    assert_eq!(get("/v1/monitors")["monitors"][0]["kind"], "tcp");
    let own = get("/v1/nodes")["nodes"][0].take();
    assert_eq!(
        (&own["state"], &own["votes"]),
        (&"this node".into(), &2.into())
    );
    assert_eq!(get("/v1/fleet")["members"][0]["votes"], 2);
    let config = get("/v1/config?path=monitors.tcp");
    let options = config["options"].as_array().unwrap();
    let interval = options
        .iter()
        .find(|o| o["path"] == "monitors.tcp.interval")
        .unwrap();
    assert_eq!(interval["value"], "1s");
    let from = interval["from"].as_str().unwrap();
    assert!(from.contains(".toml:"), "{from}");
    assert!(options.iter().any(|o| o["from"] == "default"));
}

#[test]
fn whatever_is_wrong_is_named() {
    let node = node();
    for (path, status, parameter) in [
        ("/v1/names?limit=0", 400, "limit"),
        ("/v1/names?limit=x", 400, "limit"),
        ("/v1/names?limti=1", 400, "limti"),
        ("/v1/names?standing=good", 400, "standing"),
        ("/v1/endpoints?state=broken", 400, "state"),
        ("/v1/endpoints?limit=1001", 400, "limit"),
        ("/v1/status?x=1", 400, "x"),
        ("/livez?x=1", 400, "x"),
        ("/readyz?x=1", 400, "x"),
        ("/v1/explain?client=192.0.2.1", 400, "name"),
        ("/v1/explain?name=www.gslb.test&client=x", 400, "client"),
        ("/v1/audit?limit=-1", 400, "limit"),
        ("/v1/audit?nod=n1", 400, "nod"),
        ("/v1/audit?node=n9", 404, "node"),
        ("/v1/flows?node=n9", 404, "node"),
        ("/v1/session?x=1", 400, "x"),
        ("/v1/openapi.json?x=1", 400, "x"),
        ("/v1/pools/%FF", 400, "path"),
        ("/v1/overrides?scope=region", 400, "name"),
        ("/v1/endpoints?pool=mian", 404, "pool"),
        ("/v1/endpoints?region=nowhere", 404, "region"),
        ("/v1/pools?region=nowhere", 404, "region"),
        ("/v1/votes?pool=mian", 404, "pool"),
        ("/v1/latency/clients?region=nowhere", 404, "region"),
        (
            "/v1/explain?name=www.gslb.test&client=192.0.2.1&resolver=192.0.2.53",
            400,
            "resolver",
        ),
        ("/v1/flows?name=ww.gslb.test", 404, "name"),
        ("/v1/pools/mian", 404, "pool"),
        ("/v1/config?path=monitor", 404, "path"),
        (
            "/v1/explain?name=ww.gslb.test&client=192.0.2.1",
            404,
            "name",
        ),
    ] {
        let answer = http::get(node.admin, path);
        assert_eq!(answer.status, status, "{path}: {}", answer.body);
        assert_eq!(
            answer.json()["parameter"],
            parameter,
            "{path}: {}",
            answer.body
        );
    }
    for (path, near) in [
        ("/v1/pools/mian", "main"),
        ("/v1/endpoints/main-3", "main-"),
        ("/v1/names/ww.gslb.test", "www.gslb.test"),
        ("/v1/config?path=monitor", "monitors"),
    ] {
        let answer = http::get(node.admin, path);
        assert_eq!(answer.status, 404, "{path}");
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(
            detail.contains(&format!("did you mean `{near}")),
            "{detail}"
        );
    }
    let none = http::get(node.admin, "/v1/nothing").json();
    assert!(none["detail"].as_str().unwrap().contains("/v1/status"));
}

/// With `curl`, which can set fields.
fn curl(args: &[&str]) -> String {
    let out = Command::new("curl")
        .args(["-s", "-i"])
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
fn what_is_known_is_not_sent_again_and_changes_need_what_is_there_now() {
    let node = node();
    let url = |path: &str| format!("http://{}{path}", node.admin);
    let config = curl(&[&url("/v1/config")]);
    let tag = field(&config, "etag").unwrap().to_owned();
    let again = curl(&["-H", &format!("If-None-Match: {tag}"), &url("/v1/config")]);
    assert!(again.starts_with("HTTP/1.1 304 "), "{again}");
    let before = curl(&[&url("/v1/overrides?scope=pool&name=main")]);
    let tag = field(&before, "etag").unwrap().to_owned();
    let put = |tag: &str, kind: &str| {
        let body = format!(
            r#"{{"scope": "pool", "name": "main", "kind": "{kind}", "owner": "ana", "reason": "test", "break-glass": "test"}}"#
        );
        let condition = format!("If-Match: {tag}");
        curl(&[
            "-X",
            "PUT",
            "-H",
            &condition,
            "-H",
            "Content-Type: application/json",
            "-d",
            &body,
            &url("/v1/overrides"),
        ])
    };
    let given = put(&tag, "drain");
    assert!(given.starts_with("HTTP/1.1 200 "), "{given}");
    let late = put(&tag, "disable");
    assert!(late.starts_with("HTTP/1.1 412 "), "{late}");
    let now = field(&late, "etag").unwrap().to_owned();
    assert_ne!(now, tag);
    let given = put(&now, "disable");
    assert!(given.starts_with("HTTP/1.1 200 "), "{given}");
}

/// Which checks are made: all that the tool has but those that ask for more than an API without
/// credentials on loopback can do.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_headers_conformance,response_schema_conformance,\
                      negative_data_rejection,unsupported_method";

/// The tool, as `tests/run` installs it.
fn schemathesis() -> std::path::PathBuf {
    package().join("target/python/bin/schemathesis")
}

#[test]
fn the_document_holds_against_whatever_schemathesis_asks() {
    if std::env::var_os("TRADEWIND_NO_SCHEMATHESIS").is_some() {
        return;
    }
    let tool = schemathesis();
    assert!(
        tool.exists(),
        "{} is not there: `tests/run` installs it from PyPI; TRADEWIND_NO_SCHEMATHESIS=1 leaves this out",
        tool.display()
    );
    let (proxy, _backend) = world();
    let document = format!("http://{}/v1/openapi.json", proxy.node.admin);
    // It keeps what it found where it runs.
    let dir = tempfile::tempdir().unwrap();
    let out = Command::new(tool)
        .current_dir(dir.path())
        .arg("--config-file")
        .arg(package().join("tests/schemathesis.toml"))
        .args(["run", &document, "--checks", CHECKS])
        .args(["--max-examples", "15", "--max-time", "70", "--seed", "7"])
        .args([
            "--generation-deterministic",
            "--no-color",
            "--continue-on-failure",
        ])
        .args(["--phases", "examples,coverage,fuzzing", "--warnings", "off"])
        .args(["--request-timeout", "10"])
        .env("NO_PROXY", "127.0.0.1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stdout);
    assert!(
        out.status.success(),
        "{said}\n{}",
        String::from_utf8_lossy(&out.stderr)
    );
    let alive: Value = http::get(proxy.node.admin, "/v1/status").json();
    assert_eq!(alive["node"], "n1");
}
