//! Paths and their table: what they say of samples, whatever order these come in, and how much room
//! they take.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use proptest::prelude::*;

use crate::net::Prefix;
use crate::time::Moment;

use super::{ClientPath, ClientTable, Order, PathSample, prefix_of};

fn at(seconds: u64) -> Moment {
    Moment::ZERO + Duration::from_secs(seconds)
}

fn sample(ms: u64) -> PathSample {
    PathSample {
        rtt: Duration::from_millis(ms),
        rtt_var: Duration::from_millis(ms / 10),
        min_rtt: Duration::from_millis(ms),
        segments: 10,
        retransmits: 0,
        first: true,
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn client(n: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from(n << 8 | 7))
}

#[test]
fn clients_of_one_network_are_one_prefix() {
    let text = |a: &str| prefix_of(ip(a)).to_string();
    assert_eq!(text("192.0.2.77"), "192.0.2.0/24");
    assert_eq!(text("::ffff:192.0.2.77"), "192.0.2.0/24");
    assert_eq!(text("2001:db8:1:2::3"), "2001:db8:1::/48");
}

#[test]
fn a_steady_path_is_told_as_it_is() {
    let mut path = ClientPath::new(&sample(40), at(0));
    for second in 1..1000 {
        path.add(&sample(40), at(second));
    }
    let near =
        |d: Duration, ms: u64| d.abs_diff(Duration::from_millis(ms)) < Duration::from_micros(1);
    assert!(near(path.rtt(), 40) && near(path.rtt_var(), 4), "{path:?}");
    assert!(path.spread() < Duration::from_millis(1), "{path:?}");
    assert_eq!(path.min_rtt(), Duration::from_millis(40));
    assert_eq!((path.samples(), path.connections()), (1000, 1000));
    assert!(near(path.distance(at(1000)).unwrap(), 40));
}

#[test]
fn a_path_that_changed_shows_within_minutes_and_the_lowest_with_it() {
    let mut path = ClientPath::new(&sample(20), at(0));
    for second in 1..3000 {
        path.add(&sample(20), at(second));
    }
    for second in 3000..4300 {
        path.add(&sample(80), at(second));
    }
    // e^(−1300/600) of the old value is left.
    assert!(path.rtt() > Duration::from_millis(70), "{:?}", path.rtt());
    assert_eq!(
        path.min_rtt(),
        Duration::from_millis(80),
        "the old lowest is forgotten"
    );
}

#[test]
fn little_or_old_knowledge_is_no_distance() {
    let mut path = ClientPath::new(&sample(20), at(0));
    for _ in 0..3 {
        path.add(&sample(20), at(1));
    }
    let long_lived = PathSample {
        first: false,
        ..sample(20)
    };
    for second in 0..100 {
        path.add(&long_lived, at(second));
    }
    assert_eq!(
        path.distance(at(100)),
        None,
        "four connections, however many looks"
    );
    path.add(&sample(20), at(100));
    assert!(path.distance(at(100)).is_some());
    assert!(path.distance(at(100 + 86_400)).is_some());
    assert_eq!(path.distance(at(101 + 86_400)), None);
}

#[test]
fn retransmits_are_a_share_of_what_was_sent() {
    let lossy = PathSample {
        segments: 90,
        retransmits: 10,
        ..sample(20)
    };
    let mut path = ClientPath::new(&sample(20), at(0));
    path.add(&lossy, at(0));
    assert!((path.retransmit_share() - 0.1).abs() < 1e-9);
    let odd = PathSample {
        segments: 1,
        retransmits: 7,
        ..sample(20)
    };
    assert_eq!(ClientPath::new(&odd, at(0)).retransmit_share(), 1.0);
    let silent = PathSample {
        segments: 0,
        ..sample(20)
    };
    assert_eq!(ClientPath::new(&silent, at(0)).retransmit_share(), 0.0);
}

#[test]
fn a_flood_of_prefixes_takes_no_more_room_and_leaves_those_that_come_again() {
    let table = ClientTable::new(1024);
    let kept = 200;
    for round in 0..5 {
        for n in 0..kept {
            table.note(client(n), &sample(30), at(round));
        }
    }
    for n in 0..100_000 {
        table.note(client(1_000_000 + n), &sample(1), at(10));
        // The regular ones go on meanwhile.
        if n % 50 == 0 {
            table.note(client(n / 50 % kept), &sample(30), at(10));
        }
    }
    assert!(table.len() <= 1024, "{} prefixes", table.len());
    assert!(table.displaced() >= 98_000);
    let left = (0..kept).filter(|n| table.get(&prefix_of(client(*n))).is_some());
    let left = left.count();
    assert!(left >= 150, "{left} of {kept} are left");
}

#[test]
fn the_first_are_told_in_order_and_filtered() {
    let table = ClientTable::new(4096);
    for n in 0..100 {
        for _ in 0..=n {
            table.note(client(n), &sample(u64::from(200 - n)), at(u64::from(n)));
        }
    }
    let names = |order, within: Option<&str>, limit| {
        let within: Option<Prefix> = within.map(|w| w.parse().unwrap());
        let (found, count) = table.first(order, within.as_ref(), limit);
        let names: Vec<String> = found.iter().map(|(p, _)| p.to_string()).collect();
        (names, count)
    };
    let (names_by_samples, count) = names(Order::Samples, None, 2);
    assert_eq!(names_by_samples, ["0.0.99.0/24", "0.0.98.0/24"]);
    assert_eq!(count, 100);
    assert_eq!(names(Order::Rtt, None, 1).0, ["0.0.0.0/24"]);
    assert_eq!(names(Order::Recent, None, 1).0, ["0.0.99.0/24"]);
    let one = ["0.0.7.0/24".to_owned()].to_vec();
    assert_eq!(
        names(Order::Samples, Some("0.0.7.0/24"), 10),
        (one.clone(), 1)
    );
    // An address of it, and a network around it.
    assert_eq!(names(Order::Samples, Some("0.0.7.3"), 10), (one, 1));
    assert_eq!(names(Order::Samples, Some("0.0.0.0/22"), 10).1, 4);
    assert_eq!(names(Order::Samples, Some("::/0"), 10).1, 0);
}

#[test]
fn threads_share_one_table() {
    let table = ClientTable::new(1024);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for n in 0..1000 {
                    table.note(client(n % 10), &sample(5), at(u64::from(n)));
                }
            });
        }
    });
    assert_eq!((table.len(), table.samples()), (10, 4000));
    let all: u64 = table
        .first(Order::Samples, None, 10)
        .0
        .iter()
        .map(|(_, p)| p.samples())
        .sum();
    assert_eq!(all, 4000);
}

