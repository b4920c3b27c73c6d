//! The log line for probes that find no room within their interval, at most one per while.

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
    /// `key` was not probed within its interval, as it should have been by `now`.
    pub(super) fn raise(&mut self, key: &TargetKey, now: Moment) {
        self.unsaid += 1;
        if now < self.next {
            return;
        }
        tracing::warn!(
            probes = self.unsaid, address = %key.addr, port = key.port, monitor = %key.monitor.name,
            "probes did not start within their interval: too many are under way on this node"
        );
        *self = Alarm {
            unsaid: 0,
            next: now + WHILE,
        };
    }
}
