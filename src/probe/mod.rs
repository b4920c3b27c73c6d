//! Probes: what this node finds out about its targets, and when.

pub mod check;
pub mod plan;
pub mod runner;
pub mod schedule;

pub use plan::{ProbePlan, Report};
pub use runner::spawn;
