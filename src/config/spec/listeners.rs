//! `[listeners]` and `[nodes.NAME.proxy]`.

use std::time::Duration;

use crate::config::Marked;
use crate::traffic::Listener;

/// `[listeners.NAME]`
#[derive(Clone, PartialEq, Debug)]
pub struct ListenerSpec {
    /// Table key.
    pub name: Marked<String>,
    /// What it says by itself.
    pub settings: Listener,
    /// `bind`, with its places.
    pub bind: Vec<Marked<std::net::SocketAddr>>,
}

/// `[nodes.NAME.proxy]`
#[derive(Clone, PartialEq, Debug, Default)]
pub struct NodeProxySpec {
    /// `listeners`; `None`: all.
    pub listeners: Option<Vec<Marked<String>>>,
    /// `workers`; `None`: one per core.
    pub workers: Option<u32>,
    /// `zone`
    pub zone: Option<String>,
    /// `drain-timeout`
    pub drain_timeout: Duration,
}
