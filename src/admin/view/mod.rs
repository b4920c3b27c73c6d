//! Serialisable shapes, written by hand from domain types: a promise to API users.

pub mod explain;
pub mod fleet;
pub mod health;
pub mod names;
pub mod regions;
pub mod reload;
