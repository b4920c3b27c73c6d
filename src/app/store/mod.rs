//! What outlives the process in an embedded store, `STATE/orders.redb`: the operators' orders, the
//! audit record, verdicts.
//!
//! A thread of its own, since it waits for disks. DNS never does: when the disk fails, memory goes
//! on, and what could not be written is written again when the disk takes it. A file that is damaged
//! is set aside and a new one begun; the fleet still has the orders.

pub(in crate::app) mod disk;
mod pending;
mod verdicts;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use self::disk::Disk;
use self::pending::Pending;
use super::keeper::StateLock;
use crate::telemetry::OrderGauges;

pub use verdicts::Verdicts;

/// What could not be written is tried again after this time.
const RETRY: Duration = Duration::from_secs(2);

/// For what waits to be written before the file is left to another process.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why nothing is written while another process has the file.
const LEFT: &str = "a new process is taking this node over; try again in a moment";

/// Every so many failures in a row, the log says so again: about once a minute.
const TELL_EVERY: u64 = 30;

/// What a start finds.
#[derive(Clone, Default, Debug)]
pub struct Stored {
    /// Texts of records, each with whether its stamp was believed.
    pub orders: Vec<(String, bool)>,
    /// Lines of the audit record with their numbers, earliest first.
    pub audit: Vec<(u64, String)>,
    /// Verdicts by their key.
    pub verdicts: Vec<(u64, Vec<u8>)>,
    /// Orders about backends by their key.
    pub backends: Vec<(String, String)>,
    /// What nodes said of drills, by drill and node.
    pub drills: Vec<(String, String)>,
    /// How often this node has started on this store, this start included.
    pub starts: u64,
}

/// What is to be written together.
#[derive(Clone, Debug, Default)]
pub struct Write {
    /// Orders by stamp: text and whether believed; `None` takes one out.
    pub orders: Vec<(String, Option<(String, bool)>)>,
    /// New lines of the audit record.
    pub audit: Vec<(u64, String)>,
    /// Verdicts by their key.
    pub verdicts: Vec<(u64, Vec<u8>)>,
    /// Orders about backends by their key; `None` takes one out.
    pub backends: Vec<(String, Option<String>)>,
    /// What nodes say of drills, by drill and node; `None` takes one out.
    pub drills: Vec<(String, Option<String>)>,
}

enum Job {
    Write(Write, Option<oneshot::Sender<Result<(), String>>>),
    /// Leave the file and its folder to another process; answers when that is done.
    Rest(SyncSender<()>),
    /// They are this process's again.
    Resume(Option<Arc<StateLock>>),
    End,
}

/// The way to the store's thread.
#[derive(Clone, Debug)]
pub struct Store {
    jobs: Option<Sender<Job>>,
    rests: Arc<AtomicBool>,
}

/// The thread, for whoever ends it.
#[derive(Debug)]
pub struct Running {
    jobs: Sender<Job>,
    rests: Arc<AtomicBool>,
    thread: Mutex<Option<std::thread::JoinHandle<()>>>,
}

impl Running {
    /// Leaves the file and its folder to another process: what waits is written, and nothing more until
    /// [`Running::resume`]. Blocks; says whether it is done in time.
    pub fn rest(&self) -> bool {
        self.rests.store(true, Ordering::Relaxed);
        let (done, rests) = sync_channel(1);
        // Fails only when the thread has ended already.
        drop(self.jobs.send(Job::Rest(done)));
        rests.recv_timeout(PATIENCE) != Err(RecvTimeoutError::Timeout)
    }

    /// The folder is this process's again, as `lock` says: what was to be written meanwhile is written.
    pub fn resume(&self, lock: Option<Arc<StateLock>>) {
        // Fails only when the thread has ended already.
        drop(self.jobs.send(Job::Resume(lock)));
        self.rests.store(false, Ordering::Relaxed);
    }

    /// Ends the thread once all that waits is written or has failed once more. Blocks.
    pub fn end(&self) {
        // Fails only when the thread has ended already.
        drop(self.jobs.send(Job::End));
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        drop(thread.take().map(std::thread::JoinHandle::join));
    }
}

impl Store {
    /// A store that keeps nothing: of a node without state directory.
    pub fn none() -> Store {
        Store {
            jobs: None,
            rests: Arc::default(),
        }
    }

    /// Whether the store is left to a process that takes over: what is ordered now could be lost.
    pub fn rests(&self) -> bool {
        self.rests.load(Ordering::Relaxed)
    }

    /// Whether anything outlives the process.
    pub fn is_durable(&self) -> bool {
        self.jobs.is_some()
    }

