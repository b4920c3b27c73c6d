//! BIND's pairs of `K<zone>+<algorithm>+<tag>.private` and `.key`, format v1.2 and v1.3.

use std::collections::HashMap;

use data_encoding::BASE64;

use super::{der, role_of_flags};
use crate::dns::name::WireName;
use crate::dnssec::{Algorithm, Layout, Role, SigningKey};

pub(super) fn is_private(text: &str) -> bool {
    text.trim_start().starts_with("Private-key-format:")
}

pub(super) fn read(
    text: &str,
    public: Option<&[u8]>,
    zone: &WireName,
    layout: Layout,
) -> Result<(Role, SigningKey), String> {
    let fields: HashMap<&str, &str> = text
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(key, value)| (key.trim(), value.trim()))
        .collect();
    let format = fields.get("Private-key-format").copied().unwrap_or("");
    if format != "v1.2" && format != "v1.3" {
        return Err(format!(
            "has `Private-key-format: {format}`; read are v1.2 and v1.3"
        ));
    }
    let number = fields.get("Algorithm").copied().unwrap_or("");
    let number = number.split_whitespace().next().unwrap_or("");
    let algorithm = number.parse().ok().and_then(Algorithm::from_number);
    let Some(algorithm) = algorithm else {
        return Err(format!(
            "has algorithm `{number}`, which does not sign here; 8 (RSA with SHA-256), 13 (ECDSA \
             P-256) and 15 (Ed25519) do"
        ));
    };
    let public = public.ok_or(
        "has no `.key` file beside it, which says what the key is for; copy both files of the pair",
    )?;
    let known = public_half(public, zone)?;
    let role = role_of_flags(known.flags, layout)?;
    let secret = |name: &str| -> Result<Vec<u8>, String> {
        let text = fields
            .get(name)
            .ok_or(format!("lacks the field `{name}`"))?;
        // The text must not be shown.
        BASE64
            .decode(text.as_bytes())
            .map_err(|_| format!("has a field `{name}` that is not base64"))
    };
    let number_of = |name: &str, len: usize| -> Result<Vec<u8>, String> {
        let bytes = secret(name)?;
        match bytes.len() {
            found if found == len => Ok(bytes),
            found => Err(format!(
                "has a field `{name}` of {found} octets; wanted are {len}"
            )),
        }
    };
    let pkcs8 = match algorithm {
        Algorithm::EcdsaP256 => {
            if known.key.len() != 64 {
                return Err(format!(
                    "has a `.key` file with a public key of {} octets; wanted are 64",
                    known.key.len()
                ));
            }
            // BIND writes the number without its leading zero octets: one key in 256 is shorter.
            let number = secret("PrivateKey")?;
            let padded = match 32usize.checked_sub(number.len()) {
                Some(zeros) if !number.is_empty() => [vec![0; zeros], number].concat(),
                _ => number_of("PrivateKey", 32)?,
            };
            der::p256(&padded, &known.key)
        }
        Algorithm::Ed25519 => der::ed25519(&number_of("PrivateKey", 32)?),
        Algorithm::RsaSha256 => der::rsa(&[
            secret("Modulus")?,
            secret("PublicExponent")?,
            secret("PrivateExponent")?,
            secret("Prime1")?,
            secret("Prime2")?,
            secret("Exponent1")?,
            secret("Exponent2")?,
            secret("Coefficient")?,
        ]),
    };
    let key = SigningKey::from_pkcs8(algorithm, role.flags(), &pkcs8).map_err(|e| e.0)?;
    if key.dnskey()[4..] != known.key[..] {
        return Err(format!(
            "is key {}, but the `.key` file beside it is of another key",
            key.tag()
        ));
    }
    Ok((role, key))
}

/// What a `.key` file says.
struct Public {
    flags: u16,
    key: Vec<u8>,
}

/// Reads the DNSKEY record of a `.key` file: `zone. [TTL] [IN] DNSKEY flags 3 algorithm key…`.
fn public_half(bytes: &[u8], zone: &WireName) -> Result<Public, String> {
    let none = "has a `.key` file beside it that holds no DNSKEY record";
    let text = std::str::from_utf8(bytes).map_err(|_| none)?;
    for line in text.lines() {
        let line = line.split(';').next().unwrap_or("");
        let words: Vec<&str> = line.split_whitespace().collect();
        let Some(at) = words.iter().position(|w| *w == "DNSKEY") else {
            continue;
        };
        let owner = words[0].parse::<WireName>().map_err(|_| none)?;
        if owner != *zone {
            return Err(format!("is a key of zone `{owner}`, not of `{zone}`"));
        }
        let [flags, _, _, key @ ..] = &words[at + 1..] else {
            return Err(none.to_owned());
        };
        let flags = flags.parse().map_err(|_| none)?;
        let key = BASE64.decode(key.concat().as_bytes()).map_err(|_| none)?;
        return Ok(Public { flags, key });
    }
    Err(none.to_owned())
}
