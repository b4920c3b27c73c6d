//! What runs of an upstream: the health of its backends, its circuit, its retry budget, its queue.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;

use super::permit::Permit;
use super::queue::{Queue, Vain, Wanted};
use super::{BackendState, Beat, UNBOUNDED, gate};
use crate::balance::candidate::{Candidate as _, UNIT};
use crate::health::backend::group::may_eject;
use crate::health::backend::outlier::outliers;
use crate::health::backend::{
    Active, Admission, Census, Circuit, CircuitState, Condition, ConditionCause, Fault, Mode,
    Passive, RetryBudget, Standing,
};
use crate::health::{Monitor, Outcome};
use crate::time::Moment;
use crate::traffic::proxy_protocol::ProxyVersion;
use crate::traffic::retry::{NoRetry, RetryRules, Try, may_connect_again, may_retry};
use crate::traffic::tls::UpstreamTls;
use crate::traffic::{Algorithm, Backend, Origin, Resilience, Upstream, Word};

/// Retry-After when nothing says how long it may take.
const SOME_TIME: Duration = Duration::from_secs(5);

/// The longest Retry-After.
const LONG: Duration = Duration::from_secs(60);

/// Why an upstream cannot take a request now: answered with 503 and Retry-After.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unavailable {
    /// Why.
    pub why: Busy,
    /// When it is worth trying again; whole seconds, at least one.
    pub retry_after: Duration,
}

/// Why an upstream cannot take a request now.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, thiserror::Error)]
pub enum Busy {
    /// No backend may be used.
    #[error("no backend can be used")]
    NoBackend,
    /// Its circuit is open.
    #[error("the circuit of the upstream is open")]
    CircuitOpen,
    /// As many requests are under way as may.
    #[error("as many requests are under way at the upstream as may")]
    TooMany,
    /// All backends are full, and as many wait as may.
    #[error("all backends are full and as many requests wait as may")]
    QueueFull,
    /// All backends were full for as long as a request waits.
    #[error("all backends were full for as long as a request waits")]
    QueueTimeout,
}

impl Busy {
    /// One word for logs and metrics.
    pub fn word(self) -> &'static str {
        match self {
            Busy::NoBackend => "no-backend",
            Busy::CircuitOpen => "circuit-open",
            Busy::TooMany => "too-many-requests",
            Busy::QueueFull => "queue-full",
            Busy::QueueTimeout => "queue-timeout",
        }
    }
}

/// One backend with what is known of its health.
struct Member {
    state: Arc<BackendState>,
    /// `None` without monitor.
    active: Option<Active>,
    passive: Passive,
    word: Word,
    /// When it began to drain, and when that ends.
    drain: Option<(Moment, Moment)>,
}

/// How backends are spoken to: a connection of one kind carries no request of another.
#[derive(PartialEq, Default)]
struct Speech {
    tls: Option<Box<UpstreamTls>>,
    http2: bool,
    proxy_protocol: Option<ProxyVersion>,
    origin: Origin,
}

impl Speech {
    fn of(upstream: &Upstream) -> Speech {
        Speech {
            tls: upstream.tls.clone(),
            http2: upstream.http2,
            proxy_protocol: upstream.proxy_protocol,
            origin: upstream.origin,
        }
    }
}

struct Inner {
    members: BTreeMap<Box<str>, Member>,
    speech: Speech,
    mode: Mode,
    mode_since: Moment,
    next_look: Moment,
    budget: RetryBudget,
}

/// An upstream as it is now, kept over reloads.
pub struct UpstreamState {
    /// Its name.
    pub name: Box<str>,
    rules: ArcSwap<Resilience>,
    beat: Arc<Beat>,
    queue: Arc<Queue>,
    inner: Mutex<Inner>,
    /// Whether a request must ask to be let in.
    guarded: AtomicBool,
    in_flight: AtomicU32,
    circuit: Mutex<Option<Circuit>>,
}

impl std::fmt::Debug for UpstreamState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UpstreamState")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Admitted {
    /// Whether anything is held for the request.
    pub fn is_guarded(&self) -> bool {
        self.0.is_some()
    }
}

