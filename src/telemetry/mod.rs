//! Counters and events.

pub mod counters;
pub mod orders;
pub mod probes;
pub mod stats;

pub use counters::{DnsCounters, DnsEvent};
pub use orders::OrderGauges;
pub use probes::ProbeStats;
pub use stats::Stats;
