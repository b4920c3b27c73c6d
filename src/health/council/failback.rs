//! Failback: how what was down comes back (requirement F9).
//!
//! Every return is gated on health: a failure ends it and the next one starts over. One that returns
//! again and again waits longer each time.

use std::time::Duration;

use crate::time::{Moment, Wall};

use super::super::monitor::Monitor;
use super::rules::Failback;

/// Returns within this time of each other count as flapping.
const FLAPPING: Duration = Duration::from_secs(600);

/// The longest wait for flapping alone.
const LONGEST: Duration = Duration::from_secs(300);

/// Percent of its clients in each step of a ramp but the last.
const STEPS: [u8; 3] = [5, 25, 50];

/// An endpoint on its way back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Return {
    /// Since when it passes.
    pub(super) since: Moment,
    /// When the wait began, in milliseconds since 1970-01-01T00:00:00Z, where that was before a
    /// restart.
    pub(super) began_ms: Option<u64>,
    /// The wait for flapping ends.
    pub(super) calm: Moment,
    /// An operator said that it may serve.
    pub(super) released: bool,
}

/// Where an endpoint is on its way back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    /// It flaps: it stays out until then.
    Calming(Moment),
    /// The hold of its pool ends then.
    Holding(Moment),
    /// It waits for an operator.
    Manual,
    /// It gets this share in percent; the next step comes then.
    Ramping(u8, Moment),
    /// It is back.
    Back,
}

impl Return {
    /// The `nth` return, counted from 1, of an endpoint that passes since `since`: it needs
    /// `rise`·2^(n−1) passes, of which it has had `rise`.
    pub(super) fn new(since: Moment, nth: u32, monitor: &Monitor) -> Return {
        let doublings = 1_u32.checked_shl(nth.saturating_sub(1)).unwrap_or(u32::MAX);
        let passes = monitor.rise.saturating_mul(doublings - 1);
        Return {
            since,
            began_ms: None,
            calm: since + monitor.interval.saturating_mul(passes).min(LONGEST),
            released: false,
        }
    }

    /// When the wait began, in milliseconds since 1970-01-01T00:00:00Z.
    pub(super) fn began(&self, wall: Wall) -> u64 {
        self.began_ms.unwrap_or_else(|| wall.unix_ms(self.since))
    }

    /// Where it is at `now`.
    pub(super) fn stage(&self, failback: Failback, now: Moment) -> Stage {
        if now < self.calm {
            return Stage::Calming(self.calm);
        }
        match failback {
            _ if self.released => Stage::Back,
            Failback::Auto => Stage::Back,
            Failback::Hold(hold) if now < self.since + hold => Stage::Holding(self.since + hold),
            Failback::Hold(_) => Stage::Back,
            Failback::Manual => Stage::Manual,
            Failback::Ramp(whole) => {
                let step = whole / STEPS.len() as u32;
                let ends = (1..).map(|n| self.calm + step.saturating_mul(n));
                let now = STEPS.into_iter().zip(ends).find(|(_, end)| now < *end);
                now.map_or(Stage::Back, |(share, end)| Stage::Ramping(share, end))
            }
        }
    }
}

/// When an endpoint returned lately.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Returns(Vec<Moment>);

impl Returns {
    /// Notes a return; says the how manyth it is.
    pub(super) fn note(&mut self, now: Moment) -> u32 {
        self.forget(now);
        self.0.push(now);
        self.0.len() as u32
    }

    /// Forgets those of long ago; whether none is left.
    pub(super) fn forget(&mut self, now: Moment) -> bool {
        self.0.retain(|at| now.since(*at) < FLAPPING);
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::monitor::tests::monitor;
    use super::*;

    const S: Duration = Duration::from_secs(1);
    const T: Moment = Moment(1_000_000_000_000);

    #[test]
    fn f9_stages_of_each_policy() {
        let r = Return::new(T, 1, &monitor());
        assert_eq!(r.stage(Failback::Auto, T), Stage::Back);
        assert_eq!(r.stage(Failback::Manual, T + S * 9999), Stage::Manual);
        let hold = Failback::Hold(S * 900);
        assert_eq!(r.stage(hold, T + S * 899), Stage::Holding(T + S * 900));
        assert_eq!(r.stage(hold, T + S * 900), Stage::Back);
        let ramp = Failback::Ramp(S * 1200);
        let table = [(0, 5, 400), (399, 5, 400), (400, 25, 800), (800, 50, 1200)];
        for (at, share, end) in table {
            let want = Stage::Ramping(share, T + S * end);
            assert_eq!(r.stage(ramp, T + S * at), want, "{at}");
        }
        assert_eq!(r.stage(ramp, T + S * 1200), Stage::Back);
        let released = Return {
            released: true,
            ..r
        };
        assert_eq!(released.stage(Failback::Manual, T), Stage::Back);
        assert_eq!(released.stage(hold, T), Stage::Back);
    }

    #[test]
    fn f9_who_flaps_waits_twice_as_long_each_time_and_at_most_five_minutes() {
        // rise 5, interval 10 s: 5 passes take 50 s.
        let calm = |nth| Return::new(T, nth, &monitor()).calm.since(T).as_secs();
        assert_eq!([1, 2, 3, 4, 9, 99].map(calm), [0, 50, 150, 300, 300, 300]);
        let mut returns = Returns::default();
        assert_eq!(returns.note(T), 1);
        assert_eq!(returns.note(T + S * 300), 2);
        assert_eq!(returns.note(T + S * 599), 3);
        assert_eq!(returns.note(T + S * 900), 2, "two are of long ago");
        assert!(returns.forget(T + S * 2000));
    }
}
