//! One request under way at a server: counted for as long as it lives.

use std::rc::Rc;
use std::sync::Arc;

use crate::health::backend::Fault;
use crate::proxy::backend::{Admitted, Permit};
use crate::proxy::tier::Server;
use crate::time::Moment;

/// A request under way at a server.
#[derive(Debug)]
pub struct Lease {
    permit: Permit,
    /// What lets the request into the upstream, where that is bounded.
    admitted: Option<Rc<Admitted>>,
}

impl Lease {
    /// Begins one.
    pub fn new(permit: Permit, admitted: Option<Rc<Admitted>>) -> Lease {
        Lease { permit, admitted }
    }

    /// The server.
    pub fn server(&self) -> &Arc<Server> {
        self.permit.backend()
    }

    /// The answer ended before its end: the server's fault.
    pub fn broke(&self, now: Moment) {
        self.server().failed(Fault::Reset, now);
        if let Some(admitted) = &self.admitted {
            admitted.ended(None, Some(Fault::Reset), now);
        }
    }
}
