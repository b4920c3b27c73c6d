//! What listeners and routes do with requests besides finding a backend.

use crate::ids::{AuthId, ErrorPagesId, RateLimitId};
use crate::limit::{Prefixes, Rate};

use super::fields::{FieldChanges, Hsts};
use super::forwarded::{Reading, Telling, TraceContext};
use super::guards::SecureRedirect;

/// What a listener does.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct ListenerFeatures {
    /// How the client is found.
    pub reading: Reading,
    /// What backends are told of it.
    pub telling: Telling,
    /// Whether every request gets an id.
    pub request_id: bool,
    /// What is done with trace contexts.
    pub trace: TraceContext,
    /// Connections that a source may have open at once; `None`: any number.
    pub connections_per_source: Option<u32>,
    /// How often a source may connect.
    pub connection_rate: Option<Rate>,
    /// How often all sources together may connect.
    pub total_connection_rate: Option<Rate>,
    /// Which sources are one when their connections are counted.
    pub source_prefixes: Prefixes,
    /// Where clients without TLS are sent.
    pub secure: Option<SecureRedirect>,
    /// What is also done for routes; it is done before what the route says.
    pub common: Option<Box<Features>>,
}

impl ListenerFeatures {
    /// Whether anything bounds who may connect.
    pub fn bounds_connections(&self) -> bool {
        self.connections_per_source.is_some()
            || self.connection_rate.is_some()
            || self.total_connection_rate.is_some()
    }
}

/// What is done for the requests of a route, or of a listener.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Features {
    /// Changes of requests' fields.
    pub request: FieldChanges,
    /// Changes of responses' fields.
    pub response: FieldChanges,
    /// What is promised to clients over TLS.
    pub hsts: Option<Hsts>,
    /// Pages of errors.
    pub error_pages: Option<ErrorPagesId>,
    /// Rates, all of which a request must keep.
    pub rates: Vec<RateLimitId>,
    /// Requests under way at once; `None`: any number. Of routes only.
    pub concurrent: Option<u32>,
    /// Octets per second of one response's body; `None`: as fast as it goes. Of routes only.
    pub bandwidth: Option<u64>,
    /// Who is asked whether a request may pass. Of routes only.
    pub auth: Option<AuthId>,
}

impl Features {
    /// Nothing, where nothing is done.
    pub fn some(self) -> Option<Box<Features>> {
        (self != Features::default()).then(|| Box::new(self))
    }
}
