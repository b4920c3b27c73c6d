//! Whether this node's own vantage sees anything: what fails everywhere at once is more likely itself.
//!
//! The suspicion of oneself is that of Lifeguard (arXiv 1707.00788). A blind vantage goes on probing
//! and tells others that it has no vote.

use std::collections::VecDeque;
use std::time::Duration;

use hashbrown::{HashMap, HashSet};

use crate::time::Moment;

/// What is looked back at.
const LOOK_BACK: Duration = Duration::from_secs(10);

/// A prober that runs later than this has no vote.
const LATE: Duration = Duration::from_millis(250);

/// Whether most targets failed is found out so often at most.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// So often within [`LOOK_BACK`]: one late turn, such as that of a reload, says nothing.
const LATE_TURNS: usize = 3;

/// One that stood still for so long knows nothing of what happened meanwhile.
const STOOD_STILL: Duration = Duration::from_secs(2);

/// With so few targets nothing is said of "most of them".
const TARGETS: usize = 4;

/// When most targets turned bad at once, so long nothing is believed at most: when they are dead
/// indeed, every vantage sees the same, and somebody must say so in the end.
const DOUBT: Duration = Duration::from_secs(60);

/// Why a vantage is blind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Blind {
    /// It reaches fewer than half of its reference targets.
    References,
    /// It runs late itself.
    Late,
    /// Most of its targets in several regions turned bad at once.
    Mass,
}

/// What this node knows of its own sight.
#[derive(Clone, Debug, Default)]
pub struct Sight {
    /// By reference target.
    references: Vec<Option<bool>>,
    /// How late it ran, lately.
    lags: VecDeque<(Moment, Duration)>,
    /// Whether that was too late.
    late: bool,
    /// Targets probed lately, in order.
    probed: VecDeque<(Moment, u32)>,
    /// By target: whether its last probe passed.
    passed: HashMap<u32, bool>,
    /// Targets that passed and then failed, lately, with their regions.
    turned: VecDeque<(Moment, u32, u32)>,
    /// Something turned bad that was not looked at together with the rest, and when that was done last:
    /// where thousands fail, it is done ten times a second and not for each.
    pending: bool,
    looked: Option<Moment>,
    /// Targets that turned bad together, and when that was seen.
    mass: Option<(Moment, HashSet<u32>)>,
}

impl Sight {
    /// Another configuration: other targets, and perhaps other references; until these are looked at, the
    /// old ones stand for them.
    pub(super) fn adopt(&mut self, references: usize) {
        let mut known = std::mem::take(&mut self.references);
        known.resize(references, None);
        *self = Sight {
            references: known,
            lags: std::mem::take(&mut self.lags),
            late: self.late,
            ..Sight::default()
        };
    }

    /// A reference target was reached, or not.
    pub(super) fn reference(&mut self, index: usize, reached: bool) {
        if let Some(known) = self.references.get_mut(index) {
            *known = Some(reached);
        }
    }

    /// The prober ran so late.
    pub(super) fn lag(&mut self, lag: Duration, now: Moment) {
        self.lags.push_back((now, lag));
        while self
            .lags
            .front()
            .is_some_and(|(at, _)| now.since(*at) > LOOK_BACK)
        {
            self.lags.pop_front();
        }
        let late = self.lags.iter().filter(|(_, lag)| *lag > LATE).count();
        self.late = late >= LATE_TURNS || self.lags.iter().any(|(_, lag)| *lag > STOOD_STILL);
    }

    /// A probe of a target in a region ended.
    pub(super) fn probed(&mut self, target: u32, region: u32, passed: bool, now: Moment) {
        let before = self.passed.insert(target, passed);
        self.probed.push_back((now, target));
        if before == Some(true) && !passed {
            self.turned.push_back((now, target, region));
        }
        while self
            .probed
            .front()
            .is_some_and(|(at, _)| now.since(*at) > LOOK_BACK)
        {
            self.probed.pop_front();
        }
        while self
            .turned
            .front()
            .is_some_and(|(at, ..)| now.since(*at) > LOOK_BACK)
        {
            self.turned.pop_front();
        }
        // A new suspicion only where something turned just now.
        self.pending |= before == Some(true) && !passed;
    }

    /// The targets that turned bad lately, where they are most of what passed before, in two regions or
    /// more.
    fn turned_together(&self) -> Option<HashSet<u32>> {
        let turned: HashSet<u32> = self.turned.iter().map(|(_, t, _)| *t).collect();
        let regions: HashSet<u32> = self.turned.iter().map(|(.., r)| *r).collect();
        if regions.len() < 2 || turned.len() * 2 <= TARGETS {
            return None;
        }
        let looked_at: HashSet<u32> = self.probed.iter().map(|(_, t)| *t).collect();
        let up = |t: &&u32| self.passed.get(*t) == Some(&true) || turned.contains(*t);
        let up = looked_at.iter().filter(up).count();
        (turned.len() * 2 > up.max(TARGETS)).then_some(turned)
    }

