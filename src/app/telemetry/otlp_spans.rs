//! The export of spans to an OpenTelemetry collector: in batches, soon after they come.
//!
//! A batch that the collector does not take is lost and counted; what comes meanwhile waits in the
//! bounded queues, and is dropped and counted there once they are full.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::app::limits;
use crate::telemetry::spans::{Span, Spans};

use super::otlp_json::{self, Resource};
use super::otlp_post::Poster;
use super::tallies::add;

/// How often it is looked whether any wait.
const LOOK: Duration = Duration::from_millis(250);

/// Spans of one export, and a few more.
const BATCH: usize = 1024;

/// After an export that failed: this at first, then twice as long each time, up to the second.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// Who exports spans.
pub(super) struct SpanExporter {
    /// Where to.
    pub(super) poster: Poster,
    /// Who speaks.
    pub(super) resource: Resource,
    /// Where they wait.
    pub(super) queues: Vec<Arc<Spans>>,
    /// Turns true when the node ends.
    pub(super) stopped: watch::Receiver<bool>,
}

impl SpanExporter {
    /// Exports until the node ends, and what waits then.
    pub(super) async fn run(mut self) {
        for queue in &self.queues {
            queue.want();
        }
        let mut pause = PAUSE.0;
        let mut wait = LOOK;
        loop {
            let ends = tokio::select! {
                () = tokio::time::sleep(wait) => false,
                _ = self.stopped.wait_for(|stop| *stop) => true,
            };
            (wait, pause) = match self.drain().await {
                true => (LOOK, PAUSE.0),
                false => (pause, (pause * 2).min(PAUSE.1)),
            };
            if ends {
                return;
            }
        }
    }

    /// Exports what waits; whether the collector took it.
    async fn drain(&mut self) -> bool {
        for queue in self.queues.clone() {
            loop {
                let resource = self.resource.clone();
                let taken = queue.clone();
                let made = tokio::task::spawn_blocking(move || {
                    let spans: Vec<Span> = taken.take(BATCH, &mut word);
                    let body = match spans.is_empty() {
                        true => String::new(),
                        false => otlp_json::traces(&resource, &spans).to_string(),
                    };
                    (spans.len(), body)
                });
                let (count, body) = match made.await {
                    Ok(made) => made,
                    Err(error) => {
                        tracing::error!(%error, "spans could not be written");
                        break;
                    }
                };
                if count == 0 {
                    break;
                }
                let taken = self.poster.post("/v1/traces", body).await;
                let counts = &self.poster.counts;
                if !taken {
                    add(&counts.spans_lost, count as u64);
                    return false;
                }
                add(&counts.spans, count as u64);
                if count < BATCH {
                    break;
                }
            }
        }
        true
    }
}

/// A random word.
fn word() -> u64 {
    let mut octets = [0; 8];
    limits::random(&mut octets);
    u64::from_ne_bytes(octets)
}
