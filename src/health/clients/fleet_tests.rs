//! What the fleet holds true of clients: when it counts, when it goes, how much room it takes.

use std::net::Ipv4Addr;
use std::time::Duration;

use super::{ClientPace, ClientPath, ClientTime, FleetPaths, PER_NODE, PathHeard, PathSample};
use crate::ids::RegionId;
use crate::net::Prefix;
use crate::time::{Moment, Wall};

const PACE: ClientPace = ClientPace {
    dwell: Duration::from_secs(60),
    expire: Duration::from_secs(3600),
};

fn at(seconds: u64) -> Moment {
    Moment::ZERO + Duration::from_secs(seconds)
}

/// A clock whose zero is a billion seconds after 1970.
fn wall() -> Wall {
    Wall::new(Moment::ZERO, Duration::from_secs(1_000_000_000))
}

/// A path of so many connections, the newest so many seconds after the clock's zero.
fn path(ms: u64, connections: u32, seconds: u64) -> ClientPath {
    let sample = PathSample {
        rtt: Duration::from_millis(ms),
        rtt_var: Duration::ZERO,
        min_rtt: Duration::from_millis(ms),
        segments: 1,
        retransmits: 0,
        first: true,
    };
    let at = at(1_000_000_000 + seconds);
    let mut path = ClientPath::new(&sample, at);
    for _ in 1..connections {
        path.add(&sample, at);
    }
    path
}

fn prefix(n: u32) -> Prefix {
    Prefix::containing(Ipv4Addr::from(0x0b00_0000 + (n << 8)).into(), 24)
}

fn heard(node: &str, n: u32, path: ClientPath) -> PathHeard {
    PathHeard {
        node: node.into(),
        prefix: prefix(n),
        path,
    }
}

/// Nodes e1 and e2 in eu, u1 in us.
fn paths() -> FleetPaths {
    let mut paths = FleetPaths::new(at(0));
    adopt(&mut paths, &[("e1", "eu"), ("e2", "eu"), ("u1", "us")]);
    paths
}

fn adopt(paths: &mut FleetPaths, nodes: &[(&str, &str)]) {
    let regions = [("eu", RegionId(0)), ("us", RegionId(1))];
    paths.adopt(PACE, regions.into_iter(), nodes.iter().copied());
}

fn told(paths: &FleetPaths, n: u32) -> Vec<ClientTime> {
    let times = paths.times();
    let row = times.rows.iter().find(|r| r.prefix == prefix(n));
    row.map(|r| r.times.to_vec()).unwrap_or_default()
}

#[test]
fn a_first_value_waits_for_its_dwell_and_is_told_to_move_meanwhile() {
    let mut paths = paths();
    assert_eq!(paths.due(), None, "nothing to do where nothing is known");
    paths.hear(&heard("e1", 1, path(30, 5, 100)));
    assert!(paths.step(at(100), wall()));
    let first = told(&paths, 1)[0];
    assert_eq!((first.rtt, first.moving), (None, true));
    assert!(!paths.step(at(159), wall()));
    assert!(paths.step(at(160), wall()));
    let counts = told(&paths, 1)[0];
    assert_eq!(counts.rtt, Some(Duration::from_millis(30)));
    assert_eq!((counts.moving, counts.connections), (false, 5));
    assert_eq!(counts.age, Duration::from_secs(60));
}

#[test]
fn what_nothing_confirms_goes_and_says_so_a_dwell_ahead() {
    let mut paths = paths();
    paths.hear(&heard("e1", 1, path(30, 5, 100)));
    for second in 100..=3637 {
        paths.step(at(second), wall());
    }
    assert!(!told(&paths, 1)[0].moving);
    // Every view until then said that it stands for a dwell.
    assert!(paths.step(at(3638), wall()));
    assert!(told(&paths, 1)[0].moving);
    assert!(!paths.step(at(3700), wall()));
    assert!(
        paths.step(at(3701), wall()),
        "an hour after the last sample"
    );
    assert!(told(&paths, 1).is_empty());
    let times = paths.times();
    assert_eq!((times.expired, times.held), (1, 0));
    assert_eq!(paths.due(), None);
}

