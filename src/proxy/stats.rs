//! What a worker counts. One writer, read by the metrics page.

use std::sync::atomic::{AtomicU64, Ordering};

/// A metric: its name, kind and help, and where it is found.
pub type Metric = (
    &'static str,
    &'static str,
    &'static str,
    fn(&WorkerStats) -> u64,
);

macro_rules! counters {
    ($($(#[doc = $doc:literal])* $name:ident = $metric:literal $kind:literal,)*) => {
        /// What one worker counts.
        #[derive(Debug, Default)]
        pub struct WorkerStats { $($(#[doc = $doc])* pub $name: AtomicU64,)* }

        impl WorkerStats {
            /// All of it, as metrics.
            pub const METRICS: &[Metric] = &[$((
                $metric,
                $kind,
                // A doc comment begins with a space.
                concat!($($doc),*).trim_ascii_start(),
                |stats| stats.$name.load(Ordering::Relaxed),
            ),)*];
        }
    };
}

counters! {
    /// Connections of clients that were taken.
    connections = "tradewind_proxy_connections_total" "counter",
    /// Connections of clients that are open.
    open = "tradewind_proxy_connections_open" "gauge",
    /// Connections of clients that were closed at once, because the listener had as many as it may.
    too_many = "tradewind_proxy_connections_refused_total" "counter",
    /// Connections of clients that ended in the PROXY protocol or in TLS, before HTTP.
    turned_away = "tradewind_proxy_connections_turned_away_total" "counter",
    /// Connections of clients that were closed at once, because their source had or made too many.
    crowded = "tradewind_proxy_connections_limited_total" "counter",
    /// Connections of clients that were closed at once, because more come in at the listener than may.
    flooded = "tradewind_proxy_connections_flooded_total" "counter",
    /// Requests that came, answered or not.
    requests = "tradewind_proxy_requests_total" "counter",
    /// Requests that were refused for their form.
    refused = "tradewind_proxy_requests_malformed_total" "counter",
    /// Connections to backends that were made.
    connects = "tradewind_proxy_backend_connections_total" "counter",
    /// Requests that went out on a connection used before.
    reuses = "tradewind_proxy_backend_reuses_total" "counter",
    /// Copies of requests that were sent to mirrors.
    mirrors = "tradewind_proxy_mirrored_total" "counter",
    /// Copies of requests that were left out or broken off because the mirror is too slow.
    mirrors_dropped = "tradewind_proxy_mirrors_dropped_total" "counter",
    /// Requests that the rules of the WAF refused.
    waf_denied = "tradewind_proxy_waf_denied_total" "counter",
    /// Requests that the rules of the WAF would refuse, were they in force.
    waf_detected = "tradewind_proxy_waf_detected_total" "counter",
}

/// Adds one. Each counter has one writer, so no locked instruction is needed.
pub fn count(counter: &AtomicU64) {
    counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

/// Takes one away.
pub fn discount(counter: &AtomicU64) {
    counter.store(
        counter.load(Ordering::Relaxed).saturating_sub(1),
        Ordering::Relaxed,
    );
}
