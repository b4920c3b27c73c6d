//! Runs probes: a timetable, tasks, and what they saw.
//!
//! One task owns the timetable; each probe is a task of its own under the monitor's timeout. A check
//! that panics is a failure of its target, and never ends the runner.

use std::collections::HashMap;
use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, Id, JoinError, JoinHandle, JoinSet};

use super::alarm::Alarm;
use super::certificates::Certificates;
use super::check::{Check, Shared};
use super::plan::{ProbePlan, Report};
use super::schedule::{Run, Start, TargetKey, Timetable};
use crate::health::{Failure, Observation, Outcome};
use crate::ids::TargetId;
use crate::telemetry::ProbeStats;
use crate::time::{Clock, Moment};

/// Longest sleep; nothing depends on it.
const IDLE: Duration = Duration::from_secs(3600);

/// Starts probing what `plans` says, now and whenever it changes, at most `in_flight` targets at once.
/// Ends when `plans` is dropped or nobody receives `reports` any more.
///
/// Reports carry the number of the plan whose target numbers they use, so that a receiver can drop
/// those that were under way while it went over to another.
pub fn spawn(
    plans: watch::Receiver<Arc<ProbePlan>>,
    clock: Arc<dyn Clock>,
    reports: mpsc::Sender<Report>,
    in_flight: usize,
    stats: Arc<ProbeStats>,
) -> JoinHandle<()> {
    let run_check =
        |check: Arc<Check>, clock: Arc<dyn Clock>| async move { check.run(&*clock).await };
    tokio::spawn(Runner::new(plans, clock, reports, run_check, in_flight, stats).run())
}

/// What makes a run of a check, so that tests can plant one.
struct Runner<F> {
    plans: watch::Receiver<Arc<ProbePlan>>,
    clock: Arc<dyn Clock>,
    reports: mpsc::Sender<Report>,
    run_check: F,
    timetable: Timetable,
    /// By target.
    checks: Vec<Arc<Check>>,
    tasks: JoinSet<Result<Duration, Failure>>,
    running: HashMap<Id, (Run, AbortHandle)>,
    random: Jitter,
    stats: Arc<ProbeStats>,
    certificates: Certificates,
    overdue: Alarm,
}

