//! Tests of [`super`]: what proxies say to each other brings their tables together.

use proptest::prelude::*;

use super::*;

const TTL: Duration = Duration::from_secs(60);

fn at(seconds: u64) -> Moment {
    Moment::ZERO + Duration::from_secs(1_000 + seconds)
}

fn key(n: u64) -> Key {
    Key::of_text(&n.to_be_bytes())
}

fn table() -> SharedTable {
    SharedTable::new(1_000, TTL)
}

/// All that `from` has to say, to each of `to`.
fn tell(from: &SharedTable, to: &[&SharedTable], now: Moment) -> usize {
    let chunks = from.say(now, CHUNKS);
    let records: Vec<Record> = chunks.into_iter().flat_map(|c| c.records).collect();
    for table in to {
        for r in &records {
            table.hear(r, now);
        }
    }
    records.len()
}

#[test]
fn what_one_proxy_bound_another_honours_until_it_expires() {
    let (a, b) = (table(), table());
    a.bind(key(1), Tag::of("x"), at(0));
    assert_eq!(b.find(key(1), at(0)), None);
    assert_eq!(tell(&a, &[&b], at(1)), 1);
    assert_eq!(b.find(key(1), at(59)), Some(Tag::of("x")));
    // Used there, it lives on there; the other hears of it before it forgets.
    assert_eq!(tell(&b, &[&a], at(59)), 1);
    assert_eq!(a.find(key(1), at(118)), Some(Tag::of("x")));
    assert_eq!(a.find(key(1), at(300)), None);
    assert_eq!(b.find(key(1), at(300)), None);
}

#[test]
fn the_age_of_what_is_said_counts() {
    let (a, b) = (table(), table());
    a.bind(key(1), Tag::of("x"), at(0));
    tell(&a, &[&b], at(50));
    assert_eq!(b.find(key(1), at(60)), None);
    // What has expired is not said at all.
    a.bind(key(2), Tag::of("x"), at(0));
    assert_eq!(tell(&a, &[&b], at(60)), 0);
}

#[test]
fn a_session_in_use_is_told_again_and_not_with_every_request() {
    let (a, b) = (table(), table());
    a.bind(key(1), Tag::of("x"), at(0));
    let told: usize = (0..120)
        .map(|s| {
            a.find(key(1), at(s));
            tell(&a, &[&b], at(s))
        })
        .sum();
    // The bind, and every half of the time to live; a chunk is said whole.
    assert!(told <= 1 + 2 + 3 + 4, "{told}");
    assert_eq!(b.find(key(1), at(120)), Some(Tag::of("x")));
}

#[test]
fn a_later_bind_wins_over_an_earlier_one_wherever_it_was_made() {
    let (a, b) = (table(), table());
    a.bind(key(1), Tag::of("x"), at(0));
    let old = a.say(at(0), CHUNKS);
    b.hear(&old[0].records[0], at(1));
    b.bind(key(1), Tag::of("y"), at(2));
    // What was said before comes late, and again.
    b.hear(&old[0].records[0], at(3));
    assert_eq!(b.find(key(1), at(3)), Some(Tag::of("y")));
    tell(&b, &[&a], at(3));
    assert_eq!(a.find(key(1), at(3)), Some(Tag::of("y")));
}

#[test]
fn what_others_say_never_displaces_what_is_used_here() {
    let small = SharedTable::new(8, TTL);
    for n in 0..6 {
        small.bind(key(n), Tag::of("own"), at(0));
    }
    for n in 0..1_000 {
        let record = Record {
            key: n << 40,
            tag: Tag(7),
            version: 9,
            age: Duration::ZERO,
        };
        small.hear(&record, at(1 + n / 100));
    }
    for n in 0..6 {
        assert_eq!(small.find(key(n), at(20)), Some(Tag::of("own")));
    }
    for n in 6..9 {
        small.bind(key(n), Tag::of("own"), at(21));
        assert_eq!(small.find(key(n), at(21)), Some(Tag::of("own")));
    }
    let heard = |n: u64| Record {
        key: n << 40,
        tag: Tag(7),
        version: 1,
        age: Duration::ZERO,
    };
    let before = small.no_room();
    small.hear(&heard(5_000), at(21));
    assert_eq!(small.no_room(), before + 1, "all places are in use here");
}

