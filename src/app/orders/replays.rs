//! Finds the order that a request made, wherever it was asked.

use std::time::Duration;

use super::Desk;
use crate::admin::desk::Made;

impl Desk {
    /// The order that a request with this key made within the last `within`: of several the latest.
    pub(super) fn made(&self, key: &[u8; 16], within: Duration) -> Option<Made> {
        let now_ms = self.now_ms();
        let within = u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
        let book = self.book();
        let bears = |record: &crate::overrides::Record| {
            // A record from ahead is as good: whoever gave it, gave it.
            let age = now_ms.saturating_sub(record.stamp.ms);
            let mark = record.mark.filter(|mark| mark.key == *key)?;
            (age < within).then(|| Made {
                mark,
                node: record.author().to_string(),
                ago: Duration::from_millis(age),
            })
        };
        book.ledger
            .records()
            .rev()
            .find_map(|held| bears(&held.record))
    }
}
