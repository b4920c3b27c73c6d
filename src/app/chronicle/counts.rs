//! What the chronicle counts.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::history::KINDS;
use crate::telemetry::Page;

/// Counters; each is written on its own.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// By kind.
    events: [AtomicU64; KINDS.len()],
    /// Events that are not on the disk, because it or this node was too slow.
    pub(super) events_dropped: AtomicU64,
    /// Views that were not looked at one by one.
    pub(super) views_skipped: AtomicU64,
    /// Times that the disk did not take what was to be written, or could not be read.
    pub(super) failures: AtomicU64,
    /// Whether what happens now can be told later: 1, or 0.
    pub(super) recording: AtomicU64,
    /// Octets of what is kept of health, orders and distances.
    pub(super) octets: AtomicU64,
    /// Streams that are open.
    pub(super) streams: AtomicU64,
    /// Streams that ended because their reader was too slow.
    pub(super) slow_streams: AtomicU64,
    /// Configurations compiled for another time.
    pub(super) compiled: AtomicU64,
}

/// Counts one more.
pub(super) fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Counts {
    /// An event of this kind happened.
    pub(super) fn happened(&self, kind: &str) {
        if let Some(at) = KINDS.iter().position(|k| *k == kind) {
            add(&self.events[at]);
        }
    }

    pub(super) fn render(&self, page: &mut Page) {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let name = "tradewind_events_total";
        page.family(name, "counter", "Events, by kind.");
        for (kind, count) in KINDS.iter().zip(&self.events) {
            page.sample(name, &format!("kind=\"{kind}\""), get(count));
        }
        let others = [
            (
                "tradewind_history_events_dropped_total",
                "counter",
                "Events that were shown and logged, but are not on the disk.",
                &self.events_dropped,
            ),
            (
                "tradewind_history_views_skipped_total",
                "counter",
                "Views that were recorded only together with a later one.",
                &self.views_skipped,
            ),
            (
                "tradewind_history_failures_total",
                "counter",
                "Times that the history could not be written or read.",
                &self.failures,
            ),
            (
                "tradewind_history_recording",
                "gauge",
                "1: what happens now can be told later; 0: the disk does not take it.",
                &self.recording,
            ),
            (
                "tradewind_history_octets",
                "gauge",
                "Octets kept of health, orders and distances.",
                &self.octets,
            ),
            (
                "tradewind_event_streams",
                "gauge",
                "Open streams of events.",
                &self.streams,
            ),
            (
                "tradewind_event_streams_slow_total",
                "counter",
                "Streams of events that ended because their reader was too slow.",
                &self.slow_streams,
            ),
            (
                "tradewind_history_compilations_total",
                "counter",
                "Configurations compiled to tell of another time.",
                &self.compiled,
            ),
        ];
        for (name, kind, help, value) in others {
            page.family(name, kind, help);
            page.sample(name, "", get(value));
        }
    }
}
