//! Zones: master files compiled to wire-ready RRsets, and the lookup of RFC 1034 section 4.3.2.
//!
//! Text becomes a [`ParsedZone`] in [`mod@parse`], several of them become one [`ZoneSet`] in
//! [`set`], and [`ZoneSet::lookup`] answers without allocating. Steered names are known here only as
//! owners: what they answer is decided above this layer.

mod alias;
mod build;
mod check;
pub mod lookup;
pub mod parse;
mod rdata;
pub mod rrset;
mod scan;
pub mod set;
#[cfg(test)]
mod tests;
mod word;

pub use lookup::{Found, Lookup, ZoneInfo};
pub use parse::{ParsedZone, ZoneProblem};
pub use rrset::{Rdata, RrSet};
pub use set::{BuildProblem, BuildRule, SteeredAt, ZoneSet};
