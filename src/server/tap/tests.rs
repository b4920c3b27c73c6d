//! Who is a sample, for how many it stands, and that nobody waits.

use std::collections::BTreeMap;

use super::*;
use crate::engine::Reply;

fn inbound(packet: &[u8]) -> Inbound<'_> {
    Inbound {
        packet,
        peer: ([192, 0, 2, 1], 5353).into(),
        transport: Transport::Udp,
    }
}

/// What a desk does: `queries` in one round at `now`.
fn round(tap: &mut Tap, queries: u64, now: Moment, packet: &[u8]) {
    if now >= tap.window_ends {
        tap.turn_window(now);
    }
    for _ in 0..queries {
        if tap.is_due() {
            tap.take(&inbound(packet), b"answer", now, Generation(7));
        }
    }
}

fn at(ms: u64) -> Moment {
    Moment(ms * 1_000_000)
}

#[test]
fn all_queries_are_samples_while_there_are_few() {
    let mut taps = Taps::default();
    let inlet = taps.add(100, 1000);
    let mut tap = taps.tap(1);
    for second in 0..5 {
        round(&mut tap, 80, at(second * 1000), b"query");
    }
    let samples: Vec<Sample> = inlet.waiting().collect();
    assert_eq!(samples.len(), 400);
    for s in &samples {
        assert_eq!(
            (s.weight, s.query(), s.answer()),
            (1, &b"query"[..], &b"answer"[..])
        );
        assert_eq!((s.generation, s.transport), (Generation(7), Transport::Udp));
    }
    assert_eq!(inlet.counters().taken.load(Ordering::Relaxed), 400);
}

#[test]
fn of_many_queries_about_as_many_as_wanted_are_samples_and_shares_stay_right() {
    let mut taps = Taps::default();
    let inlet = taps.add(500, 100_000);
    let mut tap = taps.tap(42);
    let mut taken = Vec::new();
    // Bursts of a period that a fixed stride would fall in step with: 3 of 4 queries are for `a`.
    for ms in 0..20_000 {
        for name in [&b"a"[..], b"b", b"a", b"a"] {
            round(&mut tap, 10, at(ms), name);
        }
        taken.extend(inlet.waiting().map(|s| (ms / 1000, s.query()[0], s.weight)));
    }
    let mut by_second: BTreeMap<u64, u64> = BTreeMap::new();
    let mut by_name: BTreeMap<u8, f64> = BTreeMap::new();
    for (second, name, weight) in taken {
        *by_second.entry(second).or_default() += 1;
        *by_name.entry(name).or_default() += f64::from(weight);
    }
    // 40,000 a second; in the first one each 500 samples double the distance.
    assert!(by_second[&0] < 500 * 8, "{by_second:?}");
    for second in 2..20 {
        assert!((250..1000).contains(&by_second[&second]), "{by_second:?}");
    }
    let all: f64 = by_name.values().sum();
    assert!((all / 800_000.0 - 1.0).abs() < 0.05, "{all}");
    let share = by_name[&b'a'] / all;
    assert!((share - 0.75).abs() < 0.03, "{share}");
}

#[test]
fn the_distance_shrinks_when_the_load_is_gone() {
    let mut taps = Taps::default();
    let inlet = taps.add(10, 100_000);
    let mut tap = taps.tap(3);
    for ms in 0..3000 {
        round(&mut tap, 1000, at(ms), b"busy");
    }
    round(&mut tap, 0, at(4000), b"");
    inlet.waiting().for_each(drop);
    round(&mut tap, 5, at(5000), b"idle");
    let samples: Vec<Sample> = inlet.waiting().collect();
    assert_eq!(samples.len(), 5);
    assert!(samples.iter().all(|s| s.weight == 1));
}

#[test]
fn a_full_queue_drops_and_counts() {
    let mut taps = Taps::default();
    let inlet = taps.add(1000, 4);
    let mut tap = taps.tap(1);
    round(&mut tap, 10, at(0), b"query");
    let counters = inlet.counters();
    assert_eq!(counters.taken.load(Ordering::Relaxed), 4);
    assert_eq!(counters.dropped.load(Ordering::Relaxed), 6);
    assert_eq!(inlet.waiting().count(), 4);
    // A consumer that is gone is no harm either.
    let counters = counters.clone();
    drop(inlet);
    round(&mut tap, 3, at(1), b"query");
    assert_eq!(counters.dropped.load(Ordering::Relaxed), 9);
}

#[test]
fn each_consumer_has_its_own_rate_and_it_can_change() {
    let mut taps = Taps::default();
    let (all, none) = (taps.add(1_000_000, 10_000), taps.add(0, 10_000));
    let mut tap = taps.tap(1);
    round(&mut tap, 100, at(0), b"query");
    assert_eq!((all.waiting().count(), none.waiting().count()), (100, 0));
    none.set_rate(1_000_000);
    all.set_rate(0);
    round(&mut tap, 100, at(1500), b"query");
    assert_eq!((all.waiting().count(), none.waiting().count()), (0, 100));
}

#[test]
fn several_taps_share_the_rate() {
    let mut taps = Taps::default();
    let inlet = taps.add(100, 10_000);
    let mut pair = [taps.tap(1), taps.tap(2)];
    for tap in &mut pair {
        for ms in 0..10_000 {
            round(tap, 10, at(ms), b"query");
        }
    }
    // 50 a second each, and in the first second a few times that.
    let count = inlet.waiting().count();
    assert!((600..2500).contains(&count), "{count}");
}

#[test]
fn without_consumers_nothing_is_ever_due() {
    let mut tap = Taps::default().tap(1);
    assert_eq!(tap.window_ends, Moment(u64::MAX));
    for _ in 0..100_000 {
        assert!(!tap.is_due());
    }
}

#[test]
fn buffers_are_used_again() {
    let mut taps = Taps::default();
    let inlet = taps.add(100, 10);
    let mut tap = taps.tap(1);
    round(&mut tap, 1, at(0), b"a query that takes some octets");
    let first = inlet.waiting().next().unwrap();
    let place = first.octets.as_ptr();
    drop(first);
    round(&mut tap, 1, at(1), b"query");
    let second = inlet.waiting().next().unwrap();
    assert_eq!(second.octets.as_ptr(), place);
    assert_eq!(second.query(), b"query");
}

#[test]
fn a_desk_gives_what_it_answered() {
    use crate::server::desk::Desk;
    use crate::server::testkit::{SILENT, clock, publisher, query, refusal, refuse};

    let mut taps = Taps::default();
    let inlet = taps.add(100, 10);
    let (_, clock) = clock();
    let mut desk = Desk::with_engine(&publisher(), &clock, Arc::default(), refuse);
    desk.tap(&taps);
    let mut out = [0; 512];
    let asked = query(9, 40);
    assert_eq!(
        desk.round().answer(&inbound(&asked), &mut out),
        Reply::Send(40)
    );
    assert_eq!(desk.round().answer(&inbound(SILENT), &mut out), Reply::Drop);
    let samples: Vec<Sample> = inlet.waiting().collect();
    assert_eq!(samples[0].query(), asked);
    assert_eq!(samples[0].answer(), refusal(9, 40));
    assert_eq!(
        (samples[1].query(), samples[1].answer()),
        (SILENT, &b""[..])
    );
}
