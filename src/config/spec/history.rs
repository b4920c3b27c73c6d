//! `[history]`

use std::time::Duration;

/// `[history]`: what is kept of what happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HistorySpec {
    /// `keep`
    pub keep: Duration,
    /// `max-size`, octets.
    pub max_size: u64,
}

impl Default for HistorySpec {
    fn default() -> HistorySpec {
        HistorySpec {
            keep: Duration::from_secs(7 * 86_400),
            max_size: 64 * 1024 * 1024,
        }
    }
}
