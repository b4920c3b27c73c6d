//! The judge: what this node itself believes of every target, from its own observations.
//!
//! It is one voice of the [`super::council::Council`], which makes the board; where nobody else probes,
//! its word is the verdict.

mod combine;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::board::{Cause, State, Verdict};
use super::composite::Composites;
use super::monitor::Monitor;
use super::observation::{Failure, Observation, Outcome};
use super::rise_fall::RiseFall;
use super::rtt::SmoothedRtt;
use super::target::ProbeTarget;
use super::testimony::OwnWord;
use super::vote::{CheckKey, Opinion, Vote, Weakness};
use super::worst_case::worst_case_detection;
use crate::ids::{EndpointId, TargetId};
use crate::time::Moment;

/// Readers are told of a round-trip time that moved by more than one part in this many.
const RTT_NEWS: u32 = 8;

/// What is believed of one target and why.
#[derive(Clone, Debug)]
struct Belief {
    rise_fall: RiseFall,
    since: Moment,
    last_probe: Option<Moment>,
    last_passed: bool,
    last_error: Option<Arc<str>>,
    /// The kind of the last failure.
    weakness: Weakness,
    rtt: SmoothedRtt,
    /// The round-trip time that readers were last told of.
    told_rtt: Option<Duration>,
}

impl Belief {
    fn new(now: Moment) -> Belief {
        Belief {
            rise_fall: RiseFall::new(),
            since: now,
            last_probe: None,
            last_passed: false,
            last_error: None,
            weakness: Weakness::Unexpected,
            rtt: SmoothedRtt::default(),
            told_rtt: None,
        }
    }

    /// Of a target that served by another check's word and was never probed by this one.
    fn after_another_check(rtt: SmoothedRtt, now: Moment) -> Belief {
        let mut belief = Belief::new(now);
        belief.rise_fall.count_as_up();
        belief.rtt = rtt;
        belief.told_rtt = rtt.get();
        belief
    }

    fn cause(&self) -> Cause {
        match (&self.last_probe, self.rise_fall.state(), &self.last_error) {
            (None, ..) => Cause::NotProbed,
            (Some(_), State::Down | State::Unknown { .. }, Some(error)) => {
                Cause::Failing(error.clone())
            }
            (Some(_), State::Up, Some(error)) if !self.last_passed => Cause::Failing(error.clone()),
            (Some(_), ..) => Cause::Passing,
        }
    }

    fn verdict(&self, monitor: &Monitor) -> Verdict {
        Verdict {
            state: self.rise_fall.state(),
            cause: self.cause(),
            since: self.since,
            steady_for: Some(self.rise_fall.steady_for(monitor)),
            failures: self.rise_fall.failures(),
            passes: self.rise_fall.passes(),
            last_probe: self.last_probe,
            last_error: self.last_error.clone(),
            ..Verdict::unmonitored()
        }
    }

    fn vote(&self) -> Vote {
        Vote {
            opinion: match self.rise_fall.state() {
                // What is remembered from before a restart was not seen.
                _ if self.last_probe.is_none() => Opinion::None,
                State::Up => Opinion::Up,
                State::Down => Opinion::Down(self.weakness),
                State::Unknown { .. } => Opinion::None,
            },
            failures: u8::try_from(self.rise_fall.failures()).unwrap_or(u8::MAX),
        }
    }

    /// What of it readers can see, apart from when it was last probed.
    fn seen(&self) -> (RiseFall, bool, Option<Arc<str>>) {
        (self.rise_fall, self.last_passed, self.last_error.clone())
    }

    /// Shows `failure` as the last error.
    fn tell(&mut self, failure: &Failure) {
        let text = failure.to_string();
        // The same words again keep their place in memory.
        if self.last_error.as_deref() != Some(text.as_str()) {
            self.last_error = Some(text.into());
        }
    }

    /// Whether the round-trip time is news; says so once.
    fn rtt_is_news(&mut self) -> bool {
        let news = match (self.told_rtt, self.rtt.get()) {
            (None, None) => false,
            (Some(old), Some(new)) => old.abs_diff(new) > old / RTT_NEWS,
            _ => true,
        };
        if news {
            self.told_rtt = self.rtt.get();
        }
        news
    }
}

