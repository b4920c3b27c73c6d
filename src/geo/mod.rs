//! Where clients are: databases and own networks flattened into one partition of the address space.

pub mod distance;
pub mod location;
pub mod table;

pub use distance::Coordinates;
pub use location::{Location, Source};
pub use table::{GeoTable, Place, Slot6};
