//! Probes: what this node finds out about its targets, and when.

pub mod plan;

pub use plan::{ProbePlan, Report};
