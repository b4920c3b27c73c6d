//! A small world in memory, queries as bytes, and answers read back by another library.

mod desk;
mod got;
mod query;
mod validate;
mod world;

pub(super) use desk::Desk;
pub(super) use got::Got;
pub(super) use query::{Ask, ask};
pub(super) use validate::{Outcome, Validator};
pub(super) use world::{Steer, UNIX, World, endpoint, name};
