//! The thread of the disk: writes what happened, at most once a second, and reads what is asked. Nobody
//! who tells something waits for it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::Duration;

use tokio::sync::oneshot;

use super::counts::{Counts, add};
use super::course::{Of, Written, within};
use super::disk::{Disk, Shares, Write, pack_event};
use super::files::Kept;
use super::pack::pack_text;
use super::ring::Turns;
use crate::app::keeper::StateLock;
use crate::history::{Batch, Blank, Bounds, Fact, Filter, Journal, Row, State, Told};
use crate::snapshot::record::{self, Seen};
use crate::time::{Clock, Moment};

/// What happens within this time is written together.
const GATHER: Duration = Duration::from_secs(1);

/// Where nothing happens, that is written down so often.
const ALIVE: Duration = Duration::from_secs(60);

/// What could not be written is tried again after this time.
const RETRY: Duration = Duration::from_secs(2);

/// Every so many failures in a row the log says so again.
const TELL_EVERY: u64 = 30;

/// Octets that wait for the disk at most; of more, all are lost, and the record goes on with a checkpoint.
const WAITING: usize = 8 << 20;

/// Configurations that wait for the disk at most.
const CONFIGS: usize = 4;

/// Why nothing is read or written while another process has the file.
const LEFT: &str = "a new process is taking this node over; ask again in a moment";

/// What is told of a time.
#[derive(Debug)]
pub(super) struct Recalled {
    pub(super) state: State,
    /// Its configuration, where it is kept.
    pub(super) config: Option<Kept>,
    /// Number of the last event up to then; 0: none.
    pub(super) event: u64,
}

/// Why nothing is told of a time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum NotRecalled {
    /// It is not recorded.
    Blank(Blank),
    /// The disk does not say, and why.
    Trouble(String),
}

/// A page of events, and the number below which to look further.
type Page = Result<(Vec<Told>, Option<u64>), String>;

/// What the thread is asked.
pub(super) enum Job {
    Event(Arc<Told>),
    /// A view, with what became otherwise; or since when that is not known, in milliseconds since 1970.
    Seen(Seen, Result<Vec<Fact>, u64>),
    Config(Kept),
    Bound(Bounds),
    Page(Filter, usize, oneshot::Sender<Page>),
    Recall(u64, oneshot::Sender<Result<Recalled, NotRecalled>>),
    /// How the verdicts on some endpoints changed from a time on.
    Course(Of, oneshot::Sender<Result<Written, String>>),
    /// Leave the file to another process; answers when that is done.
    Rest(SyncSender<()>),
    /// It is this process's again.
    Resume(Option<Arc<StateLock>>),
    End,
}

/// What the thread has.
pub(super) struct Shelf {
    disk: Disk,
    journal: Journal,
    /// What waits for the disk.
    rows: Vec<Row>,
    events: Vec<(u64, u64, Vec<u8>)>,
    configs: Vec<Kept>,
    octets: usize,
    /// The view that was recorded last, or could not be.
    seen: Option<Seen>,
    age_ms: u64,
    counts: Arc<Counts>,
    clock: Arc<dyn Clock>,
    /// Whose the folder is: `None` while it is another process's.
    mine: Option<Option<Arc<StateLock>>>,
    failures: u64,
    /// Why the last write failed.
    trouble: Option<String>,
    /// Whether it was said that a checkpoint is too large.
    told_too_large: bool,
    /// Whether the journal is that of the file.
    loaded: bool,
    /// When something was written last.
    written: Moment,
}

/// What a start needs to know.
pub(super) struct Start {
    pub(super) events: Vec<Told>,
    /// How verdicts changed lately.
    pub(super) turns: Turns,
    /// Numbers begin here at least.
    pub(super) next: u64,
}

