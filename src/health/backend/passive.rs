//! Passive health: what real requests say of a backend.
//!
//! `max_fails` failures within `fail_timeout` eject it for a while; the longer, the more often in a row.
//! When that time is over it is let back on probation: the first request that fails ejects it again,
//! the first that succeeds ends the probation. Whether one more may be ejected is not decided here but
//! by [`super::group::may_eject`], for the whole upstream.

use std::collections::VecDeque;
use std::time::Duration;

use super::condition::{Condition, ConditionCause, Standing};
use super::fault::{Fault, FaultSet};
use super::outlier::OutlierRules;
use crate::time::Moment;

/// Doublings beyond which an ejection does not grow further, whatever its longest time is.
const MOST_DOUBLINGS: u32 = 16;

/// When requests that fail eject a backend.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct PassiveRules {
    /// So many failures within `fail_timeout` eject it, 1 to 1,000.
    pub max_fails: u32,
    /// The time within which they must lie.
    pub fail_timeout: Duration,
    /// What is a failure.
    pub counts: FaultSet,
    /// Whether they must come in a row: a success forgets those before it.
    pub consecutive: bool,
    /// How long the first ejection lasts; each further one in a row twice as long as the last.
    pub ejection: Duration,
    /// How long one lasts at most.
    pub longest_ejection: Duration,
    /// Which backends are too slow beside their peers; `None`: that is not looked at.
    pub outlier: Option<OutlierRules>,
}

impl Default for PassiveRules {
    /// Five transport failures within 10 s; 10 s at first, 5 minutes at most.
    fn default() -> Self {
        PassiveRules {
            max_fails: 5,
            fail_timeout: Duration::from_secs(10),
            counts: FaultSet::TRANSPORT,
            consecutive: false,
            ejection: Duration::from_secs(10),
            longest_ejection: Duration::from_secs(300),
            outlier: None,
        }
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Place {
    In { probation: bool },
    Ejected { until: Moment },
}

/// What requests say of one backend. Outlives reloads.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Passive {
    place: Place,
    /// Since when it is in or ejected.
    since: Moment,
    cause: ConditionCause,
    /// The latest failures, at most `max_fails`, earliest first.
    failures: VecDeque<Moment>,
    /// Ejections in a row; each `ejection` time spent in takes one off.
    row: u32,
}

impl Passive {
    /// A backend that nothing is held against.
    pub fn new(now: Moment) -> Passive {
        Passive {
            place: Place::In { probation: false },
            since: now,
            cause: ConditionCause::Unmonitored,
            failures: VecDeque::new(),
            row: 0,
        }
    }

    /// Whether it is ejected.
    pub fn is_ejected(&self) -> bool {
        matches!(self.place, Place::Ejected { .. })
    }

    /// Since when it is ejected, or since when it is not.
    pub fn since(&self) -> Moment {
        self.since
    }

    /// When the ejection ends.
    pub fn ejected_until(&self) -> Option<Moment> {
        match self.place {
            Place::Ejected { until } => Some(until),
            Place::In { .. } => None,
        }
    }

    /// Whether a success would change anything: who asks first saves himself most successes.
    pub fn heeds_success(&self, rules: &PassiveRules) -> bool {
        match self.place {
            Place::In { probation } => {
                probation || (rules.consecutive && !self.failures.is_empty())
            }
            Place::Ejected { .. } => false,
        }
    }

    /// Failures within the time that counts.
    pub fn failures(&self, rules: &PassiveRules, now: Moment) -> u32 {
        let recent = |at: &&Moment| now.since(**at) < rules.fail_timeout;
        self.failures.iter().filter(recent).count() as u32
    }

