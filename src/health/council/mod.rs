//! The council: the votes of all vantages → verdicts → board.
//!
//! Pure like the judge: time comes as an argument and is this node's monotonic clock, so that nobody's
//! calendar can move a verdict. Where this node alone probes, its own word is the verdict.

pub mod blind;
mod brake;
mod case;
pub mod circles;
mod failback;
mod gate;
pub mod memory;
pub mod quorum;
mod relative;
pub mod rules;
mod seat;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hashbrown::{HashMap, HashSet};

use crate::chunked::Chunked;
use crate::ids::{EndpointId, TargetId, VantageId};
use crate::time::{Moment, Wall};

use super::board::{Board, Guard, State, VantageNow, Verdict};
use super::judge::Judge;
use super::monitor::Monitor;
use super::observation::{Observation, Outcome};
use super::target::ProbeTarget;
use super::testimony::{Says, Testimony};
use super::vote::{CheckKey, Vote};

pub use blind::Blind;
use blind::Sight;
use case::Case;
pub use circles::{Circles, PoolRule};
use gate::{Gate, Work};
pub use memory::Remembered;
use quorum::Counter;
pub use quorum::{Count, Finding, tally};
pub use rules::{Brake, Failback, Quorum, Rules, Site, Vantage};
use seat::Seat;
pub use seat::{Worth, counts};

/// Makes the board out of what all vantages say. Owns what is believed of every target.
#[derive(Debug)]
pub struct Council {
    rules: Arc<Rules>,
    /// By target.
    cases: Vec<Case>,
    /// By the key of the check; empty where this node's own word is the verdict.
    by_key: HashMap<CheckKey, u32>,
    /// By [`VantageId`]; this node's own is not used.
    seats: Vec<Seat>,
    /// What this node knows of its own sight.
    sight: Sight,
    /// Why this node's own vantage has no vote now.
    blind: Option<Blind>,
    /// What is published of what is found.
    gate: Gate,
    /// When all was settled last.
    settled: Moment,
    /// Targets to decide again.
    dirty: Vec<u32>,
    /// All are.
    all_dirty: bool,
    /// Targets to decide again at a moment.
    appointments: BTreeSet<(Moment, u32)>,
    /// Endpoints judged otherwise than the last board shows; `None`: all.
    news: Option<Vec<EndpointId>>,
    /// Endpoints that no proxy serves yet.
    not_served: HashSet<EndpointId>,
    /// Testimony of nobody known, so far.
    strangers: u64,
    counter: Counter,
}

impl Council {
    /// A council that knows nothing yet of what `judge` judges.
    pub fn new(rules: Arc<Rules>, judge: &mut Judge, now: Moment) -> Council {
        let mut council = Council {
            rules: Arc::default(),
            cases: Vec::new(),
            by_key: HashMap::new(),
            seats: Vec::new(),
            sight: Sight::default(),
            blind: None,
            gate: Gate::default(),
            settled: now,
            dirty: Vec::new(),
            all_dirty: true,
            appointments: BTreeSet::new(),
            news: None,
            not_served: HashSet::new(),
            strangers: 0,
            counter: Counter::default(),
        };
        council.take_seats(rules);
        council.cases = (0..judge.targets()).map(|_| Case::new(now)).collect();
        council.know_keys(judge);
        council.open_gate(judge, &[], now);
        council.settle(judge, now);
        council
    }

    /// Goes over to another configuration, and `judge` with it. What is believed of a check that
    /// stays the same stays; votes heard earlier count for the checks they speak of.
    pub fn adopt(
        &mut self,
        rules: Arc<Rules>,
        judge: &mut Judge,
        (monitors, targets, endpoints): (&[Monitor], &[ProbeTarget], usize),
        now: Moment,
    ) {
        // Whether an address and port served by every monitor's word.
        let mut places: HashMap<(IpAddr, u16), bool> = HashMap::new();
        for (i, case) in self.cases.iter().enumerate() {
            *places.entry(judge.place(i)).or_insert(true) &= case.state.serves();
        }
        let endpoints_before: Vec<Vec<EndpointId>> = match self.gate.is_busy() {
            true => (0..self.cases.len())
                .map(|t| judge.endpoints_of(t).collect())
                .collect(),
            false => Vec::new(),
        };
        judge.adopt(monitors, targets, endpoints, now);
        let old = std::mem::take(&mut self.cases);
        self.cases = judge
            .came_from()
            .iter()
            .enumerate()
            .map(|(i, from)| match from {
                Some(from) => old[*from as usize].clone(),
                None if places.get(&judge.place(i)) == Some(&true) => {
                    Case::after_another_check(now)
                }
                None => Case::new(now),
            })
            .collect();
        self.take_seats(rules);
        self.know_keys(judge);
        self.dirty.clear();
        self.all_dirty = true;
        self.appointments.clear();
        self.news = None;
        self.open_gate(judge, &endpoints_before, now);
        self.settle(judge, now);
    }

