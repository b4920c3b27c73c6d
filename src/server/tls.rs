//! Certificates and TLS settings of the encrypted listeners.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{InconsistentKeys, ServerConfig};
use x509_parser::time::ASN1Time;

/// A certificate chain with its key.
#[derive(Clone, Debug)]
pub struct Credentials {
    chain: Arc<CertifiedKey>,
    not_before: ASN1Time,
    not_after: ASN1Time,
}

/// Why PEM texts are no credentials.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CredentialsError {
    /// The certificate file.
    #[error("{0}")]
    Certificate(String),
    /// The key file, or key and certificate together.
    #[error("{0}")]
    Key(String),
}

impl Credentials {
    /// Reads a chain, the server's own certificate first, and its private key, both as PEM.
    ///
    /// # Errors
    /// When either is missing or of no known form, or when the key belongs to another certificate.
    pub fn read(certificate: &[u8], key: &[u8]) -> Result<Credentials, CredentialsError> {
        let bad = |text: String| CredentialsError::Certificate(text);
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(certificate)
            .collect::<Result<_, _>>()
            // What the parser says shows octets as numbers.
            .map_err(|_| bad("it is cut off or is no PEM file".to_owned()))?;
        let Some(own) = chain.first() else {
            return Err(bad("it holds no PEM certificate".to_owned()));
        };
        let (not_before, not_after) = match x509_parser::parse_x509_certificate(own) {
            Ok((_, certificate)) => {
                let validity = certificate.validity();
                (validity.not_before, validity.not_after)
            }
            Err(e) => return Err(bad(format!("its first certificate cannot be read: {e}"))),
        };
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|e| {
            let encrypted = key.windows(9).any(|w| w == b"ENCRYPTED");
            let why = match e {
                _ if encrypted => {
                    "it is encrypted, and nobody is there to type its password: decrypt it"
                }
                pem::Error::NoItemsFound => "it holds no PEM private key",
                _ => "it is cut off or is no PEM file",
            };
            CredentialsError::Key(why.to_owned())
        })?;
        let chain = CertifiedKey::from_der(chain, key, &ring::default_provider());
        let chain = chain.map_err(|e| {
            CredentialsError::Key(match e {
                rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                    "it is not the key of the certificate".to_owned()
                }
                other => format!("it cannot be used: {other}"),
            })
        })?;
        Ok(Credentials {
            chain: Arc::new(chain),
            not_before,
            not_after,
        })
    }

    /// Last second of validity, in seconds since 1970-01-01T00:00:00Z.
    pub fn not_after(&self) -> u64 {
        u64::try_from(self.not_after.timestamp()).unwrap_or(0)
    }

    /// What is wrong with the validity at `now`, in seconds since 1970-01-01T00:00:00Z: both times in
    /// words.
    pub fn invalid_at(&self, now: u64) -> Option<String> {
        let seconds = i64::try_from(now).unwrap_or(i64::MAX);
        let now = ASN1Time::from_timestamp(seconds).ok()?;
        if now < self.not_before {
            Some(format!(
                "is not valid before {}; it is {now}",
                self.not_before
            ))
        } else if now > self.not_after {
            Some(format!("expired on {}; it is {now}", self.not_after))
        } else {
            None
        }
    }

    /// Whether both are the same chain.
    pub fn is(&self, other: &Credentials) -> bool {
        self.chain.cert == other.chain.cert
    }
}

/// The credentials in force: new handshakes get the newest, old connections keep theirs.
pub struct Identity(ArcSwap<CertifiedKey>);

impl Identity {
    /// Starts with these.
    pub fn new(credentials: &Credentials) -> Arc<Identity> {
        Arc::new(Identity(ArcSwap::new(credentials.chain.clone())))
    }

    /// Hands out these from now on.
    pub fn adopt(&self, credentials: &Credentials) {
        self.0.store(credentials.chain.clone());
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

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(["dns.example".to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    #[test]
    fn a_pair_is_read_and_its_validity_judged() {
        let (certificate, key) = pair();
        let read = Credentials::read(certificate.as_bytes(), key.as_bytes()).unwrap();
        // rcgen's default: 1975 to 4096.
        assert_eq!(read.invalid_at(1_767_225_600), None);
        let early = read.invalid_at(0).unwrap();
        assert!(early.contains("1975") && early.contains("1970"), "{early}");
        let late = read.invalid_at(read.not_after() + 1).unwrap();
        assert!(late.starts_with("expired on"), "{late}");
        assert!(read.is(&read.clone()));
        let (certificate, key) = pair();
        let other = Credentials::read(certificate.as_bytes(), key.as_bytes()).unwrap();
        assert!(!read.is(&other));
    }

    #[test]
    fn what_is_wrong_with_files_is_said() {
        let (certificate, key) = pair();
        let (_, other) = pair();
        let encrypted =
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for (certificate, key, want) in [
            (certificate.as_str(), other.as_str(), "not the key of"),
            (&key, &key, "no PEM certificate"),
            (&certificate, &certificate, "no PEM private key"),
            (&certificate, encrypted, "encrypted"),
            (broken, &key, "first certificate cannot be read"),
            (&certificate, &key[..60], "it is cut off or is no PEM file"),
            (&certificate[..60], &key, "it is cut off or is no PEM file"),
            (&certificate, &key[..20], "it is cut off or is no PEM file"),
            (&certificate[..20], &key, "it is cut off or is no PEM file"),
        ] {
            let error = Credentials::read(certificate.as_bytes(), key.as_bytes()).unwrap_err();
            assert!(error.to_string().contains(want), "{error}");
        }
    }
}
