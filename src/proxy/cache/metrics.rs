//! The caches' part of the metrics page.

use std::sync::atomic::Ordering;

use crate::telemetry::Page;
use crate::telemetry::page::escape;

use super::Cache;

/// Writes what the caches count.
pub fn render(caches: &[Cache], page: &mut Page) {
    if caches.is_empty() {
        return;
    }
    let label = |c: &Cache| format!("cache=\"{}\"", escape(&c.rules.name));
    let name = "tradewind_proxy_cache_requests_total";
    page.family(
        name,
        "counter",
        "Requests of routes with a cache, by how they were answered.",
    );
    for cache in caches {
        for (outcome, n) in cache.memory.stats.outcomes() {
            let labels = format!("{},outcome=\"{outcome}\"", label(cache));
            page.sample(name, &labels, n);
        }
    }
    type Get = fn(&Cache) -> u64;
    let rest: [(&str, &str, &str, Get); 6] = [
        (
            "tradewind_proxy_cache_stored_total",
            "counter",
            "Responses stored.",
            |c| c.memory.stats.stored.load(Ordering::Relaxed),
        ),
        (
            "tradewind_proxy_cache_purged_total",
            "counter",
            "Responses purged by order.",
            |c| c.memory.stats.purged.load(Ordering::Relaxed),
        ),
        (
            "tradewind_proxy_cache_sent_bytes_total",
            "counter",
            "Octets of bodies that the cache answered with.",
            |c| c.memory.stats.octets.load(Ordering::Relaxed),
        ),
        (
            "tradewind_proxy_cache_bytes",
            "gauge",
            "Octets in memory, bookkeeping included.",
            |c| c.memory.store.weight(),
        ),
        (
            "tradewind_proxy_cache_urls",
            "gauge",
            "URLs with something in memory.",
            |c| c.memory.store.len() as u64,
        ),
        (
            "tradewind_proxy_cache_restored_total",
            "counter",
            "Responses read from disk.",
            |c| c.memory.stats.restored.load(Ordering::Relaxed),
        ),
    ];
    for (name, kind, help, get) in rest {
        page.family(name, kind, help);
        for cache in caches {
            page.sample(name, &label(cache), get(cache));
        }
    }
}
