//! One key pair: its DNSKEY record, its tag, and signing with it.

use std::fmt;

use hickory_proto::dnssec::crypto::{EcdsaSigningKey, Ed25519SigningKey, signing_key_from_der};
use hickory_proto::dnssec::{self as hickory, PublicKey as _, TBS};
use ring::signature::Ed25519KeyPair;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// The algorithms that sign here (RFC 8624 section 3.1), by their number in DNSKEY records.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub enum Algorithm {
    /// RSA with SHA-256 (RFC 5702); for imported keys only.
    RsaSha256,
    /// ECDSA P-256 with SHA-256 (RFC 6605).
    #[default]
    EcdsaP256,
    /// Ed25519 (RFC 8080).
    Ed25519,
}

impl Algorithm {
    /// Its number (RFC 8624 section 3.1).
    pub fn number(self) -> u8 {
        match self {
            Algorithm::RsaSha256 => 8,
            Algorithm::EcdsaP256 => 13,
            Algorithm::Ed25519 => 15,
        }
    }

    /// The algorithm of a number, where it is one that signs here.
    pub fn from_number(number: u8) -> Option<Algorithm> {
        [
            Algorithm::RsaSha256,
            Algorithm::EcdsaP256,
            Algorithm::Ed25519,
        ]
        .into_iter()
        .find(|a| a.number() == number)
    }

    fn of_hickory(self) -> hickory::Algorithm {
        match self {
            Algorithm::RsaSha256 => hickory::Algorithm::RSASHA256,
            Algorithm::EcdsaP256 => hickory::Algorithm::ECDSAP256SHA256,
            Algorithm::Ed25519 => hickory::Algorithm::ED25519,
        }
    }
}

/// DNSKEY flags: zone key (RFC 4034 section 2.1.1).
pub const ZONE_KEY: u16 = 0x0100;
/// DNSKEY flags: secure entry point (RFC 4034 section 2.1.1), set in KSK and CSK.
pub const SECURE_ENTRY_POINT: u16 = 0x0001;
/// DNSKEY flags: revoked (RFC 5011 section 2.1).
pub const REVOKED: u16 = 0x0080;

/// A key could not be read or made, or could not sign.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct SignError(pub String);

/// A key pair.
pub struct SigningKey {
    algorithm: Algorithm,
    rdata: Box<[u8]>,
    tag: u16,
    pair: Box<dyn hickory::SigningKey>,
}

impl fmt::Debug for SigningKey {
    /// Never shows the secret half.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("algorithm", &self.algorithm)
            .field("flags", &self.flags())
            .field("tag", &self.tag)
            .finish_non_exhaustive()
    }
}

impl SigningKey {
    /// Makes a new key pair; gives its secret as PKCS #8.
    ///
    /// # Errors
    /// When the system has no random bits, or for RSA, of which new keys are not made.
    pub fn generate(algorithm: Algorithm) -> Result<Vec<u8>, SignError> {
        let made = match algorithm {
            Algorithm::EcdsaP256 => EcdsaSigningKey::generate_pkcs8(algorithm.of_hickory()),
            Algorithm::Ed25519 => Ed25519SigningKey::generate_pkcs8(),
            Algorithm::RsaSha256 => {
                return Err(SignError(
                    "RSA keys are imported, not made here; take ecdsa-p256".to_owned(),
                ));
            }
        };
        made.map(|der| der.secret_pkcs8_der().to_vec())
            .map_err(|e| SignError(format!("cannot make a key: {e}")))
    }

    /// The key pair of a PKCS #8 secret, with the flags of its DNSKEY record.
    ///
    /// # Errors
    /// When the bytes are no such key.
    pub fn from_pkcs8(
        algorithm: Algorithm,
        flags: u16,
        pkcs8: &[u8],
    ) -> Result<SigningKey, SignError> {
        let wrong = |e: String| SignError(format!("not a private key for {algorithm:?}: {e}"));
        let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pkcs8));
        let pair: Box<dyn hickory::SigningKey> = match algorithm {
            // OpenSSL and BIND keep the private half alone (RFC 8410 section 7).
            Algorithm::Ed25519 => Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8)
                .map(|pair| Box::new(Ed25519SigningKey::from_ed25519(pair)) as _)
                .map_err(|e| wrong(e.to_string()))?,
            _ => signing_key_from_der(&der, algorithm.of_hickory())
                .map_err(|e| wrong(e.to_string()))?,
        };
        let public = pair.to_public_key().map_err(|e| wrong(e.to_string()))?;
        let mut rdata = Vec::with_capacity(4 + public.public_bytes().len());
        rdata.extend(flags.to_be_bytes());
        rdata.extend([3, algorithm.number()]);
        rdata.extend(public.public_bytes());
        Ok(SigningKey {
            algorithm,
            tag: key_tag(&rdata),
            rdata: rdata.into(),
            pair,
        })
    }

    /// Its algorithm.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The flags of its DNSKEY record.
    pub fn flags(&self) -> u16 {
        u16::from_be_bytes([self.rdata[0], self.rdata[1]])
    }

    /// The RDATA of its DNSKEY record (RFC 4034 section 2.1).
    pub fn dnskey(&self) -> &[u8] {
        &self.rdata
    }

    /// Its key tag (RFC 4034 appendix B).
    pub fn tag(&self) -> u16 {
        self.tag
    }

    /// Signs; gives the signature field of an RRSIG record.
    ///
    /// # Errors
    /// When the cryptography refuses, which it does not for a key that could be read.
    pub fn sign(&self, data: &[u8]) -> Result<Vec<u8>, SignError> {
        self.pair
            .sign(&TBS::from(data))
            .map_err(|e| SignError(format!("cannot sign with key {}: {e}", self.tag)))
    }
}

/// The tag of a DNSKEY's RDATA (RFC 4034 appendix B).
pub fn key_tag(rdata: &[u8]) -> u16 {
    let sum: u32 = rdata
        .iter()
        .enumerate()
        .map(|(i, &octet)| u32::from(octet) << if i % 2 == 0 { 8 } else { 0 })
        .sum();
    // The RFC adds the carries once.
    ((sum + (sum >> 16)) & 0xFFFF) as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_proto::dnssec::PublicKeyBuf;

    #[test]
    fn what_a_key_signs_its_dnskey_verifies() {
        for algorithm in [Algorithm::EcdsaP256, Algorithm::Ed25519] {
            let secret = SigningKey::generate(algorithm).unwrap();
            let key = SigningKey::from_pkcs8(algorithm, ZONE_KEY, &secret).unwrap();
            let signature = key.sign(b"to be signed").unwrap();
            let public = PublicKeyBuf::new(key.dnskey()[4..].to_vec(), algorithm.of_hickory());
            assert!(public.verify(b"to be signed", &signature).is_ok());
            assert!(public.verify(b"to be singed", &signature).is_err());
        }
    }

    #[test]
    fn the_tag_is_that_of_rfc_4034() {
        let secret = SigningKey::generate(Algorithm::EcdsaP256).unwrap();
        let key = SigningKey::from_pkcs8(Algorithm::EcdsaP256, 257, &secret).unwrap();
        let theirs = hickory::rdata::DNSKEY::with_flags(
            257,
            PublicKeyBuf::new(
                key.dnskey()[4..].to_vec(),
                hickory::Algorithm::ECDSAP256SHA256,
            ),
        );
        assert_eq!(key.tag(), theirs.calculate_key_tag().unwrap());
    }
}
