//! HTTP/1.1 with clients, on a path of its own (RFC 9112): strict, and with next to no memory for a
//! connection that idles.

mod client;
mod incoming;
mod respond;
mod serve;

pub use serve::serve;
