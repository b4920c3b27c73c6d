//! What a certificate of the fleet says, as URIs among its subject alternative names (RFC 5280 section
//! 4.2.1.6): `tradewind://CLUSTER/node/NAME`, `tradewind://CLUSTER/role/ROLE` for each role, and
//! `tradewind://CLUSTER/ca` in an authority's own.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::prelude::{FromDer, GeneralName, ParsedExtension, X509Certificate};

use crate::fleet::credentials::Roles;

/// Scheme of the URIs.
const SCHEME: &str = "tradewind://";

/// What a certificate says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Claims {
    /// Name of the cluster; `None` when the certificate is of no fleet.
    pub cluster: Option<String>,
    /// Name of the node; `None` in an authority's certificate.
    pub node: Option<String>,
    /// Its roles.
    pub roles: Roles,
    /// Whether it may sign others.
    pub is_authority: bool,
    /// Common name of the subject.
    pub subject: String,
    /// Common name of the authority that signed it.
    pub issuer: String,
    /// First second of validity, since 1970-01-01T00:00:00Z.
    pub not_before: u64,
    /// Last second of validity.
    pub not_after: u64,
    /// Serial number, hexadecimal.
    pub serial: String,
    /// Subject public key: for Ed25519 its 32 octets (RFC 8410 section 4).
    pub public_key: Vec<u8>,
}

impl Claims {
    /// Reads a certificate in DER. Checks no signature.
    ///
    /// # Errors
    /// When it is none, or says two things at once: two names, two clusters.
    pub fn read(der: &[u8]) -> Result<Claims, String> {
        let (rest, certificate) = X509Certificate::from_der(der)
            .map_err(|e| format!("the certificate cannot be read: {e}"))?;
        if !rest.is_empty() {
            return Err("the certificate is followed by other octets".to_owned());
        }
        let common_name = |name: &x509_parser::x509::X509Name<'_>| {
            let first = name.iter_common_name().next();
            let text = first.and_then(|n| n.as_str().ok()).unwrap_or_default();
            // A certificate of a stranger may say anything; this goes to the log.
            text.chars().filter(|c| !c.is_control()).take(80).collect()
        };
        let seconds =
            |time: x509_parser::time::ASN1Time| u64::try_from(time.timestamp()).unwrap_or_default();
        let mut claims = Claims {
            cluster: None,
            node: None,
            roles: Roles::default(),
            is_authority: certificate.is_ca(),
            subject: common_name(certificate.subject()),
            issuer: common_name(certificate.issuer()),
            not_before: seconds(certificate.validity().not_before),
            not_after: seconds(certificate.validity().not_after),
            serial: data_encoding::HEXLOWER.encode(certificate.raw_serial()),
            public_key: certificate.public_key().subject_public_key.data.to_vec(),
        };
        for extension in certificate.extensions() {
            let ParsedExtension::SubjectAlternativeName(names) = extension.parsed_extension()
            else {
                continue;
            };
            for name in &names.general_names {
                if let GeneralName::URI(uri) = name {
                    claims.take(uri)?;
                }
            }
        }
        Ok(claims)
    }

    fn take(&mut self, uri: &str) -> Result<(), String> {
        let Some((cluster, what)) = uri
            .strip_prefix(SCHEME)
            .and_then(|rest| rest.split_once('/'))
        else {
            return Ok(());
        };
        if !is_name(cluster) {
            return Err("the certificate has a cluster name that is none".to_owned());
        }
        if self.cluster.as_deref().is_some_and(|c| c != cluster) {
            return Err("the certificate names two clusters".to_owned());
        }
        self.cluster = Some(cluster.to_owned());
        match what.split_once('/') {
            Some(("node", name)) if !is_name(name) => {
                return Err("the certificate has a node name that is none".to_owned());
            }
            Some(("node", _)) if self.node.is_some() => {
                return Err("the certificate names two nodes".to_owned());
            }
            Some(("node", name)) => self.node = Some(name.to_owned()),
            // A role of a later release is no role here.
            Some(("role", word)) => {
                add_role(&mut self.roles, word);
            }
            _ => {}
        }
        Ok(())
    }

    /// Whether the moment, in seconds since 1970-01-01T00:00:00Z, is within the validity.
    pub fn valid_at(&self, unix: u64) -> bool {
        (self.not_before..=self.not_after).contains(&unix)
    }
}

/// All certificates of a PEM text.
///
/// # Errors
/// When it is no PEM, or holds none.
pub fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        // What the parser says shows octets as numbers.
        .map_err(|_| "it is cut off or is no PEM file".to_owned())?;
    if found.is_empty() {
        return Err("it holds no PEM certificate".to_owned());
    }
    Ok(found)
}

/// The URIs of a node's certificate.
pub(super) fn uris_of_node(cluster: &str, node: &str, roles: Roles) -> Vec<String> {
    let mut uris = vec![format!("{SCHEME}{cluster}/node/{node}")];
    uris.extend(
        role_words(roles)
            .into_iter()
            .map(|role| format!("{SCHEME}{cluster}/role/{role}")),
    );
    uris
}

/// The URI of an authority's certificate.
pub(super) fn uri_of_authority(cluster: &str) -> String {
    format!("{SCHEME}{cluster}/ca")
}

/// The roles in words, in the order of the configuration page.
pub fn role_words(roles: Roles) -> Vec<&'static str> {
    [
        (roles.dns, "dns"),
        (roles.probe, "probe"),
        (roles.proxy, "proxy"),
        (roles.admin, "admin"),
    ]
    .into_iter()
    .filter_map(|(has, word)| has.then_some(word))
    .collect()
}

/// Adds the role called `word`; `false` when there is none.
pub fn add_role(roles: &mut Roles, word: &str) -> bool {
    match word {
        "dns" => roles.dns = true,
        "probe" => roles.probe = true,
        "proxy" => roles.proxy = true,
        "admin" => roles.admin = true,
        _ => return false,
    }
    true
}

/// Whether `text` may name a node or a cluster: letters, digits, `-` and `_`, 1 to 63, as in the
/// configuration.
pub fn is_name(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// `2026-11-21 15:00:00 UTC`, of seconds since 1970-01-01T00:00:00Z.
pub fn show_time(unix: u64) -> String {
    let seconds = i64::try_from(unix).unwrap_or(i64::MAX);
    let Ok(time) = x509_parser::time::ASN1Time::from_timestamp(seconds) else {
        return format!("second {unix}");
    };
    let t = time.to_datetime();
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02} UTC",
        t.year(),
        u8::from(t.month()),
        t.day(),
        t.hour(),
        t.minute(),
        t.second()
    )
}
