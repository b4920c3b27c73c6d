//! The store against disks that fail, fill and lie.

use std::io;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use redb::backends::InMemoryBackend;
use redb::{BackendError, StorageBackend};

use super::*;

/// A disk in memory that outlives its users and takes no writes while it is full.
#[derive(Clone, Debug)]
pub(super) struct Flaky(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    memory: InMemoryBackend,
    full: AtomicBool,
    one_at_a_time: Mutex<()>,
}

impl Flaky {
    fn new() -> Flaky {
        Flaky(Arc::new(Inner {
            memory: InMemoryBackend::new(),
            full: AtomicBool::new(false),
            one_at_a_time: Mutex::new(()),
        }))
    }

    fn disk(&self) -> Disk {
        let flaky = self.clone();
        Disk::with(move |_, builder| Ok(builder.create_with_backend(flaky.clone())?))
    }

    fn fill(&self, full: bool) {
        self.0.full.store(full, Ordering::Relaxed);
    }

    fn room(&self) -> io::Result<()> {
        match self.0.full.load(Ordering::Relaxed) {
            true => Err(io::Error::from(io::ErrorKind::StorageFull)),
            false => Ok(()),
        }
    }
}

impl StorageBackend for Flaky {
    fn len(&self) -> io::Result<u64> {
        self.0.memory.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.memory.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.room()?;
        self.0.memory.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.room()?;
        self.0.memory.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.room()?;
        let _one = self.0.one_at_a_time.lock().unwrap();
        self.0.memory.write(offset, data)
    }

    fn try_lock_range(
        &self,
        _start: std::ops::Bound<u64>,
        _end: std::ops::Bound<u64>,
    ) -> Result<bool, BackendError> {
        Err(BackendError::Unsupported)
    }
}

fn order(stamp: &str, text: &str) -> Write {
    Write {
        orders: vec![(stamp.to_owned(), Some((text.to_owned(), true)))],
        ..Write::default()
    }
}

fn open(dir: &Path) -> (Store, Stored, Running) {
    let disk = Disk::new(dir.join("orders.redb"));
    Store::start(disk, None, Arc::default()).unwrap()
}

#[tokio::test]
async fn what_was_written_is_there_after_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let (store, stored, running) = open(dir.path());
    assert_eq!((stored.orders.len(), stored.starts), (0, 1));
    store.write(order("1", "one")).await.unwrap();
    let rest = Write {
        orders: vec![
            ("1".to_owned(), None),
            ("2".to_owned(), Some(("two".to_owned(), false))),
        ],
        audit: vec![(1, "a".to_owned()), (2, "b".to_owned())],
        verdicts: vec![(7, vec![1, 2, 3])],
        backends: vec![("api/b1".to_owned(), Some("word".to_owned()))],
        ..Write::default()
    };
    store.write_later(rest);
    running.end();
    let (_store, stored, running) = open(dir.path());
    assert_eq!(stored.orders, [("two".to_owned(), false)]);
    assert_eq!(stored.audit, [(1, "a".to_owned()), (2, "b".to_owned())]);
    assert_eq!(stored.verdicts, [(7, vec![1, 2, 3])]);
    assert_eq!(stored.backends, [("api/b1".to_owned(), "word".to_owned())]);
    assert_eq!(stored.starts, 2);
    running.end();
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(dir.path().join("orders.redb"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn the_audit_record_is_capped() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _, running) = open(dir.path());
    for half in [1..6_000u64, 6_000..12_001] {
        let audit = half.map(|n| (n, format!("line {n}"))).collect();
        let write = Write {
            audit,
            ..Write::default()
        };
        store.write(write).await.unwrap();
    }
    running.end();
    let (_store, stored, running) = open(dir.path());
    running.end();
    assert_eq!(stored.audit.len() as u64, disk::AUDIT_KEPT);
    assert_eq!(stored.audit.last().unwrap().0, 12_000);
}

