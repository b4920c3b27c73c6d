//! The loop that turns observations and what other nodes tell into published views: observe → judge →
//! council → publish.
//!
//! One task owns the judge and the council and is the only writer of views, so generations only grow (requirement
//! F6). A change is published at once; those that follow are gathered for a moment, so that a burst of
//! them costs two publications, each at the cost of what changed and at most of everything
//! (requirement F7).

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use crate::dnssec::{Keys, SignatureCache};
use crate::health::clients::{FleetPaths, PathHeard};
use crate::health::council::Remembered;
use crate::health::{
    Council, Judge, LatencyMatrix, Monitor, MonitorKind, Observation, Outcome, Overrides, OwnWord,
    ProbeTarget, Served, ServedWord, SiteTimes, TcpCheck, Testimony,
};
use crate::ids::{EndpointId, MonitorId, RegionId, TargetId};
use crate::overrides::Standing;
use crate::probe::{ProbePlan, Report as ProbeReport};
use crate::server;
use crate::snapshot::drills::{self, DrillOrders};
use crate::snapshot::{Parts, Publisher, Snapshot, View, orders};
use crate::steer::Measurements;
use crate::time::{Clock, Moment};
use crate::units::Generation;

use super::chronicle::Chronicle;
use super::limits::Limits;
use super::unable::Unable;

/// Observations that arrive within this time of a publication are published together.
const GATHER: Duration = Duration::from_millis(10);

/// Observations that change nothing are still shown (when a target was last probed) within this time.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// A node that others could stand in for measures so often how late it runs.
const PULSE: Duration = Duration::from_millis(100);

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
    /// The operators' orders in force from now on, or the same ones under a calendar that was set.
    Overrides {
        /// What is in force.
        standing: Arc<Standing>,
        /// Told when it is published.
        done: oneshot::Sender<Generation>,
    },
    /// What other nodes tell.
    Hear(Vec<Testimony>),
    /// Where proxies say that they listen for VIPs.
    Served(Vec<ServedWord>),
    /// What proxies measured of the way to clients.
    Paths(Vec<PathHeard>),
    /// Say which verdicts are worth keeping over a restart.
    Remember(oneshot::Sender<Vec<Remembered>>),
    /// Go on from this generation, which a process before has published last.
    GoOn(Generation, oneshot::Sender<()>),
    /// Say what this node tells others as a vantage; `None` where it does not probe.
    Tell(oneshot::Sender<Option<OwnWord>>),
}

/// The judge loop's state.
pub struct JudgeLoop {
    judge: Judge,
    council: Council,
    /// Which VIPs proxies have said they serve.
    served: Served,
    latency: LatencyMatrix,
    /// What clients' own connections measured.
    paths: FleetPaths,
    snapshot: Arc<Snapshot>,
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
    /// The operators' orders in force, and what they mean in the snapshot.
    standing: Arc<Standing>,
    overrides: Arc<Overrides>,
    drills: Arc<[DrillOrders]>,
    /// Endpoints whose wait for their failback operators ended, with when, in milliseconds since 1970.
    failbacks: HashMap<EndpointId, u64>,
    /// Checks that cannot be run here.
    unable: Unable,
    /// When this node last measured how late it runs.
    felt: Moment,
    /// Where it is told what is in force.
    chronicle: Chronicle,
}

