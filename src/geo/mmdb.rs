//! Databases in the MaxMind DB format.

use super::facts::Facts;

/// A database, read and checked.
#[derive(Clone, Debug)]
pub struct Database {
    facts: Facts,
}

impl Database {
    pub(super) fn into_facts(self) -> Facts {
        self.facts
    }
}
