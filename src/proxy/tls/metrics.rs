//! What is counted of TLS, by listener.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::proxy::tier::Tier;
use crate::telemetry::Page;
use crate::telemetry::page::escape;

use super::listener::HandshakeCounters;

type Get = fn(&HandshakeCounters) -> &AtomicU64;

const RESULTS: [(&str, Get); 5] = [
    ("full", |c| &c.full),
    ("resumed", |c| &c.resumed),
    ("failed", |c| &c.failed),
    ("timeout", |c| &c.timed_out),
    ("plain-http", |c| &c.plain),
];

/// Appends the metrics of all listeners that have TLS.
pub(crate) fn render(tier: &Tier, page: &mut Page) {
    let all: Vec<_> = tier
        .plan
        .listeners
        .iter()
        .enumerate()
        .filter_map(|(at, l)| Some((escape(&l.name), tier.listener_tls(at)?)))
        .collect();
    if all.is_empty() {
        return;
    }
    let name = "tradewind_proxy_tls_handshakes_total";
    page.family(
        name,
        "counter",
        "TLS handshakes with clients, by how they went.",
    );
    for (listener, tls) in &all {
        for (result, get) in RESULTS {
            let n = get(&tls.counters).load(Ordering::Relaxed);
            page.sample(
                name,
                &format!("listener=\"{listener}\",result=\"{result}\""),
                n,
            );
        }
    }
    let name = "tradewind_proxy_tls_certificate_not_after_seconds";
    let help = "When the first of the certificates in force expires, in seconds since 1970.";
    page.family(name, "gauge", help);
    for (listener, tls) in &all {
        if let Some(until) = tls.not_after() {
            page.sample(name, &format!("listener=\"{listener}\""), until);
        }
    }
}
