//! Configuration: TOML text → [`spec::Spec`] with every value's place kept, all errors at once.
//!
//! `config` knows nothing of compiled objects; `compile` turns a [`spec::Spec`] into a snapshot.

pub mod marked;
pub mod spec;

pub use marked::{FileId, Marked, Span};
pub use spec::Spec;
