//! Subjects of certificates as text (RFC 4514), such that nothing in one can be taken for another.

use x509_parser::asn1_rs::{Any, Oid};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use x509_parser::x509::X509Name;

/// Attribute types by their short names: RFC 4514 section 3, and the two that client certificates carry
/// beside them.
const SHORT: [(&str, &str); 11] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.6", "C"),
    ("2.5.4.9", "STREET"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("2.5.4.5", "serialNumber"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
];

/// Octets of the longest subject that is told; what is longer is cut at a whole attribute.
pub const LONGEST: usize = 1_024;

/// The subject of a certificate in DER; `None` when it cannot be read.
pub fn of(der: &[u8]) -> Option<String> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    Some(text(certificate.subject()))
}

/// A common name alone, as a subject.
pub fn of_common_name(name: &str) -> String {
    let mut text = "CN=".to_owned();
    escape(name, &mut text);
    text
}

/// What beside its subject tells one certificate from another.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Identity {
    /// The first common name of its subject.
    pub common_name: Option<String>,
    /// Its issuer.
    pub issuer: String,
    /// Its serial number.
    pub serial: Vec<u8>,
}

impl Identity {
    /// That of a certificate in DER; `None` when it cannot be read.
    pub fn of(der: &[u8]) -> Option<Identity> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let name = certificate.subject().iter_common_name().next();
        Some(Identity {
            common_name: name.and_then(|n| n.as_str().ok()).map(str::to_owned),
            issuer: text(certificate.issuer()),
            serial: certificate.raw_serial().to_vec(),
        })
    }
}

/// RFC 4514 section 2.1: the last relative name first, joined by commas. Printable ASCII only, so that
/// it may stand in a header field.
fn text(name: &X509Name<'_>) -> String {
    let mut all = String::new();
    for relative in name.iter_rdn().collect::<Vec<_>>().into_iter().rev() {
        let mut one = String::new();
        for attribute in relative.iter() {
            if !one.is_empty() {
                one.push('+');
            }
            push_attribute(attribute.attr_type(), attribute.attr_value(), &mut one);
        }
        if all.len() + 1 + one.len() > LONGEST {
            break;
        }
        if !all.is_empty() {
            all.push(',');
        }
        all.push_str(&one);
    }
    all
}

fn push_attribute(kind: &Oid<'_>, value: &Any<'_>, out: &mut String) {
    let dotted = kind.to_id_string();
    let short = SHORT.iter().find(|(oid, _)| *oid == dotted);
    out.push_str(short.map_or(dotted.as_str(), |(_, name)| name));
    out.push('=');
    match (short, value.as_any_str()) {
        (Some(_), Ok(text)) => escape(&text, out),
        // Section 2.4: "a sharp sign … followed by the hexadecimal representation".
        _ => {
            out.push('#');
            for octet in value.data {
                push_hex(*octet, out);
            }
        }
    }
}

fn push_hex(octet: u8, out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.push(char::from(DIGITS[usize::from(octet >> 4)]));
    out.push(char::from(DIGITS[usize::from(octet & 0xF)]));
}

/// Section 2.4; octets beyond printable ASCII are told in hexadecimal as well.
fn escape(text: &str, out: &mut String) {
    let octets = text.as_bytes();
    for (at, octet) in octets.iter().enumerate() {
        let is_edge =
            (*octet == b' ' && (at == 0 || at + 1 == octets.len())) || (*octet == b'#' && at == 0);
        match octet {
            b'"' | b'+' | b',' | b';' | b'<' | b'>' | b'\\' | b'=' => {
                out.push('\\');
                out.push(char::from(*octet));
            }
            _ if is_edge => {
                out.push('\\');
                out.push(char::from(*octet));
            }
            b' '..=b'~' => out.push(char::from(*octet)),
            other => {
                out.push('\\');
                push_hex(*other, out);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DnType, KeyPair};

    fn subject(parts: &[(DnType, &str)]) -> String {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for (kind, value) in parts {
            params.distinguished_name.push(kind.clone(), *value);
        }
        let key = KeyPair::generate().unwrap();
        of(params.self_signed(&key).unwrap().der()).unwrap()
    }

    #[test]
    fn rfc_4514_2_1_the_last_name_comes_first() {
        let told = subject(&[
            (DnType::CountryName, "DE"),
            (DnType::OrganizationName, "Example AG"),
            (DnType::CommonName, "client one"),
        ]);
        assert_eq!(told, "CN=client one,O=Example AG,C=DE");
    }

    #[test]
    fn rfc_4514_2_4_a_value_cannot_look_like_another_attribute() {
        let told = subject(&[(DnType::CommonName, "x,O=Admins\r\nX-Role: admin")]);
        assert_eq!(told, "CN=x\\,O\\=Admins\\0d\\0aX-Role: admin");
        assert_eq!(
            subject(&[(DnType::CommonName, " #\u{e9} ")]),
            "CN=\\ #\\c3\\a9\\ "
        );
        assert_eq!(subject(&[(DnType::CommonName, "#1")]), "CN=\\#1");
    }

    #[test]
    fn a_long_subject_is_cut_at_a_whole_attribute() {
        let told = subject(&[
            (DnType::OrganizationName, &"o".repeat(1_000)),
            (DnType::OrganizationalUnitName, &"u".repeat(100)),
            (DnType::CommonName, "c"),
        ]);
        assert_eq!(told, format!("CN=c,OU={}", "u".repeat(100)));
    }
}