#[tokio::test]
async fn a_full_disk_stops_nothing_and_gets_all_when_it_has_room() {
    let flaky = Flaky::new();
    let gauges = Arc::new(OrderGauges::default());
    let start = |flaky: &Flaky| Store::start(flaky.disk(), None, gauges.clone()).unwrap();
    let (store, _, running) = start(&flaky);
    store.write(order("1", "one")).await.unwrap();
    flaky.fill(true);
    let error = store.write(order("2", "two")).await.unwrap_err();
    assert!(!error.is_empty());
    assert!(store.write(order("3", "three")).await.is_err());
    assert_eq!(gauges.not_stored.load(Ordering::Relaxed), 2);
    assert!(gauges.store_failures.load(Ordering::Relaxed) >= 2);
    flaky.fill(false);
    // The next write takes along what waits.
    store.write(order("4", "four")).await.unwrap();
    assert_eq!(gauges.not_stored.load(Ordering::Relaxed), 0);
    running.end();
    let (_store, stored, running) = start(&flaky);
    let texts: Vec<&str> = stored.orders.iter().map(|(t, _)| &**t).collect();
    assert_eq!(texts, ["one", "two", "three", "four"]);
    running.end();
}

#[tokio::test]
async fn a_disk_that_is_full_from_the_start_stops_nothing_either() {
    let flaky = Flaky::new();
    flaky.fill(true);
    let (store, stored, running) = Store::start(flaky.disk(), None, Arc::default()).unwrap();
    assert!(stored.orders.is_empty());
    assert!(store.write(order("1", "one")).await.is_err());
    flaky.fill(false);
    store.write(order("2", "two")).await.unwrap();
    running.end();
}

#[tokio::test]
async fn another_process_has_the_file_while_this_one_rests() {
    let dir = tempfile::tempdir().unwrap();
    let (old, _, old_running) = open(dir.path());
    old.write(order("1", "one")).await.unwrap();
    assert!(old_running.rest());
    assert!(old.rests());
    assert!(
        old.write(order("2", "two"))
            .await
            .unwrap_err()
            .contains("try again")
    );
    // It is the other's, which begins with what was written.
    let (new, stored, new_running) = open(dir.path());
    assert_eq!(stored.orders.len(), 1);
    new.write(order("3", "three")).await.unwrap();
    new_running.end();
    // The other gave up: what waited meanwhile is written.
    old_running.resume(None);
    assert!(!old.rests());
    old.write(order("4", "four")).await.unwrap();
    old_running.end();
    let (_store, stored, running) = open(dir.path());
    let texts: Vec<&str> = stored.orders.iter().map(|(t, _)| &**t).collect();
    assert_eq!(texts, ["one", "two", "three", "four"]);
    running.end();
}

#[tokio::test]
async fn what_rests_ends_without_writing() {
    let dir = tempfile::tempdir().unwrap();
    let (old, _, old_running) = open(dir.path());
    assert!(old_running.rest());
    let (_new, _, new_running) = open(dir.path());
    old.write_later(order("2", "two"));
    old_running.end();
    new_running.end();
    let (_store, stored, running) = open(dir.path());
    assert_eq!(stored.orders, []);
    running.end();
}

/// What is written to a file, in place of the store.
type Damage = (&'static str, fn(Vec<u8>) -> Vec<u8>);

fn damages() -> [Damage; 5] {
    [
        ("garbage", (|_| vec![0x5a; 20_000])),
        ("a short text", (|_| b"hello".to_vec())),
        ("cut in half", (|b| b[..b.len() / 2].to_vec())),
        (
            "zeros behind the head",
            (|mut b| {
                b[4096..].fill(0);
                b
            }),
        ),
        (
            "a broken head",
            (|mut b| {
                b[..64].fill(0xff);
                b
            }),
        ),
    ]
}

#[tokio::test]
async fn a_damaged_file_is_set_aside_and_the_node_goes_on() {
    for (what, damage) in damages() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("orders.redb");
        let (store, _, running) = open(dir.path());
        store.write(order("1", "one")).await.unwrap();
        running.end();
        let bytes = std::fs::read(&file).unwrap();
        std::fs::write(&file, damage(bytes)).unwrap();
        let (store, stored, running) = open(dir.path());
        assert_eq!(stored.orders, [], "{what}");
        assert!(dir.path().join("orders.damaged-1").exists(), "{what}");
        store.write(order("2", "two")).await.unwrap();
        running.end();
        let (_store, stored, running) = open(dir.path());
        assert_eq!(stored.orders.len(), 1, "{what}");
        running.end();
    }
}
