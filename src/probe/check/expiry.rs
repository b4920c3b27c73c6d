//! When the certificate that a target showed last expires.

use std::sync::atomic::{AtomicU64, Ordering};

/// Written by a probe, read once it has ended.
#[derive(Debug, Default)]
pub(super) struct SeenExpiry(AtomicU64);

impl SeenExpiry {
    /// Takes note of a certificate that expires at `not_after`, in seconds since 1970-01-01T00:00:00Z.
    pub(super) fn saw(&self, not_after: Option<u64>) {
        if let Some(not_after) = not_after {
            self.0.store(not_after, Ordering::Relaxed);
        }
    }

    /// In seconds since 1970-01-01T00:00:00Z; `None` while none was seen.
    pub(super) fn get(&self) -> Option<u64> {
        Some(self.0.load(Ordering::Relaxed)).filter(|t| *t > 0)
    }
}
