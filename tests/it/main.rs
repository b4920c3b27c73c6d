//! The one integration-test binary.

#![allow(missing_docs, reason = "tests describe themselves by their names")]

mod support;

mod alloc;
mod e2e_check;
mod e2e_demo;
mod e2e_reload;
mod geoip;
mod geoip_maxmind;
mod tidy;
