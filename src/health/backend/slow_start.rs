//! Slow start: a backend that comes back gets its share by and by.
//!
//! The ramp begins at the first passing check, or at the moment the backend begins to serve where
//! nothing is checked, and not at the first request: one that gets none would otherwise never warm up.

use std::time::Duration;

use crate::time::Moment;

/// The whole share, in thousandths.
pub const WHOLE: u32 = 1000;

/// How a backend gets its share back.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct SlowStart {
    /// From the floor to the whole share in equal steps of time; more than zero.
    pub ramp: Duration,
    /// What it gets at once, in percent, 1 to 100. More than zero, so that every algorithm gives it
    /// some requests to warm up with.
    pub floor_percent: u32,
}

impl SlowStart {
    /// Its share in thousandths of its weight, `now`, when it began to serve at `started`.
    pub fn share(self, started: Moment, now: Moment) -> u32 {
        let passed = now.since(started);
        if passed >= self.ramp {
            return WHOLE;
        }
        let floor = (self.floor_percent * 10).clamp(1, WHOLE);
        let risen = u128::from(WHOLE - floor) * passed.as_nanos() / self.ramp.as_nanos().max(1);
        floor + risen as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RAMP: SlowStart = SlowStart {
        ramp: Duration::from_secs(10),
        floor_percent: 10,
    };

    #[test]
    fn the_share_grows_evenly_from_the_floor_to_the_whole() {
        let start = Moment(7);
        for (ms, share) in [
            (0, 100),
            (1_000, 190),
            (5_000, 550),
            (9_999, 999),
            (10_000, 1000),
            (99_999, 1000),
        ] {
            let now = start + Duration::from_millis(ms);
            assert_eq!(RAMP.share(start, now), share, "{ms} ms");
        }
    }

    proptest! {
        #[test]
        fn the_share_never_shrinks_and_is_never_nothing(
            ms in 1..100_000_u64, floor in 0..=100_u32, a in 0..200_000_u64, b in 0..200_000_u64,
        ) {
            let s = SlowStart { ramp: Duration::from_millis(ms), floor_percent: floor };
            let at = |ms| s.share(Moment(3), Moment(3) + Duration::from_millis(ms));
            prop_assert!(at(a.min(b)) <= at(a.max(b)));
            prop_assert!((1..=WHOLE).contains(&at(a)));
        }
    }
}
