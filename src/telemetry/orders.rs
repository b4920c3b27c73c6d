//! What is counted of operators' orders.

use std::sync::atomic::{AtomicU64, Ordering};

/// Gauges and counters of orders; one for the process.
#[derive(Debug, Default)]
pub struct OrderGauges {
    /// Orders in force.
    pub in_force: AtomicU64,
    /// Orders that are kept but not believed, because their stamp is too far ahead.
    pub quarantined: AtomicU64,
    /// Orders of other nodes that were refused: unreadable, or not signed as they must be.
    pub refused: AtomicU64,
    /// Orders that wait for the disk.
    pub not_stored: AtomicU64,
    /// Failed writes of the store.
    pub store_failures: AtomicU64,
}

impl OrderGauges {
    /// Name, type, help and value of each metric.
    pub fn metrics(&self) -> [(&'static str, &'static str, &'static str, u64); 5] {
        let get = |gauge: &AtomicU64| gauge.load(Ordering::Relaxed);
        [
            (
                "tradewind_overrides",
                "gauge",
                "Operators' orders in force.",
                get(&self.in_force),
            ),
            (
                "tradewind_overrides_quarantined",
                "gauge",
                "Orders kept but not in force, because their author's clock is far ahead.",
                get(&self.quarantined),
            ),
            (
                "tradewind_overrides_refused_total",
                "counter",
                "Orders of other nodes that were refused: unreadable, or not signed as they must be.",
                get(&self.refused),
            ),
            (
                "tradewind_store_waiting",
                "gauge",
                "Orders that are in force but not yet on this node's disk.",
                get(&self.not_stored),
            ),
            (
                "tradewind_store_failures_total",
                "counter",
                "Failed writes of the store in the state directory.",
                get(&self.store_failures),
            ),
        ]
    }
}
