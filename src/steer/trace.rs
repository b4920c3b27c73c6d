//! Why: the trace of a decision, recorded only where somebody asked.

use crate::geo::GeoTable;
use crate::health::{Board, Overrides};

use super::{Measurements, Step};

/// Receives the steps of a decision. With [`NoTrace`] all of it compiles to nothing.
pub trait Trace {
    /// Whether steps are kept at all; guards work done only to describe.
    const ON: bool;

    /// Keeps one step. `make` runs only where steps are kept.
    fn step(&mut self, make: impl FnOnce() -> Step);

    /// What the published offers were made of; with it [`decide`](fn@super::decide) shows the way to the offer
    /// and not only the choice inside it.
    fn context(&self) -> Option<Context<'_>>;
}

/// Records nothing.
#[derive(Debug)]
pub struct NoTrace;

impl Trace for NoTrace {
    const ON: bool = false;

    #[inline]
    fn step(&mut self, _make: impl FnOnce() -> Step) {}

    #[inline]
    fn context(&self) -> Option<Context<'_>> {
        None
    }
}

/// The inputs of the view that is explained. They must be those the view's [`super::Live`] was
/// resolved from.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// Address → location.
    pub geo: &'a GeoTable,
    /// Health.
    pub board: &'a Board,
    /// Round-trip times.
    pub measurements: &'a Measurements,
    /// The operators' word.
    pub overrides: &'a Overrides,
}

/// Records everything.
#[derive(Debug, Default)]
pub struct Recorder<'a> {
    context: Option<Context<'a>>,
    /// The steps so far, in the order they were taken.
    pub steps: Vec<Step>,
}

impl<'a> Recorder<'a> {
    /// Nothing recorded yet.
    pub fn new(context: Context<'a>) -> Recorder<'a> {
        Recorder {
            context: Some(context),
            steps: Vec::new(),
        }
    }
}

impl Trace for Recorder<'_> {
    const ON: bool = true;

    fn step(&mut self, make: impl FnOnce() -> Step) {
        self.steps.push(make());
    }

    fn context(&self) -> Option<Context<'_>> {
        self.context
    }
}
