//! What is not on the disk yet.

use std::collections::{BTreeMap, VecDeque};

use super::Write;

/// Most lines of the audit record that wait; of more, the earliest are lost.
const MAX_AUDIT: usize = 10_000;

/// Writes put together: of two about the same key the later one counts.
#[derive(Debug, Default)]
pub(super) struct Pending {
    pub(super) orders: BTreeMap<String, Option<(String, bool)>>,
    pub(super) audit: VecDeque<(u64, String)>,
    pub(super) verdicts: BTreeMap<u64, Vec<u8>>,
    pub(super) backends: BTreeMap<String, Option<String>>,
    pub(super) drills: BTreeMap<String, Option<String>>,
}

impl Pending {
    pub(super) fn add(&mut self, write: Write) {
        self.orders.extend(write.orders);
        self.audit.extend(write.audit);
        self.verdicts.extend(write.verdicts);
        self.backends.extend(write.backends);
        self.drills.extend(write.drills);
        let many = self.audit.len().saturating_sub(MAX_AUDIT);
        self.audit.drain(..many);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.orders.is_empty()
            && self.audit.is_empty()
            && self.verdicts.is_empty()
            && self.backends.is_empty()
            && self.drills.is_empty()
    }
}
