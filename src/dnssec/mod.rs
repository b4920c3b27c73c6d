//! DNSSEC: keys, signatures, denial of existence, key roll-over; all of it pure.
//!
//! [`key`] is one key pair; [`keys`] is what a zone publishes and signs with at one time, as the
//! View carries it; [`policy`] is what an operator wants of them and [`rollover`] their life cycle;
//! [`import`] reads key files. A set of records is brought into [`canonical`] form, which is also the
//! key under which its signatures ([`rrsig`]) are found in the [`cache`]; each worker has a
//! [`signer`] with a [`budget`].

pub mod bitmap;
pub mod budget;
pub mod cache;
pub mod canonical;
pub mod ds;
pub mod import;
pub mod key;
pub mod keys;
pub mod labels;
pub mod nsec3;
pub mod policy;
pub mod rollover;
pub mod rrsig;
pub mod signer;

pub use cache::{Keep, SignatureCache};
pub use key::{Algorithm, SignError, SigningKey};
pub use keys::{Denial, Keys, Lifetime, ZoneKeys};
pub use policy::{Layout, Policy, Role};
pub use signer::{Present, Refused, Signer};
