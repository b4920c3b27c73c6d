//! A certificate authority of a fleet for tests: certificates with a name, valid or expired.
//!
//! Included by path in tests of the library too, so the fleet's types come from the parent.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::sync::watch;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{Credentials, Peer, Roles, SERVER_NAME};

/// Issues certificates.
pub(crate) struct Authority {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate with its key.
pub(crate) struct Leaf {
    certificate: CertificateDer<'static>,
    key: Vec<u8>,
}

impl Authority {
    /// A new authority.
    pub(crate) fn new() -> Authority {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "fleet");
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Authority {
            certificate,
            issuer: Issuer::new(params, key),
        }
    }

    /// A certificate for a node.
    pub(crate) fn issue(&self, node: &str) -> Leaf {
        self.issue_until(node, 4000)
    }

    /// A certificate that is valid up to the first day of a year.
    pub(crate) fn issue_until(&self, node: &str, year: i32) -> Leaf {
        let mut params = CertificateParams::new(vec![SERVER_NAME.to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2000, 1, 1);
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        params.distinguished_name.push(DnType::CommonName, node);
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Leaf {
            certificate: certificate.der().clone(),
            key: key.serialize_der(),
        }
    }
}

/// Credentials of a node in a test.
pub(crate) struct TestCredentials {
    configs: Mutex<(Arc<ServerConfig>, Arc<ClientConfig>)>,
    changes: watch::Sender<u64>,
    known: fn(&str) -> bool,
}

fn configs(roots: &[&Authority], leaf: &Leaf) -> (Arc<ServerConfig>, Arc<ClientConfig>) {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut store = RootCertStore::empty();
    for root in roots {
        store.add(root.certificate.clone()).unwrap();
    }
    let store = Arc::new(store);
    let chain = || vec![leaf.certificate.clone()];
    let key = || PrivatePkcs8KeyDer::from(leaf.key.clone()).into();
    let verifier = WebPkiClientVerifier::builder_with_provider(store.clone(), provider.clone())
        .build()
        .unwrap();
    let server = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain(), key())
        .unwrap();
    let client = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(store)
        .with_client_auth_cert(chain(), key())
        .unwrap();
    (Arc::new(server), Arc::new(client))
}

impl TestCredentials {
    /// Trusts these authorities, and nodes with names that are known.
    pub(crate) fn new(
        roots: &[&Authority],
        leaf: &Leaf,
        known: fn(&str) -> bool,
    ) -> Arc<TestCredentials> {
        Arc::new(TestCredentials {
            configs: Mutex::new(configs(roots, leaf)),
            changes: watch::Sender::new(0),
            known,
        })
    }

    /// Others from now on.
    pub(crate) fn replace(&self, roots: &[&Authority], leaf: &Leaf) {
        *self.configs.lock().unwrap() = configs(roots, leaf);
        self.changes.send_modify(|n| *n += 1);
    }
}

impl Credentials for TestCredentials {
    fn server(&self) -> Arc<ServerConfig> {
        self.configs.lock().unwrap().0.clone()
    }

    fn client(&self) -> Arc<ClientConfig> {
        self.configs.lock().unwrap().1.clone()
    }

    fn peer(&self, chain: &[CertificateDer<'_>]) -> Result<Peer, String> {
        let (_, leaf) = X509Certificate::from_der(&chain[0]).map_err(|e| e.to_string())?;
        let name = leaf.subject().iter_common_name().next();
        let name = name.and_then(|n| n.as_str().ok()).unwrap_or_default();
        if !(self.known)(name) {
            return Err(format!("the configuration has no node `{name}`"));
        }
        Ok(Peer {
            node: name.into(),
            roles: Roles::default(),
        })
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

/// Waits until it holds, on real time.
pub(crate) async fn until(
    what: &str,
    within: Duration,
    mut holds: impl FnMut() -> bool,
) -> Duration {
    let start = tokio::time::Instant::now();
    while !holds() {
        assert!(start.elapsed() < within, "{what}: not within {within:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    start.elapsed()
}
