//! Posts what is exported to the OpenTelemetry collector, counts how that goes, and says when it begins
//! and ends to fail.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use crate::telemetry::spans::Spans;

use super::tallies::{Tallies, add};

/// An export that takes longer is given up.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is counted of exports.
#[derive(Clone)]
pub(super) struct Counts {
    taken: Arc<AtomicU64>,
    failed: Arc<AtomicU64>,
    /// Data points beyond the bound.
    pub(super) points_left_out: Arc<AtomicU64>,
    /// Spans that the collector took.
    pub(super) spans: Arc<AtomicU64>,
    /// Spans that the collector did not take.
    pub(super) spans_lost: Arc<AtomicU64>,
}

impl Counts {
    /// Of exports of these spans; and the metrics of it.
    pub(super) fn new(spans: &[Arc<Spans>]) -> (Counts, Tallies) {
        let mut tallies = Tallies::default();
        let exports = tallies.counter(
            "tradewind_otlp_exports_total",
            "Exports to the OpenTelemetry collector, by outcome.",
        );
        let (taken, failed) = (
            exports.number("outcome=\"taken\""),
            exports.number("outcome=\"failed\""),
        );
        let dropped = tallies.counter(
            "tradewind_otlp_dropped_total",
            "What was not exported: data points beyond the bound, and spans that found no room or no collector.",
        );
        let points_left_out = dropped.number("what=\"points\"");
        let spans_lost = Arc::new(AtomicU64::new(0));
        let (lost, queues) = (spans_lost.clone(), spans.to_vec());
        dropped.reads("what=\"spans\"", move || {
            let no_room: u64 = queues.iter().map(|s| s.dropped()).sum();
            lost.load(std::sync::atomic::Ordering::Relaxed) + no_room
        });
        let exported = tallies.counter(
            "tradewind_otlp_spans_total",
            "Spans that the OpenTelemetry collector took.",
        );
        let counts = Counts {
            taken,
            failed,
            points_left_out,
            spans: exported.number(""),
            spans_lost,
        };
        (counts, tallies)
    }
}

/// Posts to one collector.
pub(super) struct Poster {
    client: reqwest::Client,
    endpoint: String,
    failing: bool,
    /// What is counted.
    pub(super) counts: Counts,
}

impl Poster {
    /// To `endpoint`, an URL without a slash at its end.
    ///
    /// # Errors
    /// When there can be no client.
    pub(super) fn new(endpoint: &str, counts: &Counts) -> reqwest::Result<Poster> {
        let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE);
        Ok(Poster {
            client: client.build()?,
            endpoint: endpoint.to_owned(),
            failing: false,
            counts: counts.clone(),
        })
    }

    /// Posts once; whether it was taken.
    pub(super) async fn post(&mut self, path: &str, body: String) -> bool {
        let request = self
            .client
            .post(format!("{}{path}", self.endpoint))
            .header("content-type", "application/json")
            .body(body);
        let result = match request.send().await {
            Err(e) if e.is_timeout() => Err("no answer in time".to_owned()),
            Err(e) if e.is_connect() => Err("no connection".to_owned()),
            Err(e) => Err(e.to_string()),
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => Err(format!("status {}", answer.status().as_u16())),
        };
        let endpoint = &self.endpoint;
        match (&result, self.failing) {
            // Said once for each outage; the metric counts.
            (Err(error), false) => tracing::warn!(
                endpoint, path, %error,
                "the OpenTelemetry collector does not take the export"
            ),
            (Ok(()), true) => {
                tracing::info!(
                    endpoint,
                    path,
                    "the OpenTelemetry collector takes exports again"
                );
            }
            _ => {}
        }
        self.failing = result.is_err();
        add(
            match result {
                Ok(()) => &self.counts.taken,
                Err(_) => &self.counts.failed,
            },
            1,
        );
        !self.failing
    }
}
