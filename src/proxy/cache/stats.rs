//! What a cache counts.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What a cache counts; written by all workers.
        #[derive(Debug, Default)]
        pub struct CacheStats { $($(#[$doc])* pub $name: AtomicU64,)* }
    };
}

counters! {
    /// Requests answered with a fresh object.
    hits,
    /// Requests answered with a stale object while it is fetched anew, or because the client allowed it.
    stale,
    /// Requests answered with a stale object because the upstream failed.
    stale_on_error,
    /// Requests for something that was not stored, or not for them.
    misses,
    /// Requests that had to be validated, and whose object was still good.
    revalidated,
    /// Requests that had to be validated, and whose object was replaced.
    replaced,
    /// Requests answered with what another request fetched.
    collapsed,
    /// Requests that are not for the cache.
    passed,
    /// Objects stored.
    stored,
    /// Objects read from disk.
    restored,
    /// Octets of bodies that were answered from the cache.
    octets,
    /// Objects purged.
    purged,
}

impl CacheStats {
    /// How requests were answered: word and number.
    pub fn outcomes(&self) -> [(&'static str, u64); 8] {
        let of = |c: &AtomicU64| c.load(Ordering::Relaxed);
        [
            ("hit", of(&self.hits)),
            ("stale", of(&self.stale)),
            ("stale-on-error", of(&self.stale_on_error)),
            ("miss", of(&self.misses)),
            ("revalidated", of(&self.revalidated)),
            ("replaced", of(&self.replaced)),
            ("collapsed", of(&self.collapsed)),
            ("pass", of(&self.passed)),
        ]
    }
}

/// Adds one.
pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
