//! Serialisable shapes, written by hand from domain types: a promise to API users.

pub mod backends;
pub mod caches;
pub mod certificates;
pub mod drills;
pub mod events;
pub mod expectations;
pub mod explain;
pub mod fleet;
pub mod flows;
pub mod health;
pub mod latency;
pub mod names;
pub mod overrides;
pub mod plan;
pub mod regions;
pub mod reload;
pub mod session;
pub mod traffic;
pub mod votes;
pub mod xdp;
