//! The operators' word as it is kept and passed on: records, their order in time, who wins, who
//! signed. What it means for endpoints of one snapshot is [`crate::health::Overrides`].

pub mod vouch;

pub use vouch::{Signed, Vouch, VouchError};
