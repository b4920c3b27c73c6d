//! What is counted of a backend.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crate::health::backend::{Fault, Timing};

/// Counters of one backend; they only grow.
#[derive(Debug, Default)]
pub struct Counters {
    /// Requests given to it, retries among them.
    pub requests: AtomicU64,
    /// Of those, retries of a request that another try, or another backend, failed.
    pub retries: AtomicU64,
    /// Requests that failed, by [`Fault`].
    faults: [AtomicU64; 5],
    /// How often it was ejected.
    pub ejections: AtomicU64,
    /// Since the last look: answers, and microseconds to their first octets.
    answers: AtomicU32,
    micros: AtomicU64,
}

impl Counters {
    pub(super) fn failed(&self, fault: Fault) {
        self.faults[fault as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn took(&self, took: Duration) {
        self.answers.fetch_add(1, Ordering::Relaxed);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// What it took since the last look.
    pub(super) fn timing(&self) -> Timing {
        Timing {
            count: self.answers.swap(0, Ordering::Relaxed),
            total: Duration::from_micros(self.micros.swap(0, Ordering::Relaxed)),
        }
    }

    /// Requests that failed in this way.
    pub fn faults(&self, fault: Fault) -> u64 {
        self.faults[fault as usize].load(Ordering::Relaxed)
    }
}
