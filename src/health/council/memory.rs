//! What outlives a restart: verdicts with their age (requirement H1, second half).

use std::time::Duration;

use crate::time::{Moment, Wall};

use super::super::board::State;
use super::super::judge::Judge;
use super::super::vote::CheckKey;
use super::Council;
use super::case::Case;

/// Older verdicts say nothing.
pub const FRESH: Duration = Duration::from_secs(600);

/// A verdict to be kept over a restart. Times are of the calendar: no other clock goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Remembered {
    /// The check.
    pub key: CheckKey,
    /// Up or down, as it was published: what waits for its failback is down.
    pub up: bool,
    /// Since when, in seconds since 1970.
    pub since_unix: u64,
    /// Failures counted while up, at most 255.
    pub failures: u8,
    /// When this was written down, in seconds since 1970.
    pub seen_unix: u64,
    /// What is down passes again and waits for its failback since then, in milliseconds since
    /// 1970-01-01T00:00:00Z: an order of after that ends the wait, also when it comes after the restart.
    pub waits_since_ms: Option<u64>,
}

impl Council {
    /// All verdicts worth remembering at `now`: those that rest on probes.
    pub fn remember(&self, judge: &mut Judge, now: Moment, wall: Wall) -> Vec<Remembered> {
        let unix = wall.unix(now);
        let keys = judge.keys().to_vec();
        let cases = self.cases.iter().zip(keys).enumerate();
        cases
            .filter_map(|(target, (case, key))| {
                let up = match case.state {
                    State::Up => judge.endpoints_of(target).all(|e| self.gate.serves(e)),
                    State::Down => false,
                    State::Unknown { .. } => return None,
                };
                Some(Remembered {
                    key,
                    up,
                    since_unix: unix.saturating_sub(now.since(case.since).as_secs()),
                    failures: u8::try_from(judge.verdict(target).failures).unwrap_or(u8::MAX),
                    seen_unix: unix,
                    // Of several that share the check the last that began to wait counts: an order
                    // must not end what began after it.
                    waits_since_ms: (!up)
                        .then(|| judge.endpoints_of(target))
                        .and_then(|all| all.filter_map(|e| self.gate.waits_since(e, wall)).max()),
                })
            })
            .collect()
    }

    /// Takes in what was remembered before a restart, of checks that nothing is known of yet. What is
    /// older than [`FRESH`], or of the future, counts nothing. Says of how many checks it knows now.
    pub fn warm(
        &mut self,
        remembered: &[Remembered],
        judge: &mut Judge,
        now: Moment,
        unix: u64,
    ) -> usize {
        let targets: hashbrown::HashMap<CheckKey, usize> =
            judge.keys().iter().copied().zip(0..).collect();
        let mut count = 0;
        for r in remembered {
            let age = unix.checked_sub(r.seen_unix);
            let fresh = age.is_some_and(|age| age <= FRESH.as_secs());
            let Some(target) = targets.get(&r.key).copied().filter(|_| fresh) else {
                continue;
            };
            if !matches!(self.cases[target].state, State::Unknown { .. }) {
                continue;
            }
            let state = if r.up { State::Up } else { State::Down };
            let since = now - Duration::from_secs(unix.saturating_sub(r.since_unix));
            if self.rules.probes_here() {
                judge.remember(target, state, r.failures.into(), since);
            }
            self.cases[target] = Case::remembered(state, since);
            if let Some(since_ms) = r.waits_since_ms {
                for e in judge.endpoints_of(target) {
                    self.gate.waited(e, since_ms, now + FRESH);
                }
            }
            count += 1;
        }
        self.all_dirty = true;
        self.settle(judge, now);
        count
    }
}
