//! What the fleet believes of the targets while probes and their paths fail.

use std::time::{Duration, Instant};

use super::cluster::{DNS, NAME, PROBES, all_get, started, watch_all};
use super::world::{DETECTION, PATIENCE, PROPAGATION};
use crate::support::wait_for;

/// The worst case from a target's death to its leaving the answers of all nodes.
const NOTICED: Duration = DETECTION.saturating_add(PROPAGATION);

/// Votes of a vantage that is not heard count in full for so long, and its word "up" for
/// [`EXPIRED`].
const FRESH: Duration = Duration::from_secs(10);
/// After this a vantage has no vote.
const EXPIRED: Duration = Duration::from_secs(30);

#[test]
fn h3_a_dead_target_leaves_all_answers_within_the_worst_case_and_comes_back() {
    let Some(mut world) = started() else { return };
    let (web1, web2) = (world.v4("web1"), world.v4("web2"));
    let watches = watch_all(&world, &DNS);
    let killed = Instant::now();
    world.take("web1").kill9();
    let took = all_get(&watches, &[web2], killed, NOTICED);
    eprintln!("a dead target was out everywhere after {took:?}");
    for node in DNS {
        assert_eq!(world.addresses(node, NAME), [web2]);
        world.wait_state(node, "web1", "down");
    }

    let alive = Instant::now();
    world.start_target("web1");
    let took = all_get(&watches, &[web1], alive, NOTICED);
    eprintln!("it was back everywhere after {took:?}");
    for watch in &watches {
        watch.always_answered(killed);
    }
}

/// The prober that is cut off sees everything down, and the one that is cut off from a single target
/// sees that one down; neither changes an answer, and what they say is shown.
#[test]
fn h3_what_one_prober_alone_sees_changes_no_answer() {
    let Some(mut world) = started() else { return };
    let (web1, web2) = (world.v4("web1"), world.v4("web2"));
    let watches = watch_all(&world, &DNS);
    let cut = Instant::now();
    world.lab.cut("probe1", "web1");
    world.lab.isolate("probe2");
    // The others must have heard what probe1 sees, and long enough nothing of probe2.
    for node in DNS {
        let what = format!("{node} shows the vote of probe1");
        wait_for(&what, PATIENCE, || {
            let shown = world.health(node, "web1").to_string();
            shown.contains("probe1").then_some(())
        });
        world.wait_life(node, "probe2", "silent");
    }
    for watch in &watches {
        watch.only_for(&[web1], cut, FRESH + DETECTION);
        watch.only(&[web1], cut);
    }
    // Two of three must agree, and the two that are left can; the third's last word was "up".
    world.lab.heal("probe1", "web1");
    for node in DNS {
        world.wait_state(node, "web1", "up");
    }
    let killed = Instant::now();
    world.take("web1").kill9();
    let took = all_get(&watches, &[web2], killed, NOTICED);
    eprintln!("without one prober a dead target was out after {took:?}");
    world.lab.rejoin("probe2");
    for node in DNS {
        world.wait_life(node, "probe2", "alive");
    }
    for watch in &watches {
        watch.always_answered(cut);
    }
}

#[test]
fn h3_a_frozen_prober_holds_up_nobody() {
    let Some(mut world) = started() else { return };
    let (web1, web2) = (world.v4("web1"), world.v4("web2"));
    let watches = watch_all(&world, &DNS);
    let frozen = Instant::now();
    world.process("probe3").freeze();
    for watch in &watches {
        watch.only_for(&[web1], frozen, DETECTION);
    }
    let killed = Instant::now();
    world.take("web1").kill9();
    all_get(&watches, &[web2], killed, NOTICED);
    let alive = Instant::now();
    world.start_target("web1");
    all_get(&watches, &[web1], alive, NOTICED);
    // What it finds when it wakes up changes nothing.
    world.process("probe3").thaw();
    let thawed = Instant::now();
    for watch in &watches {
        watch.only_for(&[web1], thawed, NOTICED);
        watch.always_answered(frozen);
    }
}

/// Nobody sees anything any more: what was believed last stays, and is called stale.
#[test]
fn h4_without_any_prober_the_last_verdicts_stay_and_are_called_stale() {
    let Some(mut world) = started() else { return };
    let (web2, web3) = (world.v4("web2"), world.v4("web3"));
    let watches = watch_all(&world, &DNS);
    let killed = Instant::now();
    world.take("web1").kill9();
    all_get(&watches, &[web2], killed, NOTICED);
    let blind = Instant::now();
    for probe in PROBES {
        world.take(probe).kill9();
    }
    // Dies unseen: nothing says that it did.
    world.take("web2").kill9();
    for watch in &watches {
        watch.only_for(&[web2], blind, EXPIRED + PROPAGATION);
    }
    for node in DNS {
        for (endpoint, state) in [("web1", "down"), ("web2", "up"), ("web3", "up")] {
            let shown = world.health(node, endpoint);
            assert_eq!(shown["state"], state, "{node}: {shown}");
            assert_eq!(shown["stale"], true, "{node}: {shown}");
        }
    }
    // One that comes back sees what happened meanwhile; alone, it needs twice the evidence.
    let back = Instant::now();
    world.start_nodes(&["probe1"]);
    all_get(&watches, &[web3], back, PATIENCE);
    for watch in &watches {
        watch.always_answered(killed);
    }
}
