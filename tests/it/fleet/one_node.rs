//! One node with its targets: what happens to the process, the clock and the disk beneath it.

use std::process::Command;
use std::time::{Duration, Instant};

use super::client::dig;
use super::world::{CLIENT, DETECTION, MONITOR, World};

const NAME: &str = "www.gslb.test";

/// Node `n1` that does everything, and two targets of which the first is preferred.
fn world(more: &str) -> Option<World> {
    World::new(&["n1", "web1", "web2"], |w| {
        let state = w.state_dir("n1");
        let (n1, web1, web2) = (w.v4("n1"), w.v4("web1"), w.v4("web2"));
        format!(
            r#"
version = 1
[regions.eu]
latitude = 50.11
longitude = 8.68
[nodes.n1]
region = "eu"
roles = ["dns", "probe", "admin"]
dns = {{ listen = ["{n1}:53", "[{six}]:53"], workers = 1 }}
admin = {{ listen = "127.0.0.1:8053" }}
state-dir = "{state}"
{MONITOR}
[pools.first]
region = "eu"
monitor = "web"
endpoints = [{{ name = "web1", address = "{web1}", port = 8080 }}]
[pools.second]
region = "eu"
monitor = "web"
endpoints = [{{ name = "web2", address = "{web2}", port = 8080 }}]
[policies.order]
stages = [{{ failover = {{}} }}, {{ random = {{}} }}]
[names."{NAME}"]
pools = ["first", "second"]
policy = "order"
ttl = {{ min = "1s", max = "5s" }}
{more}
"#,
            six = w.host("n1").v6(),
            state = state.display()
        )
    })
}

fn started(more: &str, prepare: impl FnOnce(&mut World)) -> Option<World> {
    let mut world = world(more)?;
    prepare(&mut world);
    world.start_target("web1");
    world.start_target("web2");
    world.start_nodes(&["n1"]);
    Some(world)
}

/// Zones that are served as they are.
const PLAIN: &str = "[zones.\"gslb.test\"]\nfile = \"gslb.test.zone\"\n";

#[test]
fn o11_a_dead_target_is_out_of_the_answers_within_the_worst_case_and_comes_back() {
    let Some(mut world) = started(PLAIN, |_| {}) else {
        return;
    };
    let (web1, web2) = (world.v4("web1"), world.v4("web2"));
    assert_eq!(world.addresses("n1", NAME), [web1]);
    let watch = world.watch("n1", NAME);
    let killed = Instant::now();
    world.take("web1").kill9();
    let took = watch.wait(&[web2], killed, DETECTION);
    eprintln!("a dead target was out after {took:?}");
    assert_eq!(world.addresses("n1", NAME), [web2]);
    let six = dig(world.host(CLIENT), world.host("n1").v6(), NAME, "A").unwrap();
    assert_eq!(six.data, [web2.to_string()]);

    let alive = Instant::now();
    world.start_target("web1");
    // Two passes, the first within an interval.
    watch.wait(&[web1], alive, DETECTION);
    watch.always_answered(killed);
    assert_eq!(world.addresses("n1", NAME), [web1]);
}

/// The wall clock is for people and signatures: health, age and TTL run on the monotonic one.
#[test]
fn a_jump_of_the_wall_clock_changes_neither_health_nor_answers() {
    let Some(mut world) = started(PLAIN, |w| w.own_clock("n1")) else {
        return;
    };
    let (web1, web2) = (world.v4("web1"), world.v4("web2"));
    let watch = world.watch("n1", NAME);
    let begun = Instant::now();
    for jump in [3_600, -3_600, 0] {
        world.jump("n1", jump);
        let jumped = Instant::now();
        watch.wait(&[web1], jumped, Duration::from_secs(1));
        // Longer than it takes to notice a dead target.
        watch.only_for(&[web1], jumped, DETECTION);
        let e = world.health("n1", "web1");
        assert_eq!(e["state"], "up", "{e}");
        let (changed, probed) = (&e["for_seconds"], &e["last_probe_seconds_ago"]);
        let lately = |s: &serde_json::Value| (0.0..1_800.0).contains(&s.as_f64().unwrap());
        assert!(lately(changed) && lately(probed), "{e}");
        let answer = world.dig("n1", NAME, "A").unwrap();
        assert!(answer.ttl.unwrap() <= 5, "{answer:?}");
    }
    world.jump("n1", 86_400);
    let killed = Instant::now();
    world.take("web1").kill9();
    watch.wait(&[web2], killed, DETECTION);
    watch.always_answered(begun);
    // It did believe the jump.
    let line = ["endpoint web1 was", "is down"];
    let line = world
        .process("n1")
        .wait_logged(&line, Duration::from_secs(5));
    let mut date = Command::new("date");
    date.args(["-u", "-d", "23 hours", "+%FT%T"]);
    let soon = String::from_utf8(date.output().unwrap().stdout).unwrap();
    assert!(line > soon, "{line} is not after {soon}");
}

/// A node that slept knows nothing of that time: its own probes that ran out meanwhile prove nothing
/// about their targets.
#[test]
fn a_node_that_was_frozen_answers_as_before_and_catches_up() {
    let Some(mut world) = started(PLAIN, |_| {}) else {
        return;
    };
    let (web1, web2) = (world.v4("web1"), world.v4("web2"));
    let watch = world.watch("n1", NAME);
    watch.wait(&[web1], Instant::now(), Duration::from_secs(2));
    world.process("n1").freeze();
    watch.wait_silence(DETECTION);
    world.process("n1").thaw();
    watch.wait(&[web1], Instant::now(), Duration::from_secs(1));
    watch.only_for(&[web1], Instant::now(), DETECTION);

    world.process("n1").freeze();
    world.take("web1").kill9();
    watch.wait_silence(DETECTION);
    let thawed = Instant::now();
    world.process("n1").thaw();
    watch.wait(&[web2], thawed, DETECTION);
}

#[test]
fn h1_a_node_that_crashed_never_answers_with_what_died_meanwhile() {
    let Some(mut world) = started(PLAIN, |_| {}) else {
        return;
    };
    let (web1, web2) = (world.v4("web1"), world.v4("web2"));
    let watch = world.watch("n1", NAME);
    watch.wait(&[web1], Instant::now(), Duration::from_secs(2));
    world.take("n1").kill9();
    world.take("web1").kill9();
    watch.wait_silence(Duration::from_millis(1));
    let restarted = Instant::now();
    world.launch("n1");
    let took = watch.wait(&[web2], restarted, Duration::from_secs(10));
    eprintln!("answered {took:?} after the restart");
    let after = watch.since(restarted);
    let dead = |got: &Option<Vec<_>>| got.as_deref() == Some(&[web1]);
    assert!(!after.iter().any(|r| dead(&r.got)), "{after:?}");
}

#[test]
fn a_full_disk_keeps_a_node_from_neither_starting_nor_answering() {
    let Some(mut world) = started(PLAIN, |w| {
        w.small_disk("n1", "512k");
        w.fill_disk("n1");
    }) else {
        return;
    };
    let (web1, web2) = (world.v4("web1"), world.v4("web2"));
    let watch = world.watch("n1", NAME);
    let begun = Instant::now();
    watch.wait(&[web1], begun, Duration::from_secs(2));
    let killed = Instant::now();
    world.take("web1").kill9();
    watch.wait(&[web2], killed, DETECTION);
    world.free_disk("n1");
    watch.always_answered(begun);
    assert_eq!(world.take("n1").stop(), Some(0));
}
