//! TLS below checks: whom to trust, the handshake, and what the certificate says.
//!
//! A probe sees what a new client sees, so no session is ever resumed. The system's trust anchors are
//! read once per process and shared by all monitors.

use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::health::{Failure, TlsTrust};
use crate::tls::Unverified;

/// ring, for all probes.
static PROVIDER: LazyLock<Arc<CryptoProvider>> =
    LazyLock::new(|| Arc::new(rustls::crypto::ring::default_provider()));

/// The client's side of handshakes with one trust and one offer of protocols.
#[derive(Debug)]
pub struct TlsClient {
    trust: TlsTrust,
    alpn: Vec<Vec<u8>>,
    /// Built on first use: reading the system's trust anchors takes a while.
    config: OnceCell<Arc<ClientConfig>>,
}

/// What a server showed in its handshake.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Peer {
    /// The protocol it chose (ALPN).
    pub alpn: Option<Vec<u8>>,
    /// When its certificate expires, in seconds since 1970-01-01T00:00:00Z.
    pub not_after: Option<u64>,
}

impl TlsClient {
    /// A client that trusts `trust` and offers `alpn`, the most wanted first. Costs no I/O.
    pub fn new(trust: &TlsTrust, alpn: &[&str]) -> TlsClient {
        TlsClient {
            trust: trust.clone(),
            alpn: alpn.iter().map(|p| p.as_bytes().to_vec()).collect(),
            config: OnceCell::new(),
        }
    }

    /// Makes the client ready, once; every later call is free.
    ///
    /// # Errors
    /// When the trust anchors cannot be used.
    pub async fn ready(&self) -> Result<(), Failure> {
        self.config().await.map(drop)
    }

    /// The name that the certificate is verified for and that is sent as SNI: the configured one, else
    /// `host` without its port, else the address (of which RFC 6066 section 3 sends nothing).
    ///
    /// # Errors
    /// When it is neither a DNS name nor an address.
    pub fn name(&self, host: Option<&str>, addr: IpAddr) -> Result<ServerName<'static>, Failure> {
        let name = match (&self.trust.server_name, host) {
            (Some(name), _) => name.as_ref(),
            (None, Some(host)) => without_port(host),
            (None, None) => return Ok(ServerName::from(addr)),
        };
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        ServerName::try_from(bare.to_owned()).map_err(|_| {
            Failure::Tls(format!(
                "`{name}` is neither a DNS name nor an address, so that no certificate can be \
                 verified for it; give a DNS name as `server-name`"
            ))
        })
    }

    /// Shakes hands over `stream`.
    ///
    /// # Errors
    /// When the handshake fails or the certificate does not verify.
    pub async fn handshake(
        &self,
        stream: TcpStream,
        name: ServerName<'static>,
    ) -> Result<(TlsStream<TcpStream>, Peer), Failure> {
        let config = self.config().await?;
        // The last flight of a handshake and the first request follow each other closely; waiting
        // for the first's acknowledgement would only slow the probe.
        let _ = stream.set_nodelay(true);
        let stream = TlsConnector::from(config)
            .connect(name, stream)
            .await
            .map_err(|e| handshake_failure(&e))?;
        let session = stream.get_ref().1;
        let peer = Peer {
            alpn: session.alpn_protocol().map(<[u8]>::to_vec),
            not_after: session
                .peer_certificates()
                .and_then(<[_]>::first)
                .and_then(not_after),
        };
        Ok((stream, peer))
    }

    async fn config(&self) -> Result<Arc<ClientConfig>, Failure> {
        let build = || async {
            let builder = ClientConfig::builder_with_provider(PROVIDER.clone())
                .with_safe_default_protocol_versions()
                .map_err(|e| Failure::Tls(e.to_string()))?;
            let mut config = if self.trust.verify {
                builder
                    .with_root_certificates(anchors(&self.trust).await?)
                    .with_no_client_auth()
            } else {
                builder
                    .dangerous()
                    .with_custom_certificate_verifier(Arc::new(Unverified(PROVIDER.clone())))
                    .with_no_client_auth()
            };
            config.alpn_protocols.clone_from(&self.alpn);
            config.resumption = Resumption::disabled();
            Ok(Arc::new(config))
        };
        self.config.get_or_try_init(build).await.cloned()
    }
}

