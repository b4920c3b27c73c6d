//! HTTP/2 with clients (RFC 9113), on hyper.

mod serve;
mod translate;

pub use serve::serve;
pub use translate::Outgoing;