    /// A request failed. Gives the reason for an ejection when this is one too many; the failures are
    /// kept until [`Passive::eject`] forgets them, so that the next failure asks again where the
    /// upstream had no room for one more.
    pub fn failed(
        &mut self,
        fault: Fault,
        rules: &PassiveRules,
        now: Moment,
    ) -> Option<ConditionCause> {
        let Place::In { probation } = self.place else {
            // It was under way before the ejection.
            return None;
        };
        if !rules.counts.has(fault) || rules.max_fails == 0 {
            return None;
        }
        if self.failures.len() >= rules.max_fails as usize {
            let many = self.failures.len() + 1 - rules.max_fails as usize;
            self.failures.drain(..many);
        }
        self.failures.push_back(now);
        if probation {
            return Some(ConditionCause::Probation(fault));
        }
        let full = self.failures.len() >= rules.max_fails as usize;
        let first = self.failures.front()?;
        (full && now.since(*first) < rules.fail_timeout).then_some(ConditionCause::Failures {
            count: rules.max_fails,
            within: rules.fail_timeout,
            last: fault,
        })
    }

    /// A request succeeded.
    pub fn succeeded(&mut self, rules: &PassiveRules) {
        if let Place::In { probation } = &mut self.place {
            let ended = std::mem::take(probation);
            if ended || rules.consecutive {
                self.failures.clear();
            }
        }
    }

    /// Ejects it; gives the end.
    pub fn eject(&mut self, cause: ConditionCause, rules: &PassiveRules, now: Moment) -> Moment {
        let base = rules.ejection.max(Duration::from_millis(1));
        let good = now.since(self.since).as_nanos() / base.as_nanos();
        self.row = self
            .row
            .saturating_sub(u32::try_from(good).unwrap_or(u32::MAX))
            .min(MOST_DOUBLINGS);
        let lasts = base
            .saturating_mul(1 << self.row)
            .min(rules.longest_ejection.max(base));
        self.row += 1;
        let until = now + lasts;
        self.place = Place::Ejected { until };
        self.since = now;
        self.cause = cause;
        self.failures.clear();
        until
    }

    /// Lets it back when its time is over; says whether it was.
    pub fn settle(&mut self, now: Moment) -> bool {
        let over = matches!(self.place, Place::Ejected { until } if until <= now);
        if over {
            self.let_in(true, now);
        }
        over
    }

    /// An operator lets it back, or nothing ejects any more: forgets everything.
    pub fn forgive(&mut self, now: Moment) {
        if self.is_ejected() {
            self.let_in(false, now);
        }
        self.failures.clear();
        self.row = 0;
    }

    fn let_in(&mut self, probation: bool, now: Moment) {
        self.place = Place::In { probation };
        self.since = now;
    }

