//! Steering: which endpoints suit this client best, and why.
//!
//! The flow inside this module: [`refine`](mod@refine) orders the members of a shape for one
//! location, [`partition`] does so for every address ahead of time, [`offer`] puts health over the
//! order whenever a view is published, and [`decide`](mod@decide) picks for one query. Health is
//! not a stage one can forget: it is applied in [`offer`] for every policy.

pub mod build;
pub mod decide;
pub mod decision;
mod facts;
pub mod model;
pub mod offer;
pub mod partition;
pub mod refine;
mod resolve;
mod rules;
pub mod step;
mod sticky;
pub mod trace;
mod why;

pub use build::NameInput;
pub use decide::decide;
pub use decision::{Ask, Chosen, Client, ClientSource, Decision, Draw};
pub use model::{
    Chooser, Criterion, Endpoint, GeoMode, GeoRule, Group, LastResort, Member, Policy, Pool,
    Region, Shape, Stage, SteeredName, Steering,
};
pub use offer::{Live, Measurements};
pub use step::{Ranked, Step};
pub use trace::{Context, NoTrace, Recorder, Trace};
