//! Drills while the node that began them dies, and while nobody can be asked.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::cluster::{AT_ONCE, DNS, NAME, all_get, started, succeeds, watch_all};
use super::world::{PATIENCE, PROPAGATION, World};
use crate::support::wait_for;

/// A node that is gone is known to be within this, and the next one drives.
const TAKEN_OVER: Duration = Duration::from_secs(30);

/// Begins a drill at `node`; gives its name.
fn begin(world: &World, node: &str, words: &str) -> String {
    let words: Vec<&str> = words.split(' ').collect();
    let how = ["--json", "--no-watch", "--server", "http://127.0.0.1:8053"];
    // A drill needs most of the nodes, and of those that have only just started none is known for sure.
    let given = wait_for("the nodes know of each other", PATIENCE, || {
        let given = world.cli(node, &[&["drill"], &words[..], &how].concat());
        let too_few = String::from_utf8_lossy(&given.stderr).contains("quorum: ");
        (!too_few).then_some(given)
    });
    let said = succeeds(&given);
    let json: Value = serde_json::from_str(&said).unwrap();
    json["id"].as_str().unwrap().to_owned()
}

fn drill(world: &World, node: &str, id: &str) -> Value {
    world.get(node, &format!("/v1/drills/{id}"))
}

fn reported(world: &World, node: &str, id: &str) -> Value {
    wait_for("the drill is reported", PATIENCE * 2, || {
        let json = drill(world, node, id);
        (json["state"] == "reported").then_some(json)
    })
}

#[test]
fn a_drill_goes_on_and_is_rolled_back_and_reported_after_its_node_was_killed() {
    let Some(mut world) = started() else { return };
    let (web1, web2) = (world.v4("web1"), world.v4("web2"));
    let others = ["dns2", "dns3"];
    let watches = watch_all(&world, &others);
    let id = begin(&world, "dns1", "fail region eu --for 10m");
    let begun = Instant::now();
    all_get(&watches, &[web2], begun, AT_ONCE);
    // It was acknowledged, so all nodes have it; now the one that was asked and drives dies.
    wait_for("the others know that it runs", PATIENCE, || {
        (drill(&world, "dns2", &id)["state"] == "running").then_some(())
    });
    world.take("dns1").kill9();
    for node in others {
        wait_for("the next node drives", TAKEN_OVER, || {
            (drill(&world, node, &id)["driver"] == "dns2").then_some(())
        });
    }
    for watch in &watches {
        watch.only(&[web2], begun + AT_ONCE);
    }
    // It still watches: who must take over dies, and the drill is rolled back by those that are left.
    world.take("web2").kill9();
    let killed = Instant::now();
    all_get(&watches, &[web1], killed, Duration::from_secs(20));
    for node in others {
        let json = reported(&world, node, &id);
        assert_eq!(json["ended"], "rolled-back", "{json}");
        let said = json["steps"].to_string();
        assert!(said.contains("web2"), "{said}");
        let notes = json["notes"].to_string();
        assert!(notes.contains("node dns1 is gone; dns2 drives"), "{notes}");
        let nodes = json["nodes"].as_array().unwrap();
        let told = nodes.iter().filter(|n| n["over"].is_object()).count();
        assert!(told >= 2, "{json}");
    }
    // The one that was away learns how it ended.
    world.start_nodes(&["dns1"]);
    let json = reported(&world, "dns1", &id);
    assert_eq!(json["ended"], "rolled-back", "{json}");
}

#[test]
fn a_drill_ends_in_time_on_every_node_though_all_that_know_of_it_died_meanwhile() {
    let Some(mut world) = started() else { return };
    let web1 = world.v4("web1");
    let id = begin(&world, "dns3", "drain region eu --for 15s");
    let begun = Instant::now();
    for node in DNS {
        wait_for("the node knows that it runs", PATIENCE, || {
            (drill(&world, node, &id)["state"] == "running").then_some(())
        });
    }
    for node in DNS {
        world.take(node).kill9();
    }
    world.start_nodes(&DNS);
    let watches = watch_all(&world, &DNS);
    let lasts = Duration::from_secs(15);
    all_get(&watches, &[web1], begun, lasts + PROPAGATION + PATIENCE);
    for node in DNS {
        let json = reported(&world, node, &id);
        assert_eq!(json["ended"], "finished", "{node} {json}");
        assert_eq!(world.addresses(node, NAME), [web1], "{node}");
    }
}
