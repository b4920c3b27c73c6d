//! Counters and events.

pub mod counters;
pub mod stats;

pub use counters::{DnsCounters, DnsEvent};
pub use stats::Stats;
