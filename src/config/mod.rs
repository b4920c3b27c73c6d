//! Configuration: TOML text → [`spec::Spec`] with every value's place kept, all errors at once.
//!
//! `config` knows nothing of compiled objects; `compile` turns a [`spec::Spec`] into a snapshot.

mod decode;
pub mod diagnostic;
pub mod digest;
pub mod effective;
#[cfg(test)]
pub(crate) mod golden;
pub mod load;
pub mod marked;
pub mod options;
pub mod overlay;
pub mod quantity;
mod secret;
pub mod sources;
pub mod spec;
mod tree;

pub use decode::nearest;
pub(crate) use decode::not_a_template;
pub use diagnostic::{Diagnostic, Report, Severity};
pub use digest::ConfigDigest;
pub use effective::Effective;
pub use load::{Inputs, Loaded, load};
pub use marked::{FileId, Marked, Span};
pub use overlay::Overlay;
pub use sources::{LineCol, Sources};
pub use spec::Spec;

#[cfg(test)]
mod tests;
