//! Probes: what this node finds out about its targets, and when.

pub mod plan;
pub mod schedule;

pub use plan::{ProbePlan, Report};