    /// Tells the gate who the endpoints are. `before` gives those of each target as they were
    /// numbered, or nothing where nobody waits at the gate.
    fn open_gate(&mut self, judge: &Judge, before: &[Vec<EndpointId>], now: Moment) {
        let mut from = vec![None; judge.target_of().len()];
        for (target, came_from) in judge.came_from().iter().enumerate() {
            let old = came_from.and_then(|t| before.get(t as usize));
            for (at, e) in judge.endpoints_of(target).enumerate() {
                from[e.index()] = old.and_then(|o| o.get(at).or(o.first())).copied();
            }
        }
        let work = Work {
            judge,
            cases: &self.cases,
            now,
        };
        self.gate.adopt(self.rules.clone(), &from, &work);
        self.sight.adopt(self.rules.references.len());
    }

    /// Gives every vantage its seat; who had one keeps it.
    fn take_seats(&mut self, rules: Arc<Rules>) {
        let mut old: HashMap<Box<str>, Seat> = self
            .rules
            .vantages
            .iter()
            .map(|v| v.name.clone())
            .zip(std::mem::take(&mut self.seats))
            .collect();
        let seat = |v: &Vantage| old.remove(&v.name).unwrap_or_default();
        self.seats = rules.vantages.iter().map(seat).collect();
        self.rules = rules;
    }

    fn know_keys(&mut self, judge: &mut Judge) {
        self.by_key.clear();
        if !self.rules.alone() {
            self.by_key.extend(judge.keys().iter().copied().zip(0..));
        }
        for seat in &mut self.seats {
            seat.adopt(&self.by_key, self.cases.len());
        }
    }

    /// Takes in what another vantage says. Says whether a vote is another now, or is worth more or
    /// less; who is no vantage of this configuration is counted and not believed.
    pub fn hear(&mut self, testimony: &Testimony, now: Moment) -> bool {
        let Some(vantage) = self.rules.vantage(&testimony.vantage) else {
            self.strangers += 1;
            return false;
        };
        if self.rules.own == Some(vantage) {
            // Its own word it has from the judge.
            return false;
        }
        let seat = &mut self.seats[vantage.index()];
        match &testimony.says {
            Says::Votes { chunk, votes } => {
                let before = self.dirty.len();
                seat.votes(*chunk, votes, &self.by_key, |t| self.dirty.push(t));
                return self.dirty.len() > before;
            }
            // Not a matter of health.
            Says::Rtts { .. } => return false,
            Says::Alive { blind } => seat.alive(*blind, now),
            Says::Leaving => seat.leaves(),
        }
        let news = seat.weigh(now);
        self.all_dirty |= news;
        news
    }

    /// Takes in what one of this node's own probes saw. Says what [`Judge::observe`] says.
    pub fn observed(&mut self, judge: &mut Judge, observation: &Observation) -> bool {
        let slow = relative::slow(&self.rules.circles, judge, observation);
        let observation = slow.as_ref().unwrap_or(observation);
        let changed = judge.observe(observation);
        if self.rules.alone() || observation.target.index() >= self.cases.len() {
            return changed;
        }
        let endpoint = judge.endpoints_of(observation.target.index()).next();
        let Some(region) = endpoint.and_then(|e| self.rules.circles.region(e)) else {
            // A part of a composite.
            return changed;
        };
        let passed = matches!(observation.outcome, Outcome::Pass { .. });
        self.sight
            .probed(observation.target.0, region, passed, observation.at);
        self.look_within(observation.at) || changed
    }

    /// Takes in whether this node reached one of its reference targets. Says whether it has its vote
    /// back, or lost it.
    pub fn reference(&mut self, index: usize, reached: bool, now: Moment) -> bool {
        self.sight.reference(index, reached);
        self.look_within(now)
    }

    /// Takes in how late this node's own timers run. Says whether it has its vote back, or lost it.
    pub fn lag(&mut self, lag: Duration, now: Moment) -> bool {
        self.sight.lag(lag, now);
        self.look_within(now)
    }

