//! What the admin API may order: implemented here, declared by `admin`.

use std::sync::{Arc, PoisonError};

use async_trait::async_trait;
use tokio::sync::{Mutex, mpsc, oneshot};

use crate::admin::{Control, FleetStatus, ReloadOutcome};
use crate::compile::Node;
use crate::config::{Effective, Report};
use crate::engine::transfer::history;
use crate::history::What;
use crate::snapshot::{Publisher, Snapshot};
use crate::telemetry::{Reload, ReloadStats};
use crate::time::Clock;

use super::admin::Entrance;
use super::certificates::Certificates;
use super::chronicle::{self, Chronicle};
use super::fleet::FleetDesk;
use super::judge_loop::Order;
use super::keeper;
use super::load::{Loaded, Wanted, load_all, log};
use super::proxy::{SharedCarrier, why_not};

/// What a controller orders about.
pub struct Ordered {
    /// What is loaded.
    pub wanted: Wanted,
    /// As it was started; listeners and threads stay so.
    pub running: Node,
    /// Has the configuration in force.
    pub publisher: Publisher,
    /// The judge loop.
    pub orders: mpsc::Sender<Order>,
    /// The certificates of encrypted listeners.
    pub certificates: Option<Arc<Certificates>>,
    /// The entrance of the admin API.
    pub entrance: Arc<Entrance>,
    /// DNSSEC keys.
    pub keeper: keeper::Shared,
    /// The lock of the state directory.
    pub lock: keeper::SharedLock,
    /// The other nodes.
    pub fleet: Arc<FleetDesk>,
    /// The proxy.
    pub carrier: SharedCarrier,
    /// What is run, and its options.
    pub config: (String, Arc<Effective>),
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where it is told what happened.
    pub chronicle: Chronicle,
}

/// Reloads by order of a signal or the API, one at a time.
pub struct Controller {
    has: Ordered,
    /// What is run now, and its options.
    shown: std::sync::Mutex<(String, Arc<Effective>)>,
    one_at_a_time: Mutex<()>,
    reloads: Arc<ReloadStats>,
}

impl Controller {
    /// A controller that reloads and hands the result to the judge loop, and the certificate to its
    /// keeper.
    pub fn new(has: Ordered) -> Arc<Controller> {
        let now = has.clock.wall().unix(has.clock.now());
        Arc::new(Controller {
            shown: std::sync::Mutex::new(has.config.clone()),
            has,
            one_at_a_time: Mutex::new(()),
            reloads: Arc::new(ReloadStats::loaded_at(now)),
        })
    }

    /// What is counted of reloads.
    pub fn reloads(&self) -> &Arc<ReloadStats> {
        &self.reloads
    }
}

#[async_trait]
impl Control for Controller {
    fn fleet(&self) -> FleetStatus {
        self.has.fleet.status(&self.has.publisher.latest())
    }

    fn configuration(&self) -> (String, Arc<Effective>) {
        self.shown().clone()
    }

    async fn reload(&self) -> ReloadOutcome {
        let outcome = self.try_reload().await;
        let how = match &outcome {
            ReloadOutcome::Adopted { .. } => Reload::Adopted,
            ReloadOutcome::Refused { .. } => Reload::Refused,
            ReloadOutcome::Failed(_) => Reload::Failed,
        };
        let now = self.has.clock.now();
        self.reloads.count(how, self.has.clock.wall().unix(now));
        outcome
    }
}

impl Controller {
    async fn try_reload(&self) -> ReloadOutcome {
        let _one = self.one_at_a_time.lock().await;
        if self.has.lock.is_left() {
            // That one has read its configuration already.
            let why = "a new process is taking this node over; reload that one in a moment";
            tracing::error!("reload refused: {why}");
            return ReloadOutcome::Failed(why.to_owned());
        }
        let wanted = self.has.wanted.clone();
        // Reading and compiling a large configuration takes seconds; nothing else waits for it.
        let in_force = self.has.publisher.latest();
        let result = tokio::task::spawn_blocking(move || {
            let mut loaded = load_all(&wanted)?;
            let told = follow_zones(&in_force.snapshot, &mut loaded);
            Ok((loaded, told))
        })
        .await;
        match result {
            Ok(Ok((loaded, told))) => self.hand_over(loaded, told).await,
            Ok(Err(report)) => refused(report, &self.has.chronicle),
            Err(panic) => ReloadOutcome::Failed(format!("the reload itself failed: {panic}")),
        }
    }

