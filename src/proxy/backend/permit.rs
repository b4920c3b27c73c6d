//! One request under way to a backend: a place that is taken for as long as this lives.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::BackendState;
use crate::health::backend::Fault;
use crate::time::Moment;

/// A place at a backend. Given back when dropped; the first who waits for one gets it.
#[derive(Debug)]
#[must_use]
pub struct Permit {
    backend: Arc<BackendState>,
}

impl Permit {
    /// A place at a backend; `None` when it is full, or others wait for one.
    pub fn take(backend: &Arc<BackendState>) -> Option<Permit> {
        // Who waits goes first; without a bound nobody waits for this one.
        if backend.limit().is_some() && backend.queue.has_waiting() {
            return None;
        }
        Permit::take_first(backend)
    }

    /// As [`Permit::take`], of the one whose turn it is.
    pub(super) fn take_first(backend: &Arc<BackendState>) -> Option<Permit> {
        backend.take_place().then(|| Permit {
            backend: backend.clone(),
        })
    }

    /// The backend.
    pub fn backend(&self) -> &Arc<BackendState> {
        &self.backend
    }
}

impl BackendState {
    /// A request is sent to it.
    pub fn begin(&self, is_retry: bool) {
        let counters = &self.counters;
        counters.requests.fetch_add(1, Ordering::Relaxed);
        if is_retry {
            counters.retries.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// It answered with `status`, whose first octet took so long.
    pub fn answered(self: &Arc<Self>, status: u16, took: Duration, now: Moment) {
        self.heard(took, now);
        if let Some(fault) = Fault::of_status(status) {
            self.failed(fault, now);
        } else {
            self.went_well();
        }
    }

    /// A connection to it that carries whatever a client sends was made, and took so long. Whether that
    /// is all that is asked of it is for the caller to say: [`BackendState::went_well`].
    pub fn connected(&self, took: Duration, now: Moment) {
        self.heard(took, now);
    }

    /// What was asked of it went well.
    pub fn went_well(self: &Arc<Self>) {
        if self.heeds.load(Ordering::Relaxed)
            && let Some(upstream) = self.upstream()
        {
            upstream.succeeded(self);
        }
    }

    /// The request failed.
    pub fn failed(self: &Arc<Self>, fault: Fault, now: Moment) {
        self.counters.failed(fault);
        if let Some(upstream) = self.upstream() {
            upstream.failed(self, fault, now);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.backend.in_flight.fetch_sub(1, Ordering::SeqCst);
        if self.backend.queue.has_waiting() {
            self.backend.queue.serve(&self.backend);
        }
    }
}
