//! What is to be probed, and what comes back.

use crate::health::{Monitor, Observation, ProbeTarget};

/// All that this node probes under one configuration.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct ProbePlan {
    /// By [`crate::ids::MonitorId`].
    pub monitors: Vec<Monitor>,
    /// By [`crate::ids::TargetId`].
    pub targets: Vec<ProbeTarget>,
    /// Which plan this is. Target numbers mean something only together with it.
    pub number: u64,
}

/// What one probe saw, and the plan whose target numbers it uses.
#[derive(Clone, PartialEq, Debug)]
pub struct Report {
    /// [`ProbePlan::number`].
    pub plan: u64,
    /// What was seen.
    pub observation: Observation,
}
