//! The chronicle's threads with disks that are full, damaged or slow.

#![expect(
    clippy::disallowed_methods,
    reason = "a thread that waits for a disk is real, and so is the time it takes"
)]

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use redb::backends::FileBackend;
use redb::{Builder, Database, StorageBackend};
use tokio::sync::oneshot;

use super::course::{Of, Written};
use super::disk::{Disk, Shares};
use super::shelf::{Job, NotRecalled, Recalled};
use super::start::Opened;
use super::{Chronicle, Kept};
use crate::app::clock::RealClock;
use crate::app::store::disk::Trouble;
use crate::config::ConfigDigest;
use crate::config::load::kept::{Content, Files};
use crate::health::{Board, State, Verdict};
use crate::history::{Blank, Bounds, Filter, What};
use crate::overrides::Standing;
use crate::snapshot::record::tests::world;
use crate::snapshot::{Parts, Snapshot, View};
use crate::time::Clock;
use crate::units::Generation;

const WEEK_MS: u64 = 7 * 86_400_000;

fn bounds() -> Bounds {
    Bounds {
        octets: 8 << 20,
        age_ms: WEEK_MS,
    }
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(RealClock::start())
}

fn start(dir: &Path, clock: &Arc<dyn Clock>) -> Opened {
    Opened::start_at("n1", Some(dir), None, bounds(), clock.clone()).unwrap()
}

fn member(n: usize) -> What {
    What::Member {
        node: format!("n{n}"),
        step: "joined",
    }
}

fn now_ms(clock: &Arc<dyn Clock>) -> u64 {
    clock.wall().unix_ms(clock.now())
}

fn shelf(chronicle: &Chronicle) -> SyncSender<Job> {
    chronicle.0.as_ref().unwrap().shelf.clone()
}

fn recall(chronicle: &Chronicle, at_ms: u64) -> Result<Recalled, NotRecalled> {
    let (done, answer) = oneshot::channel();
    shelf(chronicle).send(Job::Recall(at_ms, done)).unwrap();
    answer.blocking_recv().unwrap()
}

fn course(chronicle: &Chronicle, endpoint: &str, since_ms: u64) -> Result<Written, String> {
    let (done, answer) = oneshot::channel();
    let of = Of {
        endpoints: [endpoint.into()].into(),
        since_ms,
    };
    shelf(chronicle).send(Job::Course(of, done)).unwrap();
    answer.blocking_recv().unwrap()
}

fn states(written: &Written, endpoint: &str) -> Vec<&'static str> {
    let turns = written.turns.since(endpoint, 0);
    turns.iter().map(|(_, v)| v.state).collect()
}

fn stored(chronicle: &Chronicle, limit: usize) -> Result<Vec<u64>, String> {
    let (done, answer) = oneshot::channel();
    let job = Job::Page(Filter::default(), limit, done);
    shelf(chronicle).send(job).unwrap();
    let (events, _) = answer.blocking_recv().unwrap()?;
    Ok(events.iter().map(|e| e.number).collect())
}

/// Looks again and again.
fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

/// A view in which the endpoints are as told.
fn view(
    snapshot: &Arc<Snapshot>,
    clock: &Arc<dyn Clock>,
    generation: u64,
    states: &[State],
) -> Arc<View> {
    let now = clock.now();
    let verdicts = states.iter().map(|state| Verdict {
        state: *state,
        since: now,
        ..Verdict::unmonitored()
    });
    let board = Board::new(verdicts.collect());
    let parts = Parts {
        wall: clock.wall(),
        ..Parts::new(snapshot.clone(), Arc::new(board))
    };
    Arc::new(View::new(Generation(generation), now, parts))
}

fn publish(chronicle: &Chronicle, view: &Arc<View>) {
    chronicle.published(view, &Arc::new(Standing::default()));
}

fn state_of(recalled: &Recalled, endpoint: &str) -> &'static str {
    recalled.state.verdicts[endpoint].state
}

