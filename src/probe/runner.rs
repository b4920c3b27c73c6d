//! Runs probes: a timetable, tasks, and what they saw.
//!
//! One task owns the timetable; each probe is a task of its own under the monitor's timeout. A check
//! that panics is a failure of its target, and never ends the runner.

use std::collections::HashMap;
use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, Id, JoinError, JoinHandle, JoinSet};

use super::check::Check;
use super::plan::{ProbePlan, Report};
use super::schedule::{MAX_IN_FLIGHT, Run, Start, TargetKey, Timetable};
use crate::health::{Failure, Observation, Outcome};
use crate::time::Clock;

/// Longest sleep; nothing depends on it.
const IDLE: Duration = Duration::from_secs(3600);

/// Starts probing what `plans` says, now and whenever it changes. Ends when `plans` is dropped or
/// nobody receives `reports` any more.
///
/// Reports carry the number of the plan whose target numbers they use, so that a receiver can drop
/// those that were under way while it went over to another.
pub fn spawn(
    plans: watch::Receiver<Arc<ProbePlan>>,
    clock: Arc<dyn Clock>,
    reports: mpsc::Sender<Report>,
) -> JoinHandle<()> {
    let run_check =
        |check: Arc<Check>, clock: Arc<dyn Clock>| async move { check.run(&*clock).await };
    tokio::spawn(Runner::new(plans, clock, reports, run_check).run())
}

/// What makes a run of a check, so that tests can plant one.
struct Runner<F> {
    plans: watch::Receiver<Arc<ProbePlan>>,
    clock: Arc<dyn Clock>,
    reports: mpsc::Sender<Report>,
    run_check: F,
    timetable: Timetable,
    checks: HashMap<TargetKey, Arc<Check>>,
    tasks: JoinSet<Result<Duration, Failure>>,
    running: HashMap<Id, (Run, AbortHandle)>,
    random: Jitter,
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
    ) -> Runner<F> {
        Runner {
            plans,
            clock,
            reports,
            run_check,
            timetable: Timetable::new(MAX_IN_FLIGHT),
            checks: HashMap::new(),
            tasks: JoinSet::new(),
            running: HashMap::new(),
            random: Jitter::new(),
        }
    }

    async fn run(mut self) {
        self.adopt();
        loop {
            let now = self.clock.now();
            while let Some(start) = self.timetable.start_next(now, self.random.next()) {
                self.start(start);
            }
            let sleep = self.timetable.next_due().map_or(IDLE, |due| now.until(due));
            tokio::select! {
                changed = self.plans.changed() => match changed {
                    Ok(()) => self.adopt(),
                    Err(_) => return,
                },
                () = self.reports.closed() => return,
                Some(ended) = self.tasks.join_next_with_id() => {
                    if self.report(ended).await.is_err() {
                        return;
                    }
                }
                () = tokio::time::sleep(sleep) => {}
            }
        }
    }

    /// Goes over to the plan in force. Probes of targets that are gone end at once (requirement H7).
    fn adopt(&mut self) {
        let plan = self.plans.borrow_and_update().clone();
        for gone in self.timetable.adopt(&plan, self.clock.now()) {
            for (_, handle) in self.running.values().filter(|(run, _)| *run == gone) {
                handle.abort();
            }
        }
        let mut old = std::mem::take(&mut self.checks);
        for key in self.timetable.keys() {
            let check = old
                .remove(key)
                .unwrap_or_else(|| Arc::new(Check::prepare(key)));
            self.checks.insert(key.clone(), check);
        }
    }

    fn start(&mut self, start: Start) {
        let timeout = start.key.monitor.timeout;
        let check = self
            .checks
            .entry(start.key)
            .or_insert_with_key(|key| Arc::new(Check::prepare(key)));
        let run = (self.run_check)(check.clone(), self.clock.clone());
        let limited = async move {
            tokio::time::timeout(timeout, run)
                .await
                .unwrap_or(Err(Failure::Timeout(timeout)))
        };
        let handle = self.tasks.spawn(limited);
        self.running.insert(handle.id(), (start.run, handle));
    }

    /// Hands on what an ended task saw. Fails when nobody listens any more.
    async fn report(
        &mut self,
        ended: Result<(Id, Result<Duration, Failure>), JoinError>,
    ) -> Result<(), mpsc::error::SendError<Report>> {
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
        let observation = Observation {
            target,
            at,
            outcome,
        };
        self.reports
            .send(Report {
                plan: self.timetable.plan(),
                observation,
            })
            .await
    }
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
