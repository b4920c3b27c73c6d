//! One request under way at a server: counted for as long as it lives.

use std::sync::Arc;

use crate::proxy::backend::Permit;
use crate::proxy::tier::Server;

/// A request under way at a server.
#[derive(Debug)]
pub struct Lease {
    permit: Permit,
}

impl Lease {
    /// Begins one.
    pub fn new(permit: Permit) -> Lease {
        Lease { permit }
    }

    /// The server.
    pub fn server(&self) -> &Arc<Server> {
        self.permit.backend()
    }

    /// Its place at the server.
    pub fn permit(&self) -> &Permit {
        &self.permit
    }
}
