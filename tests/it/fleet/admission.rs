//! Who is let into the fleet, and what is said of those who are not or who run something else.

use std::time::{Duration, Instant};

use super::cluster::{DNS, NAME, all_get, order, prepared, start, started, succeeds, watch_all};
use super::world::{DETECTION, PATIENCE, PROPAGATION, World};
use crate::support::wait_for;

/// A certificate that another CA made, and one whose role does not cover what the configuration gives
/// the node, change nothing, and both ends say why.
#[test]
fn s2_strangers_are_refused_and_counted_on_both_ends() {
    let Some(mut world) = prepared(&["rogue"]) else {
        return;
    };
    start(&mut world);
    let web1 = world.v4("web1");
    let watches = watch_all(&world, &DNS);
    let begun = Instant::now();
    let other = world.file("other").display().to_string();
    succeeds(&world.cli("rogue", &["fleet", "init", "--out", &other]));
    let genuine = world.file("fleet").display().to_string();
    // CA, roles in the certificate, and the word for it.
    let attempts = [
        (&other, "probe", "other-ca"),
        (&genuine, "admin", "missing-role"),
    ];
    for (ca, roles, reason) in attempts {
        world.take("probe3").kill9();
        let config = stranger(&world, ca, roles, reason);
        let before = DNS.map(|node| world.refused(node, reason));
        world.launch_with("rogue", "probe3", &config);
        wait_for("all count it", PATIENCE, || {
            let now = DNS.map(|node| world.refused(node, reason));
            (0..DNS.len()).all(|i| now[i] > before[i]).then_some(())
        });
        for node in DNS {
            let line = ["refused", reason];
            world.process(node).wait_logged(&line, PATIENCE);
        }
        let line = ["WARN", "a node refuses this one"];
        world.process("rogue").wait_logged(&line, PATIENCE);
        drop(world.take("rogue"));
        world.start_nodes(&["probe3"]);
        for node in DNS {
            world.wait_life(node, "probe3", "alive");
        }
    }
    for watch in &watches {
        watch.only(&[web1], begun);
    }
}

/// A configuration for a `probe3` on the host `rogue`, with a certificate of this CA and with these
/// roles, which it believes to have. It trusts the fleet: only the fleet does not trust it.
fn stranger(world: &World, ca: &str, roles: &str, name: &str) -> String {
    let out = world.file(name).display().to_string();
    let issue = ["fleet", "issue", "probe3", "--roles", roles];
    let issue = [&issue[..], &["--ca", ca, "--out", &out]].concat();
    succeeds(&world.cli("rogue", &issue));
    let both = [format!("{ca}/ca.pem").into(), world.file("fleet/ca.pem")];
    let both = both.map(|pem| std::fs::read_to_string(pem).unwrap());
    std::fs::write(world.file(&format!("{name}/ca.pem")), both.concat()).unwrap();
    let listen = |host| format!("listen = \"{}:7946\"", world.v4(host));
    let config = format!("{name}.toml");
    let own = "[nodes.probe3]\nregion = \"ap\"\nroles = ";
    let changes = [
        (
            &*format!("{own}[\"probe\"]"),
            &*format!("{own}[\"{roles}\"]"),
        ),
        ("fleet/ca.pem", &format!("{name}/ca.pem")),
        ("fleet/probe3.", &format!("{name}/probe3.")),
        (&listen("probe3"), &listen("rogue")),
    ];
    world.write_config(&config, &changes);
    config
}

