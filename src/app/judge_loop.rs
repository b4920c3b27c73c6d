//! The loop that turns observations and what other nodes tell into published views: observe → judge →
//! council → publish.
//!
//! One task owns the judge and the council and is the only writer of views, so generations only grow (requirement
//! F6). A change is published at once; those that follow are gathered for a moment, so that a burst of
//! them costs two publications, each at the cost of what changed and at most of everything
//! (requirement F7).

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use crate::dnssec::{Keys, SignatureCache};
use crate::health::{
    Board, Council, Judge, Monitor, Observation, OwnWord, ProbeTarget, State, Testimony,
};
use crate::ids::TargetId;
use crate::probe::{ProbePlan, Report as ProbeReport};
use crate::server;
use crate::snapshot::{Parts, Publisher, Snapshot, View};
use crate::steer::Measurements;
use crate::time::{Clock, Moment};
use crate::units::Generation;

use super::limits::Limits;

/// Observations that arrive within this time of a publication are published together.
const GATHER: Duration = Duration::from_millis(10);

/// Observations that change nothing are still shown (when a target was last probed) within this time.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// After a publication, time for all readers to go over to the new view before the old one is freed:
/// an idle UDP worker looks up ten times a second.
const SWEEP: Duration = Duration::from_millis(250);

/// What the loop can be told.
#[derive(Debug)]
pub enum Order {
    /// Serve this configuration from now on; answers with the generation.
    Adopt {
        /// The new configuration.
        snapshot: Arc<Snapshot>,
        /// The keys of its signed zones.
        keys: Arc<Keys>,
        /// Told when it is published.
        done: oneshot::Sender<Generation>,
    },
    /// Sign with these keys from now on.
    Keys(Arc<Keys>),
    /// What other nodes tell.
    Hear(Vec<Testimony>),
    /// Say what this node tells others as a vantage; `None` where it does not probe.
    Tell(oneshot::Sender<Option<OwnWord>>),
}

/// The judge loop's state.
pub struct JudgeLoop {
    judge: Judge,
    council: Council,
    snapshot: Arc<Snapshot>,
    board: Arc<Board>,
    keys: Arc<Keys>,
    publisher: Publisher,
    signatures: Arc<SignatureCache>,
    generation: Generation,
    /// When the view in force was published.
    published: Moment,
    /// The next publication waits until then: one that took long is followed by as long a pause, so
    /// that a storm of changes in a large configuration never takes more than half a core.
    rested: Moment,
    /// When to free replaced views.
    sweep: Option<Moment>,
    /// Whether a whole configuration was replaced since memory was last given back.
    reloaded: bool,
    plan: watch::Sender<Arc<ProbePlan>>,
    clock: Arc<dyn Clock>,
    first_round: Duration,
    /// When targets not yet probed begin to count as up (requirement H1); `None` when all are known.
    patience_ends: Option<Moment>,
    first_round_done: watch::Sender<bool>,
    /// For each target of the plan before the one in force: its number now, if it is still there.
    moved: Vec<Option<TargetId>>,
    /// Rates and secrets of cookies.
    limits: Limits,
}

/// The channels of a new loop.
pub struct Wiring {
    /// Where views go.
    pub publisher: Publisher,
    /// What to probe.
    pub plan: watch::Receiver<Arc<ProbePlan>>,
    /// Turns true once the first round of probes is over, or waiting for it is.
    pub first_round_done: watch::Receiver<bool>,
}

impl JudgeLoop {
    /// A loop for `snapshot`, with the first view already published.
    pub fn new(
        snapshot: Arc<Snapshot>,
        keys: Arc<Keys>,
        clock: Arc<dyn Clock>,
        first_round: Duration,
    ) -> (JudgeLoop, Wiring) {
        let now = clock.now();
        let mut judge = Judge::new(
            &snapshot.monitors,
            &snapshot.targets,
            snapshot.target_of.len(),
            now,
        );
        let council = Council::new(snapshot.settings.council.clone(), &mut judge, now);
        let board = Arc::new(council.board(&judge));
        let generation = Generation(1);
        let signatures: Arc<SignatureCache> = Arc::default();
        let limits = Limits::new(&snapshot.settings.rules, now);
        let view = View::new(
            generation,
            now,
            Parts {
                keys: keys.clone(),
                signatures: signatures.clone(),
                wall: clock.wall(),
                rates: limits.rates(),
                cookies: limits.secrets(),
                ..Parts::new(snapshot.clone(), board.clone())
            },
        );
        let publisher = Publisher::new(view);
        let (plan, plan_rx) = watch::channel(Arc::new(plan_of(&snapshot, 1)));
        let (first_round_done, first_round_rx) = watch::channel(council.first_round_done(&judge));
        let wiring = Wiring {
            publisher: publisher.clone(),
            plan: plan_rx,
            first_round_done: first_round_rx,
        };
        let patience_ends = (!council.first_round_done(&judge)).then(|| now + first_round);
        let this = JudgeLoop {
            judge,
            council,
            snapshot,
            board,
            keys,
            publisher,
            signatures,
            generation,
            published: now,
            rested: now,
            sweep: None,
            reloaded: false,
            plan,
            clock,
            first_round,
            patience_ends,
            first_round_done,
            moved: Vec::new(),
            limits,
        };
        (this, wiring)
    }

