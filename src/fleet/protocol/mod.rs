//! The words of the fleet: how values on the bus are written and read.
//!
//! Every value begins with the version of its form. A reader that does not know the version, or finds
//! anything amiss, believes nothing of the value.

pub mod chunk;
pub mod heartbeat;
pub mod paths;
pub mod served;
pub mod sessions;

pub use chunk::Chunk;
pub use heartbeat::Heartbeat;

/// Why a value is not believed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Malformed {
    /// Written by a release that writes otherwise.
    #[error("version `{0}` is not known here; this release reads version {known}", known = chunk::VERSION)]
    Version(String),
    /// Not of this form at all.
    #[error("{0}")]
    Form(&'static str),
}