#[test]
fn events_and_states_outlive_the_process_and_numbers_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let clock = clock();
    let snapshot = world(&["a", "b"]);
    let opened = start(dir.path(), &clock);
    let files = Files {
        texts: vec![("t.toml".into(), Content::Octets(b"secret"[..].into()))],
        named: Vec::new(),
    };
    let kept = Kept::of(&ConfigDigest::default(), files);
    opened.chronicle.configured(&snapshot, kept.clone());
    publish(
        &opened.chronicle,
        &view(&snapshot, &clock, 1, &[State::Up, State::Up]),
    );
    until("the first view is recorded", || {
        recall(&opened.chronicle, now_ms(&clock)).ok()
    });
    let before = now_ms(&clock);
    std::thread::park_timeout(Duration::from_millis(5));
    publish(
        &opened.chronicle,
        &view(&snapshot, &clock, 2, &[State::Down, State::Up]),
    );
    until("the second view is recorded", || {
        let recalled = recall(&opened.chronicle, now_ms(&clock)).unwrap();
        (state_of(&recalled, "a") == "down").then_some(())
    });
    (0..3).for_each(|n| opened.chronicle.record(&member(n)));
    opened.running.end();

    let mode = std::os::unix::fs::MetadataExt::mode(
        &fs::metadata(dir.path().join("history.redb")).unwrap(),
    );
    assert_eq!(mode & 0o777, 0o600, "configurations may hold secrets");

    let again = start(dir.path(), &clock);
    let then = recall(&again.chronicle, before).unwrap();
    assert_eq!(state_of(&then, "a"), "up");
    assert_eq!(then.state.generation, 1);
    assert_eq!(then.config, Some(kept));
    let down = 1;
    assert_eq!(stored(&again.chronicle, 9).unwrap(), [4, 3, 2, down]);
    again.chronicle.record(&member(4));
    let shared = again.chronicle.0.clone().unwrap();
    assert_eq!(shared.ring().last(), 5);
    // The votes and verdicts of before are shown after a restart, too.
    let turns = shared.turns().of("a", 9);
    let states: Vec<_> = turns.iter().map(|(_, v)| v.state).collect();
    assert_eq!(states, ["down", "up"]);
    // Between the two processes nothing is known.
    let refused = recall(&again.chronicle, now_ms(&clock)).unwrap_err();
    assert!(
        matches!(refused, NotRecalled::Blank(Blank::Between(..))),
        "{refused:?}"
    );
    publish(
        &again.chronicle,
        &view(&snapshot, &clock, 3, &[State::Up, State::Up]),
    );
    until("recorded again", || {
        recall(&again.chronicle, now_ms(&clock)).ok()
    });
    again.running.end();
}

#[test]
fn changes_are_read_of_the_disk_as_long_as_they_are_kept_and_gaps_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let clock = clock();
    let snapshot = world(&["a", "b"]);
    let begun = now_ms(&clock);
    let mut generation = 0;
    // More lives of the process than a start shows of the record.
    for life in 0..6 {
        let opened = start(dir.path(), &clock);
        for state in [State::Up, State::Down] {
            generation += 1;
            publish(
                &opened.chronicle,
                &view(&snapshot, &clock, generation, &[state, State::Up]),
            );
            until("it is recorded", || {
                let now = recall(&opened.chronicle, now_ms(&clock)).ok()?;
                (now.state.generation == generation).then_some(())
            });
            // Of one millisecond only one state can be told.
            std::thread::park_timeout(Duration::from_millis(5));
        }
        let all = course(&opened.chronicle, "a", begun).unwrap();
        assert_eq!(states(&all, "a").len(), 2 * (life + 1), "{all:?}");
        assert_eq!(all.within.gaps.len(), life, "{all:?}");
        assert!(!all.within.cut);
        assert!(states(&all, "b").is_empty(), "nobody asked for it");
        let late = course(&opened.chronicle, "a", now_ms(&clock)).unwrap();
        assert_eq!(states(&late, "a").last(), Some(&"down"));
        opened.running.end();
    }
}