impl<F, R> Runner<F>
where
    F: Fn(Arc<Check>, Arc<dyn Clock>) -> R,
    R: Future<Output = Result<Duration, Failure>> + Send + 'static,
{
    fn new(
        plans: watch::Receiver<Arc<ProbePlan>>,
        clock: Arc<dyn Clock>,
        reports: mpsc::Sender<Report>,
        run_check: F,
        in_flight: usize,
        stats: Arc<ProbeStats>,
    ) -> Runner<F> {
        stats.in_flight_limit.store(in_flight as u64, Relaxed);
        Runner {
            plans,
            clock,
            reports,
            run_check,
            timetable: Timetable::new(in_flight),
            checks: Vec::new(),
            tasks: JoinSet::new(),
            running: HashMap::new(),
            random: Jitter::new(),
            certificates: Certificates::new(stats.clone()),
            stats,
            overdue: Alarm::default(),
        }
    }

    async fn run(mut self) {
        self.adopt();
        loop {
            let now = self.clock.now();
            while let Some(start) = self.timetable.start_next(now, self.random.next()) {
                self.start(start, now);
            }
            while let Some(target) = self.timetable.skip_next(now, self.random.next()) {
                if self.skipped(target, now).await.is_err() {
                    return;
                }
            }
            let in_flight = self.timetable.in_flight() as u64;
            self.stats.in_flight.store(in_flight, Relaxed);
            let wake = self.timetable.next_due();
            let wake = wake.or_else(|| self.timetable.next_overdue());
            let sleep = wake.map_or(IDLE, |at| now.until(at));
            tokio::select! {
                changed = self.plans.changed() => match changed {
                    Ok(()) => self.adopt(),
                    Err(_) => return,
                },
                () = self.reports.closed() => return,
                Some(ended) = self.tasks.join_next_with_id() => {
                    let mut next = Some(ended);
                    // Those that ended meanwhile cost no further round.
                    while let Some(ended) = next {
                        if self.ended(ended).await.is_err() {
                            return;
                        }
                        next = self.tasks.try_join_next_with_id();
                    }
                }
                () = tokio::time::sleep(sleep) => {}
            }
        }
    }

    /// Goes over to the plan in force. Probes of targets that are gone end at once (requirement H7).
    fn adopt(&mut self) {
        let plan = self.plans.borrow_and_update().clone();
        let mut old: HashMap<TargetKey, Arc<Check>> = self
            .timetable
            .keys()
            .cloned()
            .zip(self.checks.drain(..))
            .collect();
        for gone in self.timetable.adopt(&plan, self.clock.now()) {
            for (_, handle) in self.running.values().filter(|(run, _)| *run == gone) {
                handle.abort();
            }
        }
        let mut shared = Shared::default();
        let make_ready = |key: &TargetKey| {
            old.remove(key)
                .unwrap_or_else(|| Arc::new(Check::prepare(key, &mut shared)))
        };
        self.checks = self.timetable.keys().map(make_ready).collect();
        self.certificates.keep_only(self.timetable.keys());
    }

    fn start(&mut self, start: Start, now: Moment) {
        if start.overdue {
            self.stats.overdue.fetch_add(1, Relaxed);
            self.overdue.raise(&start.key, now);
        }
        let timeout = start.key.monitor.timeout;
        let check = self.checks[start.target.index()].clone();
        let run = (self.run_check)(check, self.clock.clone());
        let limited = async move {
            tokio::time::timeout(timeout, run)
                .await
                .unwrap_or(Err(Failure::Timeout(timeout)))
        };
        let handle = self.tasks.spawn(limited);
        self.running.insert(handle.id(), (start.run, handle));
    }

    /// Says that nothing is known of a target that found no room. Fails when nobody listens any more.
    async fn skipped(&mut self, target: TargetId, now: Moment) -> Result<(), Deaf> {
        let key = self.timetable.key(target);
        let why = overloaded(key);
        self.stats.overdue.fetch_add(1, Relaxed);
        self.overdue.raise(key, now);
        let outcome = Outcome::Fail(Failure::Unable(why));
        self.report(target, now, outcome).await
    }

    /// Hands on what an ended task saw. Fails when nobody listens any more.
    async fn ended(
        &mut self,
        ended: Result<(Id, Result<Duration, Failure>), JoinError>,
    ) -> Result<(), Deaf> {
        let (id, outcome) = match ended {
            Ok((id, Ok(rtt))) => (id, Outcome::Pass { rtt }),
            Ok((id, Err(failure))) => (id, Outcome::Fail(failure)),
            Err(e) => (e.id(), Outcome::Fail(crashed(e))),
        };
        let Some((run, _)) = self.running.remove(&id) else {
            return Ok(());
        };
        let at = self.clock.now();
        // A run whose target is gone has nobody to report on.
        let Some(target) = self.timetable.finished(run, at) else {
            return Ok(());
        };
        self.take_note(target, at, &outcome);
        self.report(target, at, outcome).await
    }

    /// Counts, and tells the log what the outcome alone does not say.
    fn take_note(&mut self, target: TargetId, at: Moment, outcome: &Outcome) {
        let key = self.timetable.key(target);
        self.stats.ended.fetch_add(1, Relaxed);
        if let Outcome::Fail(Failure::Unable(_)) = outcome {
            self.stats.unable.fetch_add(1, Relaxed);
        }
        if let Some(not_after) = self.checks[target.index()].certificate_not_after() {
            let now = self.clock.wall().unix(at);
            self.certificates.saw(key, not_after, now);
        }
    }

    async fn report(&mut self, target: TargetId, at: Moment, outcome: Outcome) -> Result<(), Deaf> {
        let observation = Observation {
            target,
            at,
            outcome,
        };
        let plan = self.timetable.plan();
        let report = Report { plan, observation };
        self.reports.send(report).await.map_err(|_| Deaf)
    }
}

/// Nobody listens to reports any more.
struct Deaf;

/// The words for a probe that did not start within its interval.
fn overloaded(key: &TargetKey) -> String {
    format!(
        "this node has more probes under way than it may, so that one did not start within its \
         interval of {:?}; lengthen `interval`, shorten `timeout` or let the process open more files",
        key.monitor.interval
    )
}

/// The words for a check that panicked.
fn crashed(e: JoinError) -> Failure {
    let why = match e.try_into_panic() {
        Ok(panic) => panic
            .downcast_ref::<&str>()
            .map(|s| (*s).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "no reason given".to_owned()),
        Err(e) => e.to_string(),
    };
    Failure::Unexpected(format!("the check itself crashed: {why}"))
}

/// Random numbers for jitter: nothing secret hangs on them, they only must differ between nodes.
struct Jitter {
    keys: RandomState,
    count: u64,
}

impl Jitter {
    fn new() -> Jitter {
        Jitter {
            keys: RandomState::new(),
            count: 0,
        }
    }

    fn next(&mut self) -> u32 {
        self.count += 1;
        (self.keys.hash_one(self.count) >> 32) as u32
    }
}

#[cfg(test)]
mod tests;
