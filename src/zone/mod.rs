//! Zones: master files compiled to wire-ready RRsets, and the lookup of RFC 1034 section 4.3.2.
//!
//! Text becomes a [`ParsedZone`] in [`mod@parse`], several of them become one [`ZoneSet`] in
//! [`set`], packed so that an answer lies in few cache lines, and [`ZoneSet::lookup`] answers without
//! allocating. Steered names are known here only as
//! owners: what they answer is decided above this layer.

mod alias;
mod build;
mod check;
mod dname;
mod fields;
mod generate;
mod index;
mod loc;
pub mod lookup;
mod node;
pub mod parse;
pub mod presence;
mod rdata;
pub mod rrset;
mod scan;
pub mod set;
#[cfg(test)]
mod tests;
mod tree;
pub mod view;
pub mod walk;
mod wire;
mod word;

pub use lookup::{Found, Lookup};
pub use parse::{ParsedZone, ZoneProblem};
pub use presence::Presence;
pub use rrset::{Rdata, RrSet};
pub use set::{BuildProblem, BuildRule, SteeredAt, ZoneInfo, ZoneSet};
pub use tree::Steered;
pub use view::{RdataRef, RrSetRef, RrSets};
pub use walk::{Child, Owned, Place};
