//! What is counted of a way out of the process: each counter is written down once, with its name, what
//! it means, and where it counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::telemetry::{Metrics, Page};

/// Reads a number.
type Read = Box<dyn Fn() -> u64 + Send + Sync>;

/// Metrics, in the order in which they were added.
#[derive(Default)]
pub(super) struct Tallies(Vec<Family>);

/// One metric.
pub(super) struct Family {
    name: &'static str,
    kind: &'static str,
    help: &'static str,
    /// Labels, and what is read.
    samples: Vec<(&'static str, Read)>,
}

impl Tallies {
    /// Adds a counter.
    pub(super) fn counter(&mut self, name: &'static str, help: &'static str) -> &mut Family {
        self.family(name, "counter", help)
    }

    /// Adds a gauge.
    pub(super) fn gauge(&mut self, name: &'static str, help: &'static str) -> &mut Family {
        self.family(name, "gauge", help)
    }

    fn family(
        &mut self,
        name: &'static str,
        kind: &'static str,
        help: &'static str,
    ) -> &mut Family {
        self.0.push(Family {
            name,
            kind,
            help,
            samples: Vec::new(),
        });
        let last = self.0.len() - 1;
        &mut self.0[last]
    }
}

impl Family {
    /// A number of its own with these labels, to count in.
    pub(super) fn number(&mut self, labels: &'static str) -> Arc<AtomicU64> {
        let number = Arc::new(AtomicU64::new(0));
        let read = number.clone();
        self.reads(labels, move || read.load(Ordering::Relaxed));
        number
    }

    /// With these labels what somebody else counts.
    pub(super) fn reads(
        &mut self,
        labels: &'static str,
        read: impl Fn() -> u64 + Send + Sync + 'static,
    ) {
        self.samples.push((labels, Box::new(read)));
    }
}

impl Metrics for Tallies {
    fn render(&self, page: &mut Page) {
        for family in &self.0 {
            page.family(family.name, family.kind, family.help);
            for (labels, read) in &family.samples {
                page.sample(family.name, labels, read());
            }
        }
    }
}

/// Adds to a number.
pub(super) fn add(number: &AtomicU64, n: u64) {
    number.fetch_add(n, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_under_their_names() {
        let mut tallies = Tallies::default();
        let family = tallies.counter("a_total", "Counts.");
        let (ours, other) = (family.number("of=\"us\""), family.number("of=\"them\""));
        tallies.gauge("g", "Stands.").reads("", || 7);
        add(&ours, 2);
        add(&other, 3);
        let mut page = Page::default();
        tallies.render(&mut page);
        let want = "# HELP a_total Counts.\n# TYPE a_total counter\na_total{of=\"us\"} 2\n\
                    a_total{of=\"them\"} 3\n# HELP g Stands.\n# TYPE g gauge\ng 7\n";
        assert_eq!(page.into_text(), want);
    }
}
