//! DNSSEC: keys, signatures, denial of existence, key roll-over; all of it pure.
//!
//! [`key`] is one key pair; [`keys`] is what a zone publishes and signs with at one time, as the
//! View carries it.

pub mod key;
pub mod keys;

pub use key::{Algorithm, SignError, SigningKey};
pub use keys::{Denial, Keys, Lifetime, ZoneKeys};
