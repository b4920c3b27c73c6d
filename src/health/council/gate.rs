//! The gate: what of the votes' findings is published, endpoint by endpoint.
//!
//! Down goes through at once, unless too much would go at a time (requirement F4, the brake) or the
//! check itself is suspect (H5). Up goes through by the pool's failback (F9). What an operator orders
//! does not come by here.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use hashbrown::{HashMap, HashSet};

use crate::ids::EndpointId;
use crate::time::{Moment, Wall};

use super::super::board::{Guard, State, Verdict};
use super::super::judge::Judge;
use super::brake::Removals;
use super::case::Case;
use super::failback::{Return, Returns, Stage};
use super::rules::Rules;

/// What is published of an endpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Shown {
    state: State,
    since: Moment,
}

/// The gate with all that waits at it. What is not held back costs 16 bytes.
#[derive(Debug, Default)]
pub(super) struct Gate {
    rules: Arc<Rules>,
    /// By endpoint.
    shown: Vec<Shown>,
    /// Endpoints that votes say are down, and that serve.
    held: HashMap<EndpointId, Guard>,
    /// Endpoints that pass again, and do not serve yet, or not all of their clients.
    returning: HashMap<EndpointId, Return>,
    returns: HashMap<EndpointId, Returns>,
    /// Endpoints that waited before a restart: they go on waiting with their first return.
    waited: HashMap<EndpointId, Waited>,
    removals: Removals,
    /// Circles whose check was suspect, and until when it is not believed; kept while nothing passes.
    suspects: HashMap<u32, Moment>,
    /// Endpoints to look at again at a moment.
    appointments: BTreeSet<(Moment, EndpointId)>,
}

/// A wait of before a restart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Waited {
    /// When it began, in milliseconds since 1970-01-01T00:00:00Z.
    since_ms: u64,
    /// What returns later than this begins to wait anew.
    until: Moment,
}

/// What the gate knows while it works.
pub(super) struct Work<'a> {
    pub(super) judge: &'a Judge,
    pub(super) cases: &'a [Case],
    pub(super) now: Moment,
}

impl Work<'_> {
    /// What votes say of an endpoint; `None` where it has no monitor.
    fn case(&self, e: EndpointId) -> Option<&Case> {
        let target = self.judge.target_of().get(e.index()).copied().flatten()?;
        self.cases.get(target)
    }

    fn serves(&self, e: EndpointId) -> bool {
        self.case(e).is_none_or(|c| c.state.serves())
    }
}

impl Gate {
    /// Goes over to other rules and endpoints: `from` gives each endpoint's number before, where it
    /// was there.
    pub(super) fn adopt(&mut self, rules: Arc<Rules>, from: &[Option<EndpointId>], w: &Work<'_>) {
        let mut to: HashMap<EndpointId, EndpointId> = HashMap::new();
        let busy = self.is_busy();
        let old = std::mem::take(&mut self.shown);
        for (e, from) in from.iter().enumerate() {
            let e = EndpointId::from_index(e);
            let shown = from.and_then(|f| old.get(f.index())).copied();
            self.shown.push(shown.unwrap_or_else(|| match w.case(e) {
                Some(case) => Shown {
                    state: case.state,
                    since: case.since,
                },
                None => Shown {
                    state: State::Up,
                    since: Moment::ZERO,
                },
            }));
            if let (true, Some(from)) = (busy, from) {
                to.insert(*from, e);
            }
        }
        fn moved<V>(
            all: &mut HashMap<EndpointId, V>,
            to: &HashMap<EndpointId, EndpointId>,
        ) -> HashMap<EndpointId, V> {
            let old = std::mem::take(all).into_iter();
            old.filter_map(|(e, v)| Some((*to.get(&e)?, v))).collect()
        }
        self.held = moved(&mut self.held, &to);
        self.returning = moved(&mut self.returning, &to);
        self.returns = moved(&mut self.returns, &to);
        self.waited = moved(&mut self.waited, &to);
        self.removals = self.removals.moved(&to, &rules.circles);
        self.suspects.clear();
        self.appointments.clear();
        let waiting = self.held.keys().chain(self.returning.keys());
        self.appointments.extend(waiting.map(|e| (w.now, *e)));
        self.rules = rules;
    }