#[test]
fn what_was_said_long_ago_is_as_old_for_a_node_that_has_just_begun() {
    let mut paths = paths();
    // Its clock is at five seconds; the path is 3,590 seconds older on the calendar.
    let mut old = path(30, 5, 0);
    old = ClientPath::heard(&old.tell(old.at()), at(1_000_000_005 - 3_590)).unwrap();
    paths.hear(&heard("e1", 1, old));
    assert!(paths.step(at(5), wall()));
    assert_eq!(told(&paths, 1)[0].age, Duration::from_secs(3_590));
    assert!(paths.step(at(16), wall()));
    assert!(told(&paths, 1).is_empty());
}

#[test]
fn nodes_of_a_region_are_merged_and_a_node_speaks_for_its_last_word_alone() {
    let mut paths = paths();
    paths.hear(&heard("e1", 1, path(30, 3, 100)));
    paths.step(at(100), wall());
    assert!(told(&paths, 1).is_empty(), "three connections are too few");
    // Told again, not more than it was.
    paths.hear(&heard("e1", 1, path(30, 4, 101)));
    paths.step(at(101), wall());
    assert!(told(&paths, 1).is_empty());
    paths.hear(&heard("e2", 1, path(50, 4, 101)));
    paths.hear(&heard("u1", 1, path(120, 5, 101)));
    paths.step(at(101), wall());
    let both = told(&paths, 1);
    assert_eq!(both.len(), 2);
    assert_eq!((both[0].region, both[0].connections), (RegionId(0), 8));
    assert!(both[0].latest.abs_diff(Duration::from_millis(40)) < Duration::from_micros(10));
    assert_eq!((both[1].region, both[1].connections), (RegionId(1), 5));
    // What comes late says nothing new.
    paths.hear(&heard("u1", 1, path(10, 5, 90)));
    paths.step(at(102), wall());
    let us = told(&paths, 1)[1];
    assert!(us.latest.abs_diff(Duration::from_millis(120)) < Duration::from_micros(10));
}

#[test]
fn strangers_and_what_is_no_client_prefix_are_not_heard() {
    let mut paths = paths();
    paths.hear(&heard("x", 1, path(30, 5, 100)));
    let wide = PathHeard {
        prefix: "11.0.0.0/16".parse().unwrap(),
        ..heard("e1", 1, path(30, 5, 100))
    };
    paths.hear(&wide);
    paths.step(at(100), wall());
    assert_eq!(paths.times().held, 0);
    // A node that moved to another region: what it measured from there is of no use.
    paths.hear(&heard("e1", 1, path(30, 5, 100)));
    adopt(&mut paths, &[("e1", "us")]);
    paths.step(at(101), wall());
    assert_eq!(paths.times().held, 0);
}

#[test]
fn a_flood_of_prefixes_by_one_node_takes_no_room_from_others() {
    let mut paths = paths();
    for n in 0..100 {
        paths.hear(&heard("e2", n, path(30, 5, 50)));
    }
    for n in 0..3 * PER_NODE as u32 {
        paths.hear(&heard("e1", n, path(30, 5, 100 + u64::from(n / 16))));
    }
    paths.step(at(900), wall());
    let times = paths.times();
    assert!(times.held <= PER_NODE + 100, "{}", times.held);
    assert!(times.displaced >= PER_NODE as u64);
    let of_e2 = (0..100).filter(|n| !told(&paths, *n).is_empty());
    assert_eq!(of_e2.count(), 100);
}

#[test]
fn noise_moves_nothing_and_a_changed_route_counts_after_its_dwell() {
    let mut paths = paths();
    let mut changes = 0;
    for second in 100..2_000_u64 {
        let ms = 50 + second * 7 % 9;
        paths.hear(&heard("e1", 1, path(ms, 9, second)));
        changes += u32::from(paths.step(at(second), wall()) && second > 160);
    }
    assert!(changes <= 2, "{changes} changes by noise of 4 ms");
    let from = 2_000;
    let counted = (from..from + 300).find(|second| {
        paths.hear(&heard("e1", 1, path(120, 9, *second)));
        paths.step(at(*second), wall());
        told(&paths, 1)[0].rtt == Some(Duration::from_millis(120))
    });
    assert_eq!(counted, Some(2_060));
}
