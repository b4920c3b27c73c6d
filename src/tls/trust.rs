//! Trust anchors and revocation lists, as PEM files hold them.

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};

/// The certificates of a PEM file as trust anchors.
///
/// # Errors
/// When it holds none, or one that cannot be used; in words.
pub fn anchors(pem: &[u8]) -> Result<RootCertStore, String> {
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|_| "it is cut off or is no PEM file".to_owned())?;
        store
            .add(certificate)
            .map_err(|e| format!("a certificate in it cannot be an authority: {e}"))?;
    }
    if store.is_empty() {
        return Err("it holds no PEM certificate".to_owned());
    }
    Ok(store)
}

/// The revocation lists (RFC 5280 section 5) of a PEM file, or the one of a DER file, and when the first
/// of them should have been renewed, in seconds since 1970-01-01T00:00:00Z.
///
/// # Errors
/// When it holds none, or one that cannot be read; in words.
pub fn revocations(
    file: &[u8],
) -> Result<(Vec<CertificateRevocationListDer<'static>>, Option<u64>), String> {
    let lists: Vec<CertificateRevocationListDer<'static>> = if file.starts_with(b"0") {
        vec![CertificateRevocationListDer::from(file.to_vec())]
    } else {
        CertificateRevocationListDer::pem_slice_iter(file)
            .collect::<Result<_, _>>()
            .map_err(|_| "it is cut off or is no PEM file".to_owned())?
    };
    if lists.is_empty() {
        return Err("it holds no certificate revocation list".to_owned());
    }
    let mut renewed: Option<u64> = None;
    for list in &lists {
        let (_, parsed) = x509_parser::parse_x509_crl(list)
            .map_err(|e| format!("a revocation list in it cannot be read: {e}"))?;
        let next = parsed
            .next_update()
            .and_then(|t| u64::try_from(t.timestamp()).ok());
        renewed = match (renewed, next) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }
    Ok((lists, renewed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_nothing_of_use_is_refused_in_words() {
        let made = rcgen::generate_simple_self_signed(["ca.example".to_owned()]).unwrap();
        let pem = made.cert.pem();
        assert_eq!(anchors(pem.as_bytes()).unwrap().len(), 1);
        let key = made.signing_key.serialize_pem();
        assert!(
            anchors(key.as_bytes())
                .unwrap_err()
                .contains("no PEM certificate")
        );
        assert!(
            anchors(&pem.as_bytes()[..80])
                .unwrap_err()
                .contains("cut off")
        );
        assert!(
            revocations(pem.as_bytes())
                .unwrap_err()
                .contains("no certificate revocation")
        );
        assert!(
            revocations(b"0\x03abc")
                .unwrap_err()
                .contains("cannot be read")
        );
    }
}
