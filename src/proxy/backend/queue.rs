//! Where requests wait for a backend of their upstream that has no room: bounded, first come first
//! served, over all workers.
//!
//! A place that becomes free is handed to the first who can use it, on whatever thread that waits, so
//! nobody is overtaken by who comes later. A waiter that goes away meanwhile hands it on. Who waits for a
//! backend that is taken out, or at an upstream that the configuration does not name any more, is told at
//! once: nothing will become free.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::{BackendState, Permit};

/// For whose place somebody waits.
#[derive(Clone, Debug)]
pub enum Wanted {
    /// Of any backend that may be used.
    Any,
    /// Of this one: the client is bound to it, or a hash names it.
    One(Arc<BackendState>),
}

#[derive(Debug)]
struct Waiter {
    number: u64,
    wanted: Wanted,
    tell: oneshot::Sender<Permit>,
}

/// Who waits, first come first.
#[derive(Debug, Default)]
struct Line {
    waiters: VecDeque<Waiter>,
    /// The upstream is gone.
    is_closed: bool,
}

/// Those who wait at one upstream.
#[derive(Debug, Default)]
pub struct Queue {
    waiting: AtomicU32,
    size: AtomicU32,
    /// Milliseconds.
    timeout: AtomicU64,
    next: AtomicU64,
    line: Mutex<Line>,
    /// Those who waited so far.
    waited: AtomicU64,
    /// Those who found it full, and those who waited in vain.
    refused: AtomicU64,
    in_vain: AtomicU64,
}

/// Why nothing came of waiting.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Vain {
    /// As many wait as may.
    Full,
    /// Nothing became free in time.
    Timeout,
    /// Nothing will become free: the backend was taken out, or the upstream is gone.
    Gone,
}

impl Queue {
    /// Sets the bounds.
    pub(super) fn set(&self, size: u32, timeout: Duration) {
        let ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        self.timeout.store(ms, Ordering::Relaxed);
        self.size.store(size, Ordering::Relaxed);
    }

    /// Whether somebody waits.
    pub fn has_waiting(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) > 0
    }

    /// How many wait.
    pub fn waiting(&self) -> u32 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// How long one waits.
    pub fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout.load(Ordering::Relaxed))
    }

    /// Those who waited so far, who found it full, and who waited in vain.
    pub fn counts(&self) -> (u64, u64, u64) {
        let of = |n: &AtomicU64| n.load(Ordering::Relaxed);
        (of(&self.waited), of(&self.refused), of(&self.in_vain))
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        // Nothing that holds it can leave it half-done.
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a place, in the order of coming. `free` are the backends that may have one already:
    /// one that was given back between the look and the wait must not be missed.
    ///
    /// # Errors
    /// When as many wait as may, nothing became free in time, or nothing will.
    pub async fn wait(
        self: &Arc<Self>,
        wanted: Wanted,
        free: &[Arc<BackendState>],
    ) -> Result<Permit, Vain> {
        let (tell, told) = oneshot::channel();
        let number = {
            let mut line = self.line();
            // Looked at under the lock: who takes a backend out shuts its gates first, then lets those go
            // who wait for it.
            let is_lost = match &wanted {
                Wanted::Any => false,
                Wanted::One(one) => one.is_lost(),
            };
            if line.is_closed || is_lost {
                return Err(Vain::Gone);
            }
            if line.waiters.len() >= self.size.load(Ordering::Relaxed) as usize {
                self.refused.fetch_add(1, Ordering::Relaxed);
                return Err(Vain::Full);
            }
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            line.waiters.push_back(Waiter {
                number,
                wanted,
                tell,
            });
            self.show(&line);
            number
        };
        self.waited.fetch_add(1, Ordering::Relaxed);
        let _leave = Leave {
            queue: self,
            number,
        };
        for backend in free {
            self.serve(backend);
        }
        match tokio::time::timeout(self.timeout(), told).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) => Err(Vain::Gone),
            Err(_) => {
                self.in_vain.fetch_add(1, Ordering::Relaxed);
                Err(Vain::Timeout)
            }
        }
    }

    /// Hands the free places of a backend to those who wait, first come first served.
    pub(super) fn serve(&self, backend: &Arc<BackendState>) {
        let mut spare: Option<Permit> = None;
        while self.has_waiting() {
            // Who is bound to it may have it while it drains; the others may not.
            let for_all = backend.is_usable() && backend.weight.load(Ordering::Relaxed) > 0;
            let fits = |w: &Waiter| match &w.wanted {
                Wanted::Any => for_all,
                Wanted::One(one) => Arc::ptr_eq(one, backend),
            };
            let mut line = self.line();
            let Some(at) = line.waiters.iter().position(fits) else {
                break;
            };
            // The place is taken before the waiter leaves the queue: until then nobody overtakes him.
            let Some(permit) = spare.take().or_else(|| Permit::take_first(backend)) else {
                break;
            };
            let Some(waiter) = line.waiters.remove(at) else {
                break;
            };
            self.show(&line);
            drop(line);
            // One who has gone meanwhile gives it back.
            spare = waiter.tell.send(permit).err();
        }
    }

    fn leave(&self, number: u64) {
        let mut line = self.line();
        let at = line.waiters.partition_point(|w| w.number < number);
        if line.waiters.get(at).is_some_and(|w| w.number == number) {
            line.waiters.remove(at);
            self.show(&line);
        }
    }

    /// Says how many wait, for those who look without the lock.
    fn show(&self, line: &Line) {
        self.waiting
            .store(line.waiters.len() as u32, Ordering::SeqCst);
    }

    /// Lets those go who wait for a backend that was taken out.
    pub(super) fn give_up(&self, lost: &Arc<BackendState>) {
        if !self.has_waiting() {
            return;
        }
        let mut line = self.line();
        // Without its sender a waiter wakes.
        line.waiters
            .retain(|w| !matches!(&w.wanted, Wanted::One(one) if Arc::ptr_eq(one, lost)));
        self.show(&line);
    }

    /// Lets everybody go, and nobody wait any more: the upstream is gone.
    pub(super) fn close(&self) {
        let mut line = self.line();
        line.is_closed = true;
        line.waiters.clear();
        self.show(&line);
    }
}

/// Takes a waiter out, however its waiting ended.
struct Leave<'q> {
    queue: &'q Queue,
    number: u64,
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.queue.leave(self.number);
    }
}
