//! Where clients are: databases and own networks flattened into one partition of the address space.

pub mod build;
pub mod distance;
mod facts;
pub mod location;
pub mod mmdb;
pub mod networks;
pub mod table;

pub use distance::Coordinates;
pub use location::{Code, Location, Source};
pub use mmdb::Database;
pub use networks::{OwnNetwork, OwnNetworks};
pub use table::{GeoTable, Place, Slot6};
