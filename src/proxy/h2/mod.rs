//! HTTP/2 with clients (RFC 9113), on hyper.

mod busy;
mod serve;
pub mod translate;

pub use serve::serve;
