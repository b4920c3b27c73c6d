//! When an order was given: a hybrid logical clock, so that later orders win although no two nodes'
//! clocks agree.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A stamp further ahead of this node's calendar than this is not believed by itself, in
/// milliseconds: a node with a wrong clock must not win for ever.
pub const MAX_AHEAD_MS: u64 = 10_000;

/// The time of an order. Later stamps win; of two made in the same millisecond the higher count does,
/// then the node that comes later in the alphabet.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Stamp {
    /// Milliseconds since 1970-01-01T00:00:00Z by the author's calendar, or by that of the latest
    /// order it had seen where that is later.
    pub ms: u64,
    /// Counts orders within one millisecond.
    pub count: u32,
    /// The node that took the order.
    pub node: Arc<str>,
}

impl Stamp {
    /// Whether it is too far ahead of `now_ms` to be believed by itself.
    pub fn is_ahead(&self, now_ms: u64) -> bool {
        self.ms > now_ms.saturating_add(MAX_AHEAD_MS)
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.ms, self.count, self.node)
    }
}

impl FromStr for Stamp {
    type Err = ();

    /// Reads what [`Stamp`]'s `Display` writes, and nothing else.
    fn from_str(text: &str) -> Result<Stamp, ()> {
        let mut parts = text.splitn(3, '.');
        let mut part = || parts.next().ok_or(());
        let stamp = Stamp {
            ms: part()?.parse().map_err(drop)?,
            count: part()?.parse().map_err(drop)?,
            node: part()?.into(),
        };
        let fine = !stamp.node.is_empty()
            && stamp.node.bytes().all(|b| b.is_ascii_graphic())
            && stamp.to_string() == text;
        fine.then_some(stamp).ok_or(())
    }
}

/// Makes the stamps of one node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StampClock {
    node: Arc<str>,
    /// The latest time that was made or seen.
    last: (u64, u32),
}

impl StampClock {
    /// The clock of `node`.
    pub fn new(node: &str) -> StampClock {
        StampClock {
            node: node.into(),
            last: (0, 0),
        }
    }

    /// Takes note of an order's stamp, so that the next one made here is later. One that is too far
    /// ahead is passed over, or it would pull this clock along.
    pub fn see(&mut self, stamp: &Stamp, now_ms: u64) {
        if !stamp.is_ahead(now_ms) {
            self.last = self.last.max((stamp.ms, stamp.count));
        }
    }

    /// A stamp later than all made and seen, unless the calendar was set back by more than
    /// [`MAX_AHEAD_MS`] since: then the calendar counts again, or this node's orders would be
    /// quarantined by all others until its old time is reached.
    pub fn next(&mut self, now_ms: u64) -> Stamp {
        let (ms, count) = self.last;
        self.last = if now_ms > ms || ms > now_ms.saturating_add(MAX_AHEAD_MS) {
            (now_ms, 0)
        } else {
            match count.checked_add(1) {
                Some(count) => (ms, count),
                None => (ms + 1, 0),
            }
        };
        Stamp {
            ms: self.last.0,
            count: self.last.1,
            node: self.node.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stamp() -> impl Strategy<Value = Stamp> {
        (0..50_000u64, 0..3u32, "[a-c]").prop_map(|(ms, count, node)| Stamp {
            ms,
            count,
            node: node.as_str().into(),
        })
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(ms: u64, count: u32, node in "[!-~]{1,20}") {
            let stamp = Stamp { ms, count, node: node.as_str().into() };
            prop_assert_eq!(stamp.to_string().parse(), Ok(stamp));
        }

        #[test]
        fn stamps_grow_with_what_was_seen_however_the_calendar_trembles(
            steps in prop::collection::vec((0..9_000u64, prop::option::of(stamp())), 1..40),
        ) {
            let mut clock = StampClock::new("b");
            let mut highest: Option<Stamp> = None;
            for (tremble, seen) in steps {
                let now = 30_000 + tremble;
                if let Some(seen) = seen.filter(|s| !s.is_ahead(now)) {
                    clock.see(&seen, now);
                    highest = highest.max(Some(seen));
                }
                let made = clock.next(now);
                // One seen at the far end of what is believed, and a calendar that steps back after
                // it, is the one case in which the calendar counts again.
                if highest.as_ref().is_some_and(|h| h.is_ahead(now)) {
                    highest = None;
                }
                prop_assert!(highest.as_ref().is_none_or(|h| *h < made), "{highest:?} {made}");
                prop_assert!(!made.is_ahead(now));
                highest = highest.max(Some(made));
            }
        }
    }

    #[test]
    fn one_far_ahead_does_not_pull_the_clock() {
        let mut clock = StampClock::new("a");
        let hour = Stamp {
            ms: 3_600_000,
            count: 0,
            node: "b".into(),
        };
        clock.see(&hour, 1_000);
        assert_eq!(clock.next(1_000).ms, 1_000);
        assert_eq!(clock.next(1_000).count, 1);
        assert_eq!(clock.next(900).count, 2, "a small step back is bridged");
    }

    #[test]
    fn other_texts_are_no_stamps() {
        for text in [
            "", "1.2", "1.2.", "+1.2.a", "01.2.a", "1.2.a b", "1.2.é", "-1.0.a",
        ] {
            assert!(text.parse::<Stamp>().is_err(), "{text}");
        }
    }
}
