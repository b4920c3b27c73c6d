//! What a member proves about itself, and what it may therefore say.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use tokio::sync::watch;

use super::bus::Key;

/// What a node does in the fleet, as its certificate says.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Roles {
    /// Answers DNS.
    pub dns: bool,
    /// Probes.
    pub probe: bool,
    /// Carries traffic.
    pub proxy: bool,
    /// Takes orders of operators.
    pub admin: bool,
}

impl Roles {
    /// Whether a node with these roles may write `key`. What nobody may write is nobody's.
    pub fn may_write(self, key: &Key) -> bool {
        let key = key.as_str();
        let prefix = key.split_once('/').map_or(key, |(prefix, _)| prefix);
        match prefix {
            // About the node itself: configuration, life, heartbeat.
            "m" | "hb" => true,
            // Votes, round-trip times.
            "v" | "r" => self.probe,
            // Reports of the proxy.
            "p" | "d" | "t" => self.proxy,
            // Orders, and which of them are on this node's disk.
            "ov" | "ovseen" => self.dns || self.admin,
            // What nodes say of drills.
            "dr" => self.dns || self.admin || self.proxy,
            // What other nodes pushed to this one.
            "px" => self.dns,
            _ => false,
        }
    }

    /// Whether `self` has every role of `other`.
    pub fn covers(self, other: Roles) -> bool {
        (self.dns || !other.dns)
            && (self.probe || !other.probe)
            && (self.proxy || !other.proxy)
            && (self.admin || !other.admin)
    }
}

/// The other end of a connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Peer {
    /// Its name in the configuration.
    pub node: Arc<str>,
    /// What its certificate lets it do.
    pub roles: Roles,
}

/// The name every certificate of a fleet is valid for; who exactly it is stands beside it.
pub const SERVER_NAME: &str = "node.tradewind.invalid";

/// Mutual TLS of the fleet. Changes while it is in use: certificates and authorities are replaced
/// without a lost round.
pub trait Credentials: Send + Sync + 'static {
    /// For connections that come in; asks for a certificate of the fleet. Without ALPN.
    fn server(&self) -> Arc<rustls::ServerConfig>;

    /// For connections that go out. Without ALPN.
    fn client(&self) -> Arc<rustls::ClientConfig>;

    /// Who is at the other end, of a chain that TLS has verified.
    ///
    /// # Errors
    /// Says why it is refused: no name, a name the configuration does not know, a role the
    /// configuration gives it that its certificate lacks.
    fn peer(&self, chain: &[CertificateDer<'_>]) -> Result<Peer, String>;

    /// Counts up whenever [`Credentials::server`] and [`Credentials::client`] give something new.
    fn changes(&self) -> watch::Receiver<u64>;
}
