//! Counters and events.

pub mod before;
pub mod counters;
pub mod orders;
pub mod page;
pub mod probes;
pub mod stats;

pub use before::Before;
pub use counters::{DnsCounters, DnsEvent};
pub use orders::OrderGauges;
pub use page::{Metrics, Page};
pub use probes::ProbeStats;
pub use stats::Stats;
