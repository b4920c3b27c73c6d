//! TLS of listeners and upstreams: what is wanted, and in which files it is.

use std::path::PathBuf;
use std::time::Duration;

use crate::message::Name;

/// A version of TLS.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum TlsVersion {
    /// RFC 5246.
    V12,
    /// RFC 8446.
    V13,
}

impl TlsVersion {
    /// As OpenSSL, HAProxy and logs call it.
    pub const fn as_str(self) -> &'static str {
        match self {
            TlsVersion::V12 => "TLSv1.2",
            TlsVersion::V13 => "TLSv1.3",
        }
    }
}

/// Where the client's TLS ends, and whether there is TLS behind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TlsMode {
    /// At the backend: the octets are passed on as they are.
    PassThrough,
    /// Here; the backend is spoken to without TLS.
    Terminate,
    /// Here, and the backend is spoken to over TLS of its own.
    ReEncrypt,
}

impl TlsMode {
    /// As the configuration calls it.
    pub const fn as_str(self) -> &'static str {
        match self {
            TlsMode::PassThrough => "pass-through",
            TlsMode::Terminate => "terminate",
            TlsMode::ReEncrypt => "re-encrypt",
        }
    }
}

/// The cipher suites there are, by their names in the IANA registry, with their version.
pub const CIPHERS: [(&str, TlsVersion); 9] = [
    ("TLS_AES_256_GCM_SHA384", TlsVersion::V13),
    ("TLS_AES_128_GCM_SHA256", TlsVersion::V13),
    ("TLS_CHACHA20_POLY1305_SHA256", TlsVersion::V13),
    ("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", TlsVersion::V12),
    ("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", TlsVersion::V12),
    (
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        TlsVersion::V12,
    ),
    ("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", TlsVersion::V12),
    ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", TlsVersion::V12),
    (
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        TlsVersion::V12,
    ),
];

/// What a handshake may end in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TlsPolicy {
    /// Lowest version.
    pub min: TlsVersion,
    /// Highest version.
    pub max: TlsVersion,
    /// Cipher suites, the most wanted first; empty: all of [`CIPHERS`], as the client orders them.
    pub ciphers: Vec<&'static str>,
}

impl Default for TlsPolicy {
    fn default() -> TlsPolicy {
        TlsPolicy {
            min: TlsVersion::V12,
            max: TlsVersion::V13,
            ciphers: Vec::new(),
        }
    }
}

impl TlsPolicy {
    /// Whether a handshake may end in `version`.
    pub fn allows(&self, version: TlsVersion) -> bool {
        self.min <= version && version <= self.max
    }

    /// A version that is allowed, but of which no cipher suite is.
    pub fn impossible(&self) -> Option<TlsVersion> {
        let has = |version| {
            self.ciphers.is_empty()
                || CIPHERS
                    .iter()
                    .any(|(name, v)| *v == version && self.ciphers.contains(name))
        };
        [TlsVersion::V12, TlsVersion::V13]
            .into_iter()
            .find(|v| self.allows(*v) && !has(*v))
    }
}

/// A certificate with its key.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct CertificateFiles {
    /// Chain, PEM, the own certificate first.
    pub certificate: PathBuf,
    /// Private key, PEM.
    pub key: PathBuf,
    /// OCSP response to staple, DER.
    pub ocsp: Option<PathBuf>,
}

/// Resumption of sessions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tickets {
    /// Tickets sent after a full TLS 1.3 handshake; 1 to 8.
    pub count: u8,
    /// How long one key makes tickets; it is then accepted for as long again.
    pub rotation: Duration,
    /// Secrets that several proxies share, so that each resumes the others' sessions; `None`: keys of
    /// this process.
    pub secrets: Option<PathBuf>,
}

/// Certificates of clients.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClientAuth {
    /// Whether a client without one is refused.
    pub required: bool,
    /// Authorities, PEM.
    pub authorities: PathBuf,
    /// Revocation lists of the authorities, PEM or DER.
    pub revocations: Option<PathBuf>,
    /// The request field that tells backends the subject; whatever clients send in it is removed.
    pub subject_header: Option<Name>,
}

/// TLS of a listener.
#[derive(Clone, PartialEq, Debug)]
pub struct ListenerTls {
    /// At least one; the first is the default.
    pub certificates: Vec<CertificateFiles>,
    /// Versions and cipher suites.
    pub policy: TlsPolicy,
    /// `None`: no session is ever resumed.
    pub tickets: Option<Tickets>,
    /// `None`: clients are not asked for certificates.
    pub client: Option<ClientAuth>,
    /// Whether a client that names no host, or none that a certificate is for, is refused.
    pub strict_sni: bool,
    /// For a whole handshake; `None`: as for a head.
    pub handshake_timeout: Option<Duration>,
    /// What is agreed to within TLS (ALPN), the most wanted first; empty: whatever the client wants, without
    /// a word. `None`: HTTP, in the versions that the listener speaks.
    pub alpn: Option<Vec<Vec<u8>>>,
}

/// TLS to the backends of an upstream.
#[derive(Clone, PartialEq, Debug)]
pub struct UpstreamTls {
    /// Whether backends must show a certificate that is valid for their name.
    pub verify: bool,
    /// Authorities, PEM; `None`: those of the system.
    pub authorities: Option<PathBuf>,
    /// The name that is sent as SNI and verified; `None`: the backend's address is verified, and no SNI
    /// is sent (RFC 6066 section 3).
    pub server_name: Option<Box<str>>,
    /// Our own certificate, for backends that ask for one.
    pub certificate: Option<CertificateFiles>,
    /// Versions and cipher suites.
    pub policy: TlsPolicy,
    /// Whether sessions are resumed.
    pub resumption: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_without_ciphers_is_impossible() {
        let of = |min, max, ciphers: &[&'static str]| {
            TlsPolicy {
                min,
                max,
                ciphers: ciphers.to_vec(),
            }
            .impossible()
        };
        use TlsVersion::{V12, V13};
        let (new, old) = (CIPHERS[0].0, CIPHERS[3].0);
        assert_eq!(of(V12, V13, &[]), None);
        assert_eq!(of(V12, V13, &[new, old]), None);
        assert_eq!(of(V12, V13, &[new]), Some(V12));
        assert_eq!(of(V12, V13, &[old]), Some(V13));
        assert_eq!(of(V13, V13, &[new]), None);
        assert_eq!(of(V12, V12, &[old]), None);
    }
}
