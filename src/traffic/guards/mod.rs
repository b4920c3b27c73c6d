//! What a request must pass before it is forwarded: rates, an external authorisation, TLS.
//!
//! Rules and pure decisions; the counters that they need live in `limit`, and whoever runs the exchange
//! keeps them.

mod auth;
mod rate;
mod secure;

pub use auth::{AUTH_PATH_MOST, ForwardAuth, Ruling};
pub use rate::{KeyFacts, KeyPart, RateKey, RateRule, retry_after, write_rate_fields};
pub use secure::SecureRedirect;

#[cfg(test)]
mod tests;
