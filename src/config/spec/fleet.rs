//! `[fleet]` and `[nodes.NAME.fleet]`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::{Marked, Span};

/// `[fleet]`
#[derive(Clone, PartialEq, Debug, Default)]
pub struct FleetSpec {
    /// Where the table stands, when there is one.
    pub span: Option<Span>,
    /// `name`, default `tradewind`.
    pub name: String,
    /// `ca`, relative to the configuration file that says so.
    pub ca: Option<Marked<PathBuf>>,
    /// `gossip-interval`, 100 ms to 10 s, default 500 ms.
    pub gossip_interval: Duration,
}

/// `[nodes.NAME.fleet]`
#[derive(Clone, PartialEq, Debug)]
pub struct NodeFleetSpec {
    /// Where the table stands.
    pub span: Span,
    /// `listen`; absent where the node pushes.
    pub listen: Option<Marked<SocketAddr>>,
    /// `advertise`
    pub advertise: Option<Marked<SocketAddr>>,
    /// `certificate`
    pub certificate: Option<Marked<PathBuf>>,
    /// `key`
    pub key: Option<Marked<PathBuf>>,
    /// `ingest`
    pub ingest: Option<Marked<SocketAddr>>,
    /// `push-to`; empty where the node is a member.
    pub push_to: Vec<Marked<String>>,
    /// Whether all of it was read.
    pub complete: bool,
}

impl NodeFleetSpec {
    /// What others connect to: `advertise`, or `listen` where that is neither a wildcard nor a port
    /// that is chosen at start.
    pub fn reached_at(&self) -> Option<SocketAddr> {
        if let Some(advertise) = &self.advertise {
            return Some(advertise.value);
        }
        let listen = self.listen.as_ref()?.value;
        (!listen.ip().is_unspecified() && listen.port() != 0).then_some(listen)
    }

    /// Where this node takes pushes, as seen from others: the port of `ingest` on its own address, or
    /// on the one that members know where `ingest` is a wildcard.
    pub fn pushed_at(&self) -> Option<SocketAddr> {
        let ingest = self.ingest.as_ref()?.value;
        if ingest.port() == 0 {
            return None;
        }
        if !ingest.ip().is_unspecified() {
            return Some(ingest);
        }
        let advertise = self.advertise.as_ref().map(|a| a.value.ip());
        let listen = self.listen.as_ref().map(|l| l.value.ip());
        let ip = advertise.or(listen.filter(|ip| !ip.is_unspecified()))?;
        Some(SocketAddr::new(ip, ingest.port()))
    }
}
