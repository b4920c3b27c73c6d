//! Two VIPs, each the first choice of another proxy: DNS answers with both, and one proxy carries both when
//! the other dies.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use super::client::within;
use super::lab::left_out;
use super::vip::{MOVES, PROXIES, accepted, has_addresses, start_vrrp, visit};
use super::world::{CLIENT, MONITOR, PATIENCE, WEB, World};
use crate::support::wait_for;

const NAME: &str = "www.gslb.test";
/// The VIP that `fra1` has while it can, and that of `fra2`.
const VIPS: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 66, 0, 101), Ipv4Addr::new(10, 66, 0, 102)];

fn config(w: &World) -> String {
    let (dns, web, iad) = (w.v4("dns"), w.v4("web"), w.v4("iad"));
    let [a, b] = VIPS;
    let mut text = format!(
        r#"
version = 1
[regions.eu]
latitude = 50.11
longitude = 8.68
[regions.us]
latitude = 39.04
longitude = -77.49
[zones."gslb.test"]
file = "gslb.test.zone"
[nodes.dns]
region = "us"
roles = ["dns", "probe", "admin"]
dns = {{ listen = ["{dns}:53"], workers = 1 }}
{MONITOR}
[pools.eu]
region = "eu"
monitor = "web"
endpoints = [
    {{ name = "fra-a", address = "{a}", port = {WEB} }},
    {{ name = "fra-b", address = "{b}", port = {WEB} }},
]
[pools.us]
region = "us"
monitor = "web"
endpoints = [{{ name = "iad", address = "{iad}", port = {WEB} }}]
[policies.order]
stages = [{{ failover = {{}} }}, {{ random = {{}} }}]
[names."{NAME}"]
pools = ["eu", "us"]
policy = "order"
answers = 2
ttl = {{ min = "1s", max = "5s" }}
[listeners.web]
bind = ["{a}:{WEB}", "{b}:{WEB}"]
[routes.all]
forward = "web"
[upstreams.web]
backends = [{{ name = "web", address = "{web}:{WEB}" }}]
[vips.fra-a]
address = ["{a}/24"]
interface = "eth0"
nodes = ["fra1", "fra2"]
router-id = 51
[vips.fra-b]
address = ["{b}/24"]
interface = "eth0"
nodes = ["fra2", "fra1"]
router-id = 52
"#
    );
    for node in PROXIES {
        let state = w.state_dir(node);
        text += &format!(
            "[nodes.{node}]\nregion = \"eu\"\nroles = [\"proxy\", \"admin\"]\nproxy.workers = 1\n\
             state-dir = \"{}\"\n",
            state.display()
        );
    }
    text
}

/// Waits until each of the VIPs is where it is said to be, and nowhere else.
fn wait_places(world: &World, holders: [&str; 2]) {
    wait_for(&format!("the VIPs are at {holders:?}"), PATIENCE, || {
        let there = |vip: &Ipv4Addr| {
            let written = format!("{vip}/24");
            let has = |n: &&str| has_addresses(world, n, &[&written]);
            PROXIES.into_iter().filter(has).collect::<Vec<_>>()
        };
        let places: Vec<_> = VIPS.iter().map(there).collect();
        (places == holders.map(|h| vec![h])).then_some(())
    });
}

/// Waits until a new connection to each of the VIPs works.
fn wait_served(world: &World) {
    world.host(CLIENT).inside(|| {
        for vip in VIPS {
            wait_for(&format!("{vip} serves"), PATIENCE, || visit(vip).ok());
        }
    });
}

#[test]
fn two_vips_in_dns_are_served_by_a_proxy_each_and_by_one_when_the_other_dies() {
    if left_out("keepalived", "keepalived") {
        return;
    }
    let Some(mut world) = World::new(&["fra1", "fra2", "web", "iad", "dns"], config) else {
        return;
    };
    world.start_target("web");
    world.start_target("iad");
    world.start_nodes(&["fra1", "fra2", "dns"]);
    let _vrrp = PROXIES.map(|node| start_vrrp(&world, node));
    wait_places(&world, PROXIES);
    let both: BTreeSet<IpAddr> = VIPS.map(IpAddr::from).into();
    let told =
        |world: &World| -> BTreeSet<IpAddr> { world.addresses("dns", NAME).into_iter().collect() };
    wait_for("DNS answers with both", PATIENCE, || {
        (told(&world) == both).then_some(())
    });
    // Each proxy carries what goes to its own VIP.
    wait_served(&world);
    for (vip, node) in VIPS.into_iter().zip(PROXIES) {
        let before = accepted(&world, node);
        world.host(CLIENT).inside(|| visit(vip).unwrap());
        assert!(accepted(&world, node) > before, "{node}");
    }

    world.take("fra1").kill9();
    let died = Instant::now();
    wait_served(&world);
    let took = died.elapsed();
    eprintln!("kill -9: new connections to both VIPs work after {took:?}");
    assert!(took < within(MOVES), "{took:?}");
    wait_places(&world, ["fra2"; 2]);
    // The endpoint may have failed a check meanwhile: it comes back by itself.
    wait_for("DNS answers with both again", PATIENCE, || {
        (told(&world) == both).then_some(())
    });

    world.start_nodes(&["fra1"]);
    wait_places(&world, PROXIES);
    wait_served(&world);
    assert_eq!(told(&world), both);
}
