//! What a node tells of itself beside its answers and its log.

mod process;

use std::sync::Arc;

use crate::telemetry::{Metrics, Stats};

use super::control::Controller;
use process::Process;

/// Adds what is counted outside the DNS path.
pub(super) fn complete(stats: Stats, controller: &Controller) -> Arc<Stats> {
    let reloads: Arc<dyn Metrics> = controller.reloads().clone();
    let stats = stats
        .with_metrics(Some(reloads))
        .with_metrics(Some(Arc::new(Process)));
    Arc::new(stats)
}
