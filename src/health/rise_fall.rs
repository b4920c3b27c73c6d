//! Rise and fall: when results change what is believed of one target.
//!
//! Failures add up over time and only `rise` passes in a row clear them, so a target that fails three
//! probes of ten goes down although it never fails three in a row (requirement H2). A target that is
//! down needs `rise` passes in a row, and one failure starts the count again: recovery is slower than
//! failure.

use std::time::Duration;

use super::board::State;
use super::monitor::Monitor;

/// What is believed of one target, and how far it is from changing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RiseFall {
    state: State,
    /// Accumulated while up or unknown; zero while down.
    failures: u32,
    /// In a row. While up they count towards clearing `failures`, while down towards coming back.
    passes: u32,
}

impl Default for RiseFall {
    fn default() -> Self {
        RiseFall::new()
    }
}

impl RiseFall {
    /// A target of which nothing is known and which does not serve yet.
    pub fn new() -> RiseFall {
        RiseFall {
            state: State::Unknown {
                counts_as_up: false,
            },
            failures: 0,
            passes: 0,
        }
    }

    /// What was believed before a restart: `state` is up or down, with so many failures while up.
    pub fn remembered(state: State, failures: u32) -> RiseFall {
        RiseFall {
            state,
            failures: if state == State::Up { failures } else { 0 },
            passes: 0,
        }
    }

    /// What is believed.
    pub fn state(&self) -> State {
        self.state
    }

    /// Accumulated failures while up or unknown, less than `fall`.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Passes in a row that count towards coming back up; zero unless down.
    pub fn passes(&self) -> u32 {
        if self.state == State::Down {
            self.passes
        } else {
            0
        }
    }

    /// Lets an unknown target serve: the bounded wait of requirement H1 is over.
    pub fn count_as_up(&mut self) {
        if let State::Unknown { counts_as_up } = &mut self.state {
            *counts_as_up = true;
        }
    }

    /// What was believed is too old: unknown from now on, and serving on if it served.
    pub fn expire(&mut self) {
        *self = RiseFall {
            state: State::Unknown {
                counts_as_up: self.state.serves(),
            },
            failures: 0,
            passes: 0,
        };
    }

    /// Takes the result of one probe into account.
    ///
    /// Unknown: the first pass brings it up at once; `fall` failures bring it down.
    pub fn observe(&mut self, passed: bool, monitor: &Monitor) {
        match (self.state, passed) {
            (State::Unknown { .. }, true) => {
                *self = RiseFall {
                    state: State::Up,
                    failures: 0,
                    passes: 0,
                }
            }
            (State::Up, true) => {
                if self.failures > 0 {
                    self.passes += 1;
                    if self.passes >= monitor.rise {
                        self.failures = 0;
                        self.passes = 0;
                    }
                }
            }
            (State::Up | State::Unknown { .. }, false) => {
                self.failures += 1;
                self.passes = 0;
                if self.failures >= monitor.fall {
                    *self = RiseFall {
                        state: State::Down,
                        failures: 0,
                        passes: 0,
                    };
                }
            }
            (State::Down, true) => {
                self.passes += 1;
                if self.passes >= monitor.rise {
                    *self = RiseFall {
                        state: State::Up,
                        failures: 0,
                        passes: 0,
                    };
                }
            }
            (State::Down, false) => self.passes = 0,
        }
    }

