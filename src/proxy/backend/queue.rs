//! Where requests wait for a backend of their upstream that has no room: bounded, first come first
//! served, over all workers.
//!
//! A place that becomes free is handed to the first who can use it, on whatever thread that waits, so
//! nobody is overtaken by who comes later. A waiter that goes away meanwhile hands it on.

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

/// Those who wait at one upstream.
#[derive(Debug, Default)]
pub struct Queue {
    waiting: AtomicU32,
    size: AtomicU32,
    /// Milliseconds.
    timeout: AtomicU64,
    next: AtomicU64,
    waiters: Mutex<VecDeque<Waiter>>,
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

    fn waiters(&self) -> MutexGuard<'_, VecDeque<Waiter>> {
        // Nothing that holds it can leave it half-done.
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a place, in the order of coming. `free` are the backends that may have one already:
    /// one that was given back between the look and the wait must not be missed.
    ///
    /// # Errors
    /// When as many wait as may, or nothing became free in time.
    pub async fn wait(
        self: &Arc<Self>,
        wanted: Wanted,
        free: &[Arc<BackendState>],
    ) -> Result<Permit, Vain> {
        let (tell, told) = oneshot::channel();
        let number = {
            let mut waiters = self.waiters();
            if waiters.len() >= self.size.load(Ordering::Relaxed) as usize {
                self.refused.fetch_add(1, Ordering::Relaxed);
                return Err(Vain::Full);
            }
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            waiters.push_back(Waiter {
                number,
                wanted,
                tell,
            });
            self.waiting.store(waiters.len() as u32, Ordering::SeqCst);
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
            // The sender goes only with the queue's entry, which only this task takes out untold.
            Ok(Err(_)) | Err(_) => {
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
            let mut waiters = self.waiters();
            let Some(at) = waiters.iter().position(fits) else {
                break;
            };
            // The place is taken before the waiter leaves the queue: until then nobody overtakes him.
            let Some(permit) = spare.take().or_else(|| Permit::take_first(backend)) else {
                break;
            };
            let Some(waiter) = waiters.remove(at) else {
                break;
            };
            self.waiting.store(waiters.len() as u32, Ordering::SeqCst);
            drop(waiters);
            // One who has gone meanwhile gives it back.
            spare = waiter.tell.send(permit).err();
        }
    }

    fn leave(&self, number: u64) {
        let mut waiters = self.waiters();
        let at = waiters.partition_point(|w| w.number < number);
        if waiters.get(at).is_some_and(|w| w.number == number) {
            waiters.remove(at);
            self.waiting.store(waiters.len() as u32, Ordering::SeqCst);
        }
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
