//! The active verdict: what this proxy's own probes say of one backend.

use std::sync::Arc;

use super::condition::{Condition, ConditionCause, Standing};
use crate::health::{Failure, Monitor, Outcome, RiseFall, State};
use crate::time::Moment;

/// What counts until the first probe has ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum InitialState {
    /// It serves only while nobody of its upstream is known to be up: neither does a start answer 503
    /// until the first probes are over, nor does a new backend get requests on trust.
    #[default]
    Unknown,
    /// It serves at once.
    Up,
    /// It must pass as often as one that was down.
    Down,
}

/// What probes say of one backend. Outlives reloads: a new configuration knows nothing newer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Active {
    rise_fall: RiseFall,
    since: Moment,
    last_probe: Option<Moment>,
    last_error: Option<Arc<str>>,
}

impl Active {
    /// A backend that was never probed.
    pub fn new(initial: InitialState, now: Moment) -> Active {
        let rise_fall = match initial {
            InitialState::Unknown => RiseFall::new(),
            InitialState::Up => RiseFall::remembered(State::Up, 0),
            InitialState::Down => RiseFall::remembered(State::Down, 0),
        };
        Active {
            rise_fall,
            since: now,
            last_probe: None,
            last_error: None,
        }
    }

    /// Takes in what one probe saw; says whether the state is another one now. What could not be
    /// probed says nothing.
    pub fn observe(&mut self, outcome: &Outcome, monitor: &Monitor, now: Moment) -> bool {
        let passed = match outcome {
            Outcome::Fail(Failure::Unable(_)) => return false,
            Outcome::Fail(failure) => {
                self.last_error = Some(failure.to_string().into());
                false
            }
            Outcome::Pass { .. } => true,
        };
        self.last_probe = Some(now);
        let before = self.rise_fall.state();
        self.rise_fall.observe(passed, monitor);
        let changed = self.rise_fall.state() != before;
        if changed {
            self.since = now;
        }
        changed
    }

    /// What is believed, and why.
    pub fn condition(&self) -> Condition {
        let standing = match self.rise_fall.state() {
            State::Up => Standing::Up,
            State::Down => Standing::Down,
            State::Unknown { .. } => Standing::Unknown,
        };
        let cause = match (&self.last_probe, standing) {
            (None, _) => ConditionCause::NotProbed,
            (Some(_), Standing::Up) => ConditionCause::Passing,
            (Some(_), _) => match &self.last_error {
                Some(error) => ConditionCause::Failing(error.clone()),
                None => ConditionCause::Passing,
            },
        };
        Condition {
            standing,
            cause,
            since: self.since,
            until: None,
        }
    }

    /// When the last probe that says something ended.
    pub fn last_probe(&self) -> Option<Moment> {
        self.last_probe
    }

    /// How the last failed probe failed, also when the backend is up.
    pub fn last_error(&self) -> Option<&Arc<str>> {
        self.last_error.as_ref()
    }

    /// Accumulated failures while up or unknown.
    pub fn failures(&self) -> u32 {
        self.rise_fall.failures()
    }

    /// Passes in a row while down.
    pub fn passes(&self) -> u32 {
        self.rise_fall.passes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::monitor::tests::monitor;
    use std::time::Duration;

    const T0: Moment = Moment(1_000_000_000);

    fn pass() -> Outcome {
        Outcome::Pass {
            rtt: Duration::from_millis(1),
        }
    }

    fn fail() -> Outcome {
        Outcome::Fail(Failure::Connect("refused".into()))
    }

    #[test]
    fn p4_a_new_backend_is_what_the_configuration_says_until_it_was_probed() {
        for (initial, standing) in [
            (InitialState::Unknown, Standing::Unknown),
            (InitialState::Up, Standing::Up),
            (InitialState::Down, Standing::Down),
        ] {
            let c = Active::new(initial, T0).condition();
            assert_eq!(c.standing, standing);
            assert_eq!(c.cause, ConditionCause::NotProbed);
            assert_eq!(c.since, T0);
        }
    }

    #[test]
    fn p4_the_first_pass_brings_an_unknown_backend_up_and_a_down_one_needs_rise() {
        let m = monitor();
        let mut unknown = Active::new(InitialState::Unknown, T0);
        assert!(unknown.observe(&pass(), &m, T0 + m.interval));
        assert_eq!(unknown.condition().standing, Standing::Up);
        assert_eq!(unknown.condition().since, T0 + m.interval);
        let mut down = Active::new(InitialState::Down, T0);
        for n in 1..m.rise {
            assert!(!down.observe(&pass(), &m, T0), "{n}");
            assert_eq!(down.passes(), n);
        }
        assert!(down.observe(&pass(), &m, T0));
    }

    #[test]
    fn p4_what_could_not_be_probed_says_nothing() {
        let m = monitor();
        let mut a = Active::new(InitialState::Unknown, T0);
        for _ in 0..20 {
            assert!(!a.observe(&Outcome::Fail(Failure::Unable("no socket".into())), &m, T0));
        }
        assert_eq!(a.condition().cause, ConditionCause::NotProbed);
        assert_eq!(a.last_probe(), None);
    }

    #[test]
    fn p4_a_failure_shows_its_error_and_stays_shown_after_recovery() {
        let m = monitor();
        let mut a = Active::new(InitialState::Unknown, T0);
        for _ in 0..m.fall {
            a.observe(&fail(), &m, T0);
        }
        let c = a.condition();
        assert_eq!(c.standing, Standing::Down);
        assert_eq!(c.cause.to_string(), "probes fail: connect failed: refused");
        for _ in 0..m.rise {
            a.observe(&pass(), &m, T0);
        }
        assert_eq!(a.condition().cause, ConditionCause::Passing);
        assert_eq!(
            a.last_error().map(|e| &**e),
            Some("connect failed: refused")
        );
    }
}