    fn shown(&self) -> std::sync::MutexGuard<'_, (String, Arc<Effective>)> {
        // Nothing that holds it can leave it half-done.
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn hand_over(&self, loaded: Loaded, zones: Vec<String>) -> ReloadOutcome {
        log(&loaded.warnings);
        let mut warnings: Vec<String> = loaded.warnings.lines().collect();
        for text in zones {
            tracing::warn!("{text}");
            warnings.push(format!("warning: {text}"));
        }
        let late = loaded
            .compiled
            .node
            .as_ref()
            .map(|n| n.needs_restart(&self.has.running));
        for option in late.unwrap_or_default() {
            let text =
                format!("`{option}` changed; a reload does not apply it, restart the node for it");
            tracing::warn!("{text}");
            warnings.push(format!("warning: {text}"));
        }
        // First of all: a listener that cannot be had refuses the reload, and nothing has changed.
        if let Some(carrier) = &self.has.carrier
            && let Err(e) = carrier.adopt(&loaded.compiled.snapshot.traffic)
        {
            return self.cannot(why_not(&e, loaded.compiled.node.as_ref()));
        }
        let (done, generation) = oneshot::channel();
        let (keeper, orders, clock) = (
            self.has.keeper.clone(),
            self.has.orders.clone(),
            self.has.clock.clone(),
        );
        let chronicle = self.has.chronicle.clone();
        let mut compiled = loaded.compiled;
        let node = compiled.node.take();
        let kept = chronicle::Kept::of(&loaded.digest, loaded.files);
        // Waits for the disk. Sent under the lock, so that keys come in the order they were made in.
        let handed = tokio::task::spawn_blocking(move || {
            let mut keeper = keeper::locked(&keeper);
            let now = clock.wall().unix(clock.now());
            let keys = keeper.adopt(&compiled.signed, &compiled.unsigned, now)?;
            let snapshot = compiled.snapshot;
            chronicle.configured(&snapshot, kept);
            let _ = orders.blocking_send(Order::Adopt {
                snapshot,
                keys,
                done,
            });
            Ok::<_, keeper::store::StoreError>(())
        });
        match handed.await {
            Ok(Ok(())) => {}
            Ok(Err(e)) => {
                // The proxy goes back to what everything else goes by.
                let in_force = &self.has.publisher.latest().snapshot.traffic;
                if let Some(carrier) = &self.has.carrier
                    && let Err(e) = carrier.adopt(in_force)
                {
                    tracing::error!("the proxy goes by the configuration that was refused: {e}");
                }
                return self.cannot(e.0);
            }
            Err(panic) => {
                return ReloadOutcome::Failed(format!("the reload itself failed: {panic}"));
            }
        }
        match generation.await {
            Ok(generation) => {
                if let (Some(keeper), Some(new)) = (&self.has.certificates, loaded.certificate) {
                    keeper.adopt(new);
                }
                if let Some(node) = &node {
                    self.has.entrance.adopt(node.access.clone(), loaded.admin);
                }
                self.has.fleet.runs(&loaded.digest, node.as_ref());
                *self.shown() = (loaded.digest.to_string(), loaded.effective);
                if let Some(node) = &node {
                    self.has.chronicle.bound(node.history);
                }
                tracing::info!(%generation, "reloaded");
                self.has.chronicle.record(&What::ConfigAdopted {
                    digest: loaded.digest.to_string(),
                    warnings: warnings.len(),
                });
                ReloadOutcome::Adopted {
                    generation,
                    warnings,
                }
            }
            Err(_) => ReloadOutcome::Failed("the server is stopping".to_owned()),
        }
    }
}

impl Controller {
    /// What was loaded is right, and cannot be had on this machine.
    fn cannot(&self, why: String) -> ReloadOutcome {
        tracing::error!("reload refused: {why}; the configuration in force stays as it was");
        self.has.chronicle.record(&What::ConfigRefused {
            problems: vec![why.clone()],
        });
        ReloadOutcome::Failed(why)
    }
}

/// Carries the changes that secondaries may ask for over to what was loaded; says what they would miss.
fn follow_zones(in_force: &Snapshot, loaded: &mut Loaded) -> Vec<String> {
    let (changes, told) = history::follow(in_force, &loaded.compiled.snapshot);
    match Arc::get_mut(&mut loaded.compiled.snapshot) {
        Some(snapshot) => {
            snapshot.settings.transfers.history = changes;
            // What was counted of a region goes on being of that region.
            let regions = snapshot.steering.regions.iter().map(|r| &*r.name);
            snapshot.settings.regions = in_force.settings.regions.with(regions);
        }
        None => debug_assert!(false, "nobody else has what was just loaded"),
    }
    told
}

fn refused(report: Report, chronicle: &Chronicle) -> ReloadOutcome {
    log(&report);
    let lines: Vec<String> = report.lines().collect();
    tracing::error!(
        errors = report.error_count(),
        "reload refused: the configuration in force stays as it was"
    );
    chronicle.record(&What::ConfigRefused {
        problems: lines.clone(),
    });
    ReloadOutcome::Refused { problems: lines }
}
