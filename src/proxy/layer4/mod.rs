//! What is counted of layer 4: connections of TCP and sessions of UDP, both called flows here.

pub mod clients;
pub mod metrics;
pub mod refuse;
pub mod tally;

pub use tally::{FlowSums, FlowTally, Refused};
