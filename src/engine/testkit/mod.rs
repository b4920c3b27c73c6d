//! A small world in memory, queries as bytes, and answers read back by another library.

mod desk;
mod got;
mod query;
mod world;

pub(super) use desk::Desk;
pub(super) use got::Got;
pub(super) use query::{Ask, ask};
pub(super) use world::{Steer, World, endpoint, name};
