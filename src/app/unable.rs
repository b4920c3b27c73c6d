//! Checks that cannot be run on this machine, told to the log: once per monitor and reason.

use std::collections::HashSet;

use crate::health::{Failure, Monitor, Observation, Outcome};
use crate::snapshot::Snapshot;

/// Reasons remembered; they have few words of the system's, but none may fill the memory.
const REMEMBERED: usize = 256;

/// What was told already under this configuration.
#[derive(Debug, Default)]
pub(super) struct Unable {
    told: HashSet<(Box<str>, String)>,
}

impl Unable {
    /// Tells of the observation if it is the first of its kind.
    pub(super) fn look_at(&mut self, observation: &Observation, snapshot: &Snapshot) {
        if let Outcome::Fail(failure @ Failure::Unable(_)) = &observation.outcome
            && let Some(target) = snapshot.targets.get(observation.target.index())
            && let monitor = &snapshot.monitors[target.monitor.index()]
            && self.is_new(monitor, failure)
        {
            tracing::warn!(
                monitor = %monitor.name, address = %target.addr, error = %failure,
                "a check cannot be run on this node, which has no opinion of its targets"
            );
        }
    }

    fn is_new(&mut self, monitor: &Monitor, failure: &Failure) -> bool {
        self.told.len() < REMEMBERED
            && self
                .told
                .insert((monitor.name.clone(), failure.to_string()))
    }

    /// Another configuration: what was told may be told again.
    pub(super) fn forget(&mut self) {
        self.told.clear();
    }
}
