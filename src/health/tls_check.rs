//! What is expected of TLS: as a check of its own, and below HTTPS and gRPC.

/// Whom a probe trusts, and for what name.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct TlsTrust {
    /// Verify certificate and name; off only when told so.
    pub verify: bool,
    /// Trust anchors besides the system's, PEM text (read at load).
    pub ca_pem: Option<Box<str>>,
    /// Name for SNI and certificate verification; where the monitor has a `host`, that one without
    /// its port when `None`, else the address.
    pub server_name: Option<Box<str>>,
    /// A certificate that expires within so many days is warned of, 0 to 365. That never brings a
    /// target down.
    pub warn_days: u32,
}

/// A TLS check: passes when the handshake does.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct TlsCheck {
    /// Whom to trust.
    pub trust: TlsTrust,
    /// Protocols offered (ALPN, RFC 7301), of which the server must choose one. Empty: none is
    /// offered, and the handshake alone counts.
    pub alpn: Vec<Box<str>>,
}
