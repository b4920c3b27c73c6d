//! How verdicts changed over as long as the record is kept: the disk's part and the memory's as one.
//!
//! What is read of the disk is bounded. Where the disk does not answer the memory does, and it is said from
//! when on it knows.

use std::collections::HashSet;
use std::sync::Arc;

use super::ring::{Turn, Turns, alike};
use crate::admin::history::Course;
use crate::history::Segment;
use crate::time::when;

/// Octets of rows, as they are on the disk, that one question reads at most.
const OCTETS: u64 = 4 << 20;

/// What is asked of the disk.
#[derive(Debug)]
pub(super) struct Of {
    pub(super) endpoints: HashSet<Arc<str>>,
    /// In milliseconds since 1970.
    pub(super) since_ms: u64,
}

/// What the disk says.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) turns: Turns,
    pub(super) within: Within,
}

/// Which part of the record is read.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Within {
    /// Number of its first row.
    pub(super) first: u64,
    /// From when on it tells, in milliseconds since 1970; `None`: nothing is recorded.
    pub(super) begins_ms: Option<u64>,
    /// Whether more is kept than is read.
    pub(super) cut: bool,
    /// When nothing was recorded, in milliseconds since 1970.
    pub(super) gaps: Vec<(u64, u64)>,
}

/// The part of the record that tells of the time from `since_ms` on, as much of it as may be read; `None`:
/// nothing is recorded.
pub(super) fn within(segments: &[Segment], since_ms: u64) -> Option<Within> {
    let wanted = segments.iter().rposition(|s| s.at_ms <= since_ms);
    let mut at = segments.len().checked_sub(1)?;
    let mut octets = segments[at].octets;
    while at > wanted.unwrap_or(0) && octets + segments[at - 1].octets <= OCTETS {
        at -= 1;
        octets += segments[at].octets;
    }
    let read = &segments[at..];
    let begins_ms = read[0].at_ms.max(since_ms);
    let gaps = read
        .iter()
        .map(|s| (s.blank_from_ms.max(since_ms), s.at_ms));
    Some(Within {
        first: read[0].first,
        begins_ms: Some(begins_ms),
        cut: at > wanted.unwrap_or(0),
        gaps: gaps
            .filter(|(from, to)| from < to && *to > begins_ms)
            .collect(),
    })
}

/// What the memory says of `endpoints` from `since_ms` on, where that is all there is to say: this process
/// has run since `begun_ms` and forgot nothing since.
pub(super) fn remembered(
    memory: &Turns,
    endpoints: &[Arc<str>],
    since_ms: u64,
    begun_ms: u64,
) -> Option<Course> {
    if since_ms < begun_ms {
        return None;
    }
    let mut all = Vec::with_capacity(endpoints.len());
    for endpoint in endpoints {
        let turns = memory.since(endpoint, since_ms);
        if turns.first().is_none_or(|(at_ms, _)| *at_ms > since_ms) {
            return None;
        }
        all.push(turns);
    }
    Some(Course {
        endpoints: all,
        begins_ms: Some(since_ms),
        gaps: Vec::new(),
        partial: None,
    })
}

/// The disk's part and the memory's as one; the memory's alone, where the disk says why it tells nothing.
pub(super) fn joined(
    written: Result<Written, String>,
    memory: &Turns,
    endpoints: &[Arc<str>],
    since_ms: u64,
    begun_ms: u64,
) -> Course {
    let (written, trouble) = match written {
        Ok(written) => (written, None),
        Err(why) => (Written::default(), Some(why)),
    };
    let all: Vec<Vec<Turn>> = endpoints
        .iter()
        .map(|endpoint| {
            let old = written.turns.since(endpoint, since_ms);
            join(old, memory.since(endpoint, since_ms))
        })
        .collect();
    // What the memory has of before this process is read of the disk at its start: that may have gaps.
    let begins_ms = written.within.begins_ms.unwrap_or(begun_ms).max(since_ms);
    let partial = match (trouble, written.within.cut) {
        (Some(why), _) => Some(format!(
            "what was before {} is not to be had: {why}",
            when::show(begins_ms)
        )),
        (None, true) => Some(format!(
            "more is kept than can be looked through at once: what was before {} is left out; ask for a \
             shorter time, or `tradewind explain --at`",
            when::show(begins_ms)
        )),
        (None, false) => None,
    };
    Course {
        endpoints: all,
        begins_ms: Some(begins_ms),
        gaps: written.within.gaps,
        partial,
    }
}