    /// Why it is blind at `now`, if it is. `others`: somebody else could see instead.
    pub(super) fn blind(&mut self, others: bool, now: Moment) -> Option<Blind> {
        let known = self.references.iter().flatten();
        let (tried, reached) = known.fold((0, 0), |(t, r), ok| (t + 1, r + usize::from(*ok)));
        if reached * 2 < tried {
            return Some(Blind::References);
        }
        if others && self.late {
            return Some(Blind::Late);
        }
        let rested = |at: Moment| now.since(at) >= LOOK_AGAIN;
        if (self.pending || self.mass.is_some()) && self.looked.is_none_or(rested) {
            self.looked = Some(now);
            self.mass = match self.mass.take() {
                Some((since, targets)) => {
                    let better = targets
                        .iter()
                        .filter(|t| self.passed.get(*t) == Some(&true));
                    let over = now.since(since) > DOUBT || better.count() * 2 > targets.len();
                    (!over).then_some((since, targets))
                }
                None => {
                    self.pending = false;
                    self.turned_together().map(|all| (now, all))
                }
            };
        }
        (others && self.mass.is_some()).then_some(Blind::Mass)
    }

    /// When a doubt ends by itself.
    pub(super) fn due(&self) -> Option<Moment> {
        let after = DOUBT + Duration::from_nanos(1);
        self.mass.as_ref().map(|(since, _)| *since + after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);
    const T: Moment = Moment(1_000_000_000_000);

    #[test]
    fn h3_too_few_reference_targets_reached() {
        let mut s = Sight::default();
        s.adopt(3);
        assert_eq!(s.blind(true, T), None, "nothing is known yet");
        for (reached, want) in [(3, None), (2, None), (1, Some(Blind::References))] {
            for r in 0..3 {
                s.reference(r, r < reached);
            }
            assert_eq!(s.blind(true, T), want, "{reached} of 3");
        }
        s.adopt(3);
        assert_eq!(
            s.blind(true, T),
            Some(Blind::References),
            "a reload gives no vote back"
        );
        s.adopt(1);
        s.reference(0, false);
        assert_eq!(s.blind(true, T), Some(Blind::References));
        s.reference(0, true);
        assert_eq!(s.blind(true, T), None);
    }

    #[test]
    fn one_that_runs_late_has_no_vote_until_it_does_not() {
        let mut s = Sight::default();
        let mut now = T;
        for n in 0..100 {
            now = now + S / 10;
            s.lag(if n % 20 == 0 { S } else { S / 100 }, now);
        }
        assert_eq!(s.blind(true, now), Some(Blind::Late));
        assert_eq!(s.blind(false, now), None, "nobody else could see instead");
        for _ in 0..110 {
            now = now + S / 10;
            s.lag(S / 100, now);
        }
        assert_eq!(s.blind(true, now), None);
        // One late turn is that of a reload; one that stood still has missed what happened.
        s.lag(S, now);
        assert_eq!(s.blind(true, now), None);
        s.lag(S * 3, now);
        assert_eq!(s.blind(true, now), Some(Blind::Late));
    }

    #[test]
    fn most_targets_of_several_regions_turning_bad_at_once_is_doubted_for_a_minute() {
        let table = [
            // Targets 0 to 9 in two regions; how many fail; whether that is doubted.
            (2, 6, true),
            (2, 5, false),
            (1, 10, false),
            (2, 10, true),
        ];
        for (regions, failing, doubted) in table {
            let mut s = Sight::default();
            for t in 0..10 {
                s.probed(t, t % regions, true, T);
            }
            for t in 0..10 {
                s.probed(t, t % regions, t >= failing, T + S * 5);
            }
            let now = T + S * 5;
            let want = doubted.then_some(Blind::Mass);
            assert_eq!(s.blind(true, now), want, "{failing} in {regions}");
            assert_eq!(s.blind(false, now), None, "nobody else could see instead");
            assert_eq!(s.blind(true, now + S * 61), None);
        }
        // It ends when they pass again.
        let mut s = Sight::default();
        for (at, passed) in [(0, true), (5, false), (10, false), (15, true)] {
            for t in 0..10 {
                s.probed(t, t % 2, passed, T + S * at);
            }
            let blind = s.blind(true, T + S * at);
            assert_eq!(blind.is_some(), !passed, "{at}");
        }
    }
}