#[test]
fn the_log_is_bounded_paced_and_ends() {
    let a = SharedTable::new(100_000, TTL);
    for n in 0..10_000 {
        a.bind(key(n), Tag::of("x"), at(0));
    }
    let mut told = Vec::new();
    for _ in 0..CHUNKS / 8 {
        let chunks = a.say(at(1), 8);
        assert_eq!(chunks.len(), 8);
        assert!(chunks.iter().all(|c| c.records.len() == RECORDS));
        told.extend(chunks.into_iter().map(|c| c.number));
    }
    told.sort_unstable();
    assert_eq!(told, (0..CHUNKS).collect::<Vec<_>>());
    assert_eq!(a.say(at(2), CHUNKS), []);
    // One more session, one chunk.
    a.bind(key(10_001), Tag::of("x"), at(3));
    assert_eq!(a.say(at(3), CHUNKS).len(), 1);
    // All have expired but that one: the chunks are taken back, once.
    let gone = a.say(at(61), CHUNKS);
    assert_eq!(gone.len(), CHUNKS - 1);
    assert!(gone.iter().all(|c| c.records.is_empty()));
    assert_eq!(a.say(at(62), CHUNKS), []);
}

#[test]
fn the_newest_of_too_many_are_told() {
    let (a, b) = (
        SharedTable::new(100_000, TTL),
        SharedTable::new(100_000, TTL),
    );
    for n in 0..10_000 {
        a.bind(key(n), Tag(n + 1), at(0));
    }
    assert_eq!(tell(&a, &[&b], at(0)), RECORDS * CHUNKS);
    let known = |from: u64, to: u64| (from..to).filter(|n| b.find(key(*n), at(1)).is_some());
    assert_eq!(known(0, 10_000 - 4_096).count(), 0);
    // Few buckets of so empty a table are full.
    assert!(known(10_000 - 4_096, 10_000).count() > 4_000);
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Bind { at: usize, key: u64, tag: u64 },
    Find { at: usize, key: u64 },
    Tell { from: usize, to: usize },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (0..3_usize, 0..4_u64, 1..5_u64).prop_map(|(at, key, tag)| Step::Bind { at, key, tag }),
        (0..3_usize, 0..4_u64).prop_map(|(at, key)| Step::Find { at, key }),
        (0..3_usize, 0..3_usize).prop_map(|(from, to)| Step::Tell { from, to }),
    ];
    prop::collection::vec(step, 0..60)
}

proptest! {
    /// Whatever was bound where, lost on its way or told twice and in any order: once all have heard all,
    /// all say the same.
    #[test]
    fn tables_come_to_say_the_same(steps in steps()) {
        let tables = [table(), table(), table()];
        // Nothing is forgotten of what was said: it may come again at any time.
        let mut said: Vec<Vec<Record>> = vec![Vec::new(); 3];
        for step in steps {
            match step {
                Step::Bind { at: i, key: k, tag } => tables[i].bind(key(k), Tag(tag), at(0)),
                Step::Find { at: i, key: k } => {
                    tables[i].find(key(k), at(0));
                }
                Step::Tell { from, to } => {
                    said[from].extend(tables[from].say(at(0), 1).into_iter().flat_map(|c| c.records));
                    for r in said[from].iter().rev() {
                        tables[to].hear(r, at(0));
                    }
                }
            }
        }
        for from in 0..3 {
            said[from].extend(tables[from].say(at(0), CHUNKS).into_iter().flat_map(|c| c.records));
        }
        for records in &said {
            for (t, r) in tables.iter().flat_map(|t| records.iter().map(move |r| (t, r))) {
                t.hear(r, at(0));
            }
        }
        for k in 0..4 {
            let found: Vec<_> = tables.iter().map(|t| t.find(key(k), at(1))).collect();
            prop_assert!(found.iter().all(|f| *f == found[0]), "{found:?}");
        }
    }

    /// Whatever others say, memory stays, and nothing lives longer than allowed.
    #[test]
    fn s4_anything_may_be_said(
        records in prop::collection::vec((any::<u64>(), any::<u64>(), any::<u16>(), any::<u32>()), 0..300)
    ) {
        let small = SharedTable::new(16, TTL);
        for (key, tag, version, age) in &records {
            let age = Duration::from_secs(u64::from(*age % 100));
            small.hear(&Record { key: *key, tag: Tag(*tag), version: *version, age }, at(0));
        }
        for (key, ..) in &records {
            prop_assert_eq!(small.find(Key(u128::from(*key) << 64), at(60)), None);
        }
        prop_assert_eq!(small.say(at(60), CHUNKS), Vec::new());
    }
}
