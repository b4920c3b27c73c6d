//! Which rows the record is written in, which are read for a time, and which are thrown away: all but the
//! disk.

use std::ops::Range;

use super::batch::{self, Batch};
use super::fact::Fact;
use super::segments::{self, Blank, Segment};

/// A row of the store.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row {
    /// Its number; rows are read in this order.
    pub number: u64,
    /// When it became so, in milliseconds since 1970-01-01T00:00:00Z.
    pub at_ms: u64,
    /// Its octets.
    pub packed: Vec<u8>,
}

/// How much is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// Octets of all rows.
    pub octets: u64,
    /// Age in milliseconds.
    pub age_ms: u64,
}

/// A row becomes octets.
pub type Pack = fn(&str) -> Vec<u8>;

/// The book of segments.
#[derive(Clone, Debug)]
pub struct Journal {
    segments: Vec<Segment>,
    /// Number of the next row.
    next: u64,
    /// Until when what was written last is known to hold, in milliseconds since 1970.
    alive_ms: u64,
    /// Since when nothing is recorded, where that is so: a checkpoint is wanted first.
    blank_since_ms: Option<u64>,
    bounds: Bounds,
    pack: Pack,
}

impl Journal {
    /// The book of a store with these segments, in order, and rows before `next`; what they tell held
    /// until `alive_ms`. Begins with a checkpoint.
    pub fn load(
        segments: Vec<Segment>,
        next: u64,
        alive_ms: u64,
        bounds: Bounds,
        pack: Pack,
    ) -> Journal {
        Journal {
            segments,
            next,
            alive_ms,
            blank_since_ms: Some(alive_ms),
            bounds,
            pack,
        }
    }

    /// Other bounds from now on.
    pub fn bound(&mut self, bounds: Bounds) {
        self.bounds = bounds;
    }

    /// Whether what is recorded next must be everything.
    pub fn wants_checkpoint(&self) -> bool {
        let full = |s: &Segment| segments::is_full(s, self.bounds.octets);
        self.blank_since_ms.is_some() || self.segments.last().is_none_or(full)
    }

    /// Begins a segment with everything that is so.
    ///
    /// # Errors
    /// Gives back how many octets it takes, when that is more than half of what may be kept: then nothing
    /// is recorded.
    pub fn checkpoint(&mut self, mut batch: Batch) -> Result<Vec<Row>, u64> {
        let was_ms = self.alive_ms;
        let blank_from_ms = self.blank_since_ms.unwrap_or(batch.at_ms);
        let (first, at_ms) = (self.next, batch.at_ms);
        let facts = std::mem::take(&mut batch.facts);
        let rows = self.rows(&batch, facts);
        let octets: u64 = rows.iter().map(octets).sum();
        if octets > self.bounds.octets / 2 {
            self.next = first;
            self.alive_ms = was_ms;
            self.blank_since_ms.get_or_insert(at_ms);
            return Err(octets);
        }
        self.segments.push(Segment {
            first,
            at_ms,
            blank_from_ms: blank_from_ms.min(at_ms),
            octets,
            checkpoint: octets,
        });
        self.blank_since_ms = None;
        Ok(rows)
    }

    /// Adds what changed to the last segment. The calendar may have been set back: what became so later is
    /// never told as earlier than what was before it.
    pub fn change(&mut self, mut batch: Batch) -> Vec<Row> {
        batch.at_ms = batch.at_ms.max(self.alive_ms);
        let facts = std::mem::take(&mut batch.facts);
        let rows = self.rows(&batch, facts);
        if let Some(last) = self.segments.last_mut() {
            last.octets += rows.iter().map(octets).sum::<u64>();
        }
        rows
    }

    fn rows(&mut self, head: &Batch, facts: Vec<Fact>) -> Vec<Row> {
        let mut rows = Vec::new();
        let mut facts = facts.into_iter().peekable();
        self.alive_ms = head.at_ms;
        loop {
            let part = Batch {
                facts: facts.by_ref().take(batch::MOST).collect(),
                ..*head
            };
            rows.push(Row {
                number: self.next,
                at_ms: part.at_ms,
                packed: (self.pack)(&part.text()),
            });
            self.next += 1;
            if facts.peek().is_none() {
                return rows;
            }
        }
    }

    /// What was written last still holds at this time. A calendar that was set back by more than a
    /// moment begins a new segment, or the present could not be told from the past.
    pub fn alive(&mut self, now_ms: u64) {
        if now_ms + SET_BACK_MS < self.alive_ms {
            self.blank_since_ms.get_or_insert(now_ms);
            self.alive_ms = now_ms;
        } else {
            self.alive_ms = self.alive_ms.max(now_ms);
        }
    }

