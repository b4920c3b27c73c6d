//! Where everything that happens is told: one call logs it, counts it, shows it to those who listen, and
//! hands it to the record.
//!
//! Two threads: `teller` compares views and touches no disk, `shelf` has the disk. Whoever tells
//! something waits for neither; what they cannot take in time is counted, and nothing but the record lacks
//! it.

mod counts;
mod course;
mod desk;
mod disk;
mod files;
mod members;
mod pack;
mod ring;
mod shelf;
mod start;
mod tell;
mod teller;
#[cfg(test)]
mod tests;
mod then;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::{broadcast, watch};

use self::counts::{Counts, add};
use self::ring::{Ring, Turns};
use self::shelf::Job;
use self::teller::Published;
use crate::history::{Event, Level, Told, What};
use crate::overrides::Standing;
use crate::snapshot::{Snapshot, View};
use crate::telemetry::{Metrics, Page};
use crate::time::Clock;

pub use self::desk::HistoryKeeper;
pub use self::files::Kept;
pub use self::members::watch as watch_members;
pub use self::start::{Opened, Running};

/// Configurations whose digest is known by their snapshot: the one in force, and those about to be.
const SNAPSHOTS: usize = 8;

/// The way to tell what happened. Cheap to clone; never waits. By default it only logs.
#[derive(Clone, Default)]
pub struct Chronicle(Option<Arc<Shared>>);

/// What all who tell and all who listen share.
struct Shared {
    node: Arc<str>,
    clock: Arc<dyn Clock>,
    generation: AtomicU64,
    ring: Mutex<Ring>,
    turns: Mutex<Turns>,
    counts: Arc<Counts>,
    /// To those who listen.
    news: broadcast::Sender<Arc<Told>>,
    /// The generation in force, to those who listen.
    generations: watch::Sender<u64>,
    snapshots: Mutex<Vec<(Weak<Snapshot>, Arc<str>)>>,
    views: Mutex<Option<SyncSender<Published>>>,
    shelf: SyncSender<Job>,
}

impl std::fmt::Debug for Chronicle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Chronicle")
    }
}

impl Chronicle {
    /// Tells that something happened, now. Never waits.
    pub fn record(&self, what: &What) {
        match &self.0 {
            Some(shared) => shared.record(what),
            None => log(what),
        }
    }

    /// Tells that a view is in force, with the orders in it. Never waits.
    pub fn published(&self, view: &Arc<View>, standing: &Arc<Standing>) {
        let Some(shared) = &self.0 else {
            return;
        };
        let generation = view.generation.0;
        shared.generation.store(generation, Ordering::Relaxed);
        shared.generations.send_replace(generation);
        let published = Published {
            view: view.clone(),
            standing: standing.clone(),
        };
        let views = shared.views.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(views) = &*views
            && let Err(TrySendError::Full(_)) = views.try_send(published)
        {
            // The next one that is looked at is compared with the last that was.
            add(&shared.counts.views_skipped);
        }
    }

    /// Tells what the files of a configuration are that is about to come into force.
    pub fn configured(&self, snapshot: &Arc<Snapshot>, kept: Kept) {
        let Some(shared) = &self.0 else {
            return;
        };
        {
            let mut snapshots = shared.snapshots();
            snapshots.push((Arc::downgrade(snapshot), kept.digest.clone()));
            let many = snapshots.len().saturating_sub(SNAPSHOTS);
            snapshots.drain(..many);
        }
        shared.hand_on(Job::Config(kept));
    }

    /// Keeps so much from now on.
    pub fn bound(&self, bounds: crate::history::Bounds) {
        if let Some(shared) = &self.0 {
            shared.hand_on(Job::Bound(bounds));
        }
    }
}

impl Shared {
    fn record(&self, what: &What) {
        log(what);
        self.counts.happened(what.kind());
        let event = Event {
            at_ms: self.clock.wall().unix_ms(self.clock.now()),
            node: self.node.clone(),
            generation: self.generation.load(Ordering::Relaxed),
            what: what.clone(),
        };
        // Under the lock, so that those who listen hear of numbers in their order.
        let mut ring = self.ring();
        let told = ring.push(&event);
        // Fails only when nobody listens.
        drop(self.news.send(told.clone()));
        self.hand_on(Job::Event(told));
    }

    fn hand_on(&self, job: Job) {
        if let Err(TrySendError::Full(_)) = self.shelf.try_send(job) {
            add(&self.counts.events_dropped);
        }
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        // Each step leaves it whole.
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turns(&self) -> MutexGuard<'_, Turns> {
        // Each step leaves it whole.
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn snapshots(&self) -> MutexGuard<'_, Vec<(Weak<Snapshot>, Arc<str>)>> {
        // Each step leaves it whole.
        self.snapshots
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The digest of a snapshot's configuration; empty where nobody told.
    fn digest_of(&self, snapshot: &Arc<Snapshot>) -> Arc<str> {
        let wanted = Arc::as_ptr(snapshot);
        let snapshots = self.snapshots();
        let known = snapshots
            .iter()
            .rev()
            .find(|(s, _)| std::ptr::eq(s.as_ptr(), wanted));
        known.map_or_else(Arc::default, |(_, digest)| digest.clone())
    }
}

impl Metrics for Shared {
    fn render(&self, page: &mut Page) {
        self.counts.render(page);
    }
}

fn log(what: &What) {
    let (kind, subject, text) = (what.kind(), what.subject(), what.text());
    match what.level() {
        Level::Info => tracing::info!(kind, subject, "{text}"),
        Level::Warning => tracing::warn!(kind, subject, "{text}"),
        Level::Error => tracing::error!(kind, subject, "{text}"),
    }
}
