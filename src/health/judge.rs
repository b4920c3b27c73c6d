//! The judge: turns observations into the board. Owns what is believed of every target.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::board::{Board, Cause, State, Verdict};
use super::monitor::Monitor;
use super::observation::{Failure, Observation, Outcome};
use super::rise_fall::RiseFall;
use super::rtt::SmoothedRtt;
use super::target::ProbeTarget;
use crate::chunked::Chunked;
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
        }
    }

    /// What of it readers can see, apart from when it was last probed.
    fn seen(&self) -> (RiseFall, bool, Option<Arc<str>>) {
        (self.rise_fall, self.last_passed, self.last_error.clone())
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
    /// Targets of which something is believed that the last board did not show.
    news: Vec<usize>,
    /// Whether another configuration came since the last board: then all is news.
    all_news: bool,
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
        for j in &self.judged {
            let serves = j.belief.rise_fall.state().serves();
            let place = places.entry((j.addr, j.port));
            place.or_insert((true, j.belief.rtt)).0 &= serves;
        }
        let mut old: HashMap<(IpAddr, u16, Arc<Monitor>), Belief> =
            std::mem::take(&mut self.judged)
                .into_iter()
                .map(|j| ((j.addr, j.port, j.monitor), j.belief))
                .collect();
        let monitors: Vec<Arc<Monitor>> = monitors.iter().cloned().map(Arc::new).collect();
        self.target_of = vec![None; endpoints];
        self.endpoints_of.clear();
        self.news.clear();
        self.all_news = true;
        for (index, target) in targets.iter().enumerate() {
            let monitor = monitors[target.monitor.index()].clone();
            let belief = old
                .remove(&(target.addr, target.port, monitor.clone()))
                .unwrap_or_else(|| match places.get(&(target.addr, target.port)) {
                    Some((true, rtt)) => Belief::after_another_check(*rtt, now),
                    _ => Belief::new(now),
                });
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
    }

    /// Takes in what one probe saw. Says whether readers see a change worth publishing: in state,
    /// counts, cause or last error, or a round-trip time that is new or moved by more than an
    /// eighth. That a probe ended is no such change. An observation of a target that is not
    /// judged changes nothing.
    pub fn observe(&mut self, observation: &Observation) -> bool {
        let Some(judged) = self.judged.get_mut(observation.target.index()) else {
            return false;
        };
        if !std::mem::replace(&mut judged.is_news, true) {
            self.news.push(observation.target.index());
        }
        let (belief, monitor) = (&mut judged.belief, &judged.monitor);
        let (before, first) = (belief.seen(), belief.last_probe.is_none());
        let state = belief.rise_fall.state();
        belief.last_probe = Some(observation.at);
        match &observation.outcome {
            Outcome::Pass { rtt } => {
                belief.last_passed = true;
                belief.rtt.connected(*rtt, observation.at);
                belief.rise_fall.observe(true, monitor);
            }
            Outcome::Fail(failure) => {
                belief.last_passed = false;
                let text = failure.to_string();
                // The same words again keep their place in memory.
                if belief.last_error.as_deref() != Some(text.as_str()) {
                    belief.last_error = Some(text.into());
                }
                match failure {
                    Failure::Connect(_) | Failure::Timeout(_) => {
                        belief.rtt.failed(monitor.timeout, observation.at);
                    }
                    // It connected: the network's distance is as it was.
                    Failure::Tls(_) | Failure::Http(_) | Failure::Unexpected(_) => {}
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

    /// All verdicts at `now`, every one built anew.
    ///
    /// A monitored verdict's promise counts from any moment on, so it does not depend on `now`.
    pub fn board(&self, _now: Moment) -> Board {
        let verdict = |target: &Option<usize>| match target {
            None => Verdict::unmonitored(),
            Some(index) => {
                let judged = &self.judged[*index];
                judged.belief.verdict(&judged.monitor)
            }
        };
        self.target_of.iter().map(verdict).collect()
    }

    /// Brings the board and the round-trip times made last up to date: what
    /// [`Judge::board`] and [`Judge::measurements`] say, at the cost of what was observed since. A
    /// probe that fails costs no more than one that passes, and however many do, never more than
    /// all endpoints (requirement F7).
    pub fn renew(&mut self, board: &mut Board, rtt: &mut Chunked<Option<Duration>>, now: Moment) {
        let endpoints = self.target_of.len();
        if std::mem::take(&mut self.all_news) || board.len() != endpoints || rtt.len() != endpoints
        {
            *board = self.board(now);
            *rtt = self.measurements().into_iter().collect();
        } else {
            for target in &self.news {
                let judged = &self.judged[*target];
                let (first, end) = judged.endpoints;
                let verdict = judged.belief.verdict(&judged.monitor);
                for endpoint in &self.endpoints_of[first as usize..end as usize] {
                    if self.target_of[endpoint.index()] != Some(*target) {
                        continue;
                    }
                    board.set(*endpoint, verdict.clone());
                    rtt.set(endpoint.index(), judged.belief.rtt.get());
                }
            }
        }
        for target in self.news.drain(..) {
            self.judged[target].is_news = false;
        }
    }

    /// The smoothed time to connect to each endpoint; `None` where nothing is known.
    pub fn measurements(&self) -> Vec<Option<Duration>> {
        let rtt = |t: &Option<usize>| t.and_then(|index| self.judged[index].belief.rtt.get());
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
        for belief in self.judged.iter_mut().map(|j| &mut j.belief) {
            if belief.last_probe.is_none()
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
    }
}
