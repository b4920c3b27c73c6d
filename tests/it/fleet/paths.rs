//! Clients whose own connections say that the tables of places are wrong: proxies measure them, the fleet
//! tells the node that answers DNS, and that follows, until nothing confirms it any more.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::client::within;
use super::cluster::succeeds;
use super::lab::left_out;
use super::process::Process;
use super::world::{CLIENT, PATIENCE, WEB, World};
use crate::support::wait_for;

const NAME: &str = "www.gslb.test";
const NODES: [&str; 3] = ["dns", "eu", "us"];

/// One way, in milliseconds.
const LATE: &str = "40";

/// By the tables the client is in Frankfurt, and eu is near.
fn config(w: &World) -> String {
    let (dns, eu, us, web) = (w.v4("dns"), w.v4("eu"), w.v4("us"), w.v4("web"));
    let mut text = format!(
        r#"
version = 1
[fleet]
ca = "fleet/ca.pem"
[geoip]
networks = "networks.csv"
[clients]
dwell = "2s"
expire = "20s"
[regions.eu]
latitude = 50.11
longitude = 8.68
[regions.us]
latitude = 39.04
longitude = -77.49
[zones."gslb.test"]
file = "gslb.test.zone"
[pools.eu]
region = "eu"
endpoints = [{{ name = "fra", address = "{eu}", port = {WEB} }}]
[pools.us]
region = "us"
endpoints = [{{ name = "iad", address = "{us}", port = {WEB} }}]
[policies.near]
stages = [{{ latency = {{ clients = true }} }}, {{ random = {{}} }}]
[policies.places]
stages = [{{ latency = {{}} }}, {{ random = {{}} }}]
[names."{NAME}"]
pools = ["eu", "us"]
policy = "near"
ttl = {{ min = "1s", max = "300s" }}
[names."places.gslb.test"]
pools = ["eu", "us"]
policy = "places"
[listeners.web]
bind = ["0.0.0.0:{WEB}"]
[routes.all]
forward = "web"
[upstreams.web]
backends = [{{ name = "web", address = "{web}:{WEB}" }}]
"#
    );
    for (node, region, roles) in [
        ("dns", "us", "\"dns\", \"admin\""),
        ("eu", "eu", "\"proxy\", \"admin\""),
        ("us", "us", "\"proxy\", \"admin\""),
    ] {
        let own = w.v4(node);
        text += &format!(
            "[nodes.{node}]\nregion = \"{region}\"\nroles = [{roles}]\nstate-dir = \"{}\"\n\
             admin = {{ listen = \"127.0.0.1:8053\" }}\n\
             fleet = {{ listen = \"{own}:7946\", certificate = \"fleet/{node}.pem\", \
             key = \"fleet/{node}.key\" }}\n",
            w.state_dir(node).display()
        );
        text += &match node {
            "dns" => format!("dns = {{ listen = [\"{dns}:53\"], workers = 1 }}\n"),
            _ => "proxy = { workers = 1 }\n".to_owned(),
        };
    }
    text
}

/// Puts a long cable between the client and `eu`; ended when dropped.
fn long_cable(w: &World) -> [Process; 2] {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/fleet/far.py");
    let ends = [(CLIENT, "eu"), ("eu", CLIENT)];
    ends.map(|(here, there)| {
        let socket = |name: &str| w.file(&format!("cable-{name}"));
        let mut command = Command::new("python3");
        command.arg(script).arg("far0");
        command.arg(socket(here)).arg(socket(there)).arg(LATE);
        let mut process = Process::start(w.host(here), command);
        process.wait_line("plugged in", PATIENCE);
        w.host(here).ip(&format!(
            "link set far0 up mtu 1400\nroute add {}/32 dev far0 src {}\n",
            w.v4(there),
            w.v4(here)
        ));
        process
    })
}

/// One request of the client; whether it was answered.
fn ask(w: &World, to: IpAddr) -> bool {
    w.host(CLIENT).inside(|| {
        let at = SocketAddr::new(to, WEB);
        let Ok(mut stream) = TcpStream::connect_timeout(&at, Duration::from_secs(2)) else {
            return false;
        };
        let _ = stream.set_read_timeout(Some(Duration::from_secs(2)));
        let sent = stream.write_all(b"GET / HTTP/1.1\r\nHost: www\r\nConnection: close\r\n\r\n");
        let mut got = Vec::new();
        sent.is_ok() && stream.read_to_end(&mut got).is_ok() && got.starts_with(b"HTTP/1.1 200")
    })
}

