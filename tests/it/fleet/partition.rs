//! A fleet that is cut in two.

use std::time::{Duration, Instant};

use super::cluster::{AT_ONCE, DNS, NAME, all_get, order, started, watch_all};
use super::world::{DETECTION, PROPAGATION};
use crate::support::wait_for;

/// Equal views this long after a partition has healed.
const CONVERGED: Duration = Duration::from_secs(5);

/// Longer than connections between members stay up without a word (20 s): they have to be made anew.
const CUT: Duration = Duration::from_secs(22);

#[test]
fn f8_both_sides_of_a_cut_go_on_and_agree_soon_after_it_heals() {
    let Some(mut world) = started() else { return };
    let (web1, web2, web3) = (world.v4("web1"), world.v4("web2"), world.v4("web3"));
    let (left, right) = (["dns1", "probe1"], ["dns2", "dns3", "probe2", "probe3"]);
    let watches = watch_all(&world, &DNS);
    let cut = Instant::now();
    world.lab.cut_between(&left, &right);
    for watch in &watches {
        watch.only_for(&[web1], cut, DETECTION);
    }

    // Orders are taken on both sides, and hold on the side that took them.
    let given = Instant::now();
    let taken = order(&world, "dns1", "drain region eu --for 10m");
    assert!(!taken.everywhere, "{taken:?}");
    let missing = ["dns2", "dns3"].iter().all(|n| taken.said.contains(n));
    assert!(missing, "{taken:?}");
    watches[0].wait(&[web2], given, AT_ONCE);
    assert_eq!(world.addresses("dns1", NAME), [web2]);
    // The opposite, about the same region, and later.
    let taken = order(&world, "dns3", "force-up region eu --for 10m");
    assert!(!taken.everywhere, "{taken:?}");
    assert!(taken.said.contains("in force on 2 of 3"), "{taken:?}");
    // And one that the other side has nothing to say about.
    order(&world, "dns2", "drain region us --for 10m");
    for watch in &watches[1..] {
        watch.only(&[web1], cut);
    }

    // The larger side notices what dies: two probers of three are on it, and the third's last word,
    // "up", does not outvote them.
    let killed = Instant::now();
    world.take("web3").kill9();
    for node in ["dns2", "dns3"] {
        let what = format!("web3 is down at {node}");
        wait_for(&what, DETECTION + PROPAGATION, || {
            (world.health(node, "web3")["state"] == "down").then_some(())
        });
    }
    world.start_target("web3");
    eprintln!("the larger side noticed after {:?}", killed.elapsed());
    watches[1].only_for(&[web1], cut, CUT);
    watches[0].only(&[web2], given + AT_ONCE);

    world.lab.heal_between(&left, &right);
    let healed = Instant::now();
    // The later order about `eu` stands everywhere.
    let took = all_get(&watches, &[web1], healed, CONVERGED);
    let what = "equal orders";
    wait_for(what, CONVERGED, || {
        let at = DNS.map(|node| stamps(&world.get(node, "/v1/overrides")));
        (at[0] == at[1] && at[1] == at[2]).then_some(())
    });
    eprintln!("agreed after {took:?}, equal after {:?}", healed.elapsed());
    assert!(healed.elapsed() < CONVERGED + Duration::from_secs(1));
    // The drain of `us` came through as well: with `eu` gone the third target serves.
    let given = Instant::now();
    let taken = order(&world, "dns1", "drain region eu --for 10m");
    assert!(taken.everywhere, "{taken:?}");
    all_get(&watches, &[web3], given, PROPAGATION);
    for watch in &watches {
        watch.always_answered(cut);
    }
}

/// What tells orders apart, sorted.
fn stamps(orders: &serde_json::Value) -> Vec<String> {
    let list = orders["overrides"].as_array().unwrap();
    let mut stamps: Vec<String> = list.iter().map(|o| o["stamp"].to_string()).collect();
    stamps.sort();
    stamps
}