    /// Runs until both channels are closed.
    pub async fn run(
        mut self,
        mut observations: mpsc::Receiver<ProbeReport>,
        mut orders: mpsc::Receiver<Order>,
    ) {
        let mut dirty_since: Option<Moment> = None;
        loop {
            let now = self.clock.now();
            let due = dirty_since.map(|d| self.due(d));
            let wakes = [due, self.patience_ends, self.sweep, self.council.due()];
            let wake = wakes.into_iter().flatten().min();
            let renewal = now.until(self.limits.due()).min(Duration::from_secs(3600));
            let sleep = wake.map_or(renewal, |w| now.until(w).min(renewal));
            tokio::select! {
                order = orders.recv() => match order {
                    Some(Order::Adopt { snapshot, keys, done }) => {
                        self.keys = keys;
                        self.adopt(snapshot);
                        dirty_since = None;
                        // Nobody waits for it when the signal asked.
                        let _ = done.send(self.generation);
                    }
                    Some(Order::Keys(keys)) => {
                        self.keys = keys;
                        self.publish();
                        dirty_since = None;
                    }
                    Some(Order::Hear(testimony)) => {
                        if self.hear(&testimony) {
                            dirty_since.get_or_insert(self.clock.now());
                        }
                    }
                    Some(Order::Tell(word)) => {
                        // Whoever asked may have gone.
                        let _ = word.send(self.word());
                    }
                    None => return,
                },
                report = observations.recv() => match report {
                    Some(report) => {
                        let changed = self.observe(&report);
                        let now = self.clock.now();
                        if changed || now.since(self.published) >= HEARTBEAT {
                            dirty_since.get_or_insert(now);
                        }
                    }
                    None => return,
                },
                () = tokio::time::sleep(sleep) => {}
            }
            let now = self.clock.now();
            if self.patience_ends.is_some_and(|p| p <= now) {
                self.stop_waiting(now);
                dirty_since.get_or_insert(now);
            }
            if self.council.due().is_some_and(|at| at <= now)
                && self.council.settle(&mut self.judge, now)
            {
                dirty_since.get_or_insert(now);
            }
            if self.limits.tick(now) {
                dirty_since.get_or_insert(now);
            }
            if self.sweep.is_some_and(|at| at <= now) {
                self.sweep(now);
            }
            if dirty_since.is_some_and(|d| self.due(d) <= now) {
                self.publish();
                dirty_since = None;
            }
        }
    }

    /// When what changed at `dirty` is published: at once, unless the last publication was just now.
    fn due(&self, dirty: Moment) -> Moment {
        dirty.max(self.published + GATHER).max(self.rested)
    }

    fn observe(&mut self, report: &ProbeReport) -> bool {
        let Some(observation) = self.of_plan_in_force(report) else {
            return false;
        };
        let changed = self.judge.observe(&observation);
        self.end_of_first_round();
        changed
    }

    /// Takes in what other nodes tell; whether that changes a vote.
    fn hear(&mut self, testimony: &[Testimony]) -> bool {
        let now = self.clock.now();
        let mut changed = false;
        for t in testimony {
            changed |= self.council.hear(t, now);
        }
        if changed && self.patience_ends.is_some() {
            self.council.settle(&mut self.judge, now);
            self.end_of_first_round();
        }
        changed
    }

    /// What this node tells others as a vantage.
    fn word(&mut self) -> Option<OwnWord> {
        let rules = &self.snapshot.settings.council;
        let blind = self.council.is_blind();
        rules.own.map(|_| self.judge.word(blind))
    }

    fn end_of_first_round(&mut self) {
        if self.patience_ends.is_some() && self.council.first_round_done(&self.judge) {
            self.patience_ends = None;
            // The first answers must already rest on the first round.
            self.publish();
            self.first_round_done.send_replace(true);
        }
    }

