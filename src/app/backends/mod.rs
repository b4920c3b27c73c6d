//! The backends of this node's proxy: their probes, and what operators order of them.

mod desk;
mod probes;
mod record;
mod xdp;

pub use desk::BackendBook;
pub use probes::Probes;
pub(super) use record::read;