    /// Finds out whether this node's own vantage may vote; whether that is new.
    fn look_within(&mut self, now: Moment) -> bool {
        if self.rules.alone() {
            return false;
        }
        let others = self.seats.iter().any(|s| s.worth() == Worth::Valid);
        let blind = self.sight.blind(others, now);
        let news = std::mem::replace(&mut self.blind, blind).is_some() != blind.is_some();
        self.all_dirty |= news;
        news
    }

    /// Why this node's own vantage has no vote now.
    pub fn blind(&self) -> Option<Blind> {
        self.blind
    }

    /// Whether this node's own vantage has no vote now.
    pub fn is_blind(&self) -> bool {
        self.blind.is_some()
    }

    /// Operators end the failback of endpoints that pass again and wait: `ordered` says of an endpoint
    /// when one did, in milliseconds since 1970-01-01T00:00:00Z, and ends what began before on `wall`.
    /// Gives those it ended; they serve with the next [`Council::settle`].
    pub fn release(
        &mut self,
        ordered: impl Fn(EndpointId) -> Option<u64>,
        wall: Wall,
        now: Moment,
    ) -> Vec<EndpointId> {
        self.gate.release(ordered, wall, now)
    }

    /// When the council must be asked again though nothing is said: somebody's word is worth less by
    /// then, or a wait is over.
    pub fn due(&self) -> Option<Moment> {
        let seats = self.seats.iter().filter_map(Seat::due).min();
        let appointment = self.appointments.first().map(|(at, _)| *at);
        let own = [self.gate.due(), self.sight.due()];
        own.into_iter().chain([seats, appointment]).flatten().min()
    }

    /// Decides what there is to decide at `now`. Says whether readers see a change.
    pub fn settle(&mut self, judge: &mut Judge, now: Moment) -> bool {
        self.settled = now;
        for seat in &mut self.seats {
            self.all_dirty |= seat.weigh(now);
        }
        self.look_within(now);
        while let Some((_, target)) = self.appointments.first().filter(|(at, _)| *at <= now) {
            self.dirty.push(*target);
            self.appointments.pop_first();
        }
        match judge.take_news() {
            None => self.all_dirty = true,
            Some(news) => self.dirty.extend(news),
        }
        let mut dirty = std::mem::take(&mut self.dirty);
        if std::mem::take(&mut self.all_dirty) {
            dirty.clear();
            dirty.extend(0..self.cases.len() as u32);
            self.news = None;
        }
        dirty.sort_unstable();
        dirty.dedup();
        for target in &dirty {
            self.decide(judge, *target as usize, now);
        }
        let mut news = std::mem::take(&mut self.news);
        let mut any = !dirty.is_empty();
        let work = Work {
            judge,
            cases: &self.cases,
            now,
        };
        self.gate.pass(&work, &dirty, &mut |e| {
            any = true;
            if let Some(news) = &mut news {
                news.push(e);
            }
        });
        if let Some(news) = &mut news {
            let targets = dirty.iter().map(|t| *t as usize);
            news.extend(targets.flat_map(|t| judge.endpoints_of(t)));
        }
        self.news = news;
        any
    }

    /// Decides one case.
    fn decide(&mut self, judge: &Judge, target: usize, now: Moment) {
        if self.rules.alone() {
            let (state, since) = judge.state(target);
            self.cases[target] = Case::of(state, since);
            return;
        }
        let mut counter = std::mem::take(&mut self.counter);
        let count = counter.count(&self.rules, self.ballots(judge, target));
        self.counter = counter;
        let finding = count.finding(&self.rules);
        if finding == Finding::Down {
            self.gate.fails(judge.endpoints_of(target));
        }
        let monitor = judge.monitor(target);
        let twice = monitor.interval.saturating_mul(monitor.fall);
        let case = &mut self.cases[target];
        case.take(finding, count, twice, now);
        if let Some(at) = case.asks_again(twice) {
            self.appointments.insert((at, target as u32));
        }
    }

