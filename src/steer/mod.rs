//! Steering: which endpoints suit this client best, and why.
//!
//! The flow inside this module: [`refine`](mod@refine) orders the members of a shape for one
//! location, [`partition`] does so for every address ahead of time, [`offer`] puts health over the
//! order whenever a view is published, and [`decide`](fn@decide) picks for one query. Health is
//! not a stage one can forget: it is applied in [`offer`] for every policy.
//!
//! Each rule is written once and runs with a [`Trace`]: with [`NoTrace`] when shapes are compiled,
//! views published and queries answered, with [`Recorder`] when somebody asks why.

pub mod bound;
pub mod build;
pub mod capacity;
mod clients;
pub mod compare;
mod decide;
pub mod decision;
mod dense;
pub mod estimate;
mod facts;
mod last_resort;
pub mod model;
pub mod nearest;
pub mod offer;
pub mod partition;
mod ramp;
pub mod refine;
mod renew;
mod resolve;
mod rules;
mod ruling;
pub mod shares;
mod stages;
pub mod stand;
pub mod step;
mod sticky;
pub mod suppose;
mod telling;
pub mod trace;
mod users;
mod why;
mod word;

pub use bound::TtlBound;
pub use build::NameInput;
pub use decide::decide;
pub use decision::{Ask, Chosen, Client, ClientSource, Decision, Draw};
pub use estimate::{Sight, Tolerance};
pub use model::{
    Chooser, Criterion, Endpoint, GeoMode, GeoRule, Group, LastResort, Member, Policy, Pool,
    Region, Shape, Stage, SteeredName, Steering,
};
pub use nearest::SiteKey;
pub use offer::{Known, Live, Measurements};
pub use partition::Approach;
pub use ruling::Ruling;
pub use shares::{Shares, Told, serving};
pub use step::{Ranked, Step};
pub use suppose::Share;
pub use trace::{Context, NoTrace, Recorder, Trace};

#[cfg(test)]
mod tests;
