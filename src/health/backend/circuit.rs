//! The circuit breaker of an upstream: it gives a failing service time instead of more requests.
//!
//! Closed, it counts. When too large a share of the requests fails, it opens: requests are answered
//! with 503 at once. After a while it is half open: a few requests are let through, and their outcome
//! closes it or opens it again. Besides it bounds how many requests are under way at once.

use std::fmt;
use std::time::Duration;

use super::fault::FaultSet;
use super::window::Window;
use crate::time::Moment;

/// When a circuit opens.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct CircuitRules {
    /// It opens when so many percent of the requests within `window` failed, 1 to 100.
    pub failure_percent: u32,
    /// Never with fewer requests than these within the window, at least 1.
    pub min_requests: u32,
    /// How far back it looks.
    pub window: Duration,
    /// How long it stays open before it lets requests try again.
    pub open: Duration,
    /// How many are let through half open; that many successes close it. At least 1.
    pub trials: u32,
    /// What is a failure.
    pub counts: FaultSet,
}

impl Default for CircuitRules {
    /// Half of at least 20 requests within 10 s; open for 5 s; three trials.
    fn default() -> Self {
        CircuitRules {
            failure_percent: 50,
            min_requests: 20,
            window: Duration::from_secs(10),
            open: Duration::from_secs(5),
            trials: 3,
            counts: FaultSet::TRANSPORT.with(super::Fault::Server),
        }
    }
}

/// In which of its three states a circuit is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CircuitState {
    /// Everything passes.
    Closed,
    /// Nothing passes until then.
    Open {
        /// When it lets requests try again.
        until: Moment,
    },
    /// Some requests are let through.
    HalfOpen,
}

impl fmt::Display for CircuitState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CircuitState::Closed => "closed",
            CircuitState::Open { .. } => "open",
            CircuitState::HalfOpen => "half open",
        })
    }
}

/// Lets one request through; to be given back with its outcome.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub struct Admission {
    /// The state's number at that time: what was let through before a change says nothing after it.
    epoch: u64,
}

/// A circuit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Circuit {
    state: CircuitState,
    since: Moment,
    epoch: u64,
    window: Window,
    /// Half open: under way, and those that succeeded.
    trials: (u32, u32),
}

impl Circuit {
    /// A closed circuit.
    pub fn new(rules: &CircuitRules, now: Moment) -> Circuit {
        Circuit {
            state: CircuitState::Closed,
            since: now,
            epoch: 0,
            window: Window::new(rules.window),
            trials: (0, 0),
        }
    }

    /// Its state, and since when.
    pub fn state(&self) -> (CircuitState, Moment) {
        (self.state, self.since)
    }

    fn go(&mut self, state: CircuitState, rules: &CircuitRules, now: Moment) {
        self.state = state;
        self.since = now;
        self.epoch += 1;
        self.trials = (0, 0);
        self.window = Window::new(rules.window);
    }

    /// Lets a request through.
    ///
    /// # Errors
    /// Says after how long it is worth trying again.
    pub fn admit(&mut self, rules: &CircuitRules, now: Moment) -> Result<Admission, Duration> {
        match self.state {
            CircuitState::Closed => {}
            CircuitState::Open { until } if now < until => return Err(now.until(until)),
            CircuitState::Open { .. } => {
                self.go(CircuitState::HalfOpen, rules, now);
                self.trials.0 = 1;
            }
            CircuitState::HalfOpen => {
                if self.trials.0 + self.trials.1 >= rules.trials.max(1) {
                    return Err(rules.open);
                }
                self.trials.0 += 1;
            }
        }
        Ok(Admission { epoch: self.epoch })
    }

