//! What `[upstreams.NAME]` says.

use crate::config::Marked;
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
    /// Whether all of it was read.
    pub complete: bool,
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
