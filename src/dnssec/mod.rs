//! DNSSEC: keys, signatures, denial of existence, key roll-over; all of it pure.
//!
//! [`key`] is one key pair; [`keys`] is what a zone publishes and signs with at one time, as the
//! View carries it; [`policy`] is what an operator wants of them and [`rollover`] their life cycle;
//! [`import`] reads key files.

pub mod ds;
pub mod import;
pub mod key;
pub mod keys;
pub mod policy;
pub mod rollover;

pub use key::{Algorithm, SignError, SigningKey};
pub use keys::{Denial, Keys, Lifetime, ZoneKeys};
pub use policy::{Layout, Policy, Role};