/// One target with its monitor and belief.
#[derive(Clone, Debug)]
struct Judged {
    addr: IpAddr,
    port: u16,
    monitor: Arc<Monitor>,
    belief: Belief,
    /// Whether it is among [`Judge::news`].
    is_news: bool,
    /// Its endpoints, as a range of [`Judge::endpoints_of`].
    endpoints: (u32, u32),
}

/// Judges all targets of this node. Pure: time comes with the observations.
#[derive(Clone, Debug)]
pub struct Judge {
    judged: Vec<Judged>,
    /// For each endpoint the index of its target.
    target_of: Vec<Option<usize>>,
    /// The endpoints of all targets, target by target.
    endpoints_of: Vec<EndpointId>,
    /// Targets of which something is believed that the council was not told.
    news: Vec<u32>,
    /// Whether another configuration came since then: then all is news.
    all_news: bool,
    /// For each target its number in the configuration before, where it was in there.
    came_from: Vec<Option<u32>>,
    /// By target; empty until somebody asks.
    keys: Vec<CheckKey>,
    /// The targets that follow from others.
    composites: Composites,
}

impl Judge {
    /// A judge that knows nothing yet of `targets`. `endpoints` is the number of all endpoints;
    /// those that no target names have no monitor and are up for good.
    pub fn new(
        monitors: &[Monitor],
        targets: &[ProbeTarget],
        endpoints: usize,
        now: Moment,
    ) -> Judge {
        let mut judge = Judge {
            judged: Vec::new(),
            target_of: Vec::new(),
            endpoints_of: Vec::new(),
            news: Vec::new(),
            all_news: true,
            came_from: Vec::new(),
            keys: Vec::new(),
            composites: Composites::default(),
        };
        judge.adopt(monitors, targets, endpoints, now);
        judge
    }

    /// Goes over to another configuration. What is believed of a target stays when its address,
    /// port and whole monitor stay. Where only the monitor changed, what served goes on serving, as
    /// unknown, until the new check has a say: an edited `interval` must not move clients. Others
    /// start unknown and do not serve before they pass or [`Judge::give_up_waiting`].
    pub fn adopt(
        &mut self,
        monitors: &[Monitor],
        targets: &[ProbeTarget],
        endpoints: usize,
        now: Moment,
    ) {
        // Whether an address and port served by every monitor's word, and how far it is.
        let mut places: HashMap<(IpAddr, u16), (bool, SmoothedRtt)> = HashMap::new();
        // A part of a composite gives no endpoint's verdict.
        for j in self
            .judged
            .iter()
            .filter(|j| j.endpoints.0 != j.endpoints.1)
        {
            let serves = j.belief.rise_fall.state().serves();
            let place = places.entry((j.addr, j.port));
            place.or_insert((true, j.belief.rtt)).0 &= serves;
        }
        let mut old: HashMap<(IpAddr, u16, Arc<Monitor>), (u32, Belief)> =
            std::mem::take(&mut self.judged)
                .into_iter()
                .zip(0..)
                .map(|(j, n)| ((j.addr, j.port, j.monitor), (n, j.belief)))
                .collect();
        let monitors: Vec<Arc<Monitor>> = monitors.iter().cloned().map(Arc::new).collect();
        self.target_of = vec![None; endpoints];
        self.endpoints_of.clear();
        self.news.clear();
        self.all_news = true;
        self.came_from.clear();
        self.keys.clear();
        for (index, target) in targets.iter().enumerate() {
            let monitor = monitors[target.monitor.index()].clone();
            let known = old.remove(&(target.addr, target.port, monitor.clone()));
            self.came_from.push(known.as_ref().map(|(from, _)| *from));
            let belief = known.map_or_else(
                || match places.get(&(target.addr, target.port)) {
                    Some((true, rtt)) => Belief::after_another_check(*rtt, now),
                    _ => Belief::new(now),
                },
                |(_, belief)| belief,
            );
            let first = self.endpoints_of.len() as u32;
            self.endpoints_of.extend_from_slice(&target.endpoints);
            self.judged.push(Judged {
                addr: target.addr,
                port: target.port,
                monitor,
                belief,
                is_news: false,
                endpoints: (first, self.endpoints_of.len() as u32),
            });
            for endpoint in &target.endpoints {
                self.target_of[endpoint.index()] = Some(index);
            }
        }
        self.composites = Composites::new(self.judged.iter().map(|j| (j.addr, j.port, &j.monitor)));
    }