/// A request that was let in; to be told how it ended.
#[derive(Debug, Default)]
#[must_use]
pub struct Admitted(Option<Guarded>);

#[derive(Debug)]
struct Guarded {
    upstream: Arc<UpstreamState>,
    admission: Cell<Option<Admission>>,
    counted: bool,
    at: Moment,
}

impl Admitted {
    /// How the request ended, retries included: the last status, or the last failure.
    pub fn ended(&self, status: Option<u16>, fault: Option<Fault>, now: Moment) {
        let Some(guarded) = &self.0 else {
            return;
        };
        let Some(admission) = guarded.admission.take() else {
            return;
        };
        let fault = fault.or_else(|| status.and_then(Fault::of_status));
        guarded.upstream.circuit_ended(admission, Some(fault), now);
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        if let Some(admission) = self.admission.take() {
            self.upstream.circuit_ended(admission, None, self.at);
        }
        if self.counted {
            self.upstream.in_flight.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl UpstreamState {
    /// The state of an upstream nothing is known of.
    pub(super) fn new(upstream: &Upstream, now: Moment) -> Arc<UpstreamState> {
        Arc::new_cyclic(|this| UpstreamState {
            name: upstream.name.clone(),
            rules: ArcSwap::from_pointee(upstream.resilience.clone()),
            beat: Arc::new(Beat::new(this.clone())),
            queue: Arc::default(),
            inner: Mutex::new(Inner {
                members: BTreeMap::new(),
                speech: Speech::of(upstream),
                mode: Mode::Normal,
                mode_since: now,
                next_look: now,
                budget: RetryBudget::new(0, now),
            }),
            guarded: AtomicBool::new(false),
            in_flight: AtomicU32::new(0),
            circuit: Mutex::new(None),
        })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Each step leaves it whole.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Goes over to what a plan says, now. `fresh` makes a backend that was not there before.
    pub(super) fn adopt(
        &self,
        upstream: &Upstream,
        now: Moment,
        workers: usize,
        mut next_id: impl FnMut() -> u64,
    ) -> Vec<Arc<BackendState>> {
        let rules = &upstream.resilience;
        self.rules.store(Arc::new(rules.clone()));
        self.queue.set(rules.queue.size, rules.queue.timeout);
        let guarded = rules.circuit.is_some() || rules.max_requests.is_some();
        self.guarded.store(guarded, Ordering::Relaxed);
        {
            let mut circuit = self.circuit.lock().unwrap_or_else(PoisonError::into_inner);
            match &rules.circuit {
                None => *circuit = None,
                Some(rules) if circuit.is_none() => *circuit = Some(Circuit::new(rules, now)),
                // Its state outlives a change of its rules.
                Some(_) => {}
            }
        }
        let mut inner = self.inner();
        // A whole upstream that is new warms up together: no share differs.
        let is_new = inner.members.is_empty();
        let speech = Speech::of(upstream);
        let other = std::mem::replace(&mut inner.speech, speech) != inner.speech;
        let mut old = std::mem::take(&mut inner.members);
        let mut states = Vec::with_capacity(upstream.backends.len());
        for backend in &upstream.backends {
            let mut known = old.remove(&backend.name);
            // Another address is another server: what was known of the old one says nothing.
            if let Some(other) = known.take_if(|m| m.state.address != backend.address) {
                self.remove(&other.state);
            }
            let mut member = known.unwrap_or_else(|| {
                let beat = self.beat.clone();
                let state =
                    BackendState::new(next_id(), backend, workers, beat, self.queue.clone());
                let state = Arc::new(state);
                if !is_new && rules.monitor.is_none() {
                    state.begin_ramp(rules.slow_start, now);
                }
                Member {
                    state,
                    active: None,
                    passive: Passive::new(now),
                    word: Word::Serve,
                    drain: None,
                }
            });
            if other && !is_new {
                // What its connections can carry has changed: those that are kept serve no more.
                self.remove(&member.state);
                let (beat, queue) = (self.beat.clone(), self.queue.clone());
                let state = BackendState::new(next_id(), backend, workers, beat, queue);
                member.state = Arc::new(state);
                member.passive = Passive::new(now);
            }
            member.adopt(backend, upstream, now);
            if member.state.is_lost() {
                self.queue.give_up(&member.state);
            }
            states.push(member.state.clone());
            inner.members.insert(backend.name.clone(), member);
        }
        for gone in old.into_values() {
            self.remove(&gone.state);
        }
        self.reckon(&mut inner, now);
        drop(inner);
        self.serve_waiting();
        states
    }

    /// Nothing names it any more.
    pub(super) fn retire(&self) {
        for member in std::mem::take(&mut self.inner().members).into_values() {
            member.state.set_gates(gate::REMOVED, true);
        }
        self.queue.close();
    }

    /// The configuration does not name the backend any more, or speaks to it in another way: what is
    /// under way goes on, and nothing new begins.
    fn remove(&self, gone: &Arc<BackendState>) {
        gone.set_gates(gate::REMOVED, true);
        self.queue.give_up(gone);
    }

    /// Lets a request in. Free when neither a circuit nor a bound is configured.
    ///
    /// # Errors
    /// When the circuit is open or as many are under way as may.
    pub fn admit(self: &Arc<Self>, now: Moment) -> Result<Admitted, Unavailable> {
        if !self.guarded.load(Ordering::Relaxed) {
            return Ok(Admitted(None));
        }
        let rules = self.rules.load();
        let mut guarded = Guarded {
            upstream: self.clone(),
            admission: Cell::new(None),
            counted: false,
            at: now,
        };
        if let Some(most) = rules.max_requests {
            guarded.counted = true;
            if self.in_flight.fetch_add(1, Ordering::Relaxed) >= most {
                return Err(self.unavailable(Busy::TooMany, Duration::from_secs(1)));
            }
        }
        if let Some(circuit_rules) = &rules.circuit {
            let mut circuit = self.circuit.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(circuit) = &mut *circuit {
                match circuit.admit(circuit_rules, now) {
                    Ok(admission) => guarded.admission.set(Some(admission)),
                    Err(wait) => return Err(self.unavailable(Busy::CircuitOpen, wait)),
                }
            }
        }
        Ok(Admitted(Some(guarded)))
    }

    fn circuit_ended(&self, admission: Admission, ended: Option<Option<Fault>>, now: Moment) {
        let rules = self.rules.load();
        let Some(rules) = &rules.circuit else {
            return;
        };
        let mut circuit = self.circuit.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(circuit) = &mut *circuit else {
            return;
        };
        let well = ended.map(|fault| !fault.is_some_and(|f| rules.counts.has(f)));
        if circuit.ended(admission, well, rules, now) {
            let (state, _) = circuit.state();
            tracing::warn!(upstream = %self.name, "the circuit of the upstream is {state}");
        }
    }

    fn unavailable(&self, why: Busy, wait: Duration) -> Unavailable {
        // The field says whole seconds (RFC 9110 section 10.2.3): rounded up, so that who obeys does
        // not come too early.
        let seconds = wait.min(LONG).as_millis().div_ceil(1000).max(1) as u64;
        Unavailable {
            why,
            retry_after: Duration::from_secs(seconds),
        }
    }

    /// What to answer when no backend may be used: it is worth trying again when the first ejection
    /// ends, or a probe may have passed.
    pub fn no_backend(&self, now: Moment) -> Unavailable {
        let inner = self.inner();
        let ends = inner
            .members
            .values()
            .filter_map(|m| m.passive.ejected_until());
        let ends = ends.min().map(|end| now.until(end));
        let rules = self.rules.load();
        let probed = rules.monitor.as_ref().map(|m| m.interval);
        let wait = ends.into_iter().chain(probed).min().unwrap_or(SOME_TIME);
        self.unavailable(Busy::NoBackend, wait)
    }

    /// Waits for a place at a backend: at `wanted`, or at any of `all` that may be used.
    ///
    /// # Errors
    /// When as many wait as may, or nothing became free in time; [`Busy::NoBackend`] when nothing will:
    /// another choice may do better.
    pub async fn wait(
        &self,
        wanted: Wanted,
        all: &[Arc<BackendState>],
    ) -> Result<Permit, Unavailable> {
        self.queue.wait(wanted, all).await.map_err(|vain| {
            let why = match vain {
                Vain::Full => Busy::QueueFull,
                Vain::Timeout => Busy::QueueTimeout,
                Vain::Gone => Busy::NoBackend,
            };
            self.unavailable(why, self.queue.timeout())
        })
    }

    /// Whether a request that failed may be tried again, the budget included, which it takes from.
    /// `rules`: the route's own, else the upstream's.
    ///
    /// # Errors
    /// Says why not.
    pub fn may_retry(
        &self,
        t: &Try<'_>,
        rules: Option<&RetryRules>,
        now: Moment,
    ) -> Result<(), NoRetry> {
        let own = self.rules.load();
        may_retry(t, rules.unwrap_or(&own.retries))?;
        self.take_from_budget(&own, now)
    }

    /// Whether a connection whose backend took none may be given to another one, the budget included,
    /// which it takes from. `tries`: how many there were.
    ///
    /// # Errors
    /// Says why not.
    pub fn may_connect_again(&self, tries: u32, now: Moment) -> Result<(), NoRetry> {
        let rules = self.rules.load();
        may_connect_again(tries, &rules.retries)?;
        self.take_from_budget(&rules, now)
    }

    fn take_from_budget(&self, rules: &Resilience, now: Moment) -> Result<(), NoRetry> {
        let mut inner = self.inner();
        let first_tries = inner.members.values().map(|m| {
            let counters = &m.state.counters;
            let all = counters.requests.load(Ordering::Relaxed);
            all.saturating_sub(counters.retries.load(Ordering::Relaxed))
        });
        let requests = first_tries.sum();
        if inner.budget.take(rules.budget, requests, now) {
            Ok(())
        } else {
            Err(NoRetry::Budget)
        }
    }

    /// A request to the backend failed.
    pub(super) fn failed(&self, backend: &Arc<BackendState>, fault: Fault, now: Moment) {
        let rules = self.rules.load();
        let Some(passive_rules) = &rules.passive else {
            return;
        };
        if !passive_rules.counts.has(fault) {
            return;
        }
        let mut inner = self.inner();
        let (ejected, all) = inner.ejected();
        let Some(member) = inner.member(backend) else {
            return;
        };
        let wanted = member.passive.failed(fault, passive_rules, now);
        let heeds = member.passive.heeds_success(passive_rules);
        backend.heeds.store(heeds, Ordering::Relaxed);
        let Some(cause) = wanted else {
            return;
        };
        if !may_eject(ejected, all, rules.max_ejected) {
            return;
        }
        let until = member.passive.eject(cause.clone(), passive_rules, now);
        self.note_ejection(backend, &cause, now.until(until));
        self.reckon(&mut inner, now);
    }

    fn note_ejection(&self, backend: &BackendState, cause: &ConditionCause, lasts: Duration) {
        backend.set_gates(gate::EJECTED, true);
        backend.heeds.store(false, Ordering::Relaxed);
        backend.counters.ejections.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(
            upstream = %self.name, backend = %backend.name, "backend is ejected for {lasts:?}: {cause}"
        );
    }

    /// A request to the backend went well, and it is one whose successes matter.
    pub(super) fn succeeded(&self, backend: &Arc<BackendState>) {
        let rules = self.rules.load();
        let Some(rules) = &rules.passive else {
            return;
        };
        let mut inner = self.inner();
        if let Some(member) = inner.member(backend) {
            member.passive.succeeded(rules);
            let heeds = member.passive.heeds_success(rules);
            backend.heeds.store(heeds, Ordering::Relaxed);
        }
    }

    /// Takes in what a probe of a backend saw.
    pub fn observe(&self, backend: &str, outcome: &Outcome, monitor: &Monitor, now: Moment) {
        let rules = self.rules.load();
        let mut inner = self.inner();
        let Some(member) = inner.members.get_mut(backend) else {
            return;
        };
        let Some(active) = &mut member.active else {
            return;
        };
        let changed = active.observe(outcome, monitor, now);
        if !changed {
            return;
        }
        let condition = active.condition();
        match condition.standing {
            Standing::Down => tracing::warn!(
                upstream = %self.name, %backend, "backend is down: {}", condition.cause
            ),
            standing => {
                tracing::info!(upstream = %self.name, %backend, "backend is {standing}: {}", condition.cause);
            }
        }
        member.show_active();
        if condition.standing == Standing::Up {
            // From the first passing check on, whether or not requests come.
            member.state.begin_ramp(rules.slow_start, now);
        }
        self.reckon(&mut inner, now);
        drop(inner);
        self.serve_waiting();
    }

    /// Does what time has made due: ends ejections and drains, looks for outliers. Cheap when nothing
    /// is.
    pub fn settle(&self, now: Moment) {
        let rules = self.rules.load();
        let mut inner = self.inner();
        for member in inner.members.values_mut() {
            if member.passive.settle(now) {
                let state = &member.state;
                state.set_gates(gate::EJECTED, false);
                state.heeds.store(true, Ordering::Relaxed);
                state.begin_ramp(rules.slow_start, now);
                tracing::info!(
                    upstream = %self.name, backend = %state.name,
                    "the ejection of the backend is over; its next request decides"
                );
            }
            if member.drain.is_some_and(|(_, end)| end <= now)
                && member.state.set_gates(gate::CUT, true)
            {
                let under_way = member.state.in_flight();
                tracing::info!(
                    upstream = %self.name, backend = %member.state.name, under_way,
                    "the backend's time to drain is over"
                );
                member.state.cuts.fetch_add(1, Ordering::Relaxed);
                member.state.cut.notify_waiters();
                self.queue.give_up(&member.state);
            }
        }
        self.look_for_outliers(&rules, &mut inner, now);
        self.reckon(&mut inner, now);
        drop(inner);
        self.serve_waiting();
    }

    fn look_for_outliers(&self, rules: &Resilience, inner: &mut Inner, now: Moment) {
        let Some(passive_rules) = &rules.passive else {
            return;
        };
        let Some(outlier_rules) = &passive_rules.outlier else {
            return;
        };
        if now < inner.next_look {
            return;
        }
        inner.next_look = now + outlier_rules.interval;
        let timings: Vec<_> = inner
            .members
            .values()
            .map(|m| m.state.counters.timing())
            .collect();
        for slow in outliers(&timings, outlier_rules) {
            let (ejected, all) = inner.ejected();
            let Some(member) = inner.members.values_mut().nth(slow.index) else {
                continue;
            };
            let counts = member.word == Word::Serve && !member.passive.is_ejected();
            if !counts || !may_eject(ejected, all, rules.max_ejected) {
                continue;
            }
            let cause = ConditionCause::Outlier {
                took: slow.took,
                peers: slow.peers,
            };
            let until = member.passive.eject(cause.clone(), passive_rules, now);
            self.note_ejection(&member.state, &cause, now.until(until));
        }
    }

    /// Sets the mode and when to look again, by what the members are now.
    fn reckon(&self, inner: &mut Inner, now: Moment) {
        let rules = self.rules.load();
        let mode = Mode::of(inner.census(), rules.panic_percent);
        if mode != inner.mode {
            match mode {
                Mode::Panic | Mode::Nothing => {
                    tracing::warn!(upstream = %self.name, "the upstream's mode is {mode}");
                }
                Mode::Normal | Mode::Unproven => {
                    tracing::info!(upstream = %self.name, "the upstream's mode is {mode}");
                }
            }
            inner.mode = mode;
            inner.mode_since = now;
        }
        self.beat.set_mode(mode);
        let ends = inner.members.values().flat_map(|m| {
            let drained = m.drain.filter(|_| !m.state.is_cut()).map(|(_, end)| end);
            m.passive.ejected_until().into_iter().chain(drained)
        });
        let look = rules.passive.as_ref().and_then(|p| p.outlier.as_ref());
        let look = look.map(|_| inner.next_look);
        let due = ends.chain(look).min().map_or(u64::MAX, |at| at.0);
        self.beat.due.store(due, Ordering::Relaxed);
    }

    /// Does what has become due; for whoever looks at the clock now and then.
    pub fn settle_if_due(&self, now: Moment) {
        if self.beat.due.load(Ordering::Relaxed) <= now.0 {
            self.settle(now);
        }
    }

    /// Hands places of backends that may have become free to those who wait.
    fn serve_waiting(&self) {
        if !self.queue.has_waiting() {
            return;
        }
        let states: Vec<_> = {
            let inner = self.inner();
            inner.members.values().map(|m| m.state.clone()).collect()
        };
        for state in &states {
            self.queue.serve(state);
        }
    }

    /// Which backends are used now.
    pub fn mode(&self) -> Mode {
        self.beat.mode()
    }

    /// How it stands, for people.
    pub fn report(&self, now: Moment) -> UpstreamReport {
        let rules = self.rules.load();
        let circuit = {
            let circuit = self.circuit.lock().unwrap_or_else(PoisonError::into_inner);
            circuit.as_ref().map(Circuit::state)
        };
        let inner = self.inner();
        let one = |m: &Member| BackendReport {
            state: m.state.clone(),
            condition: m.condition(),
            word: m.word,
            drain_until: m.drain.map(|(_, end)| end),
            failures: match (&rules.passive, &m.active) {
                (Some(rules), _) => m.passive.failures(rules, now),
                (None, _) => 0,
            },
            probe_failures: m.active.as_ref().map_or(0, Active::failures),
            probe_passes: m.active.as_ref().map_or(0, Active::passes),
            last_probe: m.active.as_ref().and_then(Active::last_probe),
            last_error: m.active.as_ref().and_then(|a| a.last_error().cloned()),
            used: m.state.is_usable(),
        };
        UpstreamReport {
            name: self.name.clone(),
            mode: inner.mode,
            mode_since: inner.mode_since,
            circuit,
            waiting: self.queue.waiting(),
            queue: self.queue.counts(),
            retries_refused: inner.budget.refused(),
            max_ejected: rules.max_ejected,
            panic_percent: rules.panic_percent,
            backends: inner.members.values().map(one).collect(),
        }
    }
}

/// How an upstream stands, for people.
#[derive(Clone, Debug)]
pub struct UpstreamReport {
    /// Its name.
    pub name: Box<str>,
    /// Which backends are used, and since when.
    pub mode: Mode,
    /// Since when.
    pub mode_since: Moment,
    /// Its circuit and since when; `None` without one.
    pub circuit: Option<(CircuitState, Moment)>,
    /// Requests that wait for a place.
    pub waiting: u32,
    /// Requests that waited, that found the queue full, that waited in vain.
    pub queue: (u64, u64, u64),
    /// Retries that the budget refused.
    pub retries_refused: u64,
    /// Never more than so many percent are ejected.
    pub max_ejected: u32,
    /// With less than so many percent left all are used; 0: never.
    pub panic_percent: u32,
    /// By name.
    pub backends: Vec<BackendReport>,
}

/// How a backend stands, for people.
#[derive(Clone, Debug)]
pub struct BackendReport {
    /// What runs of it.
    pub state: Arc<BackendState>,
    /// What is believed, why and since when.
    pub condition: Condition,
    /// The operator's word.
    pub word: Word,
    /// When its time to drain is over.
    pub drain_until: Option<Moment>,
    /// Failed requests that count.
    pub failures: u32,
    /// Probes that failed while it was up.
    pub probe_failures: u32,
    /// Probes in a row that passed while it was down.
    pub probe_passes: u32,
    /// When the last probe ended.
    pub last_probe: Option<Moment>,
    /// How the last failed probe failed.
    pub last_error: Option<Arc<str>>,
    /// Whether it may get requests of new clients.
    pub used: bool,
}

impl Inner {
    fn member(&mut self, backend: &Arc<BackendState>) -> Option<&mut Member> {
        let member = self.members.get_mut(&backend.name)?;
        // One that was replaced under its name says nothing of the new one.
        Arc::ptr_eq(&member.state, backend).then_some(member)
    }

    /// Those that are ejected, and all, without those that an operator took out.
    fn ejected(&self) -> (usize, usize) {
        let serving = self.members.values().filter(|m| m.word == Word::Serve);
        let ejected = serving.clone().filter(|m| m.passive.is_ejected());
        (ejected.count(), serving.count())
    }

    fn census(&self) -> Census {
        let mut census = Census::default();
        for member in self.members.values() {
            if member.word != Word::Serve {
                continue;
            }
            census.all += 1;
            match member.condition().standing {
                Standing::Up => census.up += 1,
                Standing::Unknown => census.unknown += 1,
                Standing::Down | Standing::Ejected => {}
            }
        }
        census
    }
}

impl Member {
    /// What is believed: probes first, then requests.
    fn condition(&self) -> Condition {
        let active = self.active.as_ref().map(Active::condition);
        match (active, self.passive.condition()) {
            (Some(down), _) if down.standing == Standing::Down => down,
            (_, Some(ejected)) => ejected,
            (Some(active), None) => active,
            (None, None) => Condition {
                standing: Standing::Up,
                cause: ConditionCause::Unmonitored,
                since: self.passive.since(),
                until: None,
            },
        }
    }

    fn adopt(&mut self, backend: &Backend, upstream: &Upstream, now: Moment) {
        let rules = &upstream.resilience;
        let state = &self.state;
        let weight = backend.weight.saturating_mul(UNIT);
        state.weight.store(weight, Ordering::Relaxed);
        let limit = backend.max_connections.or(rules.max_connections);
        state
            .limit
            .store(limit.unwrap_or(UNBOUNDED), Ordering::Relaxed);
        let outlier = rules.passive.as_ref().is_some_and(|p| p.outlier.is_some());
        let timed = outlier || upstream.algorithm == Algorithm::LeastTime;
        state.timed.store(timed, Ordering::Relaxed);
        // One of a family that the monitor leaves out counts as having none.
        let monitor = rules.monitor.as_ref();
        let monitored = monitor.is_some_and(|m| m.probes(state.address.ip()));
        match &self.active {
            _ if !monitored => self.active = None,
            None => self.active = Some(Active::new(rules.initial, now)),
            // Knows more than any configuration.
            Some(_) => {}
        }
        self.show_active();
        if rules.passive.is_none() {
            self.passive.forgive(now);
        }
        state.set_gates(gate::EJECTED, self.passive.is_ejected());
        state.apply_sticky(rules.drain_sticky);
        self.listen(backend.word, rules, now);
    }

    /// The operator's word.
    fn listen(&mut self, word: Word, rules: &Resilience, now: Moment) {
        let state = &self.state;
        let back = self.word != Word::Serve && word == Word::Serve;
        let begun = match self.drain {
            Some((begun, _)) if word == Word::Drain => begun,
            _ => now,
        };
        self.drain = (word != Word::Serve).then(|| (begun, begun + rules.drain_timeout));
        if word == Word::Disable {
            self.drain = Some((now, now));
        }
        state.set_gates(gate::DRAINING, word == Word::Drain);
        state.set_gates(gate::DISABLED, word == Word::Disable);
        if word == Word::Serve {
            state.set_gates(gate::CUT, false);
        }
        self.word = word;
        if back {
            // An operator's word is a new beginning.
            self.passive.forgive(now);
            state.set_gates(gate::EJECTED, false);
            state.begin_ramp(rules.slow_start, now);
        }
    }

    fn show_active(&self) {
        let standing = self.active.as_ref().map(|a| a.condition().standing);
        let state = &self.state;
        state.set_gates(gate::DOWN, standing == Some(Standing::Down));
        state.set_gates(gate::UNKNOWN, standing == Some(Standing::Unknown));
    }
}
