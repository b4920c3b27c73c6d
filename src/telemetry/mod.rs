//! Counters and events.

pub mod counters;
pub mod probes;
pub mod stats;

pub use counters::{DnsCounters, DnsEvent};
pub use probes::ProbeStats;
pub use stats::Stats;
