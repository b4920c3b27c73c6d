//! The other end of a connection.

use std::net::IpAddr;
use std::sync::Arc;

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

use crate::config::spec::{CertificateIs, Sha256};
use crate::tls::subject;

/// The other end of a connection.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its address.
    pub address: IpAddr,
    /// Whether the connection is over TLS.
    pub secure: bool,
    /// The certificate that it showed and that was found good.
    pub certificate: Option<Arc<Shown>>,
}

/// A client certificate.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shown {
    subject: String,
    names: Vec<String>,
    fingerprint: Sha256,
    /// Last second of its validity, in Unix time.
    not_after: u64,
}

impl Shown {
    /// What a certificate in DER says; `None` when it cannot be read.
    pub fn read(der: &[u8]) -> Option<Shown> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let names = match certificate.subject_alternative_name() {
            Ok(Some(found)) => found.value.general_names.iter().filter_map(name).collect(),
            _ => Vec::new(),
        };
        let digest = ring::digest::digest(&ring::digest::SHA256, der);
        Some(Shown {
            subject: subject::of(der)?,
            names,
            fingerprint: digest.as_ref().try_into().ok()?,
            not_after: u64::try_from(certificate.validity().not_after.timestamp()).unwrap_or(0),
        })
    }

    /// Whether it is one of those that are meant.
    pub(super) fn is(&self, meant: &CertificateIs) -> bool {
        match meant {
            CertificateIs::Subject(subject) => *subject == self.subject,
            CertificateIs::San(name) => self.names.iter().any(|n| n.eq_ignore_ascii_case(name)),
            CertificateIs::Fingerprint(sha256) => *sha256 == self.fingerprint,
        }
    }

    /// It was valid when the connection began, which may be long ago.
    pub(super) fn is_over(&self, unix: u64) -> bool {
        unix > self.not_after
    }
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::RFC822Name(text) | GeneralName::DNSName(text) | GeneralName::URI(text) => {
            Some((*text).to_owned())
        }
        _ => None,
    }
}