    /// Opens the store of a state directory that `lock` guards, reads it and starts its thread.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn open(
        state_dir: &Path,
        lock: Arc<StateLock>,
        gauges: Arc<OrderGauges>,
    ) -> std::io::Result<(Store, Stored, Running)> {
        Store::start(Disk::new(state_dir.join("orders.redb")), Some(lock), gauges)
    }

    fn start(
        mut disk: Disk,
        lock: Option<Arc<StateLock>>,
        gauges: Arc<OrderGauges>,
    ) -> std::io::Result<(Store, Stored, Running)> {
        let stored = match disk.load() {
            Ok(stored) => stored,
            Err(e) => {
                gauges.store_failures.fetch_add(1, Ordering::Relaxed);
                tracing::error!(
                    "cannot use {disk}: {e}; the node goes on without it, orders stay in memory \
                     until the disk takes them"
                );
                Stored::default()
            }
        };
        let (jobs, work) = channel();
        let thread = std::thread::Builder::new()
            .name("tradewind-store".to_owned())
            .spawn(move || {
                // The directory stays this process's for as long as anything may be written.
                run(&mut disk, lock, &work, &gauges);
            })?;
        let rests: Arc<AtomicBool> = Arc::default();
        let running = Running {
            jobs: jobs.clone(),
            rests: rests.clone(),
            thread: Mutex::new(Some(thread)),
        };
        let jobs = Some(jobs);
        Ok((Store { jobs, rests }, stored, running))
    }

    /// Writes and tells when it is on the disk.
    ///
    /// # Errors
    /// Says why it is not; it is tried again all the same. Without state directory: that there is
    /// none.
    pub async fn write(&self, write: Write) -> Result<(), String> {
        let Some(jobs) = &self.jobs else {
            return Err("this node has no `state-dir`".to_owned());
        };
        let (done, written) = oneshot::channel();
        // Either fails only when the thread has ended.
        let _ = jobs.send(Job::Write(write, Some(done)));
        let stopping = || Err("the node is stopping".to_owned());
        written.await.unwrap_or_else(|_| stopping())
    }

    /// Writes when the disk takes it; nobody waits.
    pub fn write_later(&self, write: Write) {
        if let Some(jobs) = &self.jobs {
            // Fails only when the thread has ended.
            let _ = jobs.send(Job::Write(write, None));
        }
    }
}

fn run(disk: &mut Disk, lock: Option<Arc<StateLock>>, work: &Receiver<Job>, gauges: &OrderGauges) {
    let mut pending = Pending::default();
    let mut failures = 0u64;
    let mut ending = false;
    // Whose the folder is: `None` while it is another process's.
    let mut mine = Some(lock);
    while !ending {
        let mut resting = Vec::new();
        let mut back = None;
        let first = if pending.is_empty() || mine.is_none() {
            work.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            work.recv_timeout(RETRY)
        };
        let mut waiting = Vec::new();
        // All that waits goes to the disk in one transaction.
        let more = std::iter::from_fn(|| work.try_recv().ok());
        match first {
            Ok(job) => {
                for job in std::iter::once(job).chain(more) {
                    match job {
                        Job::Write(write, done) => {
                            pending.add(write);
                            waiting.extend(done);
                        }
                        Job::Rest(done) => resting.push(done),
                        Job::Resume(lock) => back = Some(lock),
                        Job::End => ending = true,
                    }
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => ending = true,
        }
        if let Some(lock) = back {
            mine = Some(lock);
        }
        let result = match (&mine, pending.is_empty()) {
            (None, _) => Err(LEFT.to_owned()),
            (Some(_), true) => Ok(()),
            (Some(_), false) => write_down(disk, &mut pending, &mut failures, gauges),
        };
        for done in waiting {
            // Who asked may have gone.
            let _ = done.send(result.clone());
        }
        for done in resting {
            disk.close();
            mine = None;
            // Who asked may have lost patience.
            let _ = done.try_send(());
        }
    }
}

/// Writes what waits; what the disk does not take goes on waiting.
fn write_down(
    disk: &mut Disk,
    pending: &mut Pending,
    failures: &mut u64,
    gauges: &OrderGauges,
) -> Result<(), String> {
    let result = disk.write(pending);
    match &result {
        Ok(()) => {
            if *failures > 0 {
                tracing::info!("{disk} takes writes again; nothing is missing in it");
            }
            *failures = 0;
            *pending = Pending::default();
        }
        Err(e) => {
            if failures.is_multiple_of(TELL_EVERY) {
                tracing::error!(
                    "cannot write {disk}: {e}; orders stay in force from memory, but those \
                     that are not on the disk of any node would not outlive all of them"
                );
            }
            *failures += 1;
            gauges.store_failures.fetch_add(1, Ordering::Relaxed);
        }
    }
    let unwritten = pending.orders.len() as u64;
    gauges.not_stored.store(unwritten, Ordering::Relaxed);
    result
}

#[cfg(test)]
mod tests;