/// The second node of a name, with the same certificate: the one that was there first stays believed.
#[test]
fn a_second_node_of_the_same_name_is_not_believed() {
    let Some(mut world) = prepared(&["twin"]) else {
        return;
    };
    start(&mut world);
    let web1 = world.v4("web1");
    let watches = watch_all(&world, &DNS);
    let begun = Instant::now();
    // The twin sees no target, so believing it would be seen.
    for target in ["web1", "web2", "web3"] {
        world.lab.cut("twin", target);
    }
    let own = format!("listen = \"{}:7946\"", world.v4("probe2"));
    let there = format!("listen = \"{}:7946\"", world.v4("twin"));
    world.write_config("twin.toml", &[(&own, &there)]);
    world.launch_with("twin", "probe2", "twin.toml");
    for node in DNS {
        let line = ["two running nodes have the same name", "node=probe2"];
        world.process(node).wait_logged(&line, PATIENCE);
        assert!(world.refused(node, "duplicate") > 0, "{node}");
    }
    // Nor when another prober sees nothing either: it would be the second voice.
    world.lab.cut("probe1", "web1");
    let cut = Instant::now();
    for watch in &watches {
        watch.only_for(&[web1], cut, DETECTION + PROPAGATION);
        watch.only(&[web1], begun);
    }
}

#[test]
fn a_node_with_another_configuration_is_shown_by_name_everywhere() {
    let Some(mut world) = started() else { return };
    for node in DNS {
        assert_eq!(differing(&world, node), "", "{node}");
    }
    world.take("dns3").kill9();
    world.write_config("older.toml", &[("max = \"5s\"", "max = \"4s\"")]);
    world.launch_with("dns3", "dns3", "older.toml");
    for (node, other) in [("dns1", "dns3"), ("dns2", "dns3"), ("dns3", "dns1")] {
        let what = format!("{node} shows that {other} runs something else");
        wait_for(&what, PATIENCE, || {
            let text = differing(&world, node);
            (text.contains(other) && text.contains("generation")).then_some(())
        });
    }
    assert!(!differing(&world, "dns1").contains("dns2"));
    drop(world.take("dns3"));
    world.start_nodes(&["dns3"]);
    for node in DNS {
        let what = format!("{node} shows no difference any more");
        wait_for(&what, PATIENCE, || {
            differing(&world, node).is_empty().then_some(())
        });
    }
}

/// The line of `/v1/fleet` about nodes with other configurations.
fn differing(world: &World, node: &str) -> String {
    let fleet = world.get(node, "/v1/fleet");
    let list = fleet["differing"].as_array().unwrap();
    let lines: Vec<&str> = list.iter().map(|l| l.as_str().unwrap()).collect();
    lines.join("\n")
}

/// A node that comes back while it hears nobody answers with what it knew, verdicts and orders.
#[test]
fn h1_a_node_that_is_alone_after_a_restart_answers_with_what_was_stored() {
    let Some(mut world) = started() else { return };
    let (web2, web3) = (world.v4("web2"), world.v4("web3"));
    let others = watch_all(&world, &["dns1", "dns2"]);
    let begun = Instant::now();
    order(&world, "dns1", "drain region us --for 1h");
    let killed = Instant::now();
    world.take("web1").kill9();
    all_get(&others, &[web3], killed, DETECTION + PROPAGATION);
    world.wait_state("dns3", "web1", "down");
    // Verdicts are written every five seconds.
    let down = Instant::now();
    others[0].only_for(&[web3], down, Duration::from_secs(8));
    assert_eq!(world.take("dns3").stop(), Some(0));
    let rest: Vec<&str> = ["dns1", "dns2", "probe1", "probe2", "probe3"].to_vec();
    world.lab.cut_between(&["dns3"], &rest);
    let own = world.watch("dns3", NAME);
    let restarted = Instant::now();
    world.start_nodes(&["dns3"]);
    let took = own.wait(&[web3], restarted, Duration::from_secs(5));
    eprintln!("answered {took:?} after the start, without having heard anybody");
    assert_eq!(world.member("dns3", "dns1")["state"], "never heard");
    let all = own.since(restarted);
    let wrong = |got: &Option<Vec<_>>| got.as_deref().is_some_and(|got| got != [web3]);
    assert!(!all.iter().any(|r| wrong(&r.got)), "{all:?}");

    // Whole again: what happened meanwhile arrives.
    order(&world, "dns2", "clear region us");
    world.lab.heal_between(&["dns3"], &rest);
    let healed = Instant::now();
    own.wait(&[web2], healed, Duration::from_secs(10));
    for watch in &others {
        watch.always_answered(begun);
    }
}
