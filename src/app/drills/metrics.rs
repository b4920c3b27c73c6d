//! What is counted of drills.

use std::sync::atomic::{AtomicU64, Ordering};

use super::Drills;
use crate::drill::{End, State};
use crate::telemetry::{Metrics, Page};

/// Counters of drills; one for the process.
#[derive(Debug, Default)]
pub(super) struct Counts {
    begun: AtomicU64,
    /// In the order of [`ENDS`].
    ended: [AtomicU64; ENDS.len()],
    refused: AtomicU64,
}

const ENDS: [End; 3] = [End::Finished, End::Aborted, End::RolledBack];

impl Counts {
    pub(super) fn begun(&self) {
        self.begun.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn ended(&self, how: End) {
        for (_, count) in ENDS.iter().zip(&self.ended).filter(|(end, _)| **end == how) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    fn render(&self, running: usize, page: &mut Page) {
        let name = "tradewind_drills_running";
        page.family(name, "gauge", "Drills under way in the fleet.");
        page.sample(name, "", running);
        let name = "tradewind_drills_begun_total";
        page.family(
            name,
            "counter",
            "Drills that began in the fleet, as this node saw.",
        );
        page.sample(name, "", self.begun.load(Ordering::Relaxed));
        let name = "tradewind_drills_ended_total";
        page.family(
            name,
            "counter",
            "Drills that ended in the fleet, as this node saw, by how.",
        );
        for (end, count) in ENDS.iter().zip(&self.ended) {
            let labels = format!("end=\"{}\"", end.word());
            page.sample(name, &labels, count.load(Ordering::Relaxed));
        }
        let name = "tradewind_drills_refused_total";
        page.family(
            name,
            "counter",
            "Drills that this node did not begin, because a rule of safety did not hold.",
        );
        page.sample(name, "", self.refused.load(Ordering::Relaxed));
    }
}

impl Metrics for Drills {
    fn render(&self, page: &mut Page) {
        let now_ms = self.now_ms();
        let known = self.known();
        let runs = known.files.0.values();
        let runs = runs.filter(|file| file.state(now_ms) == State::Running);
        let running = runs.count();
        drop(known);
        self.counts.render(running, page);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_has_a_count_of_its_own_from_the_start() {
        let counts = Counts::default();
        counts.begun();
        counts.begun();
        counts.ended(End::RolledBack);
        let mut page = Page::default();
        counts.render(1, &mut page);
        let page = page.into_text();
        for line in [
            "tradewind_drills_running 1",
            "tradewind_drills_begun_total 2",
            "tradewind_drills_ended_total{end=\"finished\"} 0",
            "tradewind_drills_ended_total{end=\"aborted\"} 0",
            "tradewind_drills_ended_total{end=\"rolled-back\"} 1",
            "tradewind_drills_refused_total 0",
        ] {
            assert!(page.lines().any(|l| l == line), "{line}: {page}");
        }
    }
}