    /// Takes in what one probe saw. Says whether readers see a change worth publishing: in state,
    /// counts, cause or last error, or a round-trip time that is new or moved by more than an
    /// eighth. That a probe ended is no such change. An observation of a target that is not
    /// judged changes nothing.
    ///
    /// What follows from it for composites is taken in with it.
    pub fn observe(&mut self, observation: &Observation) -> bool {
        let changed = self.take_in(observation);
        self.combine_above(observation.target, observation.at) | changed
    }

    fn take_in(&mut self, observation: &Observation) -> bool {
        let Some(judged) = self.judged.get_mut(observation.target.index()) else {
            return false;
        };
        if !std::mem::replace(&mut judged.is_news, true) {
            self.news.push(observation.target.0);
        }
        let (belief, monitor) = (&mut judged.belief, &judged.monitor);
        let (before, first) = (belief.seen(), belief.last_probe.is_none());
        let state = belief.rise_fall.state();
        if let Outcome::Fail(failure @ Failure::Unable(_)) = &observation.outcome {
            // Nothing was asked, so nothing is known that was not known before; it is shown, as the
            // last error. Once what was seen last is older than a death could go unnoticed, there is
            // no opinion any more.
            belief.tell(failure);
            let age = belief.last_probe.map(|last| last.until(observation.at));
            if age.is_some_and(|age| age > worst_case_detection(monitor)) {
                belief.rise_fall.expire();
            }
            if belief.rise_fall.state() != state {
                belief.since = observation.at;
            }
            return belief.seen() != before;
        }
        belief.last_probe = Some(observation.at);
        match &observation.outcome {
            Outcome::Pass { rtt } => {
                belief.last_passed = true;
                if monitor.kind.measures_distance() {
                    belief.rtt.connected(*rtt, observation.at);
                }
                belief.rise_fall.observe(true, monitor);
            }
            Outcome::Fail(failure) => {
                belief.last_passed = false;
                belief.weakness = Weakness::of(failure);
                belief.tell(failure);
                match failure {
                    _ if !monitor.kind.measures_distance() => {}
                    Failure::Connect(_) | Failure::Timeout(_) => {
                        belief.rtt.failed(monitor.timeout, observation.at);
                    }
                    // It connected: the network's distance is as it was.
                    Failure::Tls(_)
                    | Failure::Http(_)
                    | Failure::Unexpected(_)
                    | Failure::Unable(_) => {}
                }
                belief.rise_fall.observe(false, monitor);
            }
        }
        if belief.rise_fall.state() != state {
            belief.since = observation.at;
        }
        let rtt_is_news = belief.rtt_is_news();
        first || rtt_is_news || belief.seen() != before
    }

    /// Believes of a target that was not probed yet what was believed before a restart.
    pub(super) fn remember(&mut self, target: usize, state: State, failures: u32, since: Moment) {
        let judged = &mut self.judged[target];
        if judged.belief.last_probe.is_none() {
            // One failure less than would bring it down: what is remembered decides nothing alone.
            let failures = failures.min(judged.monitor.fall.saturating_sub(1));
            judged.belief.rise_fall = RiseFall::remembered(state, failures);
            judged.belief.since = since;
            self.all_news = true;
        }
    }

    /// Takes what is news since the last time: `None` when all is.
    pub(super) fn take_news(&mut self) -> Option<Vec<u32>> {
        let news = std::mem::take(&mut self.news);
        for target in &news {
            self.judged[*target as usize].is_news = false;
        }
        (!std::mem::take(&mut self.all_news)).then_some(news)
    }

    /// Number of targets.
    pub fn targets(&self) -> usize {
        self.judged.len()
    }

    /// For each endpoint its target.
    pub(super) fn target_of(&self) -> &[Option<usize>] {
        &self.target_of
    }

