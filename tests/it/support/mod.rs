//! What the end-to-end tests share: the real binary as a child, a DNS client, an HTTP client.

pub mod backend;
pub mod certs;
pub mod daemon;
pub mod datagram;
pub mod demo;
pub mod dns;
pub mod hello;
pub mod http;
pub mod large;
pub mod load;
pub mod member;
pub mod node;
pub mod proxy;
pub mod ratios;
pub mod secondary;
pub mod signed;
pub mod stream;
pub mod takeover;
pub mod tls;
pub mod watch;

use std::time::{Duration, Instant};

/// Waits until `condition` gives a value, for `bound` at most.
///
/// # Panics
/// When the time is over, with `what` was awaited.
pub fn wait_for<T>(what: &str, bound: Duration, mut condition: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(start.elapsed() < bound, "{what}: not within {bound:?}");
        // A pause between looks, not a wait for an event.
        std::thread::park_timeout(Duration::from_millis(5));
    }
}