    /// For how long from any moment on no result can change the state (requirement T1).
    ///
    /// If `n` more results are needed, the first may come at once; the last then starts `n - 1`
    /// intervals after it, less the largest jitter. A first result that took the whole timeout and a
    /// last one that came at once shorten the gap by a timeout. Zero while unknown.
    pub fn steady_for(&self, monitor: &Monitor) -> Duration {
        let needed = match self.state {
            State::Up => monitor.fall.saturating_sub(self.failures),
            State::Down => monitor.rise.saturating_sub(self.passes),
            State::Unknown { .. } => return Duration::ZERO,
        };
        match needed.saturating_sub(1) {
            0 => Duration::ZERO,
            gaps => monitor
                .interval
                .saturating_mul(gaps)
                .saturating_sub(monitor.largest_jitter())
                .saturating_sub(monitor.timeout),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::monitor::tests::monitor;
    use super::*;
    use proptest::prelude::*;

    fn run(results: &str, monitor: &Monitor) -> RiseFall {
        let mut t = RiseFall::new();
        for c in results.chars() {
            t.observe(c == '+', monitor);
        }
        t
    }

    /// Fails each probe with 30 %, from a seed.
    fn thirty_percent(seed: u64) -> impl FnMut() -> bool {
        let mut x = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        move || {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            (x >> 11) % 10 >= 3
        }
    }

    #[test]
    fn transitions_follow_the_table() {
        let unknown = State::Unknown {
            counts_as_up: false,
        };
        let table = [
            ("", unknown, 0, 0),
            ("+", State::Up, 0, 0),
            ("-", unknown, 1, 0),
            ("--", unknown, 2, 0),
            ("--+", State::Up, 0, 0),
            ("---", State::Down, 0, 0),
            ("+--", State::Up, 2, 0),
            ("+---", State::Down, 0, 0),
            // Four passes clear nothing, five do.
            ("+--++++", State::Up, 2, 0),
            ("+--++++-", State::Down, 0, 0),
            ("+--+++++", State::Up, 0, 0),
            ("+--+++++-", State::Up, 1, 0),
            // A failure starts the count of passes again.
            ("---++++", State::Down, 0, 4),
            ("---++++-", State::Down, 0, 0),
            ("---++++-++++", State::Down, 0, 4),
            ("---+++++", State::Up, 0, 0),
        ];
        let m = monitor();
        for (results, state, failures, passes) in table {
            let t = run(results, &m);
            assert_eq!(
                (t.state(), t.failures(), t.passes()),
                (state, failures, passes),
                "{results:?}"
            );
        }
    }

    #[test]
    fn h1_unknown_counts_as_up_after_the_wait_until_a_result_says_otherwise() {
        let m = monitor();
        let mut t = RiseFall::new();
        assert!(!t.state().serves());
        t.count_as_up();
        assert!(t.state().serves());
        t.observe(false, &m);
        t.observe(false, &m);
        assert!(t.state().serves());
        t.observe(false, &m);
        assert_eq!(t.state(), State::Down);
        t.count_as_up();
        assert_eq!(
            t.state(),
            State::Down,
            "the wait is over only for what is unknown"
        );
    }

    #[test]
    fn h2_a_target_failing_30_percent_goes_down_and_stays_down_most_of_the_time() {
        let m = monitor(); // fall 3, rise 5
        let (mut down, mut total) = (0_u32, 0_u32);
        for seed in 1..=500 {
            let mut passes = thirty_percent(seed);
            let mut t = run("+", &m);
            let went_down = (0..200).position(|_| {
                t.observe(passes(), &m);
                t.state() == State::Down
            });
            assert!(
                went_down.is_some(),
                "seed {seed}: still up after 200 probes"
            );
            for _ in 0..200 {
                t.observe(passes(), &m);
                total += 1;
                down += u32::from(t.state() == State::Down);
            }
        }
        assert!(down * 2 > total, "down for only {down} of {total} probes");
    }

    #[test]
    fn h2_one_failure_in_a_hundred_keeps_a_target_up() {
        let m = monitor();
        let mut t = run("+", &m);
        for n in 0..10_000 {
            t.observe(n % 100 != 0, &m);
            assert_eq!(t.state(), State::Up, "probe {n}");
        }
    }

    #[test]
    fn t1_steady_for_shrinks_with_every_result_that_counts() {
        let m = monitor(); // interval 10 s, timeout 2 s, jitter 10 %: 3 s of slack
        let table = [
            ("", 0),
            ("-", 0),
            ("+", 17),
            ("+-", 7),
            ("+--", 0),
            ("---", 37),
            ("---+", 27),
            ("---+++", 7),
            ("---++++", 0),
        ];
        for (results, secs) in table {
            assert_eq!(
                run(results, &m).steady_for(&m),
                Duration::from_secs(secs),
                "{results:?}"
            );
        }
    }

    proptest! {
        /// Whatever the history and the coming results, starts and durations: the state holds for
        /// as long as was promised.
        #[test]
        fn t1_no_results_in_any_order_change_the_state_earlier_than_promised(
            history in proptest::collection::vec(any::<bool>(), 0..40),
            coming in proptest::collection::vec((any::<bool>(), 0..=1_000_u64, 0..=2_000_u64), 1..40),
            asked in 0..=2_000_u64,
            rise in 1..8_u32,
            fall in 1..8_u32,
        ) {
            let m = Monitor { rise, fall, ..monitor() };
            let mut t = RiseFall::new();
            for h in history { t.observe(h, &m); }
            let (before, steady) = (t.state(), t.steady_for(&m));
            // Asked `asked` ms after the first coming probe started; all of them end later.
            for (n, (passed, jitter, took)) in coming.into_iter().enumerate() {
                let end = n as u64 * 10_000 + jitter + took;
                t.observe(passed, &m);
                if t.state() != before {
                    let held = Duration::from_millis(end.saturating_sub(asked.min(jitter + took)));
                    if n == 0 { prop_assert_eq!(steady, Duration::ZERO); }
                    else { prop_assert!(held >= steady, "promised {:?}, held {:?}", steady, held); }
                    break;
                }
            }
        }

        #[test]
        fn h2_recovery_takes_at_least_rise_passes(results in proptest::collection::vec(any::<bool>(), 0..60)) {
            let m = monitor();
            let mut t = run("+---", &m);
            let mut in_a_row = 0;
            for r in results {
                let was_down = t.state() == State::Down;
                in_a_row = if r { in_a_row + 1 } else { 0 };
                t.observe(r, &m);
                if was_down && t.state() == State::Up { prop_assert!(in_a_row >= m.rise); }
            }
        }
    }
}
