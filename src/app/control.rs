//! What the admin API may order: implemented here, declared by `admin`.

use std::sync::Arc;

use tokio::sync::{Mutex, mpsc, oneshot};

use crate::admin::{Control, ReloadOutcome};
use crate::compile::Node;
use crate::config::Report;

use super::certificates::Certificates;
use super::judge_loop::Order;
use super::load::{Loaded, Wanted, load_all, log};

/// Reloads by order of a signal or the API, one at a time.
#[derive(Debug)]
pub struct Controller {
    wanted: Wanted,
    /// As it was started; listeners and threads stay so.
    running: Node,
    orders: mpsc::Sender<Order>,
    certificates: Option<Arc<Certificates>>,
    one_at_a_time: Mutex<()>,
}

impl Controller {
    /// A controller that reloads `wanted` and hands the result to the judge loop, and the certificate
    /// to its keeper.
    pub fn new(
        wanted: Wanted,
        running: Node,
        orders: mpsc::Sender<Order>,
        certificates: Option<Arc<Certificates>>,
    ) -> Arc<Controller> {
        Arc::new(Controller {
            wanted,
            running,
            orders,
            certificates,
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
        log(&loaded.warnings);
        let mut warnings: Vec<String> = loaded.warnings.lines().collect();
        let late = loaded.compiled.node.map(|n| n.needs_restart(&self.running));
        for option in late.unwrap_or_default() {
            let text =
                format!("`{option}` changed; a reload does not apply it, restart the node for it");
            tracing::warn!("{text}");
            warnings.push(format!("warning: {text}"));
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
                if let (Some(keeper), Some(new)) = (&self.certificates, loaded.certificate) {
                    keeper.adopt(new);
                }
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
    log(&report);
    let lines: Vec<String> = report.lines().collect();
    tracing::error!(
        errors = report.error_count(),
        "reload refused: the configuration in force stays as it was"
    );
    ReloadOutcome::Refused { problems: lines }
}