#[test]
fn a_damaged_file_is_set_aside_and_all_goes_on() {
    for damage in ["start", "middle", "cut"] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("history.redb");
        let clock = clock();
        let opened = start(dir.path(), &clock);
        for n in 0..200 {
            opened.chronicle.record(&member(n));
        }
        opened.running.end();
        let mut octets = fs::read(&path).unwrap();
        match damage {
            "start" => octets[..512].fill(0x55),
            "middle" => {
                for page in octets[4_096..].chunks_mut(4_096) {
                    page[8..64].fill(0x55);
                }
            }
            _ => octets.truncate(10_000),
        }
        fs::write(&path, octets).unwrap();
        let again = start(dir.path(), &clock);
        again.chronicle.record(&member(1));
        let snapshot = world(&["a"]);
        publish(&again.chronicle, &view(&snapshot, &clock, 1, &[State::Up]));
        until(damage, || recall(&again.chronicle, now_ms(&clock)).ok());
        assert!(dir.path().join("history.damaged").exists(), "{damage}");
        let shared = again.chronicle.0.clone().unwrap();
        assert_eq!(shared.counts.recording.load(Ordering::Relaxed), 1);
        again.running.end();
    }
}

/// A file that takes nothing beyond a size, as a full disk does.
#[derive(Debug)]
struct Full {
    file: FileBackend,
    full: Arc<std::sync::atomic::AtomicBool>,
}

impl Full {
    fn refuse(&self) -> std::io::Result<()> {
        match self.full.load(Ordering::Relaxed) {
            true => Err(std::io::ErrorKind::StorageFull.into()),
            false => Ok(()),
        }
    }
}

impl StorageBackend for Full {
    fn len(&self) -> std::io::Result<u64> {
        self.file.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> std::io::Result<()> {
        self.file.read(offset, out)
    }
    fn set_len(&self, len: u64) -> std::io::Result<()> {
        self.refuse()?;
        self.file.set_len(len)
    }
    fn sync_data(&self) -> std::io::Result<()> {
        self.refuse()?;
        self.file.sync_data()
    }
    fn write(&self, offset: u64, data: &[u8]) -> std::io::Result<()> {
        self.refuse()?;
        self.file.write(offset, data)
    }
}

#[test]
fn a_full_disk_stops_the_record_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.redb");
    let full = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let switch = full.clone();
    let open = move |_: &Path, builder: Builder| -> Result<Database, Trouble> {
        let mut options = fs::OpenOptions::new();
        let file = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path);
        let file = FileBackend::new(file.map_err(|e| Trouble::Disk(e.to_string()))?)?;
        let full = switch.clone();
        Ok(builder.create_with_backend(Full { file, full })?)
    };
    let clock = clock();
    let disk = Disk::with(open, Shares::of(8 << 20));
    let opened = Opened::start_with("n1", disk, None, WEEK_MS, clock.clone()).unwrap();
    let (chronicle, snapshot) = (&opened.chronicle, world(&["a"]));
    publish(chronicle, &view(&snapshot, &clock, 1, &[State::Up]));
    until("recorded", || recall(chronicle, now_ms(&clock)).ok());

    full.store(true, Ordering::Relaxed);
    publish(chronicle, &view(&snapshot, &clock, 2, &[State::Down]));
    let shared = chronicle.0.clone().unwrap();
    // It is told and shown all the same.
    until("told", || (shared.ring().last() > 0).then_some(()));
    until("a failure is counted", || {
        let failed = matches!(
            recall(chronicle, now_ms(&clock)),
            Err(NotRecalled::Trouble(_))
        );
        (failed && shared.counts.failures.load(Ordering::Relaxed) > 0).then_some(())
    });
    assert_eq!(shared.counts.recording.load(Ordering::Relaxed), 0);
    assert!(course(chronicle, "a", 0).is_err());
    let during = now_ms(&clock);

    full.store(false, Ordering::Relaxed);
    let then = until("the disk takes it again", || {
        recall(chronicle, now_ms(&clock)).ok()
    });
    assert_eq!(state_of(&then, "a"), "down");
    // What waited meanwhile is not lost.
    match recall(chronicle, during) {
        Ok(then) => assert_eq!(state_of(&then, "a"), "down"),
        Err(e) => panic!("{e:?}"),
    }
    assert_eq!(shared.counts.recording.load(Ordering::Relaxed), 1);
    opened.running.end();
}

