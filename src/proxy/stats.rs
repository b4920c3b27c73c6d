//! What a worker counts. One writer, read by the metrics page.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What one worker counts.
        #[derive(Debug, Default)]
        pub struct WorkerStats { $($(#[$doc])* pub $name: AtomicU64,)* }
    };
}

counters! {
    /// Connections of clients, taken.
    connections,
    /// Connections of clients, open.
    open,
    /// Connections of clients closed at once, because the listener had as many as it may.
    too_many,
    /// Requests, answered or not.
    requests,
    /// Requests refused for their form.
    refused,
    /// Connections to backends, made.
    connects,
    /// Requests sent on a connection used before.
    reuses,
}

/// Adds one. Each counter has one writer, so no locked instruction is needed.
pub fn count(counter: &AtomicU64) {
    counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

/// Takes one away.
pub fn discount(counter: &AtomicU64) {
    counter.store(
        counter.load(Ordering::Relaxed).saturating_sub(1),
        Ordering::Relaxed,
    );
}