impl Shelf {
    /// Opens the disk.
    pub(super) fn open(
        mut disk: Disk,
        lock: Option<Arc<StateLock>>,
        age_ms: u64,
        counts: Arc<Counts>,
        clock: Arc<dyn Clock>,
    ) -> (Shelf, Start) {
        let written = clock.now();
        let now_ms = clock.wall().unix_ms(written);
        let bounds = bounds(&disk, age_ms);
        let (stored, trouble) = match disk.load(super::ring::EVENTS) {
            Ok(stored) => (stored, None),
            Err(e) => {
                add(&counts.failures);
                tracing::error!(
                    "cannot use {disk}: {e}; `explain --at` and earlier events are not to be had until it \
                     can be, all else goes on"
                );
                (super::disk::Stored::default(), Some(e))
            }
        };
        let start = Start {
            events: stored.events,
            turns: stored.turns,
            // Above all that may be on a disk that cannot be read now.
            next: if trouble.is_some() { now_ms } else { 1 },
        };
        let alive = stored.alive_ms.min(now_ms);
        let journal = Journal::load(
            stored.segments,
            stored.next.max(1),
            alive,
            bounds,
            pack_text,
        );
        let shelf = Shelf {
            disk,
            journal,
            rows: Vec::new(),
            events: Vec::new(),
            configs: Vec::new(),
            octets: 0,
            seen: None,
            age_ms,
            counts,
            clock,
            mine: Some(lock),
            failures: 0,
            loaded: trouble.is_none(),
            trouble,
            told_too_large: false,
            written,
        };
        (shelf, start)
    }

    /// Works until told to end.
    pub(super) fn run(mut self, work: &Receiver<Job>) {
        let mut wait = GATHER;
        loop {
            let first = work.recv_timeout(wait);
            let mut ending = matches!(first, Err(RecvTimeoutError::Disconnected));
            let mut back = None;
            let (mut pages, mut recalls, mut resting) = (Vec::new(), Vec::new(), Vec::new());
            let mut courses = Vec::new();
            let began = self.clock.now();
            let mut next = first.ok();
            // What is asked is answered at once, what is told is gathered.
            while let Some(job) = next {
                match job {
                    Job::Event(told) => self.add_event(&told),
                    Job::Seen(seen, facts) => self.add(seen, facts),
                    Job::Config(kept) => {
                        self.configs.push(kept);
                        let many = self.configs.len().saturating_sub(CONFIGS);
                        self.configs.drain(..many);
                    }
                    Job::Bound(bounds) => self.bound(bounds),
                    Job::Page(filter, limit, done) => pages.push((filter, limit, done)),
                    Job::Recall(at, done) => recalls.push((at, done)),
                    Job::Course(of, done) => courses.push((of, done)),
                    Job::Rest(done) => resting.push(done),
                    Job::Resume(lock) => back = Some(lock),
                    Job::End => ending = true,
                }
                let asked = !pages.is_empty()
                    || !recalls.is_empty()
                    || !courses.is_empty()
                    || !resting.is_empty();
                let left = began.since(self.clock.now() - GATHER);
                next = match asked || ending || back.is_some() {
                    true => work.try_recv().ok(),
                    false => work.recv_timeout(left).ok(),
                };
            }
            if let Some(lock) = back {
                self.come_back(lock);
            }
            let now = self.clock.now();
            let soon = now.since(self.written) < GATHER && !ending && resting.is_empty();
            let written = match (
                soon && recalls.is_empty(),
                self.is_idle() && !recalls.is_empty(),
            ) {
                (true, _) | (_, true) => self.state(),
                _ => {
                    self.written = now;
                    self.write_down()
                }
            };
            for (filter, limit, done) in pages {
                let page = self.page(&filter, limit);
                // Who asked may have gone.
                drop(done.send(page));
            }
            for (at_ms, done) in recalls {
                let recalled = match &written {
                    Ok(()) => self.recall(at_ms),
                    Err(e) => Err(NotRecalled::Trouble(e.clone())),
                };
                drop(done.send(recalled));
            }
            for (of, done) in courses {
                let course = self.course(&of);
                drop(done.send(course));
            }
            for done in resting {
                self.disk.close();
                self.mine = None;
                // Who asked may have lost patience.
                let _ = done.try_send(());
            }
            if ending {
                return;
            }
            wait = match (&written, self.is_idle()) {
                (Err(_), _) => RETRY,
                (Ok(()), true) => ALIVE,
                (Ok(()), false) => GATHER,
            };
        }
    }

