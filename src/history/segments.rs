//! The segments of the record: which one tells of a time, and which are thrown away.

/// A checkpoint and what follows it until the next one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Segment {
    /// Number of its first row.
    pub first: u64,
    /// When it began, in milliseconds since 1970-01-01T00:00:00Z.
    pub at_ms: u64,
    /// Nothing was recorded from this time until it began, in milliseconds since 1970; the same as
    /// `at_ms`: nothing is missing before it.
    pub blank_from_ms: u64,
    /// Octets of its rows.
    pub octets: u64,
    /// Of these, octets of the checkpoint.
    pub checkpoint: u64,
}

/// Where the record says nothing of a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Blank {
    /// Nothing is recorded at all.
    Empty,
    /// It was before the record begins, in milliseconds since 1970.
    Before(u64),
    /// Nothing was recorded between these times, in milliseconds since 1970.
    Between(u64, u64),
}

/// The segment that tells of `at_ms`, and its place. Segments come in the order in which they were begun;
/// where the calendar was set back meanwhile, the one begun last counts.
///
/// # Errors
/// Says where the record has nothing.
pub fn find(segments: &[Segment], at_ms: u64) -> Result<usize, Blank> {
    let first = segments.first().ok_or(Blank::Empty)?;
    let Some(at) = segments.iter().rposition(|s| s.at_ms <= at_ms) else {
        return Err(Blank::Before(first.at_ms));
    };
    match segments.get(at + 1) {
        Some(next) if next.blank_from_ms <= at_ms && at_ms < next.at_ms => {
            Err(Blank::Between(next.blank_from_ms, next.at_ms))
        }
        _ => Ok(at),
    }
}

/// How many segments from the front are older than `oldest_ms`: what they tell of is over.
pub fn outdated(segments: &[Segment], oldest_ms: u64) -> usize {
    let over = |pair: &&[Segment]| pair[1].at_ms <= oldest_ms;
    segments.windows(2).take_while(over).count()
}

/// How many segments from the front must go for the others to have at most `budget` octets. The last one
/// stays.
pub fn surplus(segments: &[Segment], budget: u64) -> usize {
    let mut octets: u64 = segments.iter().map(|s| s.octets).sum();
    let mut count = 0;
    while octets > budget && count + 1 < segments.len() {
        octets -= segments[count].octets;
        count += 1;
    }
    count
}

/// Whether the segment is long enough: a checkpoint costs at most as much as what it saves to read, and
/// no segment is more than a quarter of what may be kept, so that throwing one away leaves most.
pub fn is_full(segment: &Segment, budget: u64) -> bool {
    let changes = segment.octets - segment.checkpoint.min(segment.octets);
    changes >= (64 * 1024).max(segment.checkpoint).min(budget / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(first: u64, at_ms: u64) -> Segment {
        Segment {
            first,
            at_ms,
            blank_from_ms: at_ms,
            octets: 100,
            checkpoint: 10,
        }
    }

    #[test]
    fn a_time_is_told_by_the_segment_before_it() {
        let all = [segment(1, 10), segment(5, 20), segment(9, 30)];
        assert_eq!(find(&[], 5), Err(Blank::Empty));
        assert_eq!(find(&all, 9), Err(Blank::Before(10)));
        for (at, want) in [(10, 0), (19, 0), (20, 1), (29, 1), (30, 2), (1_000, 2)] {
            assert_eq!(find(&all, at), Ok(want), "{at}");
        }
    }

    #[test]
    fn what_was_not_recorded_is_not_told() {
        let mut all = [segment(1, 10), segment(5, 20)];
        all[1].blank_from_ms = 15;
        assert_eq!(find(&all, 14), Ok(0));
        assert_eq!(find(&all, 15), Err(Blank::Between(15, 20)));
        assert_eq!(find(&all, 19), Err(Blank::Between(15, 20)));
        assert_eq!(find(&all, 20), Ok(1));
    }

    #[test]
    fn a_calendar_that_was_set_back_does_not_hide_the_present() {
        let all = [segment(1, 1_000), segment(5, 20)];
        assert_eq!(find(&all, 25), Ok(1));
        assert_eq!(find(&all, 10), Err(Blank::Before(1_000)));
    }

    #[test]
    fn the_oldest_go_first_and_the_last_stays() {
        let all = [segment(1, 10), segment(5, 20), segment(9, 30)];
        assert_eq!(outdated(&all, 19), 0);
        assert_eq!(outdated(&all, 20), 1);
        assert_eq!(outdated(&all, 99), 2);
        assert_eq!(surplus(&all, 300), 0);
        assert_eq!(surplus(&all, 299), 1);
        assert_eq!(surplus(&all, 0), 2);
        assert!(!is_full(&all[0], 1_000_000));
        assert!(is_full(&all[0], 100));
    }
}