#[test]
fn the_file_does_not_grow_beyond_its_bound() {
    let dir = tempfile::tempdir().unwrap();
    let clock = clock();
    let most = 4 << 20;
    let bounds = Bounds {
        octets: most,
        age_ms: WEEK_MS,
    };
    let opened = Opened::start_at("n1", Some(dir.path()), None, bounds, clock.clone()).unwrap();
    let names: Vec<String> = (0..400).map(|n| format!("e{n:04}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let snapshot = world(&names);
    let length = || fs::metadata(dir.path().join("history.redb")).unwrap().len();
    let shared = opened.chronicle.0.clone().unwrap();
    let mut largest = 0;
    for generation in 1..=400 {
        let state = |i: usize| match mix(generation, i) % 2 {
            0 => State::Up,
            _ => State::Down,
        };
        let states: Vec<State> = (0..names.len()).map(state).collect();
        publish(
            &opened.chronicle,
            &view(&snapshot, &clock, generation, &states),
        );
        if generation % 20 == 0 {
            recall(&opened.chronicle, now_ms(&clock)).ok();
            largest = largest.max(length());
        }
    }
    recall(&opened.chronicle, now_ms(&clock)).unwrap();
    largest = largest.max(length());
    let kept = shared.counts.octets.load(Ordering::Relaxed);
    assert!(kept <= most / 4, "{kept}");
    // Half as much again while it is written anew.
    assert!(largest <= most + most / 2, "{largest}");
    assert!(kept > most / 16, "the bound was never near: {kept}");
    opened.running.end();
}

fn mix(generation: u64, i: usize) -> u64 {
    crate::balance::mix::mix(generation << 32 | i as u64)
}

/// A file in memory whose writes wait for a gate.
#[derive(Debug)]
struct Gated {
    memory: redb::backends::InMemoryBackend,
    gate: Arc<std::sync::Mutex<()>>,
}

impl StorageBackend for Gated {
    fn len(&self) -> std::io::Result<u64> {
        self.memory.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> std::io::Result<()> {
        self.memory.read(offset, out)
    }
    fn set_len(&self, len: u64) -> std::io::Result<()> {
        self.memory.set_len(len)
    }
    fn sync_data(&self) -> std::io::Result<()> {
        drop(self.gate.lock());
        Ok(())
    }
    fn write(&self, offset: u64, data: &[u8]) -> std::io::Result<()> {
        drop(self.gate.lock());
        self.memory.write(offset, data)
    }
}

#[test]
fn who_tells_never_waits_for_a_disk_that_hangs() {
    let gate = Arc::new(std::sync::Mutex::new(()));
    let waits = gate.clone();
    let open = move |_: &Path, builder: Builder| -> Result<Database, Trouble> {
        Ok(builder.create_with_backend(Gated {
            memory: redb::backends::InMemoryBackend::new(),
            gate: waits.clone(),
        })?)
    };
    let clock = clock();
    let disk = Disk::with(open, Shares::of(8 << 20));
    let opened = Opened::start_with("n1", disk, None, WEEK_MS, clock.clone()).unwrap();
    let snapshot = world(&["a"]);
    let shared = opened.chronicle.0.clone().unwrap();
    let hangs = gate.lock().unwrap();
    let begun = Instant::now();
    let dropped = || shared.counts.events_dropped.load(Ordering::Relaxed);
    // The disk's thread takes some in before it first writes; then nobody takes any.
    let mut told = 0;
    while dropped() == 0 {
        opened.chronicle.record(&member(told));
        told += 1;
        let most = Duration::from_secs(20);
        assert!(begun.elapsed() < most, "{told} were told, none was dropped");
    }
    let last = told as u64;
    publish(&opened.chronicle, &view(&snapshot, &clock, 1, &[State::Up]));
    assert_eq!(shared.ring().last(), last);
    publish(
        &opened.chronicle,
        &view(&snapshot, &clock, 2, &[State::Down]),
    );
    until("what became otherwise is told", || {
        (shared.ring().last() > last).then_some(())
    });
    drop(hangs);
    let then = until("recorded", || {
        recall(&opened.chronicle, now_ms(&clock)).ok()
    });
    assert_eq!(state_of(&then, "a"), "down");
    opened.running.end();
}
