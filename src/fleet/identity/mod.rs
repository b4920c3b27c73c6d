//! Who is in the fleet, and how they prove it.
//!
//! A fleet has a certificate authority of its own ([`Authority`]). Every node has a certificate of it
//! that says the cluster, the node's name and its roles ([`Claims`]). [`Identity`] is the node's end:
//! mutual TLS 1.3, signatures under orders, and both files and authorities replaced while in use.

pub mod authority;
pub mod claims;
mod credentials;
pub mod material;
pub mod refusal;
pub mod roster;
mod verifier;
mod vouch;
mod watch;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use authority::{Authority, Issued};
pub use claims::Claims;
pub use credentials::Identity;
pub use material::{Files, Material, MaterialError};
pub use refusal::{Reason, Refusals, Side};
pub use roster::Roster;