/// What a node knows of the client's prefix, by region.
fn known(w: &World, node: &str) -> Vec<(String, Value)> {
    let json = w.get(node, "/v1/latency/clients");
    let rows = json["clients"].as_array().unwrap();
    let row = |r: &Value| (r["region"].as_str().unwrap().to_owned(), r.clone());
    rows.iter().map(row).collect()
}

#[test]
fn s1_dns_follows_what_clients_connections_measured_and_comes_back_when_it_expires() {
    if left_out("python3", "python3") {
        return;
    }
    let Some(mut w) = World::new(&["dns", "eu", "us", "web"], config) else {
        return;
    };
    let prefix = "10.66.0.0/24";
    let places = format!(
        "network,continent,country,subdivision,latitude,longitude,asn,place\n\
         {prefix},EU,DE,HE,50.110,8.682,64496,Frankfurt\n"
    );
    std::fs::write(w.file("networks.csv"), places).unwrap();
    let fleet = w.file("fleet").display().to_string();
    succeeds(&w.cli(CLIENT, &["fleet", "init", "--out", &fleet]));
    let path = w.file("tradewind.toml").display().to_string();
    for node in NODES {
        let issue = ["fleet", "issue", node, "--config", &path, "--ca", &fleet];
        succeeds(&w.cli(CLIENT, &[&issue[..], &["--out", &fleet]].concat()));
    }
    w.start_target("web");
    w.start_nodes(&NODES);
    let (eu, us) = (w.v4("eu"), w.v4("us"));
    let cable = long_cable(&w);
    assert_eq!(w.addresses("dns", NAME), [eu], "by the tables of places");

    // One region alone is known: nobody leaves it for a guess, however far it is.
    wait_for("five connections to eu", PATIENCE, || {
        (0..6).all(|_| ask(&w, eu)).then_some(())
    });
    wait_for("the node of DNS hears of eu", within(PATIENCE), || {
        ask(&w, eu);
        let known = known(&w, "dns");
        let eu = known.iter().find(|(region, _)| region == "eu")?;
        (eu.1["rtt_ms"].as_f64()? > 60.0).then_some(())
    });
    assert_eq!(w.addresses("dns", NAME), [eu]);

    // Both are.
    let follows = wait_for("DNS follows", within(PATIENCE), || {
        ask(&w, eu);
        ask(&w, us);
        (w.addresses("dns", NAME) == [us]).then(|| known(&w, "dns"))
    });
    assert_eq!(follows.len(), 2, "{follows:?}");
    for (region, row) in &follows {
        assert_eq!(row["prefix"], prefix);
        assert!(row["connections"].as_u64().unwrap() >= 5, "{row}");
        let ms = row["latest_ms"].as_f64().unwrap();
        assert_eq!(ms > 60.0, region == "eu", "{row}");
    }
    assert_eq!(
        w.addresses("dns", "places.gslb.test"),
        [eu],
        "not asked for"
    );
    let about = format!("/v1/explain?name={NAME}&client={}", w.v4(CLIENT));
    let told = w.get("dns", &about).to_string();
    let words = format!("connections from {prefix} in us, ");
    assert!(told.contains(&words), "{told}");
    let answer = w.dig("dns", NAME, "A").unwrap();
    assert!(
        answer.ttl.is_some_and(|ttl| ttl <= 2),
        "no longer than a dwell: {answer:?}"
    );

    // The node that measured the near region dies: what it said stands, and expires.
    w.take("us").kill9();
    let dead = std::time::Instant::now();
    wait_for("DNS comes back", within(Duration::from_secs(60)), || {
        (w.addresses("dns", NAME) == [eu]).then_some(())
    });
    assert!(
        dead.elapsed() >= Duration::from_secs(5),
        "what was told stands"
    );
    let left = known(&w, "dns");
    assert!(left.iter().all(|(region, _)| region != "us"), "{left:?}");
    let page = w
        .host("dns")
        .inside(|| crate::support::http::get("127.0.0.1:8053".parse().unwrap(), "/metrics").body);
    let expired = page
        .lines()
        .find_map(|l| l.strip_prefix("tradewind_client_paths_expired_total "));
    assert!(expired.unwrap().parse::<u64>().unwrap() >= 1);
    drop(cable);
}
