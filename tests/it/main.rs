//! The one integration-test binary.

#![allow(missing_docs, reason = "tests describe themselves by their names")]
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a failed test shall panic, and end-to-end tests watch the real clock"
)]

mod support;

mod alloc;
mod e2e_demo;
mod e2e_reload;
mod geoip;
mod geoip_maxmind;
mod tidy;
