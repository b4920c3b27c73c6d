//! The log line for probes that cannot be made, at most one per while.

use std::time::Duration;

use super::schedule::TargetKey;
use crate::time::Moment;

/// At most one line within this time.
const WHILE: Duration = Duration::from_secs(10);

/// Counts what the log does not say one by one.
#[derive(Debug, Default)]
pub(super) struct Alarm {
    unsaid: u64,
    /// When the next line may be written.
    next: Moment,
}

impl Alarm {
    /// `key` could not be probed at `now`, for the reason `why`.
    pub(super) fn raise(&mut self, key: &TargetKey, why: &str, now: Moment) {
        self.unsaid += 1;
        if now < self.next {
            return;
        }
        tracing::warn!(
            probes = self.unsaid, address = %key.addr, port = key.port, monitor = %key.monitor.name,
            "probes cannot be made, which says nothing about their targets; the last one: {why}"
        );
        *self = Alarm {
            unsaid: 0,
            next: now + WHILE,
        };
    }
}
