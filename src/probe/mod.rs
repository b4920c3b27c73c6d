//! Probes: what this node finds out about its targets, and when.

mod alarm;
mod certificates;
pub mod check;
pub mod plan;
pub mod runner;
pub mod schedule;
#[cfg(test)]
pub(crate) mod testing;

pub use plan::{ProbePlan, Report};
pub use runner::spawn;
