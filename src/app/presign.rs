//! The thread that signs ahead: after each change of configuration or keys, and before signatures
//! want to be made anew. It takes a quarter of a core at most.

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::dnssec::Keys;
use crate::engine::Presigner;
use crate::engine::presign::refresh;
use crate::snapshot::{Publisher, Snapshot, View};
use crate::time::Clock;

/// How often it looks for a new view.
const LOOK: Duration = Duration::from_millis(100);

/// How often it looks for signatures that want to be made anew.
const REFRESH: Duration = Duration::from_secs(60);

/// Seconds before that time from which on it makes them.
const AHEAD: u64 = 3_600;

/// Signatures made between rests.
const SLICE: u64 = 8;

/// A rest: three times what so many signatures of P-256 cost.
const REST: Duration = Duration::from_micros(960);

/// The thread; told to stop when dropped.
#[derive(Debug)]
pub struct PresignThread {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl PresignThread {
    /// Starts it.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub fn start(publisher: &Publisher, clock: &Arc<dyn Clock>) -> io::Result<PresignThread> {
        let stop = Arc::new(AtomicBool::new(false));
        let (publisher, clock, told) = (publisher.clone(), clock.clone(), stop.clone());
        let thread = thread::Builder::new()
            .name("presign".to_owned())
            .spawn(move || work(&publisher, &*clock, &told))?;
        Ok(PresignThread {
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for PresignThread {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            if thread.join().is_err() {
                tracing::error!("the presigning thread had ended by a panic");
            }
        }
    }
}

fn work(publisher: &Publisher, clock: &dyn Clock, stop: &AtomicBool) {
    let mut presigner = Presigner::default();
    let mut done: Option<Signed> = None;
    let mut refreshed = clock.now();
    while !stop.load(Ordering::Relaxed) {
        let view = publisher.latest();
        let now = clock.now();
        let this = Signed::of(&view);
        if !done.as_ref().is_some_and(|d| d.is(&this)) {
            let mut pace = Pace::new(stop);
            let passed = presigner.pass(&view, now, |made| {
                pace.after(made, || !Signed::of(&publisher.latest()).is(&this))
            });
            if passed.is_continue() {
                done = Some(this);
            }
        } else if now.since(refreshed) >= REFRESH {
            refreshed = now;
            let mut pace = Pace::new(stop);
            // Cut short only by the end.
            let _ = refresh(&view, now, AHEAD, |made| pace.after(made, || false));
        }
        rest(LOOK, stop);
    }
}

/// What was signed by what.
struct Signed(Arc<Snapshot>, Arc<Keys>);

impl Signed {
    fn of(view: &View) -> Signed {
        Signed(view.snapshot.clone(), view.keys.clone())
    }

    fn is(&self, other: &Signed) -> bool {
        Arc::ptr_eq(&self.0, &other.0) && Arc::ptr_eq(&self.1, &other.1)
    }
}

/// Rests after each few signatures.
struct Pace<'s> {
    stop: &'s AtomicBool,
    rested_at: Option<u64>,
}

impl<'s> Pace<'s> {
    fn new(stop: &'s AtomicBool) -> Pace<'s> {
        Pace {
            stop,
            rested_at: None,
        }
    }

    /// `made` signatures so far; breaks when it is time to stop, or when `newer` says that the work
    /// has changed.
    fn after(&mut self, made: u64, newer: impl FnOnce() -> bool) -> ControlFlow<()> {
        let rested_at = *self.rested_at.get_or_insert(made);
        if made < rested_at + SLICE {
            return ControlFlow::Continue(());
        }
        self.rested_at = Some(made);
        rest(REST, self.stop);
        if self.stop.load(Ordering::Relaxed) || newer() {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }
}

fn rest(time: Duration, stop: &AtomicBool) {
    if !stop.load(Ordering::Relaxed) {
        thread::park_timeout(time);
    }
}