    /// Whether something is remembered of endpoints beside what is published.
    pub(super) fn is_busy(&self) -> bool {
        !(self.held.is_empty()
            && self.returning.is_empty()
            && self.returns.is_empty()
            && self.waited.is_empty()
            && self.removals.is_empty())
    }

    /// Whether an endpoint is published as serving.
    pub(super) fn serves(&self, e: EndpointId) -> bool {
        self.shown.get(e.index()).is_some_and(|s| s.state.serves())
    }

    /// When the gate must be asked again though nothing is found.
    pub(super) fn due(&self) -> Option<Moment> {
        self.appointments.first().map(|(at, _)| *at)
    }

    /// Takes in what was found of the endpoints of `targets`; `changed` is told of each endpoint that
    /// is published otherwise now.
    pub(super) fn pass(
        &mut self,
        w: &Work<'_>,
        targets: &[u32],
        changed: &mut dyn FnMut(EndpointId),
    ) {
        let mut leaving: Vec<EndpointId> = Vec::new();
        let mut again: Vec<EndpointId> = Vec::new();
        while let Some((_, e)) = self.appointments.first().filter(|(at, _)| *at <= w.now) {
            again.push(*e);
            self.appointments.pop_first();
        }
        for target in targets {
            for e in w.judge.endpoints_of(*target as usize) {
                self.look(w, e, &mut leaving, changed);
            }
        }
        for e in again {
            self.look(w, e, &mut leaving, changed);
        }
        if leaving.is_empty() {
            return;
        }
        leaving.sort_unstable();
        leaving.dedup();
        self.let_go(w, leaving, changed);
    }

    /// Looks at one endpoint: who wants to leave goes to `leaving`.
    fn look(
        &mut self,
        w: &Work<'_>,
        e: EndpointId,
        leaving: &mut Vec<EndpointId>,
        changed: &mut dyn FnMut(EndpointId),
    ) {
        let Some(case) = w.case(e) else { return };
        let shown = self.shown[e.index()];
        match (case.state.serves(), shown.state.serves()) {
            (true, true) => {
                if !self.held.is_empty() && self.held.remove(&e).is_some() {
                    changed(e);
                }
                if !self.returning.is_empty() && self.returning.contains_key(&e) {
                    self.go_on(w, e, changed);
                } else {
                    self.show(e, case.state, case.since, changed);
                }
            }
            (false, true) => {
                // One that is let in by steps is no capacity to lose yet.
                let ramping = !self.returning.is_empty() && self.returning.remove(&e).is_some();
                if self.rules.guards() && !ramping {
                    leaving.push(e);
                } else {
                    changed(e);
                    self.show(e, case.state, case.since, changed);
                }
            }
            (false, false) => {
                if !self.returning.is_empty() && self.returning.remove(&e).is_some() {
                    changed(e);
                }
                self.show(e, case.state, case.since, changed);
            }
            // What was never known to be down has nothing to come back from.
            (true, false) if shown.state != State::Down => {
                self.show(e, case.state, case.since, changed);
            }
            (true, false) => {
                if !self.returning.contains_key(&e) {
                    let Some(target) = w.judge.target_of()[e.index()] else {
                        return;
                    };
                    let nth = self.returns.entry(e).or_default().note(w.now);
                    let monitor = w.judge.monitor(target);
                    let mut back = Return::new(w.now, nth, monitor);
                    let waited = self.waited.remove(&e).filter(|waited| {
                        // Where a probe failed since the restart, the wait starts over.
                        w.now < waited.until && w.judge.verdict(target).last_error.is_none()
                    });
                    back.began_ms = waited.map(|waited| waited.since_ms);
                    self.returning.insert(e, back);
                    self.tidy(w.now);
                }
                self.go_on(w, e, changed);
            }
        }
    }

    /// Takes an endpoint that returns as far as it may go.
    fn go_on(&mut self, w: &Work<'_>, e: EndpointId, changed: &mut dyn FnMut(EndpointId)) {
        let (Some(back), Some(case)) = (self.returning.get(&e), w.case(e)) else {
            return;
        };
        let stage = back.stage(self.rules.circles.failback(e), w.now);
        let next = match stage {
            Stage::Calming(until) | Stage::Holding(until) => Some(until),
            Stage::Ramping(_, until) => {
                self.show(e, case.state, w.now, changed);
                Some(until)
            }
            Stage::Manual => None,
            Stage::Back => {
                // Where it came back by the way, it serves since it passes.
                let since = if back.since == w.now {
                    case.since
                } else {
                    w.now
                };
                self.returning.remove(&e);
                self.show(e, case.state, since, changed);
                None
            }
        };
        if let Some(at) = next {
            self.appointments.insert((at, e));
        }
        changed(e);
    }

