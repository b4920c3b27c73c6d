//! How far traffic has moved, and when: from counts of what arrived, second by second.

use std::time::Duration;

/// Counts of one second or more are kept one by one for this many seconds after a change.
pub const FINE: usize = 120;

/// After that, sums of ten seconds, so many of them.
pub const COARSE: usize = 60;

/// Seconds of a sum.
const COARSE_SECONDS: u64 = 10;

/// A rate is taken over this many seconds: one second's count of little traffic says little.
const SMOOTH: usize = 3;

/// What arrived before a change, and after it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// What arrived in the seconds before.
    pub before: u64,
    /// How many seconds these are.
    pub seconds: u64,
    /// What arrived after: [`FINE`] times in a second, then [`COARSE`] times in ten.
    pub after: Vec<u32>,
}

impl Counts {
    /// Adds what arrived in the `second`-th second after the change, counted from 0.
    pub fn add(&mut self, second: u64, count: u64) {
        let at = place(second);
        if at >= FINE + COARSE {
            return;
        }
        if self.after.len() <= at {
            self.after.resize(at + 1, 0);
        }
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.after[at] = self.after[at].saturating_add(count);
    }

    /// What arrived at both together.
    pub fn plus(&mut self, other: &Counts) {
        self.before += other.before;
        self.seconds = self.seconds.max(other.seconds);
        if self.after.len() < other.after.len() {
            self.after.resize(other.after.len(), 0);
        }
        for (sum, more) in self.after.iter_mut().zip(&other.after) {
            *sum = sum.saturating_add(*more);
        }
    }

    /// Per second, before the change.
    fn rate(&self) -> f64 {
        match self.seconds {
            0 => 0.0,
            seconds => self.before as f64 / seconds as f64,
        }
    }

    /// Per second, in the steps after the change: when a step ends, in seconds, and the rate in it.
    fn rates(&self) -> Vec<(u64, f64)> {
        let rate = |(at, _): (usize, &u32)| {
            let from = (at + 1).saturating_sub(if at < FINE { SMOOTH } else { 1 });
            let part = &self.after[from..=at];
            let sum: u64 = part.iter().map(|n| u64::from(*n)).sum();
            let seconds: u64 = (from..=at).map(width).sum();
            (end_of(at), sum as f64 / seconds as f64)
        };
        self.after.iter().enumerate().map(rate).collect()
    }
}

/// The place of a second.
fn place(second: u64) -> usize {
    let fine = FINE as u64;
    if second < fine {
        return second as usize;
    }
    let coarse = (second - fine) / COARSE_SECONDS;
    usize::try_from(coarse).map_or(usize::MAX, |c| c.saturating_add(FINE))
}

fn width(at: usize) -> u64 {
    if at < FINE { 1 } else { COARSE_SECONDS }
}

fn end_of(at: usize) -> u64 {
    match at.checked_sub(FINE) {
        None => at as u64 + 1,
        Some(coarse) => FINE as u64 + (coarse as u64 + 1) * COARSE_SECONDS,
    }
}

/// When shares of the traffic had moved, after the change; `None`: not within what was seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Moved {
    /// Half of it.
    pub half: Option<Duration>,
    /// 90 %.
    pub ninety: Option<Duration>,
    /// 99 %.
    pub ninety_nine: Option<Duration>,
}

/// When traffic that arrived at `rate` before the change had moved away; `None` where there was too
/// little to tell: less than one arrival in a second.
pub fn moved(counts: &Counts) -> Option<Moved> {
    let whole = counts.rate();
    let falls = |percent: f64| {
        let left = whole * (1.0 - percent / 100.0) + f64::EPSILON;
        reached(&counts.rates(), |rate| rate <= left)
    };
    (whole >= 1.0).then(|| Moved {
        half: falls(50.0),
        ninety: falls(90.0),
        ninety_nine: falls(99.0),
    })
}

/// When traffic had come back to shares of the rate that it had before the drill.
pub fn moved_back(counts: &Counts, before: &Counts) -> Option<Moved> {
    let whole = before.rate();
    let rises = |percent: f64| {
        let wanted = whole * percent / 100.0;
        reached(&counts.rates(), |rate| rate >= wanted)
    };
    (whole >= 1.0).then(|| Moved {
        half: rises(50.0),
        ninety: rises(90.0),
        ninety_nine: rises(99.0),
    })
}

/// The end of the first step in which it is so.
fn reached(rates: &[(u64, f64)], so: impl Fn(f64) -> bool) -> Option<Duration> {
    let first = rates.iter().find(|(_, rate)| so(*rate));
    first.map(|(end, _)| Duration::from_secs(*end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn counts(before: u64, after: &[u64]) -> Counts {
        let mut out = Counts {
            before: before * 10,
            seconds: 10,
            after: Vec::new(),
        };
        for (second, count) in after.iter().enumerate() {
            out.add(second as u64, *count);
        }
        out
    }

    #[test]
    fn shares_that_moved_are_found_at_their_second() {
        // 100 a second before; a tail after the change.
        let mut after = vec![100, 100, 30, 30, 30, 8, 8, 8, 4, 4, 4];
        after.extend([0; 9]);
        let moved = moved(&counts(100, &after)).unwrap();
        let s = |n| Some(Duration::from_secs(n));
        assert_eq!(
            (moved.half, moved.ninety, moved.ninety_nine),
            (s(5), s(8), s(14))
        );
    }

    #[test]
    fn what_never_moved_is_said_to_be_so() {
        let still = moved(&counts(100, &[100; 50])).unwrap();
        assert_eq!(still, Moved::default());
        assert_eq!(moved(&counts(0, &[0; 50])), None);
    }

    #[test]
    fn what_came_back_is_measured_against_what_there_was() {
        let before = counts(100, &[]);
        let mut back = Counts::default();
        for second in 0..30 {
            back.add(second, if second < 10 { 0 } else { 100 });
        }
        let back = moved_back(&back, &before).unwrap();
        assert_eq!(back.ninety_nine, Some(Duration::from_secs(13)));
    }

    proptest! {
        #[test]
        fn larger_shares_move_later_and_no_count_is_lost(
            before in 1..1000u64, after in prop::collection::vec(0..1000u64, 0..900),
        ) {
            let c = counts(before, &after);
            let seen: u64 = c.after.iter().map(|n| u64::from(*n)).sum();
            let fits = FINE + COARSE * COARSE_SECONDS as usize;
            prop_assert_eq!(seen, after.iter().take(fits).sum::<u64>());
            prop_assert!(c.after.len() <= FINE + COARSE);
            let m = moved(&c).unwrap();
            let order = [m.half, m.ninety, m.ninety_nine];
            for pair in order.windows(2) {
                if let (Some(a), Some(b)) = (pair[0], pair[1]) {
                    prop_assert!(a <= b);
                }
                prop_assert!(pair[0].is_some() || pair[1].is_none());
            }
        }

        #[test]
        fn sums_of_nodes_are_sums_of_counts(
            a in prop::collection::vec(0..50u64, 0..150), b in prop::collection::vec(0..50u64, 0..150),
        ) {
            let (mut x, y) = (counts(5, &a), counts(7, &b));
            x.plus(&y);
            prop_assert_eq!(x.before, 120);
            let all: u64 = x.after.iter().map(|n| u64::from(*n)).sum();
            prop_assert_eq!(all, a.iter().chain(&b).sum::<u64>());
        }
    }
}
