//! `[admin]`: who may use the admin API.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::{Marked, Span};
use crate::net::Prefix;

/// What somebody may do with the admin API. Each role may do what those before it may.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum AdminRole {
    /// Sees everything but secrets.
    Viewer,
    /// Gives orders: overrides, drills, backends, caches.
    Operator,
    /// Reloads, and what else changes the node itself.
    Admin,
}

impl AdminRole {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            AdminRole::Viewer => "viewer",
            AdminRole::Operator => "operator",
            AdminRole::Admin => "admin",
        }
    }

    /// The role of a word.
    pub fn from_word(word: &str) -> Option<AdminRole> {
        [AdminRole::Viewer, AdminRole::Operator, AdminRole::Admin]
            .into_iter()
            .find(|role| role.word() == word)
    }
}

/// A SHA-256.
pub type Sha256 = [u8; 32];

/// `[admin]`
#[derive(Clone, PartialEq, Debug, Default)]
pub struct AdminSpec {
    /// `client-ca`, relative to the configuration file that says so.
    pub client_ca: Option<Marked<PathBuf>>,
    /// `loopback`: of who asks from this machine without credentials; `None`: nobody.
    pub loopback: Option<AdminRole>,
    /// `metrics = "open"`
    pub metrics_open: bool,
    /// `requests-per-second` of one source; 0: no limit.
    pub requests_per_second: u32,
    /// `failures-per-minute` of one source, at least 1.
    pub failures_per_minute: u32,
    /// `body-limit`, in octets.
    pub body_limit: usize,
    /// `session`
    pub session: Duration,
    /// `[admin.tokens.NAME]`
    pub tokens: Vec<TokenSpec>,
    /// `[admin.certificates.NAME]`
    pub certificates: Vec<ClientCertificateSpec>,
    /// Whether all tokens and certificates were read.
    pub complete: bool,
}

/// `[admin.tokens.NAME]`
#[derive(Clone, PartialEq, Debug)]
pub struct TokenSpec {
    /// Table key: the name for the audit record.
    pub name: Marked<String>,
    /// `hash`
    pub hash: Marked<Sha256>,
    /// `role`
    pub role: AdminRole,
    /// `expires`, in seconds since 1970-01-01T00:00:00Z.
    pub expires: Option<Marked<u64>>,
    /// `from`; empty: anywhere.
    pub from: Vec<Prefix>,
}

/// `[admin.certificates.NAME]`
#[derive(Clone, PartialEq, Debug)]
pub struct ClientCertificateSpec {
    /// Table key: the name for the audit record.
    pub name: Marked<String>,
    /// Which certificates are meant.
    pub is: CertificateIs,
    /// Where that stands.
    pub span: Span,
    /// `role`
    pub role: AdminRole,
    /// `from`; empty: anywhere.
    pub from: Vec<Prefix>,
}

/// What tells a client certificate from others.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CertificateIs {
    /// `subject`, RFC 4514.
    Subject(String),
    /// `san`: a mail address, a DNS name or a URI.
    San(String),
    /// `fingerprint`: SHA-256 of the DER.
    Fingerprint(Sha256),
}

/// `[nodes.NAME.admin]`, but for `listen`.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct NodeAdminSpec {
    /// `certificate`: chain, PEM.
    pub certificate: Option<Marked<PathBuf>>,
    /// `key`: private key, PEM. Present with `certificate`, or it is reported.
    pub key: Option<Marked<PathBuf>>,
    /// `max-connections`, default 512.
    pub max_connections: u32,
}
