//! A certificate chain with its private key, as PEM files hold them.

use std::sync::Arc;

use rustls::InconsistentKeys;
use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::time::ASN1Time;
use x509_parser::x509::X509Version;

/// A certificate chain with its key.
#[derive(Clone, Debug)]
pub struct Credentials {
    chain: Arc<CertifiedKey>,
    not_before: ASN1Time,
    not_after: ASN1Time,
    names: Box<[Box<str>]>,
    serial: Box<[u8]>,
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
        let (validity, names, serial) = match x509_parser::parse_x509_certificate(own) {
            // What OpenSSL makes of a request without extensions.
            Ok((_, certificate)) if certificate.version() != X509Version::V3 => {
                return Err(bad(format!(
                    "its first certificate is of X.509 version {}; TLS needs version 3, with the \
                     server's names as subjectAltName",
                    certificate.version().0 + 1
                )));
            }
            Ok((_, certificate)) => (
                certificate.validity().clone(),
                names_of(&certificate),
                certificate.raw_serial().into(),
            ),
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
            not_before: validity.not_before,
            not_after: validity.not_after,
            names,
            serial,
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

    /// The chain and its key, ready for handshakes.
    pub fn chain(&self) -> &Arc<CertifiedKey> {
        &self.chain
    }

    /// The DNS names that the certificate is for, in lower case, `*.` before the ones with a wildcard.
    pub fn names(&self) -> &[Box<str>] {
        &self.names
    }

    /// The certificate's serial number, as its DER says it.
    pub fn serial(&self) -> &[u8] {
        &self.serial
    }

    /// Whether both are the same chain.
    pub fn is(&self, other: &Credentials) -> bool {
        self.chain.cert == other.chain.cert
    }
}

/// The subject's alternative names (RFC 6125 section 6.4.4: the common name only where there is none).
fn names_of(certificate: &X509Certificate<'_>) -> Box<[Box<str>]> {
    let mut names: Vec<Box<str>> = Vec::new();
    if let Ok(Some(found)) = certificate.subject_alternative_name() {
        for name in &found.value.general_names {
            if let GeneralName::DNSName(name) = name {
                names.push(name.to_ascii_lowercase().into());
            }
        }
        return names.into();
    }
    let common = certificate.subject().iter_common_name();
    names.extend(
        common
            .filter_map(|cn| cn.as_str().ok())
            .map(|cn| cn.to_ascii_lowercase().into()),
    );
    names.into()
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
        assert_eq!(read.names(), ["dns.example".into()]);
        assert!(!read.serial().is_empty());
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
