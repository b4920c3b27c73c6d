//! Counters and events.

pub mod api;
pub mod before;
pub mod counters;
pub mod families;
pub mod openmetrics;
pub mod orders;
pub mod page;
pub mod probes;
pub mod regions;
pub mod reloads;
pub mod spans;
pub mod stats;
pub mod trace_context;

pub use api::ApiStats;
pub use before::Before;
pub use counters::{DnsCounters, DnsEvent};
pub use orders::OrderGauges;
pub use page::{Metrics, Page};
pub use probes::ProbeStats;
pub use regions::RegionPlaces;
pub use reloads::{Reload, ReloadStats};
pub use stats::Stats;
pub use trace_context::TraceParent;
