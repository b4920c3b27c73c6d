//! What `[upstreams.NAME]` says.

use crate::config::{Marked, Span};
use crate::traffic::{Backend, Upstream};

use super::TlsFile;

/// `[upstreams.NAME]`
#[derive(Clone, PartialEq, Debug)]
pub struct UpstreamSpec {
    /// Table key.
    pub name: Marked<String>,
    /// Its settings; the backends are those below that the node uses.
    pub settings: Upstream,
    /// `monitor`; absent: the backends count as up.
    pub monitor: Option<Marked<String>>,
    /// `[[upstreams.NAME.backends]]`, not empty.
    pub backends: Vec<BackendSpec>,
    /// The files of `tls`, with their places.
    pub files: Vec<TlsFile>,
    /// What of it only one layer has a use for.
    pub one_layer: OneLayer,
    /// Whether all of it was read.
    pub complete: bool,
}

/// Which options of an upstream are set that only one layer has a use for, with their places: requests,
/// or connections of whose octets nothing is known.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct OneLayer {
    /// Those that connections have no use for.
    pub of_requests: Vec<Marked<&'static str>>,
    /// Those that requests have no use for.
    pub of_connections: Vec<Marked<&'static str>>,
    /// Those that datagrams have no use for, beside those of requests.
    pub of_streams: Vec<Marked<&'static str>>,
    /// `hash.on`
    pub hash: Option<Span>,
    /// `session`
    pub session: Option<Span>,
    /// `passive.on`
    pub passive: Option<Span>,
    /// `circuit.on`
    pub circuit: Option<Span>,
}

/// `[[upstreams.NAME.backends]]`
#[derive(Clone, PartialEq, Debug)]
pub struct BackendSpec {
    /// `name`, unique within the upstream.
    pub name: Marked<String>,
    /// What the proxy needs to know of it.
    pub settings: Backend,
    /// `region`; absent: proxies of all regions use it.
    pub region: Option<Marked<String>>,
    /// `enabled`, default true.
    pub enabled: bool,
}