    /// Publishes a state.
    fn show(
        &mut self,
        e: EndpointId,
        state: State,
        since: Moment,
        changed: &mut dyn FnMut(EndpointId),
    ) {
        let shown = &mut self.shown[e.index()];
        if shown.state != state {
            *shown = Shown { state, since };
            changed(e);
        }
    }

    /// Lets those that votes say are down leave, as far as they may.
    fn let_go(
        &mut self,
        w: &Work<'_>,
        leaving: Vec<EndpointId>,
        changed: &mut dyn FnMut(EndpointId),
    ) {
        let window = self.rules.window();
        self.removals.forget(w.now, window, &self.rules.circles);
        let suspect = self.suspected(w, &leaving, changed);
        for e in leaving {
            let until = suspect.get(&e).copied();
            let guard = until.map(|until| (Guard::Suspect, until)).or_else(|| {
                let until = self.braked(w, e)?;
                Some((Guard::Brake, until))
            });
            match guard {
                Some((guard, until)) => {
                    if self.held.insert(e, guard) != Some(guard) {
                        changed(e);
                    }
                    self.appointments.insert((until, e));
                }
                None => {
                    self.held.remove(&e);
                    self.removals.note(e, w.now, &self.rules.circles);
                    let case = w.case(e).map(|c| (c.state, c.since));
                    if let Some((state, since)) = case {
                        self.show(e, state, since, changed);
                    }
                }
            }
        }
    }

    /// The endpoints whose check is suspect, and until when: it fails on all endpoints of a circle at
    /// once (requirement H5). Those that left within the window come back with the others.
    fn suspected(
        &mut self,
        w: &Work<'_>,
        leaving: &[EndpointId],
        changed: &mut dyn FnMut(EndpointId),
    ) -> HashMap<EndpointId, Moment> {
        let mut suspect = HashMap::new();
        if !self.rules.discount_suspects {
            return suspect;
        }
        let rules = self.rules.clone();
        let window = rules.window();
        let mut seen: HashSet<u32> = HashSet::new();
        for circle in leaving.iter().flat_map(|e| rules.circles.of(*e)) {
            if !seen.insert(*circle) {
                continue;
            }
            if !fails_as_one(w, rules.circles.endpoints(*circle), window) {
                // It passed somewhere, or they fell one by one.
                if rules.circles.endpoints(*circle).any(|e| w.serves(e)) {
                    self.suspects.remove(circle);
                }
                if !self.suspects.contains_key(circle) {
                    continue;
                }
            }
            let until = *self.suspects.entry(*circle).or_insert(w.now + window);
            if until <= w.now {
                // It has stood for a whole window: it is believed.
                continue;
            }
            for e in rules.circles.endpoints(*circle) {
                let at: &mut Moment = suspect.entry(e).or_insert(until);
                *at = until.max(*at);
                if self.removals.take_back(e, &rules.circles) {
                    self.show(e, State::Up, w.now, changed);
                    self.held.insert(e, Guard::Suspect);
                    self.appointments.insert((until, e));
                    changed(e);
                }
            }
        }
        suspect
    }

    /// Until when the brake holds an endpoint; `None`: it may leave.
    fn braked(&self, w: &Work<'_>, e: EndpointId) -> Option<Moment> {
        let brake = self.rules.brake?;
        let circles = &self.rules.circles;
        let weight = circles.weight(e);
        let mut until = None;
        for circle in circles.of(e) {
            // One that left within the window, came back and leaves again is gone once.
            let others = || {
                let gone = self.removals.of(*circle).iter();
                gone.filter(|(_, o)| *o != e)
            };
            let Some((first, _)) = others().next() else {
                // One may always go, or a name with one endpoint could not fail over.
                continue;
            };
            let sum = self.removals.weight_beside(*circle, e, circles) + weight;
            if sum * 100 <= circles.capacity(*circle) * u64::from(brake.max_removal) {
                continue;
            }
            // A region that fails is what a name has others for.
            let region = circles.region(e);
            let elsewhere = |o: EndpointId| {
                circles.region(o) != region && w.serves(o) && self.shown[o.index()].state.serves()
            };
            if others().all(|(_, o)| circles.region(*o) == region)
                && circles.endpoints(*circle).any(elsewhere)
            {
                continue;
            }
            let at = *first + brake.window;
            until = Some(until.map_or(at, |u: Moment| u.max(at)));
        }
        until
    }

