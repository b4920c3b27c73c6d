//! What one answer would be if other things were known.

use std::sync::Arc;

use crate::health::{Board, Overrides};
use crate::ids::{NameId, PlanId};
use crate::steer::{Known, Live, Measurements};
use crate::time::Moment;
use crate::units::Generation;

use super::{Parts, View};

/// What is known, or supposed.
#[derive(Clone, Debug)]
pub struct Supposed {
    /// Health.
    pub board: Arc<Board>,
    /// Round-trip times.
    pub measurements: Arc<Measurements>,
    /// The operators' word.
    pub overrides: Arc<Overrides>,
}

impl Supposed {
    /// What `view` knows: nothing is supposed yet.
    pub fn of(view: &View) -> Supposed {
        Supposed {
            board: view.board.clone(),
            measurements: view.measurements.clone(),
            overrides: view.overrides.clone(),
        }
    }
}

impl View {
    /// This view if `supposed` were known at `now`, resolved for the clients of one plan of one name only:
    /// to ask it anything else means nothing. Costs what that name costs, whatever the rest of the
    /// configuration holds.
    #[must_use]
    pub fn supposing(&self, supposed: &Supposed, of: (NameId, PlanId), now: Moment) -> View {
        let known = Known {
            board: &supposed.board,
            measurements: &supposed.measurements,
            overrides: &supposed.overrides,
        };
        let live = self.live.of_one(&self.snapshot.steering, known, of, now);
        let parts = Parts {
            board: supposed.board.clone(),
            measurements: supposed.measurements.clone(),
            overrides: supposed.overrides.clone(),
            ..self.parts()
        };
        // Drills with a scope answer none of those who are asked for here.
        View::of(
            self.generation,
            now,
            parts,
            (live, Box::default(), Box::default()),
        )
    }

    /// A view of which nothing is resolved: a start for [`View::supposing`] where nobody answers from it.
    pub fn unresolved(generation: Generation, now: Moment, parts: Parts) -> View {
        let live = Live::blank(&parts.snapshot.steering);
        View::of(
            generation,
            now,
            parts,
            (live, Box::default(), Box::default()),
        )
    }
}