/// What is on the disk, and after it what is only in memory.
fn join(mut old: Vec<Turn>, new: Vec<Turn>) -> Vec<Turn> {
    let last = old.last().map(|(at_ms, _)| *at_ms);
    for turn in new {
        let later = last.is_none_or(|last| turn.0 > last);
        let other = old.last().is_none_or(|(_, v)| !alike(v, &turn.1));
        if later && other {
            old.push(turn);
        }
    }
    old
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::testing::judged;

    fn segment(first: u64, at_ms: u64, blank_from_ms: u64, octets: u64) -> Segment {
        Segment {
            first,
            at_ms,
            blank_from_ms,
            octets,
            checkpoint: 1,
        }
    }

    fn turns(list: &[(u64, &'static str)]) -> Turns {
        let mut turns = Turns::default();
        for (at_ms, state) in list {
            turns.learn(*at_ms, &[judged("a", state, *at_ms)]);
        }
        turns
    }

    fn shown(turns: &[Turn]) -> Vec<(u64, &'static str)> {
        turns.iter().map(|(at, v)| (*at, v.state)).collect()
    }

    #[test]
    fn only_what_tells_of_the_time_is_read_and_no_more_than_is_allowed() {
        assert_eq!(within(&[], 5), None);
        let all = [
            segment(1, 100, 100, 10),
            segment(5, 200, 180, 10),
            segment(9, 300, 300, 10),
        ];
        let from = |since| within(&all, since).unwrap();
        assert_eq!((from(350).first, from(350).begins_ms), (9, Some(350)));
        assert_eq!((from(250).first, from(250).gaps.len()), (5, 0));
        // The state at a time in a gap is not known: it begins with what was recorded before.
        assert_eq!(from(190).first, 1);
        assert_eq!(from(190).gaps, [(190, 200)]);
        assert_eq!(from(150).gaps, [(180, 200)]);
        let earliest = from(5);
        assert_eq!((earliest.first, earliest.begins_ms), (1, Some(100)));
        assert!(!earliest.cut);

        let large = [
            segment(1, 100, 100, OCTETS / 2),
            segment(5, 200, 200, OCTETS / 2),
            segment(9, 300, 300, OCTETS / 2),
        ];
        let cut = within(&large, 0).unwrap();
        assert_eq!((cut.first, cut.begins_ms, cut.cut), (5, Some(200), true));
        let whole = within(&large, 250).unwrap();
        assert_eq!((whole.first, whole.cut), (5, false));
        // One is read however large it is: less says nothing.
        let huge = within(&[segment(1, 100, 100, 2 * OCTETS)], 0).unwrap();
        assert_eq!((huge.first, huge.cut), (1, false));
    }

    #[test]
    fn the_memory_alone_answers_only_where_it_forgot_nothing() {
        let a: [Arc<str>; 1] = ["a".into()];
        let memory = turns(&[(10, "up"), (20, "down"), (30, "up")]);
        let course = remembered(&memory, &a, 25, 5).unwrap();
        assert_eq!(shown(&course.endpoints[0]), [(20, "down"), (30, "up")]);
        assert_eq!((course.begins_ms, course.partial), (Some(25), None));
        // This process did not run then, or knows of no state at that time.
        assert!(remembered(&memory, &a, 25, 26).is_none());
        assert!(remembered(&memory, &a, 9, 5).is_none());
        assert!(remembered(&memory, &["b".into()], 25, 5).is_none());
    }

    #[test]
    fn what_is_not_on_the_disk_yet_follows_what_is_and_nothing_comes_twice() {
        let a: [Arc<str>; 1] = ["a".into()];
        let memory = turns(&[(30, "up"), (40, "down")]);
        let written = Written {
            turns: turns(&[(10, "up"), (20, "down"), (30, "up")]),
            within: Within {
                first: 1,
                begins_ms: Some(10),
                cut: false,
                gaps: vec![(22, 28)],
            },
        };
        let course = joined(Ok(written), &memory, &a, 5, 29);
        let all = [(10, "up"), (20, "down"), (30, "up"), (40, "down")];
        assert_eq!(shown(&course.endpoints[0]), all);
        assert_eq!((course.begins_ms, course.partial), (Some(10), None));
        assert_eq!(course.gaps, [(22, 28)]);
    }

    #[test]
    fn without_a_disk_the_memory_answers_and_says_from_when_on() {
        let a: [Arc<str>; 1] = ["a".into()];
        let memory = turns(&[(30, "up"), (40, "down")]);
        let course = joined(Err("it is full".to_owned()), &memory, &a, 5, 29);
        assert_eq!(shown(&course.endpoints[0]), [(30, "up"), (40, "down")]);
        assert_eq!(course.begins_ms, Some(29));
        assert_eq!(
            course.partial.as_deref(),
            Some("what was before 1970-01-01T00:00:00.029Z is not to be had: it is full")
        );
    }
}
