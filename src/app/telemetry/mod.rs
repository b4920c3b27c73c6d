//! What a node tells of itself beside its answers and its log: metrics of the process, the sampled
//! query log, and the export to an OpenTelemetry collector.

mod dnstap;
mod frames;
mod message;
mod otlp;
mod otlp_json;
mod process;

use std::sync::Arc;

use tokio::sync::watch;

use crate::admin::{self, Control as _};
use crate::compile::Node;
use crate::server::tap::Taps;
use crate::snapshot::Publisher;
use crate::telemetry::{Metrics, Stats};
use crate::time::Clock;

use super::control::Controller;
use otlp::{Exporter, OtlpStats};
use otlp_json::Resource;
use process::Process;

/// What telling needs.
pub(super) struct Given<'a> {
    /// The node.
    pub(super) node: &'a Node,
    /// Where views come from.
    pub(super) publisher: &'a Publisher,
    /// Knows reloads and the fleet.
    pub(super) controller: &'a Arc<Controller>,
    /// The time.
    pub(super) clock: &'a Arc<dyn Clock>,
    /// Turns true when the node ends.
    pub(super) stopped: &'a watch::Receiver<bool>,
}

/// Starts the sampled query log where the configuration wants one; what it counts.
pub(super) fn log_queries(
    taps: &mut Taps,
    node: &Node,
    clock: &Arc<dyn Clock>,
    stopped: &watch::Receiver<bool>,
) -> Option<Arc<dyn Metrics>> {
    let spec = node.dnstap.as_ref()?;
    Some(dnstap::start(taps, spec, &node.name, clock, stopped))
}

/// Adds what is counted outside the DNS path, and starts the export where the configuration wants one.
pub(super) fn complete(
    stats: Stats,
    query_log: Option<Arc<dyn Metrics>>,
    given: &Given<'_>,
) -> Arc<Stats> {
    let reloads: Arc<dyn Metrics> = given.controller.reloads().clone();
    let counts = Arc::new(OtlpStats::new(stats.spans().clone()));
    let otlp = given.node.otlp.clone();
    let counted: Option<Arc<dyn Metrics>> = match otlp {
        Some(_) => Some(counts.clone()),
        None => None,
    };
    let stats = stats
        .with_metrics(Some(reloads))
        .with_metrics(Some(Arc::new(Process)))
        .with_metrics(query_log)
        .with_metrics(counted);
    let stats = Arc::new(stats);
    if let Some(spec) = otlp {
        let (publisher, of, controller) = (
            given.publisher.clone(),
            stats.clone(),
            given.controller.clone(),
        );
        let exporter = Exporter {
            spec,
            resource: resource(given),
            page: Arc::new(move || {
                let fleet = controller.fleet().counts;
                admin::metrics::render(&publisher.latest(), &of, &fleet)
            }),
            stats: stats.clone(),
            clock: given.clock.clone(),
            counts,
            stopped: given.stopped.clone(),
        };
        tokio::spawn(exporter.run());
    }
    stats
}

fn resource(given: &Given<'_>) -> Resource {
    let view = given.publisher.latest();
    let nodes = &view.snapshot.settings.nodes;
    let own = nodes.iter().find(|n| *n.name == *given.node.name);
    Resource {
        node: given.node.name.clone(),
        region: own.map(|n| n.region.to_string()).unwrap_or_default(),
    }
}