fn samples() -> impl Strategy<Value = Vec<(PathSample, u64)>> {
    let one = (
        1..2_000_u64,
        0..100_u64,
        0..200_u64,
        0..50_u32,
        0..60_u32,
        any::<bool>(),
    )
        .prop_map(
            |(rtt, below, var, segments, retransmits, first)| PathSample {
                rtt: Duration::from_millis(rtt),
                rtt_var: Duration::from_millis(var),
                min_rtt: Duration::from_millis(rtt.saturating_sub(below)),
                segments,
                retransmits,
                first,
            },
        );
    proptest::collection::vec((one, 0..5_000_u64), 1..40)
}

fn fold<'s>(samples: impl Iterator<Item = &'s (PathSample, u64)>) -> Option<ClientPath> {
    samples.fold(
        None,
        |path: Option<ClientPath>, (sample, second)| match path {
            None => Some(ClientPath::new(sample, at(*second))),
            Some(mut path) => {
                path.add(sample, at(*second));
                Some(path)
            }
        },
    )
}

fn alike(a: &ClientPath, b: &ClientPath) -> Result<(), TestCaseError> {
    prop_assert_eq!((a.at(), a.since()), (b.at(), b.since()));
    prop_assert_eq!(
        (a.samples(), a.connections()),
        (b.samples(), b.connections())
    );
    prop_assert_eq!(a.min_rtt(), b.min_rtt());
    for (x, y) in [(a.rtt(), b.rtt()), (a.rtt_var(), b.rtt_var())] {
        prop_assert!(x.abs_diff(y) < Duration::from_nanos(100), "{:?} {:?}", x, y);
    }
    // The square root of a difference of large numbers.
    let (x, y) = (a.spread(), b.spread());
    prop_assert!(
        x.abs_diff(y) < Duration::from_micros(100),
        "{:?} {:?}",
        x,
        y
    );
    prop_assert!((a.retransmit_share() - b.retransmit_share()).abs() < 1e-6);
    Ok(())
}

proptest! {
    /// Whatever order samples come in, however they are split between tables and these are merged.
    #[test]
    fn the_order_of_merging_does_not_matter(all in samples(), cut in 0..40_usize, turn in 0..40_usize) {
        let whole = fold(all.iter()).unwrap();
        let mut turned = all.clone();
        turned.rotate_left(turn % all.len());
        alike(&whole, &fold(turned.iter()).unwrap())?;
        turned.reverse();
        alike(&whole, &fold(turned.iter()).unwrap())?;
        let (a, b) = all.split_at(cut % all.len());
        if let (Some(mut a), Some(mut b)) = (fold(a.iter()), fold(b.iter())) {
            let old = a;
            a.merge(&b);
            b.merge(&old);
            alike(&a, &b)?;
            alike(&whole, &a)?;
        }
    }

    /// No average leaves what was measured, no share leaves 0 to 1.
    #[test]
    fn what_is_told_lies_within_what_was_measured(all in samples()) {
        let path = fold(all.iter()).unwrap();
        let most = all.iter().map(|(s, _)| s.rtt).max().unwrap();
        let least = all.iter().map(|(s, _)| s.rtt).min().unwrap();
        let rounding = Duration::from_nanos(100);
        prop_assert!(path.rtt() <= most + rounding && path.rtt() + rounding >= least);
        prop_assert!(path.spread() <= most - least + Duration::from_micros(100));
        let lowest = all.iter().map(|(s, _)| s.min_rtt).min().unwrap();
        prop_assert!(path.min_rtt() >= lowest && path.min_rtt() <= most);
        prop_assert!((0.0..=1.0).contains(&path.retransmit_share()));
        prop_assert_eq!(path.samples(), all.len() as u64);
        prop_assert!(path.connections() <= path.samples());
        if let Some(distance) = path.distance(path.at()) {
            prop_assert!(distance + rounding >= lowest && distance <= most + rounding);
        }
    }
}
