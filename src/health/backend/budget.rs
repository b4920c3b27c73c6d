//! The retry budget: retries never become a second storm.
//!
//! Within the last while there may be at most a share of the requests as retries, and a few per second
//! whatever the share is, so that quiet upstreams can retry too. Requests are counted by their own
//! counters anyway; the budget looks at them only when somebody wants to retry, so it costs a request
//! that needs none nothing.

use std::time::Duration;

use crate::time::Moment;

/// The while that is looked at.
const WINDOW: Duration = Duration::from_secs(10);

/// How much may be retried.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct BudgetRules {
    /// Retries in percent of the requests, 0 to 100.
    pub percent: u32,
    /// Retries per second that are allowed in any case.
    pub per_second: u32,
}

impl Default for BudgetRules {
    /// 20 percent, and 10 per second.
    fn default() -> Self {
        BudgetRules {
            percent: 20,
            per_second: 10,
        }
    }
}

/// How much of the budget is used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RetryBudget {
    /// The window being counted in began then, with so many requests on the counter.
    since: Moment,
    base: u64,
    retries: u64,
    /// Requests and retries of the window before.
    before: (u64, u64),
    refused: u64,
}

impl RetryBudget {
    /// An unused budget; `requests` is the counter's present value.
    pub fn new(requests: u64, now: Moment) -> RetryBudget {
        RetryBudget {
            since: now,
            base: requests,
            retries: 0,
            before: (0, 0),
            refused: 0,
        }
    }

    /// Takes one retry out of the budget, if there is one. `requests` counts the first tries of all
    /// requests ever.
    pub fn take(&mut self, rules: BudgetRules, requests: u64, now: Moment) -> bool {
        self.roll(requests, now);
        let passed = now.since(self.since).as_millis();
        // The window before counts with the part of it that is still within the last 10 s.
        let left = WINDOW.as_millis().saturating_sub(passed);
        let of_before = |n: u64| u128::from(n) * left / WINDOW.as_millis();
        let seen = u128::from(requests.saturating_sub(self.base)) + of_before(self.before.0);
        let spent = u128::from(self.retries) + of_before(self.before.1);
        let floor = u128::from(rules.per_second) * u128::from(WINDOW.as_secs());
        let allowed = seen * u128::from(rules.percent) / 100 + floor;
        if spent < allowed {
            self.retries += 1;
            return true;
        }
        self.refused += 1;
        false
    }

    fn roll(&mut self, requests: u64, now: Moment) {
        let passed = now.since(self.since);
        if passed < WINDOW {
            return;
        }
        let windows = passed.as_millis() / WINDOW.as_millis();
        // Nobody looked for a while: the requests are spread evenly over it.
        let seen = u128::from(requests.saturating_sub(self.base)) / windows.max(1);
        let seen = u64::try_from(seen).unwrap_or(u64::MAX);
        self.before = (seen, if windows == 1 { self.retries } else { 0 });
        self.retries = 0;
        self.base = requests;
        let whole = u32::try_from(windows).unwrap_or(u32::MAX);
        self.since = self.since + WINDOW.saturating_mul(whole);
    }

    /// Retries that were refused so far.
    pub fn refused(&self) -> u64 {
        self.refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const T0: Moment = Moment(77_000_000_000);

    #[test]
    fn p1_the_floor_is_there_without_a_single_request_before() {
        let rules = BudgetRules {
            percent: 20,
            per_second: 1,
        };
        let mut b = RetryBudget::new(500, T0);
        let had = (0..50).filter(|_| b.take(rules, 500, T0)).count();
        assert_eq!(had, 10, "one per second for 10 s");
        assert_eq!(b.refused(), 40);
        let later = T0 + Duration::from_secs(25);
        assert!(b.take(rules, 500, later));
    }

    #[test]
    fn p1_a_share_of_the_requests_may_be_retried() {
        let rules = BudgetRules {
            percent: 20,
            per_second: 0,
        };
        let mut b = RetryBudget::new(0, T0);
        let mut had = 0;
        // Everything fails: each request wants a retry, a thousand per second for a minute.
        for n in 1..=60_000_u64 {
            let now = T0 + Duration::from_millis(n);
            had += u64::from(b.take(rules, n, now));
        }
        assert!((11_000..=12_100).contains(&had), "{had} of 60,000");
    }

    proptest! {
        /// In whatever rhythm requests and retries come: never more than the share of what was asked
        /// in the last two windows, and the floor of them.
        #[test]
        fn p1_retries_stay_within_the_budget(
            steps in proptest::collection::vec((0..3_000_u64, 0..50_u64, 0..50_u64), 1..100),
            percent in 0..=100_u32, per_second in 0..5_u32,
        ) {
            let rules = BudgetRules { percent, per_second };
            let mut b = RetryBudget::new(0, T0);
            let (mut now, mut requests) = (T0, 0);
            let mut log: Vec<(Moment, u64, u64)> = Vec::new();
            for (ms, new, wanted) in steps {
                now = now + Duration::from_millis(ms);
                requests += new;
                let had = (0..wanted).filter(|_| b.take(rules, requests, now)).count() as u64;
                log.push((now, new, had));
                let within = |d: Duration, f: fn(&(Moment, u64, u64)) -> u64| -> u64 {
                    log.iter().filter(|e| now.since(e.0) < d).map(f).sum()
                };
                let spent = within(WINDOW, |e| e.2);
                let asked: u64 = log.iter().map(|e| e.1).sum();
                prop_assert!(spent * 100 <= 2 * (asked * u64::from(percent) + u64::from(per_second) * 1000) + 200);
            }
        }
    }
}