    /// What a report says in the numbers of the plan in force. A reload must not lose what probes
    /// saw while it was under way, or a dead target would go unnoticed for an interval longer.
    fn of_plan_in_force<'r>(&self, report: &'r ProbeReport) -> Option<Cow<'r, Observation>> {
        let number = self.plan.borrow().number;
        if report.plan == number {
            return Some(Cow::Borrowed(&report.observation));
        }
        if report.plan + 1 != number {
            return None;
        }
        let target = self.moved.get(report.observation.target.index())?;
        Some(Cow::Owned(Observation {
            target: (*target)?,
            ..report.observation.clone()
        }))
    }

    fn stop_waiting(&mut self, now: Moment) {
        self.patience_ends = None;
        self.council.give_up_waiting(&mut self.judge, now);
        tracing::warn!(
            waited = ?self.first_round,
            "first round of probes not complete: endpoints not yet probed count as up"
        );
        self.publish();
        self.first_round_done.send_replace(true);
    }

    fn adopt(&mut self, snapshot: Arc<Snapshot>) {
        let now = self.clock.now();
        let checks = (
            &snapshot.monitors[..],
            &snapshot.targets[..],
            snapshot.target_of.len(),
        );
        let rules = snapshot.settings.council.clone();
        self.council.adopt(rules, &mut self.judge, checks, now);
        self.moved = moved(&self.snapshot, &snapshot);
        self.limits.adopt(&snapshot.settings.rules, now);
        self.snapshot = snapshot;
        let starting = !*self.first_round_done.borrow();
        let own = now + self.first_round;
        self.patience_ends = match (
            self.council.first_round_done(&self.judge),
            self.patience_ends,
        ) {
            (true, _) => None,
            // However often the configuration changes meanwhile, the start waits only once.
            (false, Some(begun)) if starting => Some(begun.min(own)),
            (false, _) => Some(own),
        };
        self.board = Arc::default();
        self.reloaded = true;
        self.publish();
        let number = self.plan.borrow().number + 1;
        self.plan
            .send_replace(Arc::new(plan_of(&self.snapshot, number)));
        if starting && self.patience_ends.is_none() {
            // The reload took away what the start still waited for.
            self.first_round_done.send_replace(true);
        }
    }

    fn publish(&mut self) {
        let now = self.clock.now();
        let before = self.publisher.latest();
        let mut board = (*before.board).clone();
        let mut rtt = before.measurements.rtt.clone();
        self.council
            .renew(&mut self.judge, &mut board, &mut rtt, now);
        let board = Arc::new(board);
        self.log_changes(&board);
        self.generation = self.generation.next();
        let view = View::after(
            &before,
            self.generation,
            now,
            Parts {
                measurements: Arc::new(Measurements { rtt }),
                keys: self.keys.clone(),
                signatures: self.signatures.clone(),
                wall: self.clock.wall(),
                rates: self.limits.rates(),
                cookies: self.limits.secrets(),
                ..Parts::new(self.snapshot.clone(), board.clone())
            },
        );
        self.board = board;
        self.published = now;
        drop(before);
        self.publisher.publish(view);
        let end = self.clock.now();
        self.rested = end + end.since(now);
        self.sweep = Some(end + SWEEP);
    }

    /// Frees what was replaced, beside the loop: a whole configuration takes its time.
    fn sweep(&mut self, now: Moment) {
        self.sweep = self.publisher.has_retired().then(|| now + SWEEP);
        // Nobody waits for either.
        if self.sweep.is_some() {
            let publisher = self.publisher.clone();
            drop(tokio::task::spawn_blocking(move || publisher.sweep()));
        } else if std::mem::take(&mut self.reloaded) {
            drop(tokio::task::spawn_blocking(server::give_back_memory));
        }
    }

    /// One line per endpoint whose state changed, with the cause.
    fn log_changes(&self, board: &Board) {
        if self.board.len() != board.len() {
            return;
        }
        for id in self.board.differing(board, |a, b| a.state == b.state) {
            let new = board.verdict(id);
            let endpoint = &self.snapshot.steering.endpoints[id.index()];
            let address = endpoint.address.map(|a| a.to_string()).unwrap_or_default();
            match new.state {
                State::Down => tracing::warn!(
                    endpoint = %endpoint.name, %address,
                    error = new.last_error.as_deref().unwrap_or("none"),
                    "endpoint is down"
                ),
                state => tracing::info!(
                    endpoint = %endpoint.name, %address, "endpoint is {state}"
                ),
            }
        }
    }
}

/// For each target of `old` its number in `new`, where address, port and whole monitor are the same.
fn moved(old: &Snapshot, new: &Snapshot) -> Vec<Option<TargetId>> {
    fn keys(s: &Snapshot) -> impl Iterator<Item = (IpAddr, u16, &Monitor)> {
        s.targets
            .iter()
            .map(|t| (t.addr, t.port, &s.monitors[t.monitor.index()]))
    }
    let now: HashMap<_, TargetId> = keys(new)
        .enumerate()
        .map(|(i, key)| (key, TargetId::from_index(i)))
        .collect();
    keys(old).map(|key| now.get(&key).copied()).collect()
}

/// What this node probes: everything but the composites, which come last and follow from the others; or
/// nothing where it only hears what others see.
fn plan_of(snapshot: &Snapshot, number: u64) -> ProbePlan {
    let probed = |t: &ProbeTarget| !snapshot.monitors[t.monitor.index()].kind.is_composite();
    let count = match snapshot.settings.council.probes_here() {
        true => snapshot.targets.partition_point(probed),
        false => 0,
    };
    ProbePlan {
        monitors: snapshot.monitors.clone(),
        targets: snapshot.targets[..count].to_vec(),
        number,
    }
}

#[cfg(test)]
mod tests;
