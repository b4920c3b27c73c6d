//! One target's case: what the votes have led to so far.

use std::sync::Arc;
use std::time::Duration;

use crate::ids::VantageId;
use crate::time::Moment;

use super::super::board::{Cause, State, Verdict};
use super::super::judge::Judge;
use super::super::vote::{Opinion, Vote};
use super::Council;
use super::quorum::{Count, Finding};
use super::rules::FRESH;
use super::seat::Worth;

/// What is believed of one target.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) state: State,
    pub(super) since: Moment,
    /// Nobody has a vote: `state` is what was believed last.
    stale: bool,
    /// Since when the only voice left says "down".
    lone_since: Option<Moment>,
    /// The last count.
    count: Count,
}

impl Case {
    /// Nothing is known yet.
    pub(super) fn new(now: Moment) -> Case {
        let unknown = State::Unknown {
            counts_as_up: false,
        };
        Case::of(unknown, now)
    }

    /// It served by another check's word.
    pub(super) fn after_another_check(now: Moment) -> Case {
        Case::of(State::Unknown { counts_as_up: true }, now)
    }

    /// This is believed.
    pub(super) fn of(state: State, since: Moment) -> Case {
        Case {
            state,
            since,
            stale: false,
            lone_since: None,
            count: Count::default(),
        }
    }

    /// Takes a finding into account. A lone voice's "down" counts once it has stood for `twice`: the
    /// time of `fall` probes, so that it has failed twice as often as one of several must.
    pub(super) fn take(&mut self, finding: Finding, count: Count, twice: Duration, now: Moment) {
        let unknown = matches!(self.state, State::Unknown { .. });
        self.stale = finding == Finding::Silent && !unknown;
        self.count = count;
        if finding != Finding::LoneDown {
            self.lone_since = None;
        }
        let state = match finding {
            Finding::Up => State::Up,
            Finding::Down => State::Down,
            Finding::LoneDown => {
                let since = *self.lone_since.get_or_insert(now);
                // What does not serve anyway is not taken out by this.
                if now.since(since) >= twice || !self.state.serves() {
                    State::Down
                } else {
                    self.state
                }
            }
            // Of what nothing was known the first word counts (requirement H1), as it does where one
            // node probes alone.
            Finding::Undecided if unknown && count.up > 0 => State::Up,
            Finding::Undecided | Finding::Silent => self.state,
        };
        if state != self.state {
            self.state = state;
            self.since = now;
        }
    }

    /// When the case must be decided again though nobody says anything.
    pub(super) fn asks_again(&self, twice: Duration) -> Option<Moment> {
        let serves = self.state.serves();
        self.lone_since
            .filter(|_| serves)
            .map(|since| since + twice)
    }

    /// This was believed before a restart; stale until somebody votes.
    pub(super) fn remembered(state: State, since: Moment) -> Case {
        Case {
            stale: true,
            ..Case::of(state, since)
        }
    }

    /// The wait for a first word is over.
    pub(super) fn give_up_waiting(&mut self, now: Moment) {
        if let State::Unknown { counts_as_up } = &mut self.state
            && !*counts_as_up
        {
            *counts_as_up = true;
            self.since = now;
        }
    }

    /// The verdict on its endpoints.
    pub(super) fn verdict(&self, council: &Council, judge: &Judge, target: usize) -> Verdict {
        // Counts, times and words of the last probe are this node's own.
        let own = judge.verdict(target);
        let votes: Vec<(Option<Vote>, Worth)> = (0..council.seats.len())
            .map(|v| council.vote(judge, VantageId::from_index(v), target))
            .collect();
        let weakness = votes.iter().find_map(|(vote, worth)| match vote {
            Some(Vote {
                opinion: Opinion::Down(weakness),
                ..
            }) if *worth == Worth::Valid => Some(weakness.text()),
            _ => None,
        });
        let cause = match (self.state, weakness) {
            (State::Unknown { .. }, None) if self.count.voters == 0 => own.cause,
            (State::Up, None) => Cause::Passing,
            (_, Some(weakness)) => Cause::Failing(self.words(weakness)),
            (_, None) => match (own.cause, &own.last_error) {
                (cause @ Cause::Failing(_), _) => cause,
                (_, Some(error)) => Cause::Failing(error.clone()),
                _ => Cause::NotProbed,
            },
        };
        let last_error = own.last_error.or_else(|| weakness.map(Arc::from));
        Verdict {
            state: self.state,
            cause,
            since: self.since,
            steady_for: Some(self.steady_for(council, judge, target, &votes)),
            failures: own.failures,
            passes: own.passes,
            last_probe: own.last_probe,
            last_error,
            stale: self.stale,
            votes: Some(votes.iter().map(|(vote, _)| *vote).collect()),
            ..Verdict::unmonitored()
        }
    }

    /// `2 of 3 sites say down: connect failed`.
    fn words(&self, weakness: &str) -> Arc<str> {
        let (down, voting) = (self.count.down, self.count.voting());
        let lone = if self.lone_since.is_some() {
            ", the only voice left"
        } else {
            ""
        };
        format!("{down} of {voting} sites say down{lone}: {weakness}").into()
    }

    /// For how long from any moment on no vote can change the state (requirement T1): while all that
    /// have a vote agree on "up", as long as none of them can change its own. Others may have seen
    /// more than they have told; a word counts for at most [`FRESH`].
    fn steady_for(
        &self,
        council: &Council,
        judge: &Judge,
        target: usize,
        votes: &[(Option<Vote>, Worth)],
    ) -> Duration {
        if self.state != State::Up || self.stale || self.lone_since.is_some() {
            return Duration::ZERO;
        }
        let monitor = judge.monitor(target);
        let mut steady: Option<Duration> = None;
        for (v, (vote, worth)) in votes.iter().enumerate() {
            let (Some(vote), Worth::Valid | Worth::OnlyUp) = (vote, worth) else {
                continue;
            };
            let own = council.rules.own == Some(VantageId::from_index(v));
            let holds = match vote.opinion {
                Opinion::Up if own => judge.verdict(target).steady_for.unwrap_or_default(),
                Opinion::Up if *worth == Worth::Valid => {
                    let gaps = monitor
                        .fall
                        .saturating_sub(u32::from(vote.failures))
                        .saturating_sub(1);
                    monitor
                        .interval
                        .saturating_mul(gaps)
                        .saturating_sub(monitor.largest_jitter())
                        .saturating_sub(monitor.timeout)
                        .saturating_sub(FRESH)
                }
                Opinion::None => continue,
                Opinion::Up | Opinion::Down(_) => Duration::ZERO,
            };
            steady = Some(steady.map_or(holds, |s| s.min(holds)));
        }
        steady.unwrap_or_default()
    }
}
