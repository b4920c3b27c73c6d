//! The export of metrics to an OpenTelemetry collector, over HTTP in JSON.
//!
//! What is exported is the page of `/metrics`, so that there is one set of metrics. Nothing waits for
//! the collector: an export that fails or is late is given up and counted, and the next one has the
//! newest numbers.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::telemetry::families::families;
use crate::time::Clock;

use super::otlp_json::{self, Resource, Times};
use super::otlp_post::Poster;
use super::tallies::add;

/// Data points of one export at most; beyond them whole metrics are left out and counted.
const POINTS: usize = 100_000;

/// Who exports metrics.
pub(super) struct Exporter {
    /// Where to.
    pub(super) poster: Poster,
    /// How often.
    pub(super) interval: Duration,
    /// Who speaks.
    pub(super) resource: Resource,
    /// The page of metrics.
    pub(super) page: Arc<dyn Fn() -> String + Send + Sync>,
    /// The time.
    pub(super) clock: Arc<dyn Clock>,
    /// Turns true when the node ends.
    pub(super) stopped: watch::Receiver<bool>,
}

impl Exporter {
    /// Exports until the node ends, and once more then.
    pub(super) async fn run(mut self) {
        let start = self.now();
        loop {
            let ends = tokio::select! {
                () = tokio::time::sleep(self.interval) => false,
                _ = self.stopped.wait_for(|stop| *stop) => true,
            };
            self.export(start).await;
            if ends {
                return;
            }
        }
    }

    /// In nanoseconds since 1970.
    fn now(&self) -> u64 {
        self.clock.wall().unix_ns(self.clock.now())
    }

    async fn export(&mut self, start: u64) {
        let (page, resource) = (self.page.clone(), self.resource.clone());
        let times = Times {
            start,
            now: self.now(),
        };
        // A page of a large configuration takes a while to write.
        let made = tokio::task::spawn_blocking(move || {
            let (body, left_out) = otlp_json::metrics(&resource, &families(&page()), times, POINTS);
            (body.to_string(), left_out)
        });
        match made.await {
            Ok((body, left_out)) => {
                add(&self.poster.counts.points_left_out, left_out);
                self.poster.post("/v1/metrics", body).await;
            }
            Err(error) => tracing::error!(%error, "the metrics could not be written"),
        }
    }
}