/// The system's trust anchors, with those of the `ca` file.
async fn anchors(trust: &TlsTrust) -> Result<Arc<RootCertStore>, Failure> {
    let system = system_anchors().await;
    let Some(pem) = &trust.ca_pem else {
        if system.is_empty() {
            return Err(Failure::Unable(
                "this machine has no trust anchors; install the package `ca-certificates`, or give \
                 a `ca-file`"
                    .to_owned(),
            ));
        }
        return Ok(system);
    };
    let useless =
        |e: &dyn std::fmt::Display| Failure::Tls(format!("the `ca` file cannot be used: {e}"));
    let mut all = (*system).clone();
    let mut own = 0;
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|e| useless(&e))?;
        all.add(certificate).map_err(|e| useless(&e))?;
        own += 1;
    }
    if own == 0 {
        return Err(Failure::Tls(
            "the `ca` file holds no certificate".to_owned(),
        ));
    }
    Ok(Arc::new(all))
}

/// Read and parsed once per process. What cannot be read is left out: the system may hold anchors that
/// this library does not know.
async fn system_anchors() -> Arc<RootCertStore> {
    static ANCHORS: OnceCell<Arc<RootCertStore>> = OnceCell::const_new();
    let read = || {
        let mut store = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        for e in &found.errors {
            tracing::warn!(error = %e, "a trust anchor of the system cannot be read");
        }
        store.add_parsable_certificates(found.certs);
        Arc::new(store)
    };
    ANCHORS
        .get_or_init(|| async {
            tokio::task::spawn_blocking(read)
                .await
                .unwrap_or_else(|_| Arc::new(RootCertStore::empty()))
        })
        .await
        .clone()
}

/// A failed handshake in words. The runtime hands rustls's error on inside an I/O error.
fn handshake_failure(e: &std::io::Error) -> Failure {
    let inner = e.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::InvalidCertificate(why)) => Failure::Tls(format!("certificate: {why}")),
        Some(other) => Failure::Tls(other.to_string()),
        None => Failure::Tls(e.to_string()),
    }
}

/// When a certificate expires, in seconds since 1970-01-01T00:00:00Z (RFC 5280 section 4.1.2.5).
fn not_after(certificate: &CertificateDer<'_>) -> Option<u64> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    u64::try_from(certificate.validity().not_after.timestamp()).ok()
}

/// `host` without `:port`, brackets kept.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port))
            if !name.is_empty()
                && port.bytes().all(|b| b.is_ascii_digit())
                && (!name.contains(':') || name.ends_with(']')) =>
        {
            name
        }
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_cut_off_a_host_and_nothing_else() {
        let table = [
            ("www.gslb.example", "www.gslb.example"),
            ("www.gslb.example:8443", "www.gslb.example"),
            ("192.0.2.1:80", "192.0.2.1"),
            ("[2001:db8::1]:80", "[2001:db8::1]"),
            ("[2001:db8::1]", "[2001:db8::1]"),
            ("2001:db8::1", "2001:db8::1"),
        ];
        for (host, name) in table {
            assert_eq!(without_port(host), name);
        }
    }

    #[test]
    fn the_name_is_the_configured_one_or_that_of_the_host_or_the_address() {
        let addr: IpAddr = "192.0.2.1".parse().unwrap();
        let client = |server_name: Option<&str>| {
            let trust = TlsTrust {
                verify: true,
                ca_pem: None,
                server_name: server_name.map(Into::into),
                warn_days: 14,
            };
            TlsClient::new(&trust, &[])
        };
        let table = [
            (Some("a.example"), Some("b.example:80"), "a.example"),
            (None, Some("b.example:80"), "b.example"),
            (None, Some("[2001:db8::1]:80"), "2001:db8::1"),
            (None, None, "192.0.2.1"),
        ];
        for (server_name, host, want) in table {
            let name = client(server_name).name(host, addr).unwrap();
            assert_eq!(name.to_str(), want);
        }
        let words = client(Some("a b")).name(None, addr).unwrap_err();
        assert!(words.to_string().contains("`a b` is neither"), "{words}");
    }
}
