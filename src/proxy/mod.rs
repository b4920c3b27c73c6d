//! The regional proxy: HTTP in, HTTP out, thread per core.

pub mod body;
pub mod proxy_protocol;
pub mod tls;
