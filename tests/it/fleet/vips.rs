//! Two VIPs, each the first choice of another proxy: DNS answers with both, and one proxy carries both when
//! the other dies.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use super::client::within;
use super::lab::left_out;
use super::vip::{MOVES, NAME, PROXIES, accepted, common, has_addresses, start_vrrp, visit};
use super::world::{CLIENT, PATIENCE, WEB, World};
use crate::support::wait_for;

/// The VIP that `fra1` has while it can, and that of `fra2`.
const VIPS: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 66, 0, 101), Ipv4Addr::new(10, 66, 0, 102)];

fn config(w: &World) -> String {
    let common = common(w, r#"["proxy", "admin"]"#);
    let [a, b] = VIPS;
    format!(
        r#"{common}
[pools.eu]
region = "eu"
monitor = "web"
endpoints = [
    {{ name = "fra-a", address = "{a}", port = {WEB} }},
    {{ name = "fra-b", address = "{b}", port = {WEB} }},
]
[names."{NAME}"]
pools = ["eu", "us"]
policy = "order"
answers = 2
ttl = {{ min = "1s", max = "5s" }}
[listeners.web]
bind = ["{a}:{WEB}", "{b}:{WEB}"]
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
    )
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
