//! How upstreams and their backends stand, as metrics.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::balance::candidate::Candidate as _;
use crate::health::backend::{Fault, Standing};
use crate::proxy::backend::upstream::{BackendReport, UpstreamReport};
use crate::proxy::tier::Tier;
use crate::telemetry::Page;
use crate::telemetry::page::escape;
use crate::time::Moment;

/// A number of an upstream: suffix, kind, help, and where it is found.
type OfUpstream = (
    &'static str,
    &'static str,
    &'static str,
    fn(&UpstreamReport) -> u64,
);

const OF_UPSTREAM: [OfUpstream; 6] = [
    (
        "queue_waiting",
        "gauge",
        "Requests that wait for a backend with room.",
        |r| u64::from(r.waiting),
    ),
    (
        "queue_waited_total",
        "counter",
        "Requests that waited for a backend with room.",
        |r| r.queue.0,
    ),
    (
        "queue_refused_total",
        "counter",
        "Requests refused because the queue was full.",
        |r| r.queue.1,
    ),
    (
        "queue_timeouts_total",
        "counter",
        "Requests refused because they waited for too long.",
        |r| r.queue.2,
    ),
    (
        "retries_refused_total",
        "counter",
        "Retries that the budget refused.",
        |r| r.retries_refused,
    ),
    (
        "backends_used",
        "gauge",
        "Backends that may get requests of new clients.",
        |r| r.backends.iter().filter(|b| b.used).count() as u64,
    ),
];

/// A number of a backend.
type OfBackend = (
    &'static str,
    &'static str,
    &'static str,
    fn(&BackendReport) -> u64,
);

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

const OF_BACKEND: [OfBackend; 5] = [
    (
        "up",
        "gauge",
        "Whether it passes its probes, or has none, and is not ejected.",
        |b| u64::from(b.condition.standing == Standing::Up),
    ),
    ("in_flight", "gauge", "Requests under way.", |b| {
        u64::from(b.state.in_flight())
    }),
    (
        "tries_total",
        "counter",
        "Requests given to it, retries among them.",
        |b| read(&b.state.counters.requests),
    ),
    (
        "retries_total",
        "counter",
        "Requests given to it after another try had failed.",
        |b| read(&b.state.counters.retries),
    ),
    (
        "ejections_total",
        "counter",
        "How often failed requests took it out for a while.",
        |b| read(&b.state.counters.ejections),
    ),
];

const FAULTS: [(Fault, &str); 5] = [
    (Fault::Connect, "connect"),
    (Fault::Timeout, "timeout"),
    (Fault::Reset, "reset"),
    (Fault::Gateway, "gateway"),
    (Fault::Server, "5xx"),
];

/// Renders all upstreams of a tier.
pub(super) fn render(tier: &Tier, now: Moment, page: &mut Page) {
    let reports: Vec<(String, UpstreamReport)> = tier
        .upstreams
        .iter()
        .map(|group| {
            let report = group.state.report(now);
            (format!("upstream=\"{}\"", escape(&report.name)), report)
        })
        .collect();
    for (suffix, kind, help, get) in OF_UPSTREAM {
        let name = format!("tradewind_proxy_upstream_{suffix}");
        page.family(&name, kind, help);
        for (labels, report) in &reports {
            page.sample(&name, labels, get(report));
        }
    }
    let name = "tradewind_proxy_upstream_circuit";
    page.family(
        name,
        "gauge",
        "Of upstreams with a circuit: its state is 1.",
    );
    for (labels, report) in &reports {
        if let Some((state, _)) = &report.circuit {
            page.sample(name, &format!("{labels},state=\"{state}\""), 1);
        }
    }
    let backends: Vec<(String, &BackendReport)> = reports
        .iter()
        .flat_map(|(labels, report)| {
            report.backends.iter().map(move |b| {
                let labels = format!("{labels},backend=\"{}\"", escape(&b.state.name));
                (labels, b)
            })
        })
        .collect();
    for (suffix, kind, help, get) in OF_BACKEND {
        let name = format!("tradewind_proxy_backend_{suffix}");
        page.family(&name, kind, help);
        for (labels, backend) in &backends {
            page.sample(&name, labels, get(backend));
        }
    }
    let name = "tradewind_proxy_backend_faults_total";
    page.family(name, "counter", "Tries that failed, by what went wrong.");
    for (labels, backend) in &backends {
        for (fault, word) in FAULTS {
            let labels = format!("{labels},fault=\"{word}\"");
            page.sample(name, &labels, backend.state.counters.faults(fault));
        }
    }
}
