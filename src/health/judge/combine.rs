//! What follows for composites: their parts' beliefs, combined into observations of their own.

use std::time::Duration;

use crate::health::board::{State, Verdict};
use crate::health::composite::Composed;
use crate::health::observation::{Failure, Observation, Outcome};
use crate::ids::TargetId;
use crate::time::Moment;

use super::Judge;

impl Judge {
    /// What this node alone believes of a target, as a verdict. One that follows from others is as
    /// steady as the least steady of them.
    pub(in crate::health) fn verdict(&self, target: usize) -> Verdict {
        let judged = &self.judged[target];
        let verdict = judged.belief.verdict(&judged.monitor);
        match self.composites.of(target) {
            None => verdict,
            Some(composed) => Verdict {
                steady_for: composed
                    .parts
                    .iter()
                    .filter_map(|part| self.verdict(*part).steady_for)
                    .min(),
                ..verdict
            },
        }
    }

    /// Takes in what follows from a target for those above it.
    pub(super) fn combine_above(&mut self, target: TargetId, at: Moment) -> bool {
        let mut changed = false;
        for n in 0..self.composites.count_above(target.index()) {
            changed |= self.combine(self.composites.above(target.index(), n), at);
        }
        changed
    }

    /// Takes in what follows for all composites.
    pub(super) fn combine_all(&mut self, at: Moment) {
        for composite in self.composites.all() {
            self.combine(composite, at);
        }
    }

    /// Takes in what follows for one composite. Says whether readers see a change.
    fn combine(&mut self, composite: usize, at: Moment) -> bool {
        let composed = self.composites.get(composite).clone();
        let states = || composed.parts.iter().map(|p| self.state(*p).0);
        let decided = composed.need.combine(states());
        // As long as an unknown part may decide, it counts as what it serves as.
        let serves = composed.need.combine(states().map(|s| match s.serves() {
            true => State::Up,
            false => State::Down,
        }));
        let all_probed =
            (composed.parts.iter()).all(|p| self.judged[*p].belief.last_probe.is_some());
        let changed = match decided {
            Some(up) => {
                let outcome = if up {
                    // Nothing was measured; see `show_distance`.
                    Outcome::Pass {
                        rtt: Duration::ZERO,
                    }
                } else {
                    Outcome::Fail(self.failure(&composed))
                };
                self.take_in(&Observation {
                    target: TargetId::from_index(composed.whole),
                    at,
                    outcome,
                })
            }
            None => {
                let failure = all_probed.then(|| self.failure(&composed));
                let belief = &mut self.judged[composed.whole].belief;
                let before = belief.seen();
                let state = belief.rise_fall.state();
                if !matches!(state, State::Unknown { .. }) {
                    // What is known of a part that decided it is too old.
                    belief.rise_fall.expire();
                }
                if serves == Some(true) {
                    belief.rise_fall.count_as_up();
                }
                if belief.rise_fall.state() != state {
                    belief.since = at;
                }
                if let Some(failure) = failure {
                    belief.last_probe = Some(at);
                    belief.last_passed = false;
                    belief.tell(&failure);
                }
                belief.seen() != before
            }
        };
        self.show_distance(&composed) | self.show(composed.whole, changed)
    }

    /// Puts the target among the news when something of it changed.
    fn show(&mut self, target: usize, changed: bool) -> bool {
        let judged = &mut self.judged[target];
        if changed && !std::mem::replace(&mut judged.is_news, true) {
            self.news.push(target as u32);
        }
        changed
    }

    /// The distance of a composite is that of its first part that has one.
    fn show_distance(&mut self, composed: &Composed) -> bool {
        let distances = composed.parts.iter().map(|p| self.judged[*p].belief.rtt);
        let Some(rtt) = distances.into_iter().find(|rtt| rtt.get().is_some()) else {
            return false;
        };
        let belief = &mut self.judged[composed.whole].belief;
        belief.rtt = rtt;
        let news = belief.rtt_is_news();
        self.show(composed.whole, news)
    }

    /// What speaks against a composite, in words.
    fn failure(&self, composed: &Composed) -> Failure {
        let up = |p: &&usize| self.state(**p).0 == State::Up;
        let passing = composed.parts.iter().filter(up).count();
        let all = composed.parts.len();
        let need = composed.need.count(all);
        let mut text = format!("{passing} of {all} parts up, {need} needed");
        let failing = composed.parts.iter().find(|p| !up(p));
        if let Some(judged) = failing.map(|p| &self.judged[*p]) {
            let why = judged.belief.last_error.as_deref().unwrap_or("not probed");
            text += &format!("; `{}`: {why}", judged.monitor.name);
        }
        Failure::Unexpected(text)
    }
}
