//! Zones: master files compiled to wire-ready RRsets, and the lookup of RFC 1034 section 4.3.2.

pub mod lookup;
pub mod rrset;
pub mod set;

pub use lookup::Found;
pub use rrset::RrSet;
pub use set::ZoneSet;
