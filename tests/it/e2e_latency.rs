//! Round-trip times, end to end: what a node measures is shown, explained and steers.

use std::net::TcpListener;
use std::time::Duration;

use hickory_proto::rr::RecordType;
use serde_json::Value;

use crate::support::node::Node;
use crate::support::{dns, http, wait_for};

const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn measured_times_are_shown_explained_and_steady() {
    let near = TcpListener::bind("127.14.0.1:0").unwrap();
    let far = TcpListener::bind("127.14.0.2:0").unwrap();
    let port = |l: &TcpListener| l.local_addr().unwrap().port();
    let node = Node::start(&format!(
        "[monitors.m]
interval = \"2s\"
timeout = \"1s\"
fall = 10
tcp = {{}}
[regions.ap]
latitude = 1.35
longitude = 103.82
[pools.near]
region = \"ap\"
monitor = \"m\"
endpoints = [{{ name = \"near\", address = \"127.14.0.1\", port = {} }}]
[pools.far]
region = \"eu\"
monitor = \"m\"
endpoints = [{{ name = \"far\", address = \"127.14.0.2\", port = {} }}]
[policies.fast]
stages = [{{ latency = {{ tolerance = \"1s\" }} }}, {{ failover = {{}} }}]
[names.\"www.gslb.test\"]
pools = [\"near\", \"far\"]
policy = \"fast\"
ttl = {{ min = \"5s\", max = \"300s\" }}
",
        port(&near),
        port(&far)
    ));
    let site = wait_for("both are measured", PATIENCE, || {
        let site = http::get(node.admin, "/v1/latency").json()["sites"][0].clone();
        let endpoints = site["endpoints"].as_array()?.clone();
        let still = |e: &Value| e["rtt_ms"].is_number() && e["moving"] == false;
        (endpoints.len() == 2 && endpoints.iter().all(still)).then_some(site)
    });
    assert_eq!(
        (&site["site"], &site["region"]),
        (&"eu".into(), &"eu".into())
    );
    assert_eq!(site["vantages"][0]["node"], "n1");
    assert_eq!(site["vantages"][0]["voice"], "believed");
    assert_eq!(site["vantages"][0]["measured"], 2);
    let metrics = http::get(node.admin, "/metrics").body;
    for metric in [
        "tradewind_site_rtt_seconds{site=\"eu\",endpoint=\"near\",pool=\"near\"} ",
        "tradewind_vantage_believed{vantage=\"n1\",site=\"eu\",voice=\"believed\"} 1",
    ] {
        assert!(metrics.contains(metric), "{metric} in {metrics}");
    }
    let path = "/v1/explain?name=www.gslb.test&client=192.0.2.1";
    let steps = http::get(node.admin, path).body;
    for words in [
        "vantages nearest the client: eu",
        "latency by round-trip time, tolerance 1s or 10%: ",
    ] {
        assert!(steps.contains(words), "{words} in {steps}");
    }
    // Both are equally near, so the order of the pools decides; by distance it would be the other one.
    let answer = dns::udp(node.dns, &dns::query("www.gslb.test", RecordType::A, None));
    assert_eq!(dns::addresses(&answer), [near.local_addr().unwrap().ip()]);
    // No longer the smallest, but until the first probe that could change who serves: ten failures.
    let ttl = answer.answers[0].ttl;
    assert!((10..60).contains(&ttl), "{ttl}");
}
