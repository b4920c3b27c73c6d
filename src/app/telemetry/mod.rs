//! What a node tells of itself beside its answers and its log: metrics of the process, the sampled
//! query log, and the export to an OpenTelemetry collector.

mod dnstap;
mod frames;
mod message;
mod otlp;
mod otlp_json;
mod otlp_post;
mod otlp_spans;
mod process;
mod tallies;

use std::sync::Arc;

use tokio::sync::watch;

use crate::admin::{self, Control as _};
use crate::compile::Node;
use crate::config::spec::OtlpSpec;
use crate::proxy::trace::Tracing;
use crate::server::tap::Taps;
use crate::snapshot::Publisher;
use crate::telemetry::spans::Spans;
use crate::telemetry::{Metrics, Stats};
use crate::time::Clock;

use super::control::Controller;
use super::proxy::SharedCarrier;
use otlp::Exporter;
use otlp_json::Resource;
use otlp_post::{Counts, Poster};
use otlp_spans::SpanExporter;
use process::Process;

/// Requests of the proxy that wait to be exported, at most.
const WAITING: usize = 4096;

/// What telling needs.
pub(super) struct Given<'a> {
    /// The node.
    pub(super) node: &'a Node,
    /// Where views come from.
    pub(super) publisher: &'a Publisher,
    /// Knows reloads and the fleet.
    pub(super) controller: &'a Arc<Controller>,
    /// Has the spans of the proxy.
    pub(super) carrier: &'a SharedCarrier,
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

/// How the proxy traces its requests; `None`: it does not.
pub(super) fn tracing(node: &Node) -> Option<Tracing> {
    let spec = node.otlp.as_ref()?.proxy?;
    Some(Tracing {
        spans: Arc::new(Spans::new(WAITING)),
        share: spec.share,
        anyones: spec.anyones,
    })
}

/// Adds what is counted outside the DNS path, and starts the export where the configuration wants one.
pub(super) fn complete(
    stats: Stats,
    query_log: Option<Arc<dyn Metrics>>,
    given: &Given<'_>,
) -> Arc<Stats> {
    let reloads: Arc<dyn Metrics> = given.controller.reloads().clone();
    let stats = stats
        .with_metrics(Some(reloads))
        .with_metrics(Some(Arc::new(Process)))
        .with_metrics(query_log);
    match &given.node.otlp {
        None => Arc::new(stats),
        Some(spec) => export(stats, spec, given),
    }
}

fn export(stats: Stats, spec: &OtlpSpec, given: &Given<'_>) -> Arc<Stats> {
    let mut queues = Vec::new();
    if spec.traces {
        queues.push(stats.spans().clone());
    }
    let of_proxy = given.carrier.as_ref().and_then(|c| c.spans());
    queues.extend(of_proxy.cloned());
    let (counts, tallies) = Counts::new(&queues);
    let stats = Arc::new(stats.with_metrics(Some(Arc::new(tallies))));
    let poster = || Poster::new(&spec.endpoint, &counts);
    let (for_metrics, for_spans) = match (poster(), poster()) {
        (Ok(metrics), Ok(spans)) => (metrics, spans),
        (Err(error), _) | (_, Err(error)) => {
            tracing::error!(%error, "nothing is exported to the OpenTelemetry collector");
            return stats;
        }
    };
    let (publisher, of, controller) = (
        given.publisher.clone(),
        stats.clone(),
        given.controller.clone(),
    );
    let resource = resource(given);
    let exporter = Exporter {
        poster: for_metrics,
        interval: spec.interval,
        resource: resource.clone(),
        page: Arc::new(move || {
            let fleet = controller.fleet().counts;
            admin::metrics::render(&publisher.latest(), &of, &fleet)
        }),
        clock: given.clock.clone(),
        stopped: given.stopped.clone(),
    };
    tokio::spawn(exporter.run());
    if !queues.is_empty() {
        let exporter = SpanExporter {
            poster: for_spans,
            resource,
            queues,
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
