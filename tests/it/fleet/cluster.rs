//! A fleet in the lab: three nodes that answer DNS, three that probe, and three targets, in three
//! regions.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::process::Output;
use std::time::{Duration, Instant};

use super::client::Watch;
use super::world::{MONITOR, World};

/// Nodes that answer DNS and take orders.
pub const DNS: [&str; 3] = ["dns1", "dns2", "dns3"];
/// Nodes that probe.
pub const PROBES: [&str; 3] = ["probe1", "probe2", "probe3"];
/// Targets: the one endpoint of the pools `eu`, `us` and `ap`.
pub const TARGETS: [&str; 3] = ["web1", "web2", "web3"];
/// A steered name that prefers the targets in their order.
pub const NAME: &str = "www.gslb.test";

/// An order is in force on the node that took it within this.
pub const AT_ONCE: Duration = Duration::from_secs(1);

/// Where a node takes its orders from, seen from itself.
const HERE: &str = "http://127.0.0.1:8053";

const REGIONS: [(&str, &str, &str); 3] = [
    ("eu", "50.11", "8.68"),
    ("us", "39.04", "-77.49"),
    ("ap", "1.35", "103.82"),
];

/// The hosts of a fleet and `spare` ones, with certificates for all nodes; nothing runs yet.
pub fn prepared(spare: &[&str]) -> Option<World> {
    let names = [&DNS[..], &PROBES, &TARGETS, spare].concat();
    let world = World::new(&names, config)?;
    let (init, out) = (world.file("fleet"), world.file("fleet"));
    let (init, out) = (init.display().to_string(), out.display().to_string());
    succeeds(&world.cli("client", &["fleet", "init", "--out", &init]));
    for node in DNS.iter().chain(&PROBES) {
        let config = world.file(super::world::CONFIG).display().to_string();
        let issue = ["fleet", "issue", node, "--config", &config];
        let issue = [&issue[..], &["--ca", &init, "--out", &out]].concat();
        succeeds(&world.cli("client", &issue));
    }
    Some(world)
}

/// A fleet in which everything runs.
pub fn started() -> Option<World> {
    let mut world = prepared(&[])?;
    start(&mut world);
    Some(world)
}

/// Starts everything, and waits until all serve and everybody answers with the first target.
pub fn start(world: &mut World) {
    for target in TARGETS {
        world.start_target(target);
    }
    let nodes = [&DNS[..], &PROBES].concat();
    world.start_nodes(&nodes);
    let first = world.v4(TARGETS[0]);
    for node in DNS {
        assert_eq!(world.addresses(node, NAME), [first], "{node}");
        for target in TARGETS {
            world.wait_state(node, target, "up");
        }
        for probe in PROBES {
            world.wait_life(node, probe, "alive");
        }
        for other in DNS.iter().filter(|other| **other != node) {
            world.wait_life(node, other, "alive");
        }
    }
}

fn config(w: &World) -> String {
    let mut text = format!("version = 1\n{MONITOR}");
    for (name, latitude, longitude) in REGIONS {
        let _ = write!(
            text,
            "[regions.{name}]\nlatitude = {latitude}\nlongitude = {longitude}\n"
        );
    }
    for (i, (region, ..)) in REGIONS.iter().enumerate() {
        for (node, dns) in [(DNS[i], true), (PROBES[i], false)] {
            let own = w.v4(node);
            let roles = match dns {
                true => format!(
                    "roles = [\"dns\", \"admin\"]\n\
                     dns = {{ listen = [\"{own}:53\", \"[{}]:53\"], workers = 1 }}\n\
                     admin = {{ listen = \"127.0.0.1:8053\" }}\n",
                    w.host(node).v6()
                ),
                false => "roles = [\"probe\"]\n".to_owned(),
            };
            let _ = write!(
                text,
                "[nodes.{node}]\nregion = \"{region}\"\n{roles}state-dir = \"{}\"\n\
                 [nodes.{node}.fleet]\nlisten = \"{own}:7946\"\n\
                 certificate = \"fleet/{node}.pem\"\nkey = \"fleet/{node}.key\"\n",
                w.state_dir(node).display()
            );
        }
        let (web, at) = (TARGETS[i], w.v4(TARGETS[i]));
        let _ = write!(
            text,
            "[pools.{region}]\nregion = \"{region}\"\nmonitor = \"web\"\n\
             endpoints = [{{ name = \"{web}\", address = \"{at}\", port = 8080 }}]\n"
        );
    }
    let _ = write!(
        text,
        r#"
[fleet]
ca = "fleet/ca.pem"
[zones."gslb.test"]
file = "gslb.test.zone"
[policies.order]
stages = [{{ failover = {{}} }}, {{ random = {{}} }}]
[names."{NAME}"]
pools = ["eu", "us", "ap"]
policy = "order"
ttl = {{ min = "1s", max = "5s" }}
"#
    );
    text
}

/// What a command printed; it must have gone well.
pub fn succeeds(output: &Output) -> String {
    let said = [&output.stdout[..], &output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(output.status.success(), "{}\n{said}", output.status);
    said
}

/// What an operator is told of an order.
#[derive(Debug)]
pub struct Taken {
    /// All living nodes have it.
    pub everywhere: bool,
    /// The words.
    pub said: String,
}

/// An operator at `node` gives an order there, such as `drain region eu`, which must be taken.
pub fn order(world: &World, node: &str, words: &str) -> Taken {
    let words: Vec<&str> = words.split(' ').collect();
    let why = ["--reason", "a test", "--server", HERE];
    let output = world.cli(node, &[&words[..], &why].concat());
    let said = [&output.stdout[..], &output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    let everywhere = match output.status.code() {
        Some(0) => true,
        Some(3) => false,
        _ => panic!("{words:?}: {}\n{said}", output.status),
    };
    Taken { everywhere, said }
}

/// One watch at each of these nodes.
pub fn watch_all(world: &World, nodes: &[&str]) -> Vec<Watch> {
    let watch = |node: &&str| world.watch(node, NAME);
    nodes.iter().map(watch).collect()
}

/// Waits until all of them see `wanted`, each within `bound` after `since`; the longest time that one
/// took.
pub fn all_get(watches: &[Watch], wanted: &[IpAddr], since: Instant, bound: Duration) -> Duration {
    let times = watches.iter().map(|w| w.wait(wanted, since, bound));
    times.max().unwrap()
}
