//! Start, rest and end of the chronicle's threads.

use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{broadcast, watch};

use super::counts::Counts;
use super::disk::{Disk, Shares};
use super::ring::Ring;
use super::shelf::{Job, Shelf};
use super::{Chronicle, HistoryKeeper, Shared, teller};
use crate::app::keeper::{SharedLock, StateLock};
use crate::app::load::Wanted;
use crate::compile::Node;
use crate::history::Bounds;
use crate::snapshot::Publisher;
use crate::telemetry::Metrics;
use crate::time::Clock;

/// Jobs that wait for the disk's thread at most.
const JOBS: usize = 4_096;

/// Views that wait to be compared at most.
const VIEWS: usize = 256;

/// Events that a stream may be behind.
const BEHIND: usize = 1_024;

/// Most that is kept in memory where there is no state directory.
const IN_MEMORY: u64 = 16 << 20;

/// For what waits to be written before the file is left to another process.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often it is looked whether the disk has done its work.
const LOOK: Duration = Duration::from_millis(10);

/// What a start gives.
pub struct Opened {
    /// The way to tell what happens.
    pub chronicle: Chronicle,
    /// The threads.
    pub running: Running,
}

/// The threads, for whoever ends them.
pub struct Running {
    jobs: SyncSender<Job>,
    shared: Arc<Shared>,
    threads: Mutex<Vec<std::thread::JoinHandle<()>>>,
}

impl Opened {
    /// Opens the history of a node and starts the threads. A state directory that cannot be had is said in
    /// the log, and all is kept in memory.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub fn start(
        node: &Node,
        lock: &SharedLock,
        clock: &Arc<dyn Clock>,
    ) -> std::io::Result<Opened> {
        let held = node.state_dir.as_deref().map(|dir| (dir, lock.hold(dir)));
        let (dir, held) = match held {
            Some((dir, Ok(held))) => (Some(dir), Some(held)),
            Some((_, Err(e))) => {
                tracing::error!("{e}; what happens is told only as long as this process lives");
                (None, None)
            }
            None => (None, None),
        };
        Opened::start_at(&node.name, dir, held, node.history, clock.clone())
    }

    pub(super) fn start_at(
        node: &str,
        dir: Option<&Path>,
        lock: Option<Arc<StateLock>>,
        bounds: Bounds,
        clock: Arc<dyn Clock>,
    ) -> std::io::Result<Opened> {
        let octets = match dir {
            Some(_) => bounds.octets,
            None => bounds.octets.min(IN_MEMORY),
        };
        let disk = Disk::new(dir, Shares::of(octets));
        Opened::start_with(node, disk, lock, bounds.age_ms, clock)
    }

    pub(super) fn start_with(
        node: &str,
        disk: Disk,
        lock: Option<Arc<StateLock>>,
        age_ms: u64,
        clock: Arc<dyn Clock>,
    ) -> std::io::Result<Opened> {
        let counts: Arc<Counts> = Arc::default();
        let (shelf, start) = Shelf::open(disk, lock, age_ms, counts.clone(), clock.clone());
        let (jobs, work) = sync_channel(JOBS);
        let (views, published) = sync_channel(VIEWS);
        let shared = Arc::new(Shared {
            node: node.into(),
            clock,
            generation: AtomicU64::new(0),
            ring: Mutex::new(Ring::load(start.events, start.next)),
            turns: Mutex::new(start.turns),
            counts,
            news: broadcast::channel(BEHIND).0,
            generations: watch::channel(0).0,
            snapshots: Mutex::default(),
            views: Mutex::new(Some(views)),
            shelf: jobs.clone(),
        });
        let spawn = |name: &str, work: Box<dyn FnOnce() + Send>| {
            std::thread::Builder::new()
                .name(name.to_owned())
                .spawn(work)
        };
        let shelf = spawn("tradewind-history", Box::new(move || shelf.run(&work)))?;
        let (tells, to) = (shared.clone(), jobs.clone());
        let teller = spawn(
            "tradewind-events",
            Box::new(move || teller::run(&tells, &published, &to)),
        )?;
        Ok(Opened {
            chronicle: Chronicle(Some(shared.clone())),
            running: Running {
                jobs,
                shared,
                threads: Mutex::new(vec![teller, shelf]),
            },
        })
    }
}

impl Running {
    /// What the API reads, of configurations loaded as `wanted`; streams end when `closing` turns true.
    pub fn desk(
        &self,
        publisher: &Publisher,
        wanted: &Wanted,
        closing: &watch::Receiver<bool>,
    ) -> Arc<HistoryKeeper> {
        let (publisher, wanted) = (publisher.clone(), wanted.clone());
        HistoryKeeper::new(&self.shared, publisher, wanted, closing.clone())
    }

    /// What is counted.
    pub fn metrics(&self) -> Arc<dyn Metrics> {
        self.shared.clone()
    }

    /// Leaves the file to another process: what waits is written, and nothing more until
    /// [`Running::resume`]. Blocks. Says whether it is done in time; a disk that hangs must not keep a node
    /// from being taken over, so that is only told.
    pub fn rest(&self) {
        let (done, rests) = sync_channel(1);
        self.send(Job::Rest(done));
        if rests.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            tracing::error!("the disk does not take what waits for the history");
        }
    }

    /// The file is this process's again, as `lock` says.
    pub fn resume(&self, lock: Option<Arc<StateLock>>) {
        self.send(Job::Resume(lock));
    }

    /// Sends, unless the disk hangs or the thread has ended already.
    fn send(&self, job: Job) {
        let mut job = Some(job);
        wait(|| match self.jobs.try_send(job.take()?) {
            Err(TrySendError::Full(back)) => {
                job = Some(back);
                None
            }
            _ => Some(()),
        });
    }

    /// Ends the threads once all that waits is written or has failed once more. Blocks.
    pub fn end(&self) {
        let views = self.shared.views.lock();
        drop(views.unwrap_or_else(PoisonError::into_inner).take());
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        let threads: Vec<_> = threads.drain(..).collect();
        for (i, thread) in threads.into_iter().enumerate() {
            if i == 1 {
                // The other one tells this one nothing any more.
                self.send(Job::End);
            }
            // One that a disk holds up is left behind.
            if wait(|| thread.is_finished().then_some(())).is_some() {
                drop(thread.join());
            }
        }
    }
}

/// Looks again and again, as long as one is ready to wait for a disk.
fn wait<T>(mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let times = PATIENCE.as_millis() / LOOK.as_millis();
    for _ in 0..times {
        if let Some(found) = look() {
            return Some(found);
        }
        std::thread::park_timeout(LOOK);
    }
    None
}
