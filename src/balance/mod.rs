//! Choosing among equals: pure functions over weights, hashes and turns.

pub mod mix;
pub mod rendezvous;
pub mod round_robin;
pub mod weighted;
