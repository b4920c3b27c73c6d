//! Counts over the last while, in fixed memory.

use std::time::Duration;

use crate::time::Moment;

/// Parts of the window; the oldest one is forgotten as a whole.
const PARTS: usize = 10;

/// How much happened, and how much of it badly, within the last `length`, to a tenth of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Window {
    part: u64,
    /// The part of time that is being counted in.
    current: u64,
    counts: [(u32, u32); PARTS],
}

impl Window {
    /// An empty window.
    pub fn new(length: Duration) -> Window {
        let nanos = u64::try_from(length.as_nanos()).unwrap_or(u64::MAX);
        Window {
            part: (nanos / PARTS as u64).max(1),
            current: 0,
            counts: [(0, 0); PARTS],
        }
    }

    fn advance(&mut self, now: Moment) {
        let at = now.0 / self.part;
        if at <= self.current {
            return;
        }
        let gone = (at - self.current).min(PARTS as u64);
        for n in 0..gone {
            self.counts[((at - n) % PARTS as u64) as usize] = (0, 0);
        }
        self.current = at;
    }

    /// Counts one.
    pub fn add(&mut self, bad: bool, now: Moment) {
        self.advance(now);
        let count = &mut self.counts[(self.current % PARTS as u64) as usize];
        count.0 = count.0.saturating_add(1);
        count.1 = count.1.saturating_add(u32::from(bad));
    }

    /// All, and the bad ones.
    pub fn count(&mut self, now: Moment) -> (u64, u64) {
        self.advance(now);
        let sum = |f: fn(&(u32, u32)) -> u32| self.counts.iter().map(|c| u64::from(f(c))).sum();
        (sum(|c| c.0), sum(|c| c.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Between nine tenths of the window and all of it is counted, never more.
        #[test]
        fn the_count_lies_between_nine_tenths_of_the_window_and_all_of_it(
            steps in proptest::collection::vec((0..400_u64, any::<bool>()), 1..200),
        ) {
            let length = Duration::from_millis(1000);
            let mut w = Window::new(length);
            let mut now = Moment(12_345_678);
            let mut all = Vec::new();
            for (ms, bad) in steps {
                now = now + Duration::from_millis(ms);
                w.add(bad, now);
                all.push((now, bad));
                let within = |d: Duration| {
                    let of = all.iter().filter(|(at, _)| now.since(*at) < d);
                    (of.clone().count() as u64, of.filter(|(_, bad)| *bad).count() as u64)
                };
                let (n, bad) = w.count(now);
                let (least, most) = (within(length * 9 / 10), within(length));
                prop_assert!((least.0..=most.0).contains(&n), "{n} of {least:?}..{most:?}");
                prop_assert!((least.1..=most.1).contains(&bad));
            }
        }
    }
}