    /// Whether the disk took what was written last.
    fn state(&self) -> Result<(), String> {
        match (&self.mine, &self.trouble) {
            (None, _) => Err(LEFT.to_owned()),
            (_, Some(trouble)) => Err(trouble.clone()),
            _ => Ok(()),
        }
    }

    fn is_idle(&self) -> bool {
        self.rows.is_empty() && self.events.is_empty() && self.configs.is_empty()
    }

    fn now_ms(&self) -> u64 {
        self.clock.wall().unix_ms(self.clock.now())
    }

    fn bound(&mut self, wanted: Bounds) {
        self.age_ms = wanted.age_ms;
        self.disk.bound(Shares::of(wanted.octets));
        self.journal.bound(bounds(&self.disk, self.age_ms));
        self.told_too_large = false;
    }

    fn add_event(&mut self, told: &Told) {
        let packed = pack_event(told);
        self.octets += packed.len() + 32;
        self.events.push((told.number, told.at_ms, packed));
        self.overflow();
    }

    fn add(&mut self, seen: Seen, facts: Result<Vec<Fact>, u64>) {
        let at_ms = seen.view.wall.unix_ms(seen.view.published);
        self.journal.alive(at_ms);
        let batch = |facts| Batch {
            at_ms,
            generation: seen.view.generation.0,
            facts,
        };
        if let Err(since_ms) = facts {
            let next = self.journal.next();
            self.journal.lost(next, since_ms.min(at_ms));
        }
        if !self.journal.wants_checkpoint() {
            let facts = facts.unwrap_or_default();
            if !facts.is_empty() {
                let rows = self.journal.change(batch(facts));
                self.take(rows);
            }
            self.seen = Some(seen);
            return;
        }
        match self.journal.checkpoint(batch(record::all(&seen))) {
            Ok(rows) => {
                self.told_too_large = false;
                self.take(rows);
            }
            Err(octets) if !self.told_too_large => {
                self.told_too_large = true;
                tracing::error!(
                    octets,
                    most = self.disk.shares().rows / 2,
                    "the state of all endpoints is too large for the history: `explain --at` knows nothing \
                     of what happens now; raise `[history] max-size`"
                );
            }
            Err(_) => {}
        }
        self.seen = Some(seen);
    }

    fn take(&mut self, rows: Vec<Row>) {
        self.octets += rows.iter().map(|r| r.packed.len() + 64).sum::<usize>();
        self.rows.extend(rows);
        self.overflow();
    }

    /// What waits for a disk that takes nothing must not fill the memory.
    fn overflow(&mut self) {
        if self.octets <= WAITING {
            return;
        }
        if let Some(first) = self.rows.first() {
            self.journal.lost(first.number, first.at_ms);
            self.rows.clear();
        }
        let events = self.events.len() as u64;
        self.counts
            .events_dropped
            .fetch_add(events, Ordering::Relaxed);
        self.events.clear();
        self.octets = 0;
    }

    /// Writes what waits; what the disk does not take goes on waiting.
    fn write_down(&mut self) -> Result<(), String> {
        if self.mine.is_none() {
            return Err(LEFT.to_owned());
        }
        let now_ms = self.now_ms();
        self.journal.alive(now_ms);
        if !self.loaded {
            self.load_again()?;
        }
        // After a loss, everything is written down as it is now.
        if self.journal.wants_checkpoint()
            && let Some(seen) = self.seen.clone()
        {
            let batch = Batch {
                at_ms: now_ms,
                generation: seen.view.generation.0,
                facts: record::all(&seen),
            };
            if let Ok(rows) = self.journal.checkpoint(batch) {
                self.take(rows);
            }
        }
        self.journal.prune(now_ms);
        let in_force = self.seen.as_ref().map_or("", |s| &*s.config);
        let result = self.disk.write(&Write {
            rows: &self.rows,
            events: &self.events,
            configs: &self.configs,
            segments: self.journal.segments(),
            alive_ms: self.journal.alive_ms(),
            in_force,
            oldest_ms: now_ms.saturating_sub(self.age_ms),
        });
        match &result {
            Ok(()) => {
                if self.failures > 0 {
                    tracing::info!("{} takes writes again", self.disk);
                }
                self.failures = 0;
                self.trouble = None;
                self.rows.clear();
                self.events.clear();
                self.configs.clear();
                self.octets = 0;
            }
            Err(e) => self.failed(e.clone()),
        }
        let recording = result.is_ok() && !self.journal.wants_checkpoint();
        let recording = u64::from(recording || self.seen.is_none());
        self.counts.recording.store(recording, Ordering::Relaxed);
        let octets = self.journal.octets();
        self.counts.octets.store(octets, Ordering::Relaxed);
        result
    }