    /// The votes that count: by vantage, `true` for "up".
    fn ballots<'a>(
        &'a self,
        judge: &'a Judge,
        target: usize,
    ) -> impl Iterator<Item = (usize, bool)> + 'a {
        (0..self.seats.len()).filter_map(move |v| {
            let (vote, worth) = self.vote(judge, VantageId::from_index(v), target);
            Some((v, counts(vote, worth)?))
        })
    }

    /// A vantage's vote, and what it is worth.
    fn vote(&self, judge: &Judge, vantage: VantageId, target: usize) -> (Option<Vote>, Worth) {
        if self.rules.own == Some(vantage) {
            let worth = if self.is_blind() {
                Worth::Blind
            } else {
                Worth::Valid
            };
            return (judge.vote(TargetId::from_index(target)), worth);
        }
        let seat = &self.seats[vantage.index()];
        (seat.vote(target), seat.worth())
    }

    fn verdict(&self, judge: &Judge, endpoint: EndpointId) -> Verdict {
        let mut verdict = match judge.target_of()[endpoint.index()] {
            None => Verdict::unmonitored(),
            Some(target) => {
                let mut verdict = match self.rules.alone() {
                    true => judge.verdict(target),
                    false => self.cases[target].verdict(self, judge, target),
                };
                self.gate.overlay(endpoint, &mut verdict, self.settled);
                verdict
            }
        };
        if self.not_served.contains(&endpoint) {
            verdict.state = State::Down;
            verdict.held = Some(Guard::NotServed);
            // A word of a proxy changes it at any moment.
            verdict.steady_for = Some(Duration::ZERO);
        }
        verdict
    }

    /// Holds these endpoints back, and no others, because no proxy serves them yet; whether that changes
    /// anything.
    pub fn hold_back(&mut self, not_served: HashSet<EndpointId>) -> bool {
        let changed = self.not_served != not_served;
        if changed {
            self.not_served = not_served;
            self.news = None;
        }
        changed
    }

    /// All verdicts as last settled, every one built anew.
    pub fn board(&self, judge: &Judge) -> Board {
        let endpoints = (0..judge.target_of().len()).map(EndpointId::from_index);
        let mut board: Board = endpoints.map(|e| self.verdict(judge, e)).collect();
        board.set_vantages(self.vantages());
        board
    }

    /// Settles, and brings the board and the round-trip times made last up to date: what
    /// [`Council::board`] and [`Judge::measurements`] say, at the cost of what was decided since. A
    /// probe that fails costs no more than one that passes, and however many do, never more than
    /// all endpoints (requirement F7).
    pub fn renew(
        &mut self,
        judge: &mut Judge,
        board: &mut Board,
        rtt: &mut Chunked<Option<Duration>>,
        now: Moment,
    ) {
        self.settle(judge, now);
        let endpoints = judge.target_of().len();
        let news = self.news.replace(Vec::new());
        match news {
            Some(mut news) if board.len() == endpoints && rtt.len() == endpoints => {
                news.sort_unstable();
                news.dedup();
                for e in news {
                    board.set(e, self.verdict(judge, e));
                    let target = judge.target_of()[e.index()];
                    rtt.set(e.index(), target.and_then(|t| judge.rtt(t)));
                }
                board.set_vantages(self.vantages());
            }
            _ => {
                *board = self.board(judge);
                *rtt = judge.measurements().into_iter().collect();
            }
        }
    }

    /// The vantages now; none where this node's own word is the verdict.
    fn vantages(&self) -> Arc<[VantageNow]> {
        if self.rules.alone() {
            return Arc::default();
        }
        let now = |(v, seat): (usize, &Seat)| {
            let own = self.rules.own == Some(VantageId::from_index(v));
            VantageNow {
                worth: match own {
                    true if self.is_blind() => Worth::Blind,
                    true => Worth::Valid,
                    false => seat.worth(),
                },
                alive: seat.last_alive(),
            }
        };
        self.seats.iter().enumerate().map(now).collect()
    }

    /// Testimony so far of nobody that this configuration knows as a vantage.
    pub fn strangers(&self) -> u64 {
        self.strangers
    }

    /// Whether something is known of every target, or waiting for it is over (requirement H1). A
    /// target whose first probe failed stays unknown and does not serve, so there is nothing more to
    /// wait for.
    pub fn first_round_done(&self, judge: &Judge) -> bool {
        if self.rules.alone() {
            return judge.first_round_done();
        }
        let unknown = State::Unknown {
            counts_as_up: false,
        };
        let mut cases = self.cases.iter().enumerate();
        cases.all(|(t, case)| case.state != unknown || judge.is_probed(t))
    }

    /// Ends the bounded wait of requirement H1: targets of which nothing is known count as up from now
    /// on, and are still shown as unknown. One that failed its first probes here is left out.
    pub fn give_up_waiting(&mut self, judge: &mut Judge, now: Moment) {
        judge.give_up_waiting(now);
        for (target, case) in self.cases.iter_mut().enumerate() {
            if !judge.is_probed(target) {
                case.give_up_waiting(now);
            }
        }
        self.all_dirty = true;
        self.settle(judge, now);
    }
}
