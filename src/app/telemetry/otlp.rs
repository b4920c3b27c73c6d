//! The export of metrics and traces to an OpenTelemetry collector, over HTTP in JSON.
//!
//! What is exported is the page of `/metrics`, so that there is one set of metrics. Nothing waits for
//! the collector: an export that fails or is late is given up and counted, and the next one has the
//! newest numbers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;

use crate::config::spec::OtlpSpec;
use crate::telemetry::families::families;
use crate::telemetry::spans::Spans;
use crate::telemetry::{Metrics, Page, Stats};
use crate::time::Clock;

use super::otlp_json::{self, Resource, Times};
use crate::app::limits;

/// Data points of one export at most; beyond them whole metrics are left out and counted.
const POINTS: usize = 100_000;

/// An export that takes longer is given up.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is counted of exports.
#[derive(Debug)]
pub(super) struct OtlpStats {
    exported: AtomicU64,
    failed: AtomicU64,
    points_left_out: AtomicU64,
    spans_lost: AtomicU64,
    spans: Arc<Spans>,
}

impl OtlpStats {
    /// Of exports of these spans.
    pub(super) fn new(spans: Arc<Spans>) -> OtlpStats {
        OtlpStats {
            exported: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            points_left_out: AtomicU64::new(0),
            spans_lost: AtomicU64::new(0),
            spans,
        }
    }
}

impl Metrics for OtlpStats {
    fn render(&self, page: &mut Page) {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let name = "tradewind_otlp_exports_total";
        page.family(
            name,
            "counter",
            "Exports to the OpenTelemetry collector, by outcome.",
        );
        page.sample(name, "outcome=\"taken\"", get(&self.exported));
        page.sample(name, "outcome=\"failed\"", get(&self.failed));
        let name = "tradewind_otlp_dropped_total";
        page.family(
            name,
            "counter",
            "What was not exported: data points beyond the bound, and spans that found no room or no collector.",
        );
        page.sample(name, "what=\"points\"", get(&self.points_left_out));
        let lost = get(&self.spans_lost) + self.spans.dropped();
        page.sample(name, "what=\"spans\"", lost);
    }
}

/// Who exports, and what.
pub(super) struct Exporter {
    /// Where to, and how often.
    pub(super) spec: OtlpSpec,
    /// Who speaks.
    pub(super) resource: Resource,
    /// The page of metrics.
    pub(super) page: Arc<dyn Fn() -> String + Send + Sync>,
    /// Has the spans.
    pub(super) stats: Arc<Stats>,
    /// The time.
    pub(super) clock: Arc<dyn Clock>,
    /// What is counted.
    pub(super) counts: Arc<OtlpStats>,
    /// Turns true when the node ends.
    pub(super) stopped: watch::Receiver<bool>,
}

impl Exporter {
    /// Exports until the node ends, and once more then.
    pub(super) async fn run(mut self) {
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(PATIENCE)
            .build();
        let client = match client {
            Ok(client) => client,
            Err(error) => {
                tracing::error!(%error, "nothing is exported to the OpenTelemetry collector");
                return;
            }
        };
        if self.spec.traces {
            self.stats.spans().want();
        }
        let start = self.now();
        let mut failing = false;
        loop {
            let ends = tokio::select! {
                () = tokio::time::sleep(self.spec.interval) => false,
                _ = self.stopped.wait_for(|stop| *stop) => true,
            };
            let result = self.export(&client, start).await;
            let endpoint = &self.spec.endpoint;
            match (&result, failing) {
                // Said once for each outage; the metric counts.
                (Err(error), false) => tracing::warn!(
                    endpoint, %error,
                    "the OpenTelemetry collector does not take the export"
                ),
                (Ok(()), true) => {
                    tracing::info!(endpoint, "the OpenTelemetry collector takes exports again")
                }
                _ => {}
            }
            failing = result.is_err();
            if ends {
                return;
            }
        }
    }

    /// In nanoseconds since 1970.
    fn now(&self) -> u64 {
        self.clock.wall().unix_ms(self.clock.now()) * 1_000_000
    }

    async fn export(&self, client: &reqwest::Client, start: u64) -> Result<(), String> {
        let (page, resource) = (self.page.clone(), self.resource.clone());
        let times = Times {
            start,
            now: self.now(),
        };
        // A page of a large configuration takes a while to write.
        let made = tokio::task::spawn_blocking(move || {
            otlp_json::metrics(&resource, &families(&page()), times, POINTS)
        });
        let (body, left_out) = made.await.map_err(|e| e.to_string())?;
        self.counts
            .points_left_out
            .fetch_add(left_out, Ordering::Relaxed);
        let metrics = self.post(client, "/v1/metrics", body).await;
        let spans = self.stats.spans().take();
        if spans.is_empty() {
            return metrics;
        }
        let body = otlp_json::traces(&self.resource, &spans, limits::random);
        let traces = self.post(client, "/v1/traces", body).await;
        if traces.is_err() {
            let lost = spans.len() as u64;
            self.counts.spans_lost.fetch_add(lost, Ordering::Relaxed);
        }
        metrics.and(traces)
    }

    async fn post(&self, client: &reqwest::Client, path: &str, body: Value) -> Result<(), String> {
        let request = client
            .post(format!("{}{path}", self.spec.endpoint))
            .header("content-type", "application/json")
            .body(body.to_string());
        let result = match request.send().await {
            Err(e) if e.is_timeout() => Err("no answer in time".to_owned()),
            Err(e) if e.is_connect() => Err("no connection".to_owned()),
            Err(e) => Err(e.to_string()),
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => Err(format!("{path}: status {}", answer.status().as_u16())),
        };
        let counter = match result {
            Ok(()) => &self.counts.exported,
            Err(_) => &self.counts.failed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        result
    }
}
