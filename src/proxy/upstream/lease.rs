//! One request under way at a server: counted for as long as it lives.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::proxy::tier::Server;

/// A request under way at a server.
#[derive(Debug)]
pub struct Lease {
    server: Arc<Server>,
}

impl Lease {
    /// Begins one.
    pub fn new(server: Arc<Server>) -> Lease {
        server.in_flight.fetch_add(1, Ordering::Relaxed);
        Lease { server }
    }

    /// The server.
    pub fn server(&self) -> &Arc<Server> {
        &self.server
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.server.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
