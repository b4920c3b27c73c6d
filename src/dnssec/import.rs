//! Reads an operator's key files: PKCS #8 in PEM, and the pairs that BIND and Knot write.
//!
//! No error says anything of what is in the private half.

mod bind;
mod der;
mod pem;

use super::key::{REVOKED, SECURE_ENTRY_POINT, ZONE_KEY};
use super::{Layout, Role, SigningKey};
use crate::dns::name::WireName;

/// A key file as it lies on the disk.
#[derive(Clone, Copy, Debug)]
pub struct KeyFile<'a> {
    /// Its name, without the folder.
    pub name: &'a str,
    /// Its contents.
    pub private: &'a [u8],
    /// The contents of the `.key` file beside it; only BIND's pairs have one.
    pub public: Option<&'a [u8]>,
}

/// Reads a key of `zone`, whose policy wants the roles of `layout`.
///
/// # Errors
/// What is wrong with the file, for a person, as the rest of a sentence that begins with it.
pub fn read(
    file: KeyFile<'_>,
    zone: &WireName,
    layout: Layout,
) -> Result<(Role, SigningKey), String> {
    let text = std::str::from_utf8(file.private)
        .map_err(|_| "is no text; wanted is PKCS #8 in PEM, or BIND's `K*.private`".to_owned())?;
    let (role, key) = if bind::is_private(text) {
        bind::read(text, file.public, zone, layout)?
    } else if text.contains("-----BEGIN ") {
        pem::read(file.name, text, layout)?
    } else {
        return Err(
            "has neither `-----BEGIN PRIVATE KEY-----` nor `Private-key-format:`; wanted is \
             PKCS #8 in PEM, or BIND's `K*.private`"
                .to_owned(),
        );
    };
    if !layout.roles().contains(&role) && layout != Layout::Insecure {
        let wanted: Vec<String> = layout.roles().iter().map(ToString::to_string).collect();
        return Err(format!(
            "is a {role}, but the zone's policy wants {}; {}",
            wanted.join(" and "),
            match layout {
                Layout::Csk => "take a policy with `keys = \"ksk-zsk\"`",
                _ => "take a policy with `keys = \"csk\"`, or the default",
            }
        ));
    }
    Ok((role, key))
}

/// The role that DNSKEY flags mean under a layout.
fn role_of_flags(flags: u16, layout: Layout) -> Result<Role, String> {
    const KSK: u16 = ZONE_KEY | SECURE_ENTRY_POINT;
    match (flags, layout) {
        (ZONE_KEY, _) => Ok(Role::Zsk),
        (KSK, Layout::KskZsk) => Ok(Role::Ksk),
        (KSK, _) => Ok(Role::Csk),
        (flags, _) if flags & REVOKED != 0 => {
            Err("is revoked (RFC 5011): it must not be used any more".to_owned())
        }
        (flags, _) => Err(format!("has DNSKEY flags {flags}; wanted are 256 or 257")),
    }
}

#[cfg(test)]
mod tests;
