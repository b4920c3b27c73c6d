//! The certificate in force and the TLS settings of the encrypted listeners.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};

use crate::tls::Credentials;

/// The credentials in force: new handshakes get the newest, old connections keep theirs.
pub struct Identity(ArcSwap<CertifiedKey>);

impl Identity {
    /// Starts with these.
    pub fn new(credentials: &Credentials) -> Arc<Identity> {
        Arc::new(Identity(ArcSwap::new(credentials.chain().clone())))
    }

    /// Hands out these from now on.
    pub fn adopt(&self, credentials: &Credentials) {
        self.0.store(credentials.chain().clone());
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity")
    }
}

impl ResolvesServerCert for Identity {
    // Whatever name the client wants: it is the client that judges whether the certificate will do.
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

/// What is spoken inside TLS, by its ALPN names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Application {
    /// RFC 7858, with the name that RFC 7858's erratum and the IANA registry give it.
    Dot,
    /// RFC 8484 over HTTP/2 or HTTP/1.1.
    Doh,
    /// RFC 9250 section 4.1.1.
    Doq,
}

/// TLS settings for one application: version 1.2 and up (RFC 9325 section 3.1.1), 1.3 for QUIC (RFC
/// 9001 section 4.2). Sessions may be resumed; early data is never taken, since it can be replayed.
///
/// # Errors
/// When the system has no randomness for the keys of session tickets.
pub fn settings(
    identity: &Arc<Identity>,
    application: Application,
) -> Result<ServerConfig, rustls::Error> {
    let (versions, alpn): (&[_], &[&[u8]]) = match application {
        Application::Dot => (&[&TLS13, &TLS12], &[b"dot"]),
        Application::Doh => (&[&TLS13, &TLS12], &[b"h2", b"http/1.1"]),
        Application::Doq => (&[&TLS13], &[b"doq"]),
    };
    let mut settings = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(versions)?
        .with_no_client_auth()
        .with_cert_resolver(identity.clone());
    settings.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    settings.max_early_data_size = 0;
    settings.ticketer = ring::Ticketer::new()?;
    Ok(settings)
}
