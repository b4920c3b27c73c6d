//! Monitors.

use crate::config::Spec;
use crate::health::Monitor;

/// All monitors, in the order of the file.
pub(super) fn monitors(spec: &Spec) -> Vec<Monitor> {
    spec.monitors.iter().map(|m| m.monitor.clone()).collect()
}
