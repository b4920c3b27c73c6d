//! What each plan offers now: health, measurements and overrides laid over the refined order,
//! resolved once per published view.

use std::time::Duration;

use crate::health::{Board, Overrides};
use crate::time::Moment;

use super::Steering;

/// Smoothed round-trip times from this node, by endpoint; `None` where nothing is known.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Measurements {
    /// By [`crate::ids::EndpointId`]; may be shorter than the list of endpoints.
    pub rtt: Vec<Option<Duration>>,
}

/// The offers of every group and plan.
#[derive(Clone, Debug, Default)]
pub struct Live {}

impl Live {
    /// Lays health over every plan of every group.
    pub fn resolve(
        _steering: &Steering,
        _board: &Board,
        _measurements: &Measurements,
        _overrides: &Overrides,
        _now: Moment,
    ) -> Live {
        Live {}
    }
}
