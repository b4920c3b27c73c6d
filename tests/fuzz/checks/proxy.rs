//! A PROXY protocol header in front of a query.

use tradewind::net::proxy_v2::{ProxyError, parse};

/// A datagram, or what has come of a stream.
pub fn check(data: &[u8]) {
    match parse(data) {
        Ok((_, len)) => {
            assert!(len <= data.len());
            // What follows the header has no say in it.
            assert_eq!(parse(&data[..len]), parse(data));
        }
        Err(ProxyError::Incomplete(needed)) => assert!(needed > data.len()),
        Err(_) => {}
    }
}