    /// Until when what was written last is known to hold: not beyond the time from which nothing is recorded.
    pub fn alive_ms(&self) -> u64 {
        self.blank_since_ms
            .map_or(self.alive_ms, |since| since.min(self.alive_ms))
    }

    /// Number of the next row.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// The rows from `number` on, the first of which became so at `at_ms`, were lost before they were
    /// written.
    pub fn lost(&mut self, number: u64, at_ms: u64) {
        let blank = self.blank_since_ms.map_or(at_ms, |b| b.min(at_ms));
        self.blank_since_ms = Some(blank);
        self.segments.retain(|s| s.first < number);
    }

    /// The rows that tell of a time: those of them up to then.
    ///
    /// # Errors
    /// Says where nothing is recorded.
    pub fn rows_of(&self, at_ms: u64) -> Result<(Segment, Range<u64>), Blank> {
        let at = segments::find(&self.segments, at_ms)?;
        if let Some(since) = self.blank_since_ms
            && at + 1 == self.segments.len()
            && since <= at_ms
        {
            return Err(Blank::Between(since, at_ms));
        }
        let end = self.segments.get(at + 1).map_or(self.next, |s| s.first);
        let segment = self.segments[at];
        Ok((segment, segment.first..end))
    }

    /// Throws away what is too old or too much; the rows before this number go.
    pub fn prune(&mut self, now_ms: u64) -> Option<u64> {
        let oldest = now_ms.saturating_sub(self.bounds.age_ms);
        let old = segments::outdated(&self.segments, oldest);
        let much = segments::surplus(&self.segments[old..], self.bounds.octets);
        let gone = old + much;
        self.segments.drain(..gone);
        (gone > 0).then(|| self.segments.first().map_or(self.next, |s| s.first))
    }

    /// The segments.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Octets of all rows.
    pub fn octets(&self) -> u64 {
        self.segments.iter().map(|s| s.octets).sum()
    }
}

/// A calendar that goes back by less is only corrected.
const SET_BACK_MS: u64 = 10_000;

