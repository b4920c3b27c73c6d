//! Choosing among equals: pure functions over weights, hashes and turns.
//!
//! [`weighted`], [`rendezvous`] and [`round_robin`] fill DNS answers with several items. The others
//! choose one server for a request among [`candidate::Candidates`]: each is one file, and random words
//! and time are arguments.

pub mod candidate;
pub mod consistent;
pub mod least_connections;
pub mod least_time;
pub mod lottery;
pub mod maglev;
pub mod mix;
pub mod modulo;
pub mod peak_ewma;
pub mod rendezvous;
pub mod ring;
pub mod round_robin;
pub mod smooth;
pub mod stride;
pub mod two_choices;
pub mod weighted;

pub use candidate::{Candidate, Candidates};
