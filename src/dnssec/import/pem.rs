//! PKCS #8 in PEM, as OpenSSL, Knot and this program write it.
//!
//! PEM does not say what the key is for: a line `role: ksk` above it does, or the file's name
//! (`NAME.ksk.pem`), or the policy when it has one role only.

use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::der;
use crate::dnssec::{Algorithm, Layout, Role, SigningKey};

pub(super) fn read(name: &str, text: &str, layout: Layout) -> Result<(Role, SigningKey), String> {
    if text.contains("BEGIN ENCRYPTED PRIVATE KEY") {
        return Err(
            "is encrypted; write it in the clear with `openssl pkcs8 -in OLD -out NEW`, readable \
             by the node's user only"
                .to_owned(),
        );
    }
    let convert = "convert it with `openssl pkcs8 -topk8 -nocrypt -in OLD -out NEW`";
    let der = match PrivateKeyDer::from_pem_slice(text.as_bytes()) {
        Ok(PrivateKeyDer::Pkcs8(der)) => der,
        Ok(PrivateKeyDer::Pkcs1(der)) => {
            PrivatePkcs8KeyDer::from(der::rsa_of_pkcs1(der.secret_pkcs1_der()))
        }
        Ok(_) => return Err(format!("is not PKCS #8; {convert}")),
        Err(pem::Error::NoItemsFound) => {
            return Err(format!("holds no private key in PEM; {convert}"));
        }
        Err(_) => return Err("is cut off or is no PEM file; copy it anew".to_owned()),
    };
    let pkcs8 = der.secret_pkcs8_der();
    let algorithm = [
        (Algorithm::EcdsaP256, der::P256),
        (Algorithm::Ed25519, der::ED25519),
        (Algorithm::RsaSha256, der::RSA),
    ]
    .into_iter()
    .find(|(_, oid)| der::is_of(pkcs8, oid))
    .map(|(algorithm, _)| algorithm)
    .ok_or("is of an algorithm that does not sign here; ECDSA P-256, Ed25519 and RSA do")?;
    let role = role_of(name, text, layout)?;
    let in_full = match algorithm {
        Algorithm::EcdsaP256 => der::p256_in_full(pkcs8),
        Algorithm::Ed25519 | Algorithm::RsaSha256 => None,
    };
    let pkcs8 = in_full.as_deref().unwrap_or(pkcs8);
    let key =
        SigningKey::from_pkcs8(algorithm, role.flags(), pkcs8).map_err(|e| format!("is {e}"))?;
    Ok((role, key))
}

fn role_of(name: &str, text: &str, layout: Layout) -> Result<Role, String> {
    let head = text.split("-----BEGIN").next().unwrap_or("");
    for line in head.lines() {
        if let Some((key, word)) = line.split_once(':')
            && key.trim().eq_ignore_ascii_case("role")
        {
            let word = word.trim();
            return Role::from_word(word).ok_or_else(|| {
                format!("says `role: {word}`; it must be one of `ksk`, `zsk`, `csk`")
            });
        }
    }
    let in_name = name.split(['.', '-']).find_map(Role::from_word);
    match (in_name, layout.roles()) {
        (Some(role), _) => Ok(role),
        (None, [only]) => Ok(*only),
        (None, _) => Err(
            "does not say whether it is a KSK or a ZSK; write a line `role: ksk` or `role: zsk` \
             above `-----BEGIN`, or name it `NAME.ksk.pem` or `NAME.zsk.pem`"
                .to_owned(),
        ),
    }
}
