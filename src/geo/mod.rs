//! Where clients are: databases and own networks flattened into one partition of the address space.

pub mod build;
pub mod build_mmdb;
pub mod distance;
mod facts;
pub mod location;
pub mod mmdb;
pub mod networks;
pub mod networks_csv;
pub mod networks_errors;
pub mod table;

pub use build_mmdb::write_mmdb;
pub use distance::Coordinates;
pub use location::{Code, Location, Source};
pub use mmdb::{Database, DatabaseError};
pub use networks::{OwnNetwork, OwnNetworks};
pub use networks_errors::NetworksErrors;
pub use table::{GeoTable, Place, Slot6};
