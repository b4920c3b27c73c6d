//! Reload: atomic, and a bad configuration keeps the old one (requirement O4).

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use crate::support::demo::tradewind;
use crate::support::node::{HEAD, Node, folder};
use crate::support::{dns, http, wait_for};

const ONE: &str = r#"
[pools.eu]
region = "eu"
endpoints = [{ name = "eu-1", address = "192.0.2.1" }]

[policies.any]
stages = [{ weighted = {} }]

[names."www.gslb.test"]
pools = ["eu"]
policy = "any"
"#;

fn address(node: &Node, name: &str) -> Vec<String> {
    let m = dns::udp(node.dns, &dns::query(name, RecordType::A, None));
    dns::addresses(&m).iter().map(ToString::to_string).collect()
}

#[test]
fn o4_reload_by_signal_and_by_api_serves_the_new_configuration() {
    let node = Node::start(ONE);
    assert_eq!(address(&node, "www.gslb.test"), ["192.0.2.1"]);
    node.rewrite(&ONE.replace("192.0.2.1", "192.0.2.2"));
    node.signal("-HUP");
    wait_for(
        "SIGHUP is obeyed",
        std::time::Duration::from_secs(10),
        || (address(&node, "www.gslb.test") == ["192.0.2.2"]).then_some(()),
    );
    node.rewrite(&ONE.replace("192.0.2.1", "192.0.2.3"));
    let answer = http::request(node.admin, "POST", "/v1/reload");
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(answer.json()["generation"].as_u64().unwrap() > 1);
    // Once the API has answered, the new configuration is in force.
    assert_eq!(address(&node, "www.gslb.test"), ["192.0.2.3"]);
}

/// An edited check is no reason to forget who is up and who is down, and to send clients to whoever
/// the last resort offers until the first probes of the new check have ended.
#[test]
fn h1_a_reload_that_edits_a_monitor_keeps_answering_from_what_is_known() {
    let alive = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = alive.local_addr().unwrap().port();
    let config = format!(
        r#"
[monitors.connect]
interval = "1s"
timeout = "500ms"
rise = 2
fall = 2
tcp = {{}}

[pools.eu]
region = "eu"
monitor = "connect"
endpoints = [{{ name = "alive", address = "127.0.0.1", port = {port} }}, {{ name = "dead", address = "127.0.0.2", port = {port} }}]

[policies.any]
stages = [{{ random = {{}} }}]

[names."www.gslb.test"]
pools = ["eu"]
policy = "any"
answers = 2
last-resort = {{ servfail = {{}} }}
ttl = {{ min = "1s", max = "30s" }}
"#
    );
    let node = Node::start(&config);
    wait_for(
        "the dead one is down",
        std::time::Duration::from_secs(20),
        || {
            let health = http::get(node.admin, "/v1/health").json();
            let endpoints = health["endpoints"].as_array().unwrap();
            endpoints.iter().any(|e| e["state"] == "down").then_some(())
        },
    );
    for interval in ["40s", "50s", "1m"] {
        node.rewrite(&config.replace("\"1s\"\ntimeout", &format!("\"{interval}\"\ntimeout")));
        let answer = http::request(node.admin, "POST", "/v1/reload");
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(address(&node, "www.gslb.test"), ["127.0.0.1"], "{interval}");
    }
}

/// "Reloaded" alone would let its operator believe that the node listens elsewhere now.
#[test]
fn o4_a_reload_names_the_options_that_wait_for_a_restart() {
    let node = Node::start(ONE);
    let unchanged = http::request(node.admin, "POST", "/v1/reload").json();
    assert_eq!(unchanged["warnings"].as_array().unwrap().len(), 0);
    let path = node.file("tradewind.toml");
    let changed = std::fs::read_to_string(&path)
        .unwrap()
        .replace("workers = 1", "workers = 2");
    std::fs::write(&path, changed).unwrap();
    let answer = http::request(node.admin, "POST", "/v1/reload");
    assert_eq!(answer.status, 200, "{}", answer.body);
    let warnings = answer.json()["warnings"].to_string();
    assert!(
        warnings.contains("`nodes.n1.dns.workers` changed") && warnings.contains("restart"),
        "{warnings}"
    );
    node.wait_logged("`nodes.n1.dns.workers` changed");
}

