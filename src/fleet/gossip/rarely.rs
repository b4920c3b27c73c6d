//! Log lines that come at most once per interval and subject.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::time::{Clock, Moment};

/// Between two lines about the same subject.
pub(super) const INTERVAL: Duration = Duration::from_secs(60);

/// Subjects remembered; who can invent subjects must not fill the memory.
const SUBJECTS: usize = 256;

/// Says when it is time for a line.
pub(super) struct Rarely {
    clock: Arc<dyn Clock>,
    subjects: Mutex<BTreeMap<String, (Moment, u64)>>,
}

impl Rarely {
    /// Nothing was logged yet.
    pub(super) fn new(clock: Arc<dyn Clock>) -> Rarely {
        Rarely {
            clock,
            subjects: Mutex::default(),
        }
    }

    /// Whether a line about `subject` is due; then how often it happened since the last one.
    pub(super) fn due(&self, subject: &str) -> Option<u64> {
        let now = self.clock.now();
        let mut subjects = self.subjects.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((last, times)) = subjects.get_mut(subject) {
            *times += 1;
            if now.since(*last) < INTERVAL {
                return None;
            }
            *last = now;
            return Some(std::mem::take(times));
        }
        if subjects.len() >= SUBJECTS {
            subjects.retain(|_, (last, _)| now.since(*last) < INTERVAL);
            if subjects.len() >= SUBJECTS {
                return None;
            }
        }
        subjects.insert(subject.to_owned(), (now, 0));
        Some(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::SimClock;

    #[test]
    fn one_line_per_interval_says_how_often_it_was() {
        let clock = Arc::new(SimClock::default());
        let rarely = Rarely::new(clock.clone());
        assert_eq!(rarely.due("a"), Some(1));
        for _ in 0..5 {
            assert_eq!(rarely.due("a"), None);
        }
        assert_eq!(rarely.due("b"), Some(1));
        clock.advance(INTERVAL);
        assert_eq!(rarely.due("a"), Some(6));
        assert_eq!(rarely.due("a"), None);
    }

    #[test]
    fn invented_subjects_fill_nothing() {
        let rarely = Rarely::new(Arc::new(SimClock::default()));
        let lines = (0..10_000)
            .filter(|n| rarely.due(&n.to_string()).is_some())
            .count();
        assert_eq!(lines, SUBJECTS);
    }
}
