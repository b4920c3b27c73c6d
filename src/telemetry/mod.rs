//! Counters and events.

pub mod counters;
pub mod orders;
pub mod page;
pub mod probes;
pub mod stats;

pub use counters::{DnsCounters, DnsEvent};
pub use orders::OrderGauges;
pub use page::{Metrics, Page};
pub use probes::ProbeStats;
pub use stats::Stats;
