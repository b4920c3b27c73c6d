//! Orders of operators while the node that took them dies, sleeps, has a wrong clock or a full disk.

use std::time::{Duration, Instant};

use super::cluster::{AT_ONCE, DNS, NAME, all_get, order, prepared, start, started, watch_all};
use super::world::{DETECTION, PATIENCE, PROPAGATION};

/// What nodes say that were all started again a moment ago is known to all within this.
const REJOINED: Duration = Duration::from_secs(25);

#[test]
fn o1_an_acknowledged_order_outlives_the_node_that_took_it() {
    let Some(mut world) = started() else { return };
    let (web1, web2) = (world.v4("web1"), world.v4("web2"));
    let others = ["dns2", "dns3"];
    let watches = watch_all(&world, &others);
    let given = Instant::now();
    let taken = order(&world, "dns1", "drain region eu --for 1h");
    let acknowledged = Instant::now();
    world.take("dns1").kill9();
    assert!(taken.everywhere, "{taken:?}");
    eprintln!("acknowledged after {:?}", acknowledged - given);
    // It was acknowledged because all have it.
    for (watch, node) in watches.iter().zip(others) {
        let took = watch.wait(&[web2], acknowledged, AT_ONCE);
        watch.only_for(&[web2], acknowledged + took, DETECTION);
        assert_eq!(world.addresses(node, NAME), [web2]);
    }

    // It holds where it was taken as well, from the first answer on.
    let restarted = Instant::now();
    let own = world.watch("dns1", NAME);
    world.start_nodes(&["dns1"]);
    own.wait(&[web2], restarted, PATIENCE);
    let before = own.since(restarted);
    let undone = before.iter().any(|r| r.got.as_deref() == Some(&[web1]));
    assert!(!undone, "{before:?}");
    // And everywhere after all of them were down.
    for node in DNS {
        world.take(node).kill9();
    }
    world.start_nodes(&DNS);
    for node in DNS {
        assert_eq!(world.addresses(node, NAME), [web2], "{node}");
    }
    let lifted = Instant::now();
    order(&world, "dns3", "clear region eu");
    let took = all_get(&watches, &[web1], lifted, REJOINED);
    eprintln!("after all were started again an order was everywhere after {took:?}");
}

#[test]
fn o3_a_frozen_dns_node_holds_up_nobody_and_catches_up() {
    let Some(mut world) = started() else { return };
    let (web1, web2, web3) = (world.v4("web1"), world.v4("web2"), world.v4("web3"));
    let awake = watch_all(&world, &["dns1", "dns3"]);
    let asleep = watch_all(&world, &["dns2"]);
    all_get(&asleep, &[web1], Instant::now(), AT_ONCE);
    let frozen = Instant::now();
    world.process("dns2").freeze();
    asleep[0].wait_silence(AT_ONCE);
    let killed = Instant::now();
    world.take("web1").kill9();
    all_get(&awake, &[web2], killed, DETECTION + PROPAGATION);
    // An order is taken without it: who has not got it is said by name.
    let given = Instant::now();
    let taken = order(&world, "dns3", "drain region us --for 1h");
    let took = given.elapsed();
    assert!(
        !taken.everywhere && taken.said.contains("dns2"),
        "{taken:?}"
    );
    assert!(took < Duration::from_secs(7), "{took:?}");
    all_get(&awake, &[web3], given, PROPAGATION);

    let thawed = Instant::now();
    world.process("dns2").thaw();
    let took = all_get(&asleep, &[web3], thawed, Duration::from_secs(5));
    eprintln!("it had caught up after {took:?}");
    for watch in &awake {
        watch.always_answered(frozen);
    }
}

#[test]
fn an_order_from_the_future_is_held_back_and_health_does_not_care_about_clocks() {
    let Some(mut world) = prepared(&[]) else {
        return;
    };
    for name in ["dns1", "probe1"] {
        world.own_clock(name);
    }
    start(&mut world);
    let (web1, web3) = (world.v4("web1"), world.v4("web3"));
    let watches = watch_all(&world, &DNS);
    let begun = Instant::now();
    for jump in [3_600, -3_600] {
        world.jump("dns1", jump);
        world.jump("probe1", -jump);
        let jumped = Instant::now();
        for watch in &watches {
            watch.only_for(&[web1], jumped, DETECTION + PROPAGATION);
        }
    }
    for node in DNS {
        world.wait_life(node, "probe1", "alive");
    }
    // Given by a node whose clock is an hour ahead: not applied elsewhere, and said aloud.
    world.jump("dns1", 3_600);
    let given = Instant::now();
    let taken = order(&world, "dns1", "drain region eu --for 3h");
    assert!(
        taken.said.contains("does not believe its time"),
        "{taken:?}"
    );
    for node in ["dns2", "dns3"] {
        let alarm = ["ahead of this node's clock"];
        world.process(node).wait_logged(&alarm, PATIENCE);
        let held = &world.get(node, "/v1/overrides")["quarantined"];
        assert_eq!(held[0]["node"], "dns1", "{held}");
    }
    for watch in &watches[1..] {
        watch.only_for(&[web1], given, PROPAGATION);
    }
    // The others' orders are taken as ever.
    let killed = Instant::now();
    order(&world, "dns2", "force-down pool us --for 1h");
    world.take("web1").kill9();
    all_get(&watches[1..], &[web3], killed, DETECTION + PROPAGATION);
    for watch in &watches {
        watch.always_answered(begun);
    }
}

#[test]
fn a_full_disk_stops_no_answers_and_orders_say_where_they_are_not_stored() {
    let Some(mut world) = prepared(&[]) else {
        return;
    };
    world.small_disk("dns1", "4m");
    start(&mut world);
    let (web1, web2, web3) = (world.v4("web1"), world.v4("web2"), world.v4("web3"));
    let watches = watch_all(&world, &DNS);
    let begun = Instant::now();
    world.fill_disk("dns1");
    // Taken elsewhere: in force here too, from memory.
    let given = Instant::now();
    order(&world, "dns2", "drain region eu --for 1h");
    all_get(&watches, &[web2], given, PROPAGATION);
    // Taken here: in force nevertheless, with a warning.
    let given = Instant::now();
    let taken = order(&world, "dns1", "drain region us --for 1h");
    assert!(
        taken.said.contains("will not outlive this process"),
        "{taken:?}"
    );
    all_get(&watches, &[web3], given, PROPAGATION);

    world.free_disk("dns1");
    let given = Instant::now();
    let taken = order(&world, "dns1", "clear region eu");
    all_get(&watches, &[web1], given, PROPAGATION);
    assert!(!taken.said.contains("will not outlive"), "{taken:?}");
    // What was ordered while the disk was full is on it by now.
    world.take("dns1").kill9();
    world.take("web1").kill9();
    let restarted = Instant::now();
    world.start_nodes(&["dns1"]);
    all_get(&watches, &[web3], restarted, DETECTION + PROPAGATION);
    for watch in &watches[1..] {
        watch.always_answered(begun);
    }
}