    /// Forgets who has not flapped for long.
    fn tidy(&mut self, now: Moment) {
        if self.returns.len().is_power_of_two() {
            self.returns.retain(|_, r| !r.forget(now));
        }
    }

    /// Operators let in what waits; gives those that do no longer. `ordered` says when, in
    /// milliseconds since 1970-01-01T00:00:00Z; it ends waits that began before, and no later ones.
    pub(super) fn release(
        &mut self,
        ordered: impl Fn(EndpointId) -> Option<u64>,
        wall: Wall,
        now: Moment,
    ) -> Vec<EndpointId> {
        let mut out = Vec::new();
        for (e, back) in &mut self.returning {
            if !back.released && ordered(*e).is_some_and(|at| back.began(wall) < at) {
                back.released = true;
                back.calm = back.calm.min(now);
                self.appointments.insert((now, *e));
                out.push(*e);
            }
        }
        out
    }

    /// When an endpoint began to wait, in milliseconds since 1970-01-01T00:00:00Z; `None`: it does not.
    pub(super) fn waits_since(&self, e: EndpointId, wall: Wall) -> Option<u64> {
        self.returning.get(&e).map(|back| back.began(wall))
    }

    /// Takes in that an endpoint waited before a restart, since that time in milliseconds since
    /// 1970-01-01T00:00:00Z. What returns later than `until` begins to wait anew.
    pub(super) fn waited(&mut self, e: EndpointId, since_ms: u64, until: Moment) {
        self.waited.insert(e, Waited { since_ms, until });
    }

    /// Votes say that a check fails: who waited before a restart and returns later, waits anew.
    pub(super) fn fails(&mut self, endpoints: impl Iterator<Item = EndpointId>) {
        if !self.waited.is_empty() {
            for e in endpoints {
                self.waited.remove(&e);
            }
        }
    }

    /// Lays over a verdict what the gate holds back.
    pub(super) fn overlay(&self, e: EndpointId, verdict: &mut Verdict, now: Moment) {
        let shown = self.shown[e.index()];
        verdict.since = shown.since;
        if let Some(guard) = self.held.get(&e) {
            verdict.state = shown.state;
            verdict.held = Some(*guard);
            verdict.steady_for = Some(Duration::ZERO);
        }
        let Some(back) = self.returning.get(&e) else {
            return;
        };
        verdict.state = shown.state;
        verdict.steady_for = Some(Duration::ZERO);
        match back.stage(self.rules.circles.failback(e), now) {
            Stage::Calming(until) => verdict.held = Some(Guard::Flapping { until }),
            Stage::Holding(until) => verdict.held = Some(Guard::Hold { until }),
            Stage::Manual => {
                verdict.held = Some(Guard::Manual);
                // Only an operator can change it; that it passes no more does not matter to clients.
                verdict.steady_for = None;
            }
            Stage::Ramping(share, _) => verdict.share = share,
            Stage::Back => {}
        }
    }
}

/// Whether one monitor probes all of `endpoints`, which are two targets or more, and fails on all, and
/// the last of them fell within `window` of the first.
fn fails_as_one(
    w: &Work<'_>,
    endpoints: impl Iterator<Item = EndpointId>,
    window: Duration,
) -> bool {
    let mut first: Option<usize> = None;
    let mut several = false;
    for e in endpoints {
        let Some(target) = w.judge.target_of()[e.index()] else {
            return false;
        };
        let case = &w.cases[target];
        if case.state != State::Down || w.now.since(case.since) > window {
            return false;
        }
        match first {
            None => first = Some(target),
            Some(first) => {
                several |= first != target;
                if !Arc::ptr_eq(w.judge.monitor(first), w.judge.monitor(target)) {
                    return false;
                }
            }
        }
    }
    several
}