/// What was kept over a restart.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    /// The operators' orders.
    pub standing: Arc<Standing>,
    /// Verdicts, as far as they are fresh.
    pub remembered: Vec<Remembered>,
    /// The last generation of a process before.
    pub generation: Generation,
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
        kept: Kept,
    ) -> (JudgeLoop, Wiring) {
        let now = clock.now();
        let Kept {
            standing,
            remembered,
            generation,
        } = kept;
        let overrides = orders::resolve(&standing, &snapshot.steering, clock.wall());
        let overrides = Arc::new(overrides);
        let drills = drills::of(&standing, &snapshot.steering, clock.wall());
        let failbacks = orders::failbacks(&standing, &snapshot.steering);
        let mut judge = Judge::new(
            &snapshot.monitors,
            &snapshot.targets,
            snapshot.target_of.len(),
            now,
        );
        let mut latency = LatencyMatrix::new(
            &snapshot.steering.sites,
            &snapshot.settings.node,
            &snapshot.monitors,
            &snapshot.targets,
            snapshot.target_of.len(),
            now,
        );
        let mut council = Council::new(snapshot.settings.council.clone(), &mut judge, now);
        let known = council.warm(&remembered, &mut judge, now, clock.wall().unix(now));
        if known > 0 {
            tracing::info!(
                checks = known,
                "verdicts of before the restart are believed"
            );
        }
        let mut served = Served::default();
        served.adopt(snapshot.settings.vips.clone());
        council.hold_back(served.held());
        let board = Arc::new(council.board(&judge));
        let generation = generation.next();
        let signatures: Arc<SignatureCache> = Arc::default();
        let limits = Limits::new(&snapshot.settings.rules, now);
        let mut sites = SiteTimes::default();
        latency.renew(&mut sites);
        let mut paths = FleetPaths::new(now);
        adopt_paths(&mut paths, &snapshot);
        let measurements = Measurements {
            sites,
            clients: paths.times(),
            ..Measurements::default()
        };
        let view = View::new(
            generation,
            now,
            Parts {
                measurements: Arc::new(measurements),
                keys: keys.clone(),
                signatures: signatures.clone(),
                wall: clock.wall(),
                rates: limits.rates(),
                cookies: limits.secrets(),
                overrides: overrides.clone(),
                drills: drills.clone(),
                ..Parts::new(snapshot.clone(), board.clone())
            },
        );
        let publisher = Publisher::new(view);
        let (plan, plan_rx) = watch::channel(Arc::new(plan_of(&snapshot, 1)));
        let all_known = council.first_round_done(&judge) && served.knows_all();
        let (first_round_done, first_round_rx) = watch::channel(all_known);
        let wiring = Wiring {
            publisher: publisher.clone(),
            plan: plan_rx,
            first_round_done: first_round_rx,
        };
        let patience_ends = (!all_known).then(|| now + first_round);
        let this = JudgeLoop {
            judge,
            council,
            served,
            latency,
            paths,
            snapshot,
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
            standing,
            overrides,
            drills,
            failbacks,
            unable: Unable::default(),
            felt: now,
            chronicle: Chronicle::default(),
        };
        (this, wiring)
    }

    /// Tells `chronicle` what is in force, from the first view on.
    #[must_use]
    pub fn telling(mut self, chronicle: &Chronicle) -> JudgeLoop {
        self.chronicle = chronicle.clone();
        self.tell();
        self
    }

    /// Tells what is in force.
    fn tell(&self) {
        self.chronicle
            .published(&self.publisher.latest(), &self.standing);
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
            let pulse = self.pulse();
            let wakes = [
                due,
                self.patience_ends,
                self.sweep,
                self.council.due(),
                Some(self.latency.due()),
                self.paths.due(),
                pulse,
            ];
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
                    Some(Order::Overrides { standing, done }) => {
                        self.standing = standing;
                        self.obey();
                        self.publish();
                        dirty_since = None;
                        // Nobody waits for what only time changed.
                        let _ = done.send(self.generation);
                    }
                    Some(Order::Hear(testimony)) => {
                        if self.hear(&testimony) {
                            dirty_since.get_or_insert(self.clock.now());
                        }
                    }
                    Some(Order::Served(words)) => {
                        if self.hear_served(words) {
                            dirty_since.get_or_insert(self.clock.now());
                        }
                    }
                    Some(Order::Paths(heard)) => heard.iter().for_each(|h| self.paths.hear(h)),
                    Some(Order::Remember(all)) => {
                        let now = self.clock.now();
                        let wall = self.clock.wall();
                        // Whoever asked may have gone.
                        let _ = all.send(self.council.remember(&mut self.judge, now, wall));
                    }
                    Some(Order::GoOn(generation, done)) => {
                        self.generation = self.generation.max(generation);
                        self.publish();
                        dirty_since = None;
                        // Whoever asked may have gone.
                        let _ = done.send(());
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
            if let Some(pulse) = pulse.filter(|p| *p <= now) {
                self.felt = now;
                if self.council.lag(now.since(pulse), now) {
                    dirty_since.get_or_insert(now);
                }
            }
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
            if self.latency.due() <= now {
                self.latency.own_is_blind(self.council.is_blind());
                if self.latency.step(now) {
                    dirty_since.get_or_insert(now);
                }
            }
            if self.paths.due().is_some_and(|at| at <= now)
                && self.paths.step(now, self.clock.wall())
            {
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

    /// When this node next finds out how late it runs; only where others could see in its stead.
    fn pulse(&self) -> Option<Moment> {
        let rules = &self.snapshot.settings.council;
        (!rules.alone() && rules.own.is_some()).then(|| self.felt + PULSE)
    }

    /// When what changed at `dirty` is published: at once, unless the last publication was just now.
    fn due(&self, dirty: Moment) -> Moment {
        dirty.max(self.published + GATHER).max(self.rested)
    }

    fn observe(&mut self, report: &ProbeReport) -> bool {
        let Some(observation) = self.of_plan_in_force(report) else {
            return false;
        };
        if let Some(reference) = observation
            .target
            .index()
            .checked_sub(probed(&self.snapshot))
        {
            let reached = matches!(observation.outcome, Outcome::Pass { .. });
            return self.council.reference(reference, reached, observation.at);
        }
        let changed = self.council.observed(&mut self.judge, &observation);
        self.unable.look_at(&observation, &self.snapshot);
        let target = observation.target;
        self.latency
            .own(target, self.judge.distance(target), observation.at);
        self.end_of_first_round();
        changed
    }

    /// Takes in what other nodes tell; whether that changes a vote.
    fn hear(&mut self, testimony: &[Testimony]) -> bool {
        let now = self.clock.now();
        let mut changed = false;
        for t in testimony {
            changed |= self.council.hear(t, now);
            self.latency.hear(t, now);
        }
        if changed && self.patience_ends.is_some() {
            self.council.settle(&mut self.judge, now);
            self.end_of_first_round();
        }
        changed
    }

    /// Takes in where proxies listen; whether that changes what is held back.
    fn hear_served(&mut self, words: Vec<ServedWord>) -> bool {
        self.served.hear(words);
        let changed = self.council.hold_back(self.served.held());
        self.end_of_first_round();
        changed
    }

    /// Whether nothing is left to wait for: every target was probed, and proxies were heard of every VIP.
    fn knows_all(&self) -> bool {
        self.council.first_round_done(&self.judge) && self.served.knows_all()
    }

    /// What this node tells others as a vantage.
    fn word(&mut self) -> Option<OwnWord> {
        let rules = &self.snapshot.settings.council;
        let blind = self.council.is_blind();
        rules.own.map(|_| self.judge.word(blind))
    }

    fn end_of_first_round(&mut self) {
        if self.patience_ends.is_some() && self.knows_all() {
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
        if !self.council.first_round_done(&self.judge) {
            tracing::warn!(
                waited = ?self.first_round,
                "first round of probes not complete: endpoints not yet probed count as up"
            );
        }
        if !self.served.knows_all() {
            tracing::warn!(
                waited = ?self.first_round,
                "no proxy of some VIPs was heard of: probes alone decide about these"
            );
        }
        self.council.give_up_waiting(&mut self.judge, now);
        self.served.give_up_waiting();
        self.council.hold_back(self.served.held());
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
        self.latency.adopt(
            &snapshot.steering.sites,
            &snapshot.settings.node,
            &snapshot.monitors,
            &snapshot.targets,
            snapshot.target_of.len(),
        );
        adopt_paths(&mut self.paths, &snapshot);
        self.paths.step(now, self.clock.wall());
        let rules = snapshot.settings.council.clone();
        self.council.adopt(rules, &mut self.judge, checks, now);
        self.moved = moved(&self.snapshot, &snapshot);
        self.unable.forget();
        self.limits.adopt(&snapshot.settings.rules, now);
        self.snapshot = snapshot;
        self.obey();
        let starting = !*self.first_round_done.borrow();
        let own = now + self.first_round;
        self.served.adopt(self.snapshot.settings.vips.clone());
        self.council.hold_back(self.served.held());
        self.patience_ends = match (self.knows_all(), self.patience_ends) {
            (true, _) => None,
            // However often the configuration changes meanwhile, the start waits only once.
            (false, Some(begun)) if starting => Some(begun.min(own)),
            (false, _) => Some(own),
        };
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

    /// Reads the orders in force against the configuration in force.
    fn obey(&mut self) {
        let steering = &self.snapshot.steering;
        let overrides = orders::resolve(&self.standing, steering, self.clock.wall());
        self.overrides = Arc::new(overrides);
        self.drills = drills::of(&self.standing, steering, self.clock.wall());
        self.failbacks = orders::failbacks(&self.standing, steering);
    }

    /// Ends the waits that operators ended. With each publication, because what began to wait before
    /// an order may be found to do so after it: one that waited before a restart, or by an author's
    /// calendar that is a little ahead.
    fn let_back(&mut self, now: Moment) {
        if self.failbacks.is_empty() {
            return;
        }
        self.council.settle(&mut self.judge, now);
        let failbacks = &self.failbacks;
        let ordered = |e| failbacks.get(&e).copied();
        for e in self.council.release(ordered, self.clock.wall(), now) {
            let endpoint = &self.snapshot.steering.endpoints[e.index()];
            tracing::info!(
                endpoint = %endpoint.name,
                "an operator's `failback` ends the wait of an endpoint that passes again"
            );
        }
    }

    fn publish(&mut self) {
        let now = self.clock.now();
        self.let_back(now);
        let before = self.publisher.latest();
        let mut board = (*before.board).clone();
        let mut rtt = before.measurements.rtt.clone();
        self.council
            .renew(&mut self.judge, &mut board, &mut rtt, now);
        let mut sites = before.measurements.sites.clone();
        self.latency.renew(&mut sites);
        let board = Arc::new(board);
        self.generation = self.generation.next();
        let view = View::after(
            &before,
            self.generation,
            now,
            Parts {
                measurements: Arc::new(Measurements {
                    rtt,
                    sites,
                    clients: self.paths.times(),
                }),
                keys: self.keys.clone(),
                signatures: self.signatures.clone(),
                wall: self.clock.wall(),
                rates: self.limits.rates(),
                cookies: self.limits.secrets(),
                overrides: self.overrides.clone(),
                drills: self.drills.clone(),
                ..Parts::new(self.snapshot.clone(), board.clone())
            },
        );
        self.published = now;
        drop(before);
        self.publisher.publish(view);
        self.tell();
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
}

/// Goes over to where nodes stand in `snapshot`.
fn adopt_paths(paths: &mut FleetPaths, snapshot: &Snapshot) {
    let settings = &snapshot.settings;
    let regions = snapshot.steering.regions.iter().enumerate();
    let regions = regions.map(|(i, r)| (&*r.name, RegionId::from_index(i)));
    let nodes = settings.nodes.iter().map(|n| (&*n.name, &*n.region));
    paths.adopt(settings.client_pace, regions, nodes);
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
    // What comes after those that are probed in the plan is no target of the configuration.
    let old = keys(old).take(probed(old));
    old.map(|key| now.get(&key).copied()).collect()
}

/// How many of the targets are probed: composites come last and follow from the others.
fn probed(snapshot: &Snapshot) -> usize {
    let probed = |t: &ProbeTarget| !snapshot.monitors[t.monitor.index()].kind.is_composite();
    snapshot.targets.partition_point(probed)
}

/// What this node probes: everything but the composites; or nothing where it only hears what others
/// see. The reference targets come after the others, and judge nobody but this node.
fn plan_of(snapshot: &Snapshot, number: u64) -> ProbePlan {
    let rules = &snapshot.settings.council;
    let mut plan = ProbePlan {
        monitors: snapshot.monitors.clone(),
        number,
        ..ProbePlan::default()
    };
    if !rules.probes_here() {
        return plan;
    }
    plan.targets = snapshot.targets[..probed(snapshot)].to_vec();
    if rules.alone() || rules.references.is_empty() {
        return plan;
    }
    let monitor = MonitorId::from_index(plan.monitors.len());
    plan.monitors.push(Monitor {
        name: "reference".into(),
        kind: MonitorKind::Tcp(TcpCheck::default()),
        interval: Duration::from_secs(5),
        timeout: Duration::from_secs(2),
        rise: 1,
        fall: 1,
        jitter_percent: 10,
        port: None,
        source: Vec::new(),
        family: None,
        retries: 0,
    });
    let target = |r: &SocketAddr| ProbeTarget {
        addr: r.ip(),
        port: r.port(),
        monitor,
        endpoints: Vec::new(),
    };
    plan.targets.extend(rules.references.iter().map(target));
    plan
}

#[cfg(test)]
mod tests;
