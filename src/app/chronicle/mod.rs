//! Where everything that happens is told: one call logs it, and hands it on.

use crate::history::{Level, What};

/// The way to tell what happened. Cheap to clone; never waits.
#[derive(Clone, Debug, Default)]
pub struct Chronicle {}

impl Chronicle {
    /// Tells that something happened, now. Never waits.
    pub fn record(&self, what: &What) {
        let (kind, subject, text) = (what.kind(), what.subject(), what.text());
        match what.level() {
            Level::Info => tracing::info!(kind, subject, "{text}"),
            Level::Warning => tracing::warn!(kind, subject, "{text}"),
            Level::Error => tracing::error!(kind, subject, "{text}"),
        }
    }
}