    /// Why it is ejected, if it is.
    pub fn condition(&self) -> Option<Condition> {
        let until = self.ejected_until()?;
        Some(Condition {
            standing: Standing::Ejected,
            cause: self.cause.clone(),
            since: self.since,
            until: Some(until),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const T0: Moment = Moment(5_000_000_000);
    const S: Duration = Duration::from_secs(1);

    fn rules() -> PassiveRules {
        PassiveRules {
            max_fails: 3,
            ..PassiveRules::default()
        }
    }

    fn failed(p: &mut Passive, r: &PassiveRules, at: Moment) -> bool {
        match p.failed(Fault::Connect, r, at) {
            Some(cause) => {
                p.eject(cause, r, at);
                true
            }
            None => false,
        }
    }

    #[test]
    fn p4_the_last_of_max_fails_within_fail_timeout_ejects() {
        let r = rules();
        let mut p = Passive::new(T0);
        assert!(!failed(&mut p, &r, T0));
        assert!(!failed(&mut p, &r, T0 + S * 5));
        // The first one is forgotten.
        assert!(!failed(&mut p, &r, T0 + S * 10));
        assert_eq!(p.failures(&r, T0 + S * 10), 2);
        assert!(failed(&mut p, &r, T0 + S * 11));
        let c = p.condition().unwrap();
        assert_eq!(c.standing, Standing::Ejected);
        assert_eq!(c.since, T0 + S * 11);
        assert_eq!(c.until, Some(T0 + S * 21));
        assert_eq!(
            c.cause.to_string(),
            "3 failed requests within 10s, the last one with no connection"
        );
    }

    #[test]
    fn p4_what_does_not_count_ejects_nobody() {
        let r = rules();
        let mut p = Passive::new(T0);
        for _ in 0..100 {
            assert_eq!(p.failed(Fault::Gateway, &r, T0), None);
        }
        let none = PassiveRules { max_fails: 0, ..r };
        for _ in 0..100 {
            assert_eq!(p.failed(Fault::Connect, &none, T0), None);
        }
    }

    #[test]
    fn p4_only_failures_in_a_row_count_where_they_must() {
        let r = PassiveRules {
            consecutive: true,
            ..rules()
        };
        let mut p = Passive::new(T0);
        for _ in 0..10 {
            assert!(!failed(&mut p, &r, T0));
            assert!(!failed(&mut p, &r, T0));
            assert!(p.heeds_success(&r));
            p.succeeded(&r);
            assert!(!p.heeds_success(&r));
        }
        assert!(!failed(&mut p, &r, T0));
        assert!(!failed(&mut p, &r, T0));
        assert!(failed(&mut p, &r, T0));
    }

    #[test]
    fn p4_ejections_in_a_row_grow_up_to_the_longest_and_shrink_with_time_spent_well() {
        let r = PassiveRules {
            longest_ejection: S * 60,
            ..rules()
        };
        let mut p = Passive::new(T0);
        let mut now = T0;
        for _ in 0..3 {
            failed(&mut p, &r, now);
        }
        for expected in [10, 20, 40, 60, 60] {
            let until = p.ejected_until().unwrap();
            assert_eq!(now.until(until), S * expected);
            assert!(!p.settle(until - Duration::from_nanos(1)));
            assert!(p.settle(until));
            now = until;
            // On probation: one failure is enough.
            assert!(failed(&mut p, &r, now));
        }
        now = p.ejected_until().unwrap();
        p.settle(now);
        p.succeeded(&r);
        // A long good time later it is as if nothing had been.
        now = now + S * 1000;
        assert!(!failed(&mut p, &r, now));
        assert!(!failed(&mut p, &r, now));
        assert!(failed(&mut p, &r, now));
        assert_eq!(now.until(p.ejected_until().unwrap()), S * 10);
    }

    #[test]
    fn p4_a_success_ends_the_probation_and_requests_from_before_do_not_count() {
        let r = rules();
        let mut p = Passive::new(T0);
        for _ in 0..3 {
            failed(&mut p, &r, T0);
        }
        assert_eq!(p.failed(Fault::Connect, &r, T0), None);
        assert!(p.settle(T0 + S * 10));
        p.succeeded(&r);
        assert!(!failed(&mut p, &r, T0 + S * 10));
        p.forgive(T0 + S * 10);
        assert_eq!(p.failures(&r, T0 + S * 10), 0);
    }

    proptest! {
        /// Whatever happens: ejected exactly when `max_fails` failures since it came in lie within
        /// `fail_timeout`, or the first one after an ejection failed.
        #[test]
        fn p4_ejected_exactly_when_the_failures_say_so(
            steps in proptest::collection::vec((0..4_000_u64, any::<bool>()), 1..100),
            max_fails in 1..6_u32, consecutive in any::<bool>(),
        ) {
            let r = PassiveRules { max_fails, consecutive, ..PassiveRules::default() };
            let mut p = Passive::new(T0);
            let (mut now, mut since_in, mut probation) = (T0, Vec::new(), false);
            for (ms, ok) in steps {
                now = now + Duration::from_millis(ms);
                if p.settle(now) { probation = true; since_in.clear(); }
                if p.is_ejected() { continue; }
                if ok {
                    p.succeeded(&r);
                    if probation || consecutive { since_in.clear(); }
                    probation = false;
                    continue;
                }
                since_in.push(now);
                let near = since_in.iter().filter(|at| now.since(**at) < r.fail_timeout).count();
                let expected = probation || near as u32 >= max_fails;
                prop_assert_eq!(failed(&mut p, &r, now), expected);
                prop_assert_eq!(p.is_ejected(), expected);
                prop_assert!(p.ejected_until().is_none_or(|u| now.until(u) <= r.longest_ejection));
            }
        }
    }
}
