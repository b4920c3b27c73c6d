//! Serialisable shapes, written by hand from domain types: a promise to API users.

pub mod backends;
pub mod caches;
pub mod certificates;
pub mod condition;
pub mod config;
pub mod course;
pub mod drills;
pub mod endpoints;
pub mod events;
pub mod expectations;
pub mod explain;
pub mod fleet;
pub mod flows;
pub mod generation;
pub mod health;
pub mod latency;
pub mod matrix;
pub mod monitors;
pub mod name;
pub mod names;
pub mod nodes;
pub mod overrides;
pub mod paths;
pub mod plan;
pub mod pools;
pub mod regions;
pub mod reload;
pub mod session;
pub mod status;
pub mod traffic;
pub mod votes;
pub mod xdp;

#[cfg(test)]
mod golden;
