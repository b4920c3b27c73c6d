//! The fleet's certificate authority: makes itself, and the nodes' certificates. Ed25519 throughout.

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ED25519, SanType,
};
use rustls::pki_types::CertificateDer;
use x509_parser::time::ASN1Time;

use super::claims::{Claims, certificates, is_name, uri_of_authority, uris_of_node};
use crate::fleet::credentials::{Roles, SERVER_NAME};

/// Seconds of a day.
const DAY: u64 = 86_400;

/// A certificate is valid from so many seconds before it is made, for clocks that are behind.
const SKEW: u64 = 3_600;

/// Days that an authority lasts where nothing else is said: ten years.
pub const AUTHORITY_DAYS: u32 = 3_653;

/// Days that a node's certificate lasts where nothing else is said.
pub const NODE_DAYS: u32 = 365;

/// An authority with its private key.
#[derive(Debug)]
pub struct Authority {
    certificate: CertificateDer<'static>,
    claims: Claims,
    cluster: String,
    key: KeyPair,
}

/// A certificate with its private key, both PEM.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Issued {
    /// The certificate.
    pub certificate: String,
    /// The key, PKCS #8, not encrypted.
    pub key: String,
    /// What the certificate says.
    pub claims: Claims,
}

impl Authority {
    /// Makes the authority of `cluster`, valid from `now` (seconds since 1970-01-01T00:00:00Z) for
    /// `days`. The result is the certificate and the key, for [`Authority::read`] later.
    ///
    /// # Errors
    /// When the name is none, or the system has no randomness.
    pub fn make(cluster: &str, now: u64, days: u32) -> Result<Issued, String> {
        if !is_name(cluster) {
            return Err(format!(
                "`{cluster}` is no name for a cluster: letters, digits, `-` and `_`, at most 63"
            ));
        }
        let key = new_key()?;
        let mut params = CertificateParams::default();
        params.distinguished_name = called(format!("{cluster} fleet CA {}", key_tag(&key)));
        params.subject_alt_names = vec![uri(&uri_of_authority(cluster))?];
        // Signs nodes only, no further authorities (RFC 5280 section 4.2.1.9).
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        limit(&mut params, now, now + u64::from(days) * DAY)?;
        let certificate = params.self_signed(&key).map_err(made)?;
        Ok(Issued {
            claims: Claims::read(certificate.der())?,
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        })
    }

    /// Reads an authority: of several certificates in `ca`, the one that `key` belongs to.
    ///
    /// # Errors
    /// When one of both cannot be read, or they do not belong together.
    pub fn read(ca: &[u8], key: &str) -> Result<Authority, String> {
        let key = KeyPair::from_pem(key)
            .map_err(|e| format!("the CA's private key cannot be read: {e}"))?;
        for certificate in certificates(ca).map_err(|e| format!("the CA's certificates: {e}"))? {
            let claims = Claims::read(&certificate)?;
            if claims.public_key != key.public_key_raw() {
                continue;
            }
            let Some(cluster) = claims.cluster.clone().filter(|_| claims.is_authority) else {
                return Err(
                    "the certificate of this key is no fleet CA; make one with `tradewind fleet \
                     init`"
                        .to_owned(),
                );
            };
            return Ok(Authority {
                certificate,
                claims,
                cluster,
                key,
            });
        }
        Err("none of the CA certificates belongs to the CA's private key".to_owned())
    }

    /// Name of its cluster.
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// What its certificate says.
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// Its certificate, DER.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// Makes a new key and the certificate of `node`, valid from `now` (seconds since
    /// 1970-01-01T00:00:00Z) for `days`, or as long as the authority itself, if that is shorter.
    ///
    /// # Errors
    /// When the name is none, there is no role, or the authority has expired.
    pub fn issue(&self, node: &str, roles: Roles, now: u64, days: u32) -> Result<Issued, String> {
        if !is_name(node) {
            return Err(format!(
                "`{node}` is no name for a node: letters, digits, `-` and `_`, at most 63"
            ));
        }
        if roles == Roles::default() {
            return Err(format!(
                "node `{node}` needs a role: dns, probe, proxy or admin"
            ));
        }
        if !self.claims.valid_at(now) {
            return Err(format!(
                "the CA `{}` is valid from {} to {}, not now; make another with `tradewind fleet \
                 rotate-ca`",
                self.claims.subject,
                super::claims::show_time(self.claims.not_before),
                super::claims::show_time(self.claims.not_after)
            ));
        }
        let key = new_key()?;
        let mut params = CertificateParams::new(vec![SERVER_NAME.to_owned()]).map_err(made)?;
        params.distinguished_name = called(node.to_owned());
        for text in uris_of_node(&self.cluster, node, roles) {
            params.subject_alt_names.push(uri(&text)?);
        }
        params.is_ca = IsCa::ExplicitNoCa;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        // Members are both ends of connections.
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let end = (now + u64::from(days) * DAY).min(self.claims.not_after);
        limit(&mut params, now, end)?;
        let issuer = Issuer::from_ca_cert_der(&self.certificate, &self.key).map_err(made)?;
        let certificate = params.signed_by(&key, &issuer).map_err(made)?;
        Ok(Issued {
            claims: Claims::read(certificate.der())?,
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        })
    }
}

/// Sets a validity that begins a little before `now`.
fn limit(params: &mut CertificateParams, now: u64, end: u64) -> Result<(), String> {
    let at = |unix: u64| {
        let seconds = i64::try_from(unix).map_err(|e| e.to_string())?;
        ASN1Time::from_timestamp(seconds)
            .map_err(|e| format!("{unix} is no time of a certificate: {e}"))
    };
    params.not_before = at(now.saturating_sub(SKEW))?.to_datetime();
    params.not_after = at(end)?.to_datetime();
    Ok(())
}

fn new_key() -> Result<KeyPair, String> {
    KeyPair::generate_for(&PKCS_ED25519).map_err(made)
}

fn made(e: rcgen::Error) -> String {
    format!("the certificate cannot be made: {e}")
}

fn called(name: String) -> DistinguishedName {
    let mut called = DistinguishedName::new();
    called.push(DnType::CommonName, name);
    called
}

fn uri(text: &str) -> Result<SanType, String> {
    Ok(SanType::URI(text.try_into().map_err(made)?))
}

/// Eight digits by which people tell authorities of one cluster apart.
fn key_tag(key: &KeyPair) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, key.public_key_raw());
    data_encoding::HEXLOWER.encode(&digest.as_ref()[..4])
}