    /// How a request ended: `Some(true)` well, `Some(false)` with a failure that counts, `None` not at
    /// all, which says nothing. Says whether the state is another one now.
    pub fn ended(
        &mut self,
        admission: Admission,
        well: Option<bool>,
        rules: &CircuitRules,
        now: Moment,
    ) -> bool {
        if admission.epoch != self.epoch {
            return false;
        }
        match (self.state, well) {
            (CircuitState::Closed, None) | (CircuitState::Open { .. }, _) => return false,
            (CircuitState::Closed, Some(well)) => {
                self.window.add(!well, now);
                if well {
                    return false;
                }
                let (all, bad) = self.window.count(now);
                if all < u64::from(rules.min_requests)
                    || bad * 100 < all * u64::from(rules.failure_percent)
                {
                    return false;
                }
            }
            (CircuitState::HalfOpen, well) => {
                self.trials.0 = self.trials.0.saturating_sub(1);
                if well != Some(false) {
                    self.trials.1 += u32::from(well == Some(true));
                    if self.trials.1 < rules.trials.max(1) {
                        return false;
                    }
                    self.go(CircuitState::Closed, rules, now);
                    return true;
                }
            }
        }
        let until = now + rules.open;
        self.go(CircuitState::Open { until }, rules, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const T0: Moment = Moment(9_000_000_000);
    const MS: Duration = Duration::from_millis(1);

    fn rules() -> CircuitRules {
        CircuitRules::default()
    }

    fn run(c: &mut Circuit, outcomes: &str, now: Moment) -> String {
        let r = rules();
        let one = |o: char| match c.admit(&r, now) {
            Err(_) => 'x',
            Ok(admission) => {
                c.ended(admission, Some(o == '+'), &r, now);
                o
            }
        };
        outcomes.chars().map(one).collect()
    }

    #[test]
    fn it_opens_at_the_share_and_never_before_enough_requests() {
        let mut c = Circuit::new(&rules(), T0);
        // 19 failures in a row are too few to judge by.
        run(&mut c, "-------------------", T0);
        assert_eq!(c.state().0, CircuitState::Closed);
        run(&mut c, "-", T0 + MS);
        let until = T0 + MS + rules().open;
        assert_eq!(c.state(), (CircuitState::Open { until }, T0 + MS));
        assert_eq!(run(&mut c, "++", T0 + MS), "xx");
        assert_eq!(c.admit(&rules(), T0 + MS), Err(rules().open));
    }

    #[test]
    fn below_the_share_it_stays_closed() {
        let mut c = Circuit::new(&rules(), T0);
        for n in 0..1000 {
            run(&mut c, "++-+-+-", T0 + MS * n);
        }
        assert_eq!(c.state(), (CircuitState::Closed, T0));
    }

    #[test]
    fn half_open_it_lets_a_few_try_and_their_outcome_decides() {
        let r = rules();
        let mut c = Circuit::new(&r, T0);
        run(&mut c, &"-".repeat(20), T0);
        let now = T0 + r.open;
        let trials: Vec<_> = (0..r.trials).map(|_| c.admit(&r, now).unwrap()).collect();
        assert_eq!(c.state().0, CircuitState::HalfOpen);
        assert!(c.admit(&r, now).is_err(), "no more than the trials");
        // One of them is abandoned, and another takes its place.
        assert!(!c.ended(trials[0], None, &r, now));
        let again = c.admit(&r, now).unwrap();
        assert!(!c.ended(trials[1], Some(true), &r, now));
        assert!(!c.ended(trials[2], Some(true), &r, now));
        assert!(c.ended(again, Some(true), &r, now));
        assert_eq!(c.state(), (CircuitState::Closed, now));
        // What was under way before says nothing any more.
        assert!(!c.ended(again, Some(false), &r, now));

        run(&mut c, &"-".repeat(20), now);
        let later = now + r.open;
        assert_eq!(run(&mut c, "-+", later), "-x", "one failed trial opens it");
        let until = later + r.open;
        assert_eq!(c.state().0, CircuitState::Open { until });
    }

    proptest! {
        /// Open, nothing passes before its time; and it opens only for a share that says so.
        #[test]
        fn p4_an_open_circuit_passes_nothing_before_its_time(
            steps in proptest::collection::vec((0..500_u64, any::<bool>()), 1..300),
        ) {
            let r = CircuitRules { min_requests: 5, ..rules() };
            let mut c = Circuit::new(&r, T0);
            let mut now = T0;
            for (ms, well) in steps {
                now = now + MS * ms as u32;
                let before = c.state().0;
                match c.admit(&r, now) {
                    Ok(a) => {
                        if let CircuitState::Open { until } = before { prop_assert!(now >= until); }
                        let changed = c.ended(a, Some(well), &r, now);
                        if changed && matches!(c.state().0, CircuitState::Open { .. }) {
                            prop_assert!(!well);
                        }
                    }
                    Err(wait) => {
                        let still = matches!(before, CircuitState::Open { until } if now < until);
                        prop_assert!(still);
                        prop_assert!(wait <= r.open);
                    }
                }
            }
        }
    }
}