    fn failed(&mut self, why: String) {
        add(&self.counts.failures);
        if self.failures.is_multiple_of(TELL_EVERY) {
            tracing::error!(
                "cannot write {}: {why}; DNS and orders go on, `explain --at` and earlier events may not be \
                 to be had",
                self.disk
            );
        }
        self.failures += 1;
        // The file may be a new one: then nothing of the old one can be told.
        self.loaded = false;
        self.trouble = Some(why);
    }

    /// After a failure: what the file has now, which may be a new one.
    fn load_again(&mut self) -> Result<(), String> {
        let stored = match self.disk.load(0) {
            Ok(stored) => stored,
            Err(e) => {
                self.failed(e.clone());
                self.counts.recording.store(0, Ordering::Relaxed);
                return Err(e);
            }
        };
        self.loaded = true;
        let ours = self.journal.segments();
        let written = self.rows.first().map_or(self.journal.next(), |r| r.number);
        let before: Vec<_> = ours.iter().filter(|s| s.first < written).collect();
        // What was to be thrown away may still be there.
        let skip = stored.segments.len().saturating_sub(before.len());
        let theirs = stored.segments[skip..].iter().map(|s| s.first);
        if before.iter().map(|s| s.first).eq(theirs) && stored.next <= written {
            return Ok(());
        }
        let since = self.rows.first().map_or(self.now_ms(), |r| r.at_ms);
        self.rows.clear();
        self.octets = self.events.iter().map(|(.., p)| p.len() + 32).sum();
        let alive = stored.alive_ms.min(since);
        let bounds = bounds(&self.disk, self.age_ms);
        self.journal = Journal::load(
            stored.segments,
            stored.next.max(1),
            alive,
            bounds,
            pack_text,
        );
        Ok(())
    }

    fn come_back(&mut self, lock: Option<Arc<StateLock>>) {
        self.mine = Some(lock);
        // The other process may have written.
        self.loaded = false;
    }

    fn page(&mut self, filter: &Filter, limit: usize) -> Page {
        self.state()?;
        let page = self.disk.page(filter, limit);
        page.inspect_err(|e| self.failed(e.clone()))
    }

    fn course(&mut self, of: &Of) -> Result<Written, String> {
        self.state()?;
        let Some(within) = within(self.journal.segments(), of.since_ms) else {
            return Ok(Written::default());
        };
        let turns = self.disk.turns(within.first..u64::MAX, &of.endpoints);
        let turns = turns.inspect_err(|e| self.failed(e.clone()))?;
        Ok(Written { turns, within })
    }

    fn recall(&mut self, at_ms: u64) -> Result<Recalled, NotRecalled> {
        let (_, rows) = self.journal.rows_of(at_ms).map_err(NotRecalled::Blank)?;
        let recalled = (|| {
            let state = self.disk.replay(rows, at_ms)?;
            Ok(Recalled {
                config: match state.config.is_empty() {
                    true => None,
                    false => self.disk.config(&state.config)?,
                },
                event: self.disk.event_at(at_ms)?,
                state,
            })
        })();
        recalled.map_err(|e: String| {
            self.failed(e.clone());
            NotRecalled::Trouble(e)
        })
    }
}

/// Of the record alone.
fn bounds(disk: &Disk, age_ms: u64) -> Bounds {
    Bounds {
        octets: disk.shares().rows,
        age_ms,
    }
}
