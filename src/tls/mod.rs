//! What TLS files hold, read without any I/O: certificates with their keys, trust anchors, stapled OCSP
//! responses; and the names that certificates carry. And what a client's first message says.

pub mod credentials;
pub mod hello;
pub mod ocsp;
pub mod subject;
pub mod trust;
pub mod unverified;

pub use credentials::{Credentials, CredentialsError};
pub use hello::{Hello, HelloError};
pub use ocsp::OcspResponse;
pub use unverified::Unverified;
