//! Nodes that are no members: what they push counts everywhere, also where nobody pushes to.

use std::time::Instant;

use super::cluster::{DNS, PROBES, all_get, prepared, start, watch_all};
use super::world::{CONFIG, DETECTION, PROPAGATION, World};

/// All probers push to two of the three nodes that answer; the third hears of it from these. With one
/// of the two gone nothing is lost.
#[test]
fn h9_votes_that_are_pushed_to_two_nodes_count_on_all_and_outlive_one_of_them() {
    let Some(mut world) = prepared(&[]) else {
        return;
    };
    pushing(&world);
    start(&mut world);
    let (web1, web2) = (world.v4("web1"), world.v4("web2"));
    let watches = watch_all(&world, &DNS);
    let bound = DETECTION + PROPAGATION;
    let killed = Instant::now();
    world.take("web1").kill9();
    let took = all_get(&watches, &[web2], killed, bound);
    eprintln!("by pushed votes a dead target was out after {took:?}");

    world.take("dns1").kill9();
    let back = Instant::now();
    world.start_target("web1");
    for watch in &watches[1..] {
        watch.wait(&[web1], back, bound + PROPAGATION);
    }
    let killed = Instant::now();
    world.take("web1").kill9();
    for watch in &watches[1..] {
        watch.wait(&[web2], killed, bound);
        watch.always_answered(killed);
    }
}

/// Makes pushing nodes of the probers.
fn pushing(world: &World) {
    let mut changes = Vec::new();
    for node in &DNS[..2] {
        let table = format!("[nodes.{node}.fleet]\n");
        let ingest = format!("{table}ingest = \"{}:7947\"\n", world.v4(node));
        changes.push((table, ingest));
    }
    for node in PROBES {
        let listen = format!("listen = \"{}:7946\"\n", world.v4(node));
        changes.push((listen, "push-to = [\"dns1\", \"dns2\"]\n".to_owned()));
    }
    let changes: Vec<(&str, &str)> = changes.iter().map(|(a, b)| (&**a, &**b)).collect();
    world.write_config(CONFIG, &changes);
}
