//! Caching of responses by the rules of RFC 9111, as a cache that many clients share: pure decisions,
//! one file per section.
//!
//! Who keeps the octets is not known here: what is stored of a response is its fields and the
//! [`Terms`] of their reuse.

pub mod date;
pub mod directives;
pub mod fields;
pub mod freshness;
pub mod invalidation;
pub mod key;
pub mod range;
pub mod reuse;
pub mod rules;
pub mod status;
pub mod storage;
pub mod validation;
pub mod vary;

pub use directives::{RequestDirectives, ResponseDirectives};
pub use freshness::{Arrival, Terms};
pub use key::KeyParts;
pub use reuse::Reuse;
pub use rules::Rules;
pub use storage::Storing;
pub use vary::Selection;
