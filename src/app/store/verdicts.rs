//! Verdicts in the store: what a restart begins with (requirement H1).
//!
//! A row per check says what was published of it, and changes with it. When that was last so is said
//! once for all, so that a quiet fleet writes one row.

use std::collections::HashMap;

use super::Write;
use crate::health::CheckKey;
use crate::health::council::Remembered;

/// The row that says when all others were last so: no check has this key.
const SEEN: u64 = u64::MAX;

/// A start of a verdict is rounded to seconds; this much is no other start.
const SAME: u64 = 2;

/// What the store has.
#[derive(Debug, Default)]
pub struct Verdicts {
    rows: HashMap<u64, Remembered>,
}

impl Verdicts {
    /// What a store has that holds `rows`: those that nobody asks for any more are emptied with the next
    /// update, or a later restart would take them for fresh.
    pub fn with(rows: &[(u64, Vec<u8>)]) -> Verdicts {
        let known = rows
            .iter()
            .filter(|(key, bytes)| *key != SEEN && !bytes.is_empty());
        let row = |(key, bytes): &(u64, Vec<u8>)| {
            // One that cannot be read is replaced or emptied all the same.
            let unreadable = Remembered {
                key: CheckKey(*key),
                up: false,
                since_unix: 0,
                failures: 0,
                seen_unix: 0,
                waits_since_ms: None,
            };
            (*key, decode(*key, bytes, 0).unwrap_or(unreadable))
        };
        Verdicts {
            rows: known.map(row).collect(),
        }
    }

    /// What is to be written so that the store has `all`, as of `unix`.
    pub fn update(&mut self, all: &[Remembered], unix: u64) -> Write {
        let mut rows = Vec::new();
        let mut gone = std::mem::take(&mut self.rows);
        for verdict in all {
            let same = |old: &Remembered| {
                (old.up, old.failures, old.waits_since_ms)
                    == (verdict.up, verdict.failures, verdict.waits_since_ms)
                    && old.since_unix.abs_diff(verdict.since_unix) <= SAME
            };
            let known = gone.remove(&verdict.key.0).filter(same);
            if known.is_none() {
                rows.push((verdict.key.0, encode(verdict)));
            }
            self.rows.insert(verdict.key.0, known.unwrap_or(*verdict));
        }
        // An empty row is none: the check is no more.
        rows.extend(gone.into_keys().map(|key| (key, Vec::new())));
        rows.push((SEEN, unix.to_be_bytes().to_vec()));
        Write {
            verdicts: rows,
            ..Write::default()
        }
    }

    /// What was written, of rows of the store. Rows that cannot be read are left out.
    pub fn read(rows: &[(u64, Vec<u8>)]) -> Vec<Remembered> {
        let seen = rows.iter().find(|(key, _)| *key == SEEN);
        let Some(seen) = seen.and_then(|(_, bytes)| bytes.as_slice().try_into().ok()) else {
            return Vec::new();
        };
        let seen = u64::from_be_bytes(seen);
        let rows = rows.iter().filter(|(key, _)| *key != SEEN);
        rows.filter_map(|(key, bytes)| decode(*key, bytes, seen))
            .collect()
    }
}

fn encode(verdict: &Remembered) -> Vec<u8> {
    let mut bytes = vec![u8::from(verdict.up), verdict.failures];
    bytes.extend(verdict.since_unix.to_be_bytes());
    bytes.extend(
        verdict
            .waits_since_ms
            .into_iter()
            .flat_map(u64::to_be_bytes),
    );
    bytes
}

fn decode(key: u64, bytes: &[u8], seen: u64) -> Option<Remembered> {
    let (head, times) = bytes.split_at_checked(2)?;
    let (since, waits) = times.split_first_chunk()?;
    let waits_since_ms = match waits {
        [] => None,
        waits => Some(u64::from_be_bytes(waits.try_into().ok()?)),
    };
    Some(Remembered {
        key: CheckKey(key),
        up: head[0] == 1,
        failures: head[1],
        since_unix: u64::from_be_bytes(*since),
        seen_unix: seen,
        waits_since_ms,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(key: u64, up: bool, since: u64) -> Remembered {
        Remembered {
            key: CheckKey(key),
            up,
            since_unix: since,
            failures: 3,
            seen_unix: 0,
            waits_since_ms: (!up).then_some(since * 1000 + 7),
        }
    }

    /// Rows as a store has them after some writes.
    fn stored(writes: &[Write]) -> Vec<(u64, Vec<u8>)> {
        let mut all = std::collections::BTreeMap::new();
        for write in writes {
            all.extend(write.verdicts.iter().cloned());
        }
        all.into_iter().collect()
    }

    #[test]
    fn h1_what_is_written_is_read_with_the_time_of_the_last_write() {
        let mut v = Verdicts::default();
        let first = v.update(&[verdict(1, true, 100), verdict(2, false, 150)], 200);
        let three = [
            verdict(1, true, 101),
            verdict(3, true, 160),
            verdict(4, false, 170),
        ];
        let second = v.update(&three, 210);
        // Check 1 stayed, 2 went, 3 and 4 came.
        assert_eq!(second.verdicts.len(), 4, "{second:?}");
        let seen = |r: Remembered| Remembered {
            seen_unix: 210,
            ..r
        };
        assert_eq!(
            Verdicts::read(&stored(&[first, second])),
            [
                seen(verdict(1, true, 100)),
                seen(verdict(3, true, 160)),
                seen(verdict(4, false, 170))
            ]
        );
    }

    #[test]
    fn h1_what_was_stored_long_ago_is_no_fresher_for_another_start() {
        let mut v = Verdicts::default();
        let first = v.update(&[verdict(1, false, 100), verdict(2, true, 100)], 200);
        // Hours later only check 2 is known again.
        let rows = stored(std::slice::from_ref(&first));
        let second = Verdicts::with(&rows).update(&[verdict(2, true, 100)], 90_000);
        let left = Verdicts::read(&stored(&[first, second]));
        assert_eq!(left.iter().map(|r| r.key.0).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn a_quiet_fleet_writes_one_row_and_a_broken_row_says_nothing() {
        let mut v = Verdicts::default();
        let all = [verdict(1, true, 100)];
        let mut rows = stored(&[v.update(&all, 200)]);
        assert_eq!(v.update(&all, 210).verdicts.len(), 1);
        rows.push((9, vec![1, 2, 3]));
        assert_eq!(Verdicts::read(&rows).len(), 1);
        assert_eq!(Verdicts::read(&rows[..1]), [], "nobody knows when");
    }
}