    /// The endpoints whose verdict the target gives.
    pub(super) fn endpoints_of(&self, target: usize) -> impl Iterator<Item = EndpointId> + '_ {
        let (first, end) = self.judged[target].endpoints;
        let all = self.endpoints_of[first as usize..end as usize].iter();
        all.copied()
            .filter(move |e| self.target_of[e.index()] == Some(target))
    }

    /// What this node alone believes of a target, and since when.
    pub(super) fn state(&self, target: usize) -> (State, Moment) {
        let belief = &self.judged[target].belief;
        (belief.rise_fall.state(), belief.since)
    }

    /// Whether a probe of the target has ended.
    pub(super) fn is_probed(&self, target: usize) -> bool {
        self.judged[target].belief.last_probe.is_some()
    }

    /// This node's vote on a target.
    pub fn vote(&self, target: TargetId) -> Option<Vote> {
        self.judged.get(target.index()).map(|j| j.belief.vote())
    }

    /// The monitor of a target.
    pub(super) fn monitor(&self, target: usize) -> &Arc<Monitor> {
        &self.judged[target].monitor
    }

    /// The address and port of a target.
    pub(super) fn place(&self, target: usize) -> (IpAddr, u16) {
        let judged = &self.judged[target];
        (judged.addr, judged.port)
    }

    /// For each target its number in the configuration before, where it was in there.
    pub(super) fn came_from(&self) -> &[Option<u32>] {
        &self.came_from
    }

    /// The keys of all targets' checks, by target.
    pub(super) fn keys(&mut self) -> &[CheckKey] {
        if self.keys.len() != self.judged.len() {
            let key = |j: &Judged| CheckKey::of(j.addr, j.port, &j.monitor);
            self.keys = self.judged.iter().map(key).collect();
        }
        &self.keys
    }

    /// What this node tells others as a vantage; `blind` is what it knows of itself.
    pub fn word(&mut self, blind: bool) -> OwnWord {
        self.keys();
        // The parts of a composite are in its own vote.
        let told = |(_, j): &(&CheckKey, &Judged)| j.endpoints.0 != j.endpoints.1;
        let both = || self.keys.iter().zip(&self.judged).filter(told);
        let mut votes: Vec<_> = both().map(|(k, j)| (*k, j.belief.vote())).collect();
        let rtt = |(k, j): (&CheckKey, &Judged)| Some((*k, j.belief.rtt.confident()?));
        let mut rtts: Vec<_> = both().filter_map(rtt).collect();
        votes.sort_unstable_by_key(|(k, _)| *k);
        rtts.sort_unstable_by_key(|(k, _)| *k);
        OwnWord { votes, rtts, blind }
    }

    /// The smoothed time to connect to a target.
    pub(super) fn rtt(&self, target: usize) -> Option<Duration> {
        self.judged[target].belief.rtt.get()
    }

    /// The smoothed time to connect to each endpoint; `None` where nothing is known.
    pub fn measurements(&self) -> Vec<Option<Duration>> {
        let rtt = |t: &Option<usize>| t.and_then(|index| self.rtt(index));
        self.target_of.iter().map(rtt).collect()
    }

    /// The smoothed time to connect to a target, once it rests on enough samples to be believed.
    pub fn distance(&self, target: TargetId) -> Option<Duration> {
        self.judged.get(target.index())?.belief.rtt.confident()
    }

    /// Whether every target has been probed at least once, or counts as up because waiting for it
    /// is over (requirement H1). A target whose first probe failed stays unknown and does not
    /// serve, so there is nothing more to wait for.
    pub fn first_round_done(&self) -> bool {
        let unknown = State::Unknown {
            counts_as_up: false,
        };
        self.judged
            .iter()
            .all(|j| j.belief.last_probe.is_some() || j.belief.rise_fall.state() != unknown)
    }

    /// Ends the bounded wait of requirement H1: targets that no probe has reached a result on count
    /// as up from now on, and are still shown as unknown. One whose first probes failed is left
    /// out: what is known of it speaks against it.
    pub fn give_up_waiting(&mut self, now: Moment) {
        // Seldom, and about nearly all of them.
        self.all_news = true;
        for judged in &mut self.judged {
            let belief = &mut judged.belief;
            // What follows from others follows below.
            if !judged.monitor.kind.is_composite()
                && belief.last_probe.is_none()
                && matches!(
                    belief.rise_fall.state(),
                    State::Unknown {
                        counts_as_up: false
                    }
                )
            {
                belief.rise_fall.count_as_up();
                belief.since = now;
            }
        }
        self.combine_all(now);
    }
}