#[test]
fn o4_a_bad_configuration_keeps_the_old_one_and_names_every_error() {
    let node = Node::start(ONE);
    let bad = ONE
        .replace("pools = [\"eu\"]", "pools = [\"ue\"]")
        .replace("\"any\"\n", "\"anny\"\n");
    node.rewrite(&bad);
    let answer = http::request(node.admin, "POST", "/v1/reload");
    assert_eq!(answer.status, 422, "{}", answer.body);
    let problems: Vec<String> = answer.json()["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p.as_str().unwrap().to_owned())
        .collect();
    let has = |text: &str| {
        assert!(
            problems.iter().any(|p| p.contains(text)),
            "{text}: {problems:#?}"
        )
    };
    has("pool `ue`");
    has("policy `anny`");
    assert!(
        problems.iter().all(|p| p.contains("tradewind.toml:")),
        "{problems:#?}"
    );
    assert_eq!(address(&node, "www.gslb.test"), ["192.0.2.1"]);
    node.signal("-HUP");
    node.wait_logged("reload refused");
    assert_eq!(address(&node, "www.gslb.test"), ["192.0.2.1"]);
}

#[test]
fn o4_malformed_inputs_are_located_and_change_nothing() {
    let with_geo = format!("{ONE}\n[geoip]\ndatabases = [\"geo.mmdb\"]\nnetworks = \"own.csv\"\n");
    let dir = folder(&format!("{HEAD}{with_geo}"));
    let csv = "network,continent,country,latitude,longitude\n198.51.100.0/24,NA,US,39.0,-77.5\n";
    std::fs::write(dir.path().join("own.csv"), csv).unwrap();
    let demo_db = crate::support::demo::package().join("geoip/demo.mmdb");
    std::fs::copy(&demo_db, dir.path().join("geo.mmdb")).unwrap();
    let node = Node::start_in(dir);
    let good_db = std::fs::read(&demo_db).unwrap();
    let zone = std::fs::read_to_string(node.file("gslb.test.zone")).unwrap();
    let cases: [(&str, Vec<u8>, &str); 5] = [
        (
            "gslb.test.zone",
            zone.replace("192.0.2.80", "300.0.0.1").into_bytes(),
            "gslb.test.zone:5:",
        ),
        (
            "geo.mmdb",
            good_db[..good_db.len() / 2].to_vec(),
            "geo.mmdb",
        ),
        ("geo.mmdb", b"this is no database".to_vec(), "geo.mmdb"),
        (
            "own.csv",
            csv.replace("39.0", "391.0").into_bytes(),
            "own.csv:2:",
        ),
        (
            "tradewind.toml",
            b"version = \n[regions".to_vec(),
            "tradewind.toml:1:",
        ),
    ];
    for (file, bytes, place) in cases {
        let good = std::fs::read(node.file(file)).unwrap();
        std::fs::write(node.file(file), &bytes).unwrap();
        let answer = http::request(node.admin, "POST", "/v1/reload");
        assert_eq!(answer.status, 422, "{file}: {}", answer.body);
        assert!(
            answer.body.contains(place),
            "{file} wants {place}: {}",
            answer.body
        );
        assert_eq!(address(&node, "www.gslb.test"), ["192.0.2.1"]);
        assert_eq!(address(&node, "static.gslb.test"), ["192.0.2.80"]);
        std::fs::write(node.file(file), &good).unwrap();
    }
    assert_eq!(http::request(node.admin, "POST", "/v1/reload").status, 200);
}

#[test]
fn o4_reload_is_atomic_over_all_names() {
    // Two names move together: no answer may ever show one new and the other old *after* the new one
    // was seen.
    let two = format!("{ONE}\n[names.\"api.gslb.test\"]\npools = [\"eu\"]\npolicy = \"any\"\n");
    let node = Node::start(&two);
    let mut last = 1;
    for round in 2..8 {
        node.rewrite(&two.replace("192.0.2.1\"", &format!("192.0.2.{round}\"")));
        node.signal("-HUP");
        wait_for(
            "the reload shows",
            std::time::Duration::from_secs(10),
            || {
                let www = address(&node, "www.gslb.test")[0].clone();
                if www == format!("192.0.2.{round}") {
                    assert_eq!(
                        address(&node, "api.gslb.test")[0],
                        www,
                        "one generation for all names"
                    );
                    Some(())
                } else {
                    assert_eq!(www, format!("192.0.2.{last}"));
                    None
                }
            },
        );
        last = round;
    }
}

#[test]
fn o4_check_and_run_exit_78_with_all_errors() {
    let bad = format!(
        "{HEAD}{}",
        ONE.replace("region = \"eu\"", "region = \"eux\"")
            .replace("weighted", "wieghted")
    );
    let dir = folder(&bad);
    let config = dir.path().join("tradewind.toml");
    let mut check = tradewind();
    check.arg("check").arg(&config);
    let mut run = tradewind();
    run.arg("run")
        .arg("--config")
        .arg(&config)
        .args(["--node", "n1"]);
    for command in [&mut check, &mut run] {
        let out = command.output().unwrap();
        let text = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), Some(78), "{text}");
        assert!(
            text.contains("eux") && text.contains("wieghted"),
            "both errors at once:\n{text}"
        );
        assert!(text.contains("weighted"), "the nearest name:\n{text}");
        assert!(text.contains("tradewind.toml:"), "{text}");
    }
    let good = folder(&format!("{HEAD}{ONE}"));
    let out = tradewind().arg("check").arg(good.path()).output().unwrap();
    assert_eq!(
        out.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
}

#[test]
fn o4_an_unknown_node_gets_a_suggestion() {
    let dir = folder(&format!("{HEAD}{ONE}"));
    let out = tradewind()
        .arg("run")
        .arg("--config")
        .arg(dir.path())
        .args(["--node", "n2"])
        .output()
        .unwrap();
    assert_eq!(out.status.code(), Some(78));
    assert!(String::from_utf8_lossy(&out.stderr).contains("--node n1"));
}

#[test]
fn a3_outside_every_zone_is_refused() {
    let node = Node::start(ONE);
    let m = dns::udp(node.dns, &dns::query("www.other.test", RecordType::A, None));
    assert_eq!(m.metadata.response_code, ResponseCode::Refused);
    let m = dns::udp(node.dns, &dns::query("xgslb.test", RecordType::A, None));
    assert_eq!(
        m.metadata.response_code,
        ResponseCode::Refused,
        "zones match on label boundaries"
    );
}

#[test]
fn what_needs_a_restart_is_said_at_reload() {
    let node = Node::start(ONE);
    let text = std::fs::read_to_string(node.file("tradewind.toml")).unwrap();
    std::fs::write(
        node.file("tradewind.toml"),
        text.replace("workers = 1", "workers = 2"),
    )
    .unwrap();
    let answer = http::request(node.admin, "POST", "/v1/reload");
    assert_eq!(answer.status, 200, "{}", answer.body);
    let warnings = answer.json()["warnings"].to_string();
    assert!(warnings.contains("restart"), "{warnings}");
}