/// What a row takes in the store, about.
fn octets(row: &Row) -> u64 {
    row.packed.len() as u64 + 24
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::super::replay::State;
    use super::super::testing;
    use super::*;

    fn plain(text: &str) -> Vec<u8> {
        text.as_bytes().to_vec()
    }

    /// A store in memory, as a disk would hold it.
    #[derive(Default)]
    struct Shelf(BTreeMap<u64, Vec<u8>>);

    impl Shelf {
        fn write(&mut self, rows: Vec<Row>) {
            for row in rows {
                assert!(self.0.insert(row.number, row.packed).is_none());
            }
        }

        fn replay(&self, journal: &Journal, at_ms: u64) -> Result<State, Blank> {
            let (_, rows) = journal.rows_of(at_ms)?;
            let mut state = State::default();
            for (_, packed) in self.0.range(rows) {
                let batch = Batch::read(std::str::from_utf8(packed).unwrap()).unwrap();
                if batch.at_ms > at_ms {
                    break;
                }
                state.apply(&batch);
            }
            Ok(state)
        }
    }

    proptest! {
        /// What is replayed for any time is what was so then, whatever was thrown away, lost or
        /// interrupted.
        #[test]
        fn what_is_replayed_is_what_was_so(
            steps in prop::collection::vec(
                (1u64..50, prop::collection::vec(testing::fact(), 0..6), 0u8..40),
                1..120,
            ),
            budget in 2_000u64..20_000,
            age_ms in 100u64..4_000,
        ) {
            let bounds = Bounds { octets: budget, age_ms };
            let mut journal = Journal::load(Vec::new(), 1, 0, bounds, plain);
            let (mut shelf, mut live, mut now) = (Shelf::default(), State::default(), 1_000u64);
            // What was so from each time on; `None`: nothing was recorded.
            let mut truth: Vec<(u64, Option<State>)> = Vec::new();
            for (generation, (wait, facts, chance)) in steps.into_iter().enumerate() {
                now += wait;
                let batch = Batch { at_ms: now, generation: generation as u64, facts };
                live.apply(&batch);
                match chance {
                    // The process ends, and another one begins.
                    0 => {
                        let all = journal.segments().to_vec();
                        journal = Journal::load(all, journal.next(), journal.alive_ms(), bounds, plain);
                    }
                    // The disk loses what would have been written.
                    1 => {
                        truth.push((now, None));
                        let next = journal.next();
                        let rows = journal.change(batch);
                        journal.lost(next, rows[0].at_ms);
                        continue;
                    }
                    _ => {}
                }
                if journal.wants_checkpoint() {
                    let all = Batch { facts: live.facts(), ..batch };
                    match journal.checkpoint(all) {
                        Ok(rows) => shelf.write(rows),
                        Err(octets) => {
                            prop_assert!(octets > budget / 2);
                            truth.push((now, None));
                            continue;
                        }
                    }
                } else {
                    shelf.write(journal.change(batch));
                }
                truth.push((now, Some(live.clone())));
                if let Some(first) = journal.prune(now) {
                    shelf.0 = shelf.0.split_off(&first);
                }
                prop_assert!(journal.segments().len() == 1 || journal.octets() <= budget);
            }
            let begins = journal.segments().first().map_or(u64::MAX, |s| s.at_ms);
            for at in 990..now + 10 {
                let known = truth.iter().rev().find(|(from, _)| *from <= at);
                match (shelf.replay(&journal, at), known) {
                    (Ok(state), Some((_, Some(then)))) => prop_assert_eq!(&state, then),
                    (Ok(_), other) => prop_assert!(false, "at {at}: {other:?}"),
                    // What is refused was before the record, or not recorded.
                    (Err(Blank::Empty | Blank::Before(_)), _) => prop_assert!(at < begins),
                    (Err(Blank::Between(from, to)), _) => prop_assert!(from <= at && at <= to),
                }
            }
        }
    }

    #[test]
    fn everything_that_was_recorded_can_be_told() {
        let bounds = Bounds {
            octets: 1 << 20,
            age_ms: 1 << 40,
        };
        let mut journal = Journal::load(Vec::new(), 1, 0, bounds, plain);
        assert!(journal.wants_checkpoint());
        assert_eq!(journal.rows_of(5), Err(Blank::Empty));
        let at = |at_ms| Batch {
            at_ms,
            generation: 1,
            facts: Vec::new(),
        };
        assert_eq!(journal.checkpoint(at(100)).unwrap().len(), 1);
        assert!(!journal.wants_checkpoint());
        journal.change(at(200));
        for told in [100, 150, 200, 10_000] {
            assert_eq!(journal.rows_of(told).unwrap().1, 1..3, "{told}");
        }
        // Nothing is thrown away that is the only word on the present.
        assert_eq!(journal.prune(1 << 50), None);
    }

    #[test]
    fn what_was_lost_before_the_end_is_not_told_after_a_restart() {
        let bounds = Bounds {
            octets: 1 << 20,
            age_ms: 1 << 40,
        };
        let at = |at_ms| Batch {
            at_ms,
            generation: 1,
            facts: Vec::new(),
        };
        let mut journal = Journal::load(Vec::new(), 1, 0, bounds, plain);
        journal.checkpoint(at(100)).unwrap();
        let next = journal.next();
        journal.change(at(200));
        journal.lost(next, 200);
        // The process lives on for a while, and tells the disk so.
        journal.alive(300);
        assert_eq!(journal.alive_ms(), 200);
        let segments = journal.segments().to_vec();
        let mut again = Journal::load(segments, journal.next(), journal.alive_ms(), bounds, plain);
        again.checkpoint(at(400)).unwrap();
        assert!(again.rows_of(199).is_ok() && again.rows_of(400).is_ok());
        assert_eq!(again.rows_of(250), Err(Blank::Between(200, 400)));
    }

    #[test]
    fn a_calendar_set_back_begins_anew_and_a_small_correction_does_not() {
        let bounds = Bounds {
            octets: 1 << 20,
            age_ms: 1 << 40,
        };
        let mut journal = Journal::load(Vec::new(), 1, 0, bounds, plain);
        let at = |at_ms| Batch {
            at_ms,
            generation: 1,
            facts: Vec::new(),
        };
        journal.checkpoint(at(100_000)).unwrap();
        journal.alive(99_000);
        assert!(!journal.wants_checkpoint());
        assert_eq!(journal.change(at(99_000))[0].at_ms, 100_000);
        journal.alive(50_000);
        assert!(journal.wants_checkpoint());
        journal.checkpoint(at(50_000)).unwrap();
        assert_eq!(journal.rows_of(60_000).unwrap().0.at_ms, 50_000);
    }

    #[test]
    fn a_checkpoint_that_does_not_fit_is_not_recorded() {
        let bounds = Bounds {
            octets: 100,
            age_ms: 1 << 40,
        };
        let mut journal = Journal::load(Vec::new(), 1, 0, bounds, plain);
        let facts = vec![Fact::Config {
            digest: "x".repeat(200).into(),
        }];
        let batch = Batch {
            at_ms: 5,
            generation: 1,
            facts,
        };
        assert!(journal.checkpoint(batch).unwrap_err() > 200);
        assert!(journal.wants_checkpoint());
        assert_eq!(journal.next(), 1);
        assert_eq!(journal.rows_of(9), Err(Blank::Empty));
    }
}
