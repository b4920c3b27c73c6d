//! What the admin API may order: implemented here, declared by `admin`.

use std::sync::Arc;

use tokio::sync::{Mutex, mpsc, oneshot};

use crate::admin::{Control, ReloadOutcome};
use crate::compile::Node;
use crate::config::Report;

use super::judge_loop::Order;
use super::load::{Loaded, Wanted, load_all};

/// Reloads by order of a signal or the API, one at a time.
#[derive(Debug)]
pub struct Controller {
    wanted: Wanted,
    /// What the process was started as; listeners and the like change only at a restart.
    started_as: Node,
    orders: mpsc::Sender<Order>,
    one_at_a_time: Mutex<()>,
}

impl Controller {
    /// A controller that reloads `wanted` and hands the result to the judge loop.
    pub fn new(wanted: Wanted, started_as: Node, orders: mpsc::Sender<Order>) -> Arc<Controller> {
        Arc::new(Controller {
            wanted,
            started_as,
            orders,
            one_at_a_time: Mutex::new(()),
        })
    }
}

impl Control for Controller {
    async fn reload(&self) -> ReloadOutcome {
        let _one = self.one_at_a_time.lock().await;
        let wanted = self.wanted.clone();
        // Reading and compiling a large configuration takes seconds; nothing else waits for it.
        let result = tokio::task::spawn_blocking(move || load_all(&wanted)).await;
        match result {
            Ok(Ok(loaded)) => self.hand_over(loaded).await,
            Ok(Err(report)) => refused(report),
            Err(panic) => ReloadOutcome::Failed(format!("the reload itself failed: {panic}")),
        }
    }
}

impl Controller {
    async fn hand_over(&self, loaded: Loaded) -> ReloadOutcome {
        let mut warnings: Vec<String> = loaded.warnings.lines().collect();
        if loaded
            .compiled
            .node
            .as_ref()
            .is_some_and(|n| *n != self.started_as)
        {
            warnings.push(format!(
                "node `{}`: its listeners, roles, workers or limits changed; that takes effect at a \
                 restart, all else is in force",
                self.started_as.name
            ));
        }
        for line in &warnings {
            tracing::warn!("{line}");
        }
        let (done, generation) = oneshot::channel();
        let order = Order::Adopt {
            snapshot: loaded.compiled.snapshot,
            done,
        };
        if self.orders.send(order).await.is_err() {
            return ReloadOutcome::Failed("the server is stopping".to_owned());
        }
        match generation.await {
            Ok(generation) => {
                tracing::info!(%generation, "reloaded");
                ReloadOutcome::Adopted {
                    generation,
                    warnings,
                }
            }
            Err(_) => ReloadOutcome::Failed("the server is stopping".to_owned()),
        }
    }
}

fn refused(report: Report) -> ReloadOutcome {
    let lines: Vec<String> = report.lines().collect();
    for line in &lines {
        tracing::error!("{line}");
    }
    tracing::error!(
        problems = lines.len(),
        "reload refused: the configuration in force stays as it was"
    );
    ReloadOutcome::Refused { problems: lines }
}
