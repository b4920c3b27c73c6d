//! Counters and events.

pub mod counters;

pub use counters::{DnsCounters, DnsEvent};
