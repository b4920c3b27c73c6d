//! What each fuzz target does with its bytes, and what must hold for any bytes.
//!
//! The same functions run under libFuzzer (`tests/fuzz/run`) and, over the committed corpora and
//! mutations of them, among the ordinary tests (`tests/it/fuzz.rs`).

#![allow(
    dead_code,
    missing_docs,
    reason = "each binary takes one of the targets"
)]

pub mod config;
pub mod edns;
pub mod fleet;
pub mod forwarded;
pub mod history;
pub mod http_chunked;
pub mod http_request;
pub mod http_response;
pub mod mmdb;
pub mod networks;
pub mod order;
pub mod proxy;
pub mod push;
pub mod query;
pub mod quic;
pub mod tls_hello;
pub mod trace_context;
pub mod zone;

/// A target by its name.
pub type Check = fn(&[u8]);

/// All targets.
pub const ALL: &[(&str, Check)] = &[
    ("query", query::check),
    ("edns", edns::check),
    ("zone", zone::check),
    ("config", config::check),
    ("mmdb", mmdb::check),
    ("networks", networks::check),
    ("order", order::check),
    ("history", history::check),
    ("proxy", proxy::check),
    ("fleet", fleet::check),
    ("push", push::check),
    ("forwarded", forwarded::check),
    ("http_request", http_request::check),
    ("http_response", http_response::check),
    ("http_chunked", http_chunked::check),
    ("quic", quic::check),
    ("tls_hello", tls_hello::check),
    ("trace_context", trace_context::check),
];
