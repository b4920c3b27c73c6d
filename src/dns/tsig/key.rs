//! Keys of TSIG: name, algorithm, secret.

use std::fmt;
use std::str::FromStr;

use ring::hmac;

use crate::dns::name::WireName;

/// A keyed hash that signs (RFC 8945 section 6). MD5 and SHA-1 are left out: the one MUST NOT be
/// used, and the other is "NOT RECOMMENDED".
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Algorithm {
    /// The one that every implementation has.
    HmacSha256,
    /// Longer.
    HmacSha384,
    /// Longest.
    HmacSha512,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Algorithm; 3] = [
        Algorithm::HmacSha256,
        Algorithm::HmacSha384,
        Algorithm::HmacSha512,
    ];

    /// As in configurations.
    pub const fn name(self) -> &'static str {
        match self {
            Algorithm::HmacSha256 => "hmac-sha256",
            Algorithm::HmacSha384 => "hmac-sha384",
            Algorithm::HmacSha512 => "hmac-sha512",
        }
    }

    /// As on the wire, with the root label.
    pub(super) const fn wire(self) -> &'static [u8] {
        match self {
            Algorithm::HmacSha256 => b"\x0bhmac-sha256\0",
            Algorithm::HmacSha384 => b"\x0bhmac-sha384\0",
            Algorithm::HmacSha512 => b"\x0bhmac-sha512\0",
        }
    }

    /// Octets of a whole MAC.
    pub const fn mac_len(self) -> usize {
        match self {
            Algorithm::HmacSha256 => 32,
            Algorithm::HmacSha384 => 48,
            Algorithm::HmacSha512 => 64,
        }
    }

    fn ring(self) -> hmac::Algorithm {
        match self {
            Algorithm::HmacSha256 => hmac::HMAC_SHA256,
            Algorithm::HmacSha384 => hmac::HMAC_SHA384,
            Algorithm::HmacSha512 => hmac::HMAC_SHA512,
        }
    }
}

impl FromStr for Algorithm {
    type Err = ();

    fn from_str(text: &str) -> Result<Algorithm, ()> {
        let mut all = Algorithm::ALL.into_iter();
        all.find(|a| a.name() == text).ok_or(())
    }
}

/// Octets that nobody else may see: no text form, no debug form.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Secret(Box<[u8]>);

/// Why a text is not a secret; never the text itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SecretError {
    /// Not base64.
    #[error("is not base64 (RFC 4648 section 4)")]
    Base64,
    /// Too few octets: the number.
    #[error("has {0} octets; the smallest allowed number is 16")]
    Short(usize),
}

impl Secret {
    /// Fewer octets can be guessed; RFC 8945 section 8 wants as many as the hash has.
    pub const LEAST: usize = 16;

    /// Reads base64; white space does not count, so that a file may end with a line end.
    ///
    /// # Errors
    /// When it is not base64, or too short.
    pub fn from_base64(text: &str) -> Result<Secret, SecretError> {
        let bare: String = text.split_whitespace().collect();
        let octets = data_encoding::BASE64
            .decode(bare.as_bytes())
            .map_err(|_| SecretError::Base64)?;
        if octets.len() < Secret::LEAST {
            return Err(SecretError::Short(octets.len()));
        }
        Ok(Secret(octets.into()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A key that both sides have.
#[derive(Clone)]
pub struct TsigKey {
    /// Its name, which both sides must call it by.
    pub name: WireName,
    /// What it signs with.
    pub algorithm: Algorithm,
    secret: Secret,
    hmac: hmac::Key,
}

impl TsigKey {
    /// A key of these.
    pub fn new(name: WireName, algorithm: Algorithm, secret: Secret) -> TsigKey {
        TsigKey {
            name,
            algorithm,
            hmac: hmac::Key::new(algorithm.ring(), &secret.0),
            secret,
        }
    }

    pub(super) fn hmac(&self) -> hmac::Context {
        hmac::Context::with_key(&self.hmac)
    }
}

impl PartialEq for TsigKey {
    fn eq(&self, other: &TsigKey) -> bool {
        (&self.name, self.algorithm, &self.secret) == (&other.name, other.algorithm, &other.secret)
    }
}

impl fmt::Debug for TsigKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TsigKey({} {})", self.name, self.algorithm.name())
    }
}
