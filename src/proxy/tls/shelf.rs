//! The certificates of a listener by the names that clients ask for.

use std::fmt;
use std::sync::Arc;

use hashbrown::HashMap;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{CipherSuite, SignatureAlgorithm};

use crate::traffic::tls::TlsPolicy;
use crate::traffic::tls::TlsVersion;

/// One certificate, ready for handshakes, with the names it is for.
pub(super) struct Entry<'m> {
    pub(super) key: Arc<CertifiedKey>,
    pub(super) names: &'m [Box<str>],
}

/// Certificates by name. Immutable: a renewal makes a new one.
pub(super) struct Shelf {
    all: Vec<Arc<CertifiedKey>>,
    exact: HashMap<Box<str>, Places>,
    /// By what stands behind `*.`.
    wildcard: HashMap<Box<str>, Places>,
    /// Those beside the first that have no other name than it has: the same with another kind of key.
    default: Places,
    strict: bool,
    tls13: bool,
}

/// Places in `all`, elliptic curves before RSA: they are cheaper by far, and all but the oldest clients
/// know them.
type Places = Vec<usize>;

impl Shelf {
    /// Arranges the certificates, of which the first is the default.
    pub(super) fn new(entries: &[Entry<'_>], strict: bool, policy: &TlsPolicy) -> Shelf {
        let mut shelf = Shelf {
            all: entries.iter().map(|e| e.key.clone()).collect(),
            exact: HashMap::new(),
            wildcard: HashMap::new(),
            default: Vec::new(),
            strict,
            tls13: policy.allows(TlsVersion::V13),
        };
        for (at, entry) in entries.iter().enumerate() {
            for name in entry.names {
                match name.strip_prefix("*.") {
                    Some(parent) => shelf.wildcard.entry(parent.into()).or_default().push(at),
                    None => shelf.exact.entry(name.clone()).or_default().push(at),
                }
            }
        }
        let first: &[Box<str>] = entries.first().map_or(&[], |e| e.names);
        shelf.default = (0..entries.len())
            .filter(|at| *at == 0 || entries[*at].names == first)
            .collect();
        let rank = |at: &usize| rank(&entries[*at].key);
        for places in shelf.exact.values_mut().chain(shelf.wildcard.values_mut()) {
            places.sort_by_key(rank);
        }
        shelf.default.sort_by_key(rank);
        shelf
    }

    /// The certificate for a client that asks for `name`, where `fits` says what it can take: one for
    /// exactly this name, else one with a wildcard for its first label, else the default. Where none
    /// fits, the first for the name: the handshake then fails over what the client cannot do, which says
    /// more than another host's certificate would.
    fn find(
        &self,
        name: Option<&str>,
        fits: impl Fn(&CertifiedKey) -> bool,
    ) -> Option<&Arc<CertifiedKey>> {
        let lower;
        let name = match name {
            Some(name) if name.bytes().any(|b| b.is_ascii_uppercase()) => {
                lower = name.to_ascii_lowercase();
                Some(lower.as_str())
            }
            other => other,
        };
        let exact = name.and_then(|n| self.exact.get(n));
        let parent = name.and_then(|n| n.split_once('.')).map(|(_, p)| p);
        let wildcard = parent.and_then(|p| self.wildcard.get(p));
        let default = (!self.strict).then_some(&self.default);
        let sources = [exact, wildcard, default];
        let ordered = || sources.iter().flatten().flat_map(|places| places.iter());
        let found = ordered()
            .find(|at| fits(&self.all[**at]))
            .or_else(|| ordered().next())?;
        Some(&self.all[*found])
    }
}

/// 0 before 1 before 2.
fn rank(key: &CertifiedKey) -> u8 {
    match key.key.algorithm() {
        SignatureAlgorithm::ECDSA => 0,
        SignatureAlgorithm::RSA => 2,
        _ => 1,
    }
}

/// Whether a client that offers these could verify and use the key.
fn fits(key: &CertifiedKey, hello: &ClientHello<'_>, tls13: bool) -> bool {
    if key.key.choose_scheme(hello.signature_schemes()).is_none() {
        return false;
    }
    let suites = hello.cipher_suites();
    let is_13 = |s: &CipherSuite| u16::from(*s) >> 8 == 0x13;
    if tls13 && suites.iter().any(is_13) {
        return true;
    }
    // In TLS 1.2 the suite names the kind of key.
    let wants_rsa = key.key.algorithm() == SignatureAlgorithm::RSA;
    suites.iter().any(|suite| {
        let name = super::settings::cipher_name(*suite);
        name.starts_with(if wants_rsa {
            "TLS_ECDHE_RSA_"
        } else {
            "TLS_ECDHE_ECDSA_"
        })
    })
}

impl ResolvesServerCert for Shelf {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.find(hello.server_name(), |key| fits(key, &hello, self.tls13))
            .cloned()
    }
}

impl fmt::Debug for Shelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Shelf({})", self.all.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::Credentials;
    use rcgen::{CertificateParams, KeyPair};

    fn credentials(names: &[&str], algorithm: &'static rcgen::SignatureAlgorithm) -> Credentials {
        let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
        let key = KeyPair::generate_for(algorithm).unwrap();
        let made = CertificateParams::new(names)
            .unwrap()
            .self_signed(&key)
            .unwrap();
        Credentials::read(made.pem().as_bytes(), key.serialize_pem().as_bytes()).unwrap()
    }

    fn shelf(all: &[Credentials], strict: bool) -> Shelf {
        let entries: Vec<Entry<'_>> = all
            .iter()
            .map(|c| Entry {
                key: c.chain().clone(),
                names: c.names(),
            })
            .collect();
        Shelf::new(&entries, strict, &TlsPolicy::default())
    }

    /// The place of what is found, among `all`.
    fn found(shelf: &Shelf, name: Option<&str>) -> Option<usize> {
        let found = shelf.find(name, |_| true)?;
        shelf.all.iter().position(|k| Arc::ptr_eq(k, found))
    }

    #[test]
    fn exact_before_wildcard_before_default() {
        let ec = &rcgen::PKCS_ECDSA_P256_SHA256;
        let all = [
            credentials(&["default.example"], ec),
            credentials(&["*.example.com", "example.com"], ec),
            credentials(&["www.example.com"], ec),
        ];
        let table = [
            (Some("default.example"), 0, true),
            (Some("www.example.com"), 2, true),
            (Some("WWW.Example.Com"), 2, true),
            (Some("api.example.com"), 1, true),
            (Some("example.com"), 1, true),
            // One label only (RFC 6125 section 6.4.3).
            (Some("a.b.example.com"), 0, false),
            (Some("other.example"), 0, false),
            (None, 0, false),
        ];
        let (loose, strict) = (shelf(&all, false), shelf(&all, true));
        for (name, want, is_known) in table {
            assert_eq!(found(&loose, name), Some(want), "{name:?}");
            let want = is_known.then_some(want);
            assert_eq!(found(&strict, name), want, "strict {name:?}");
        }
    }

    #[test]
    fn elliptic_curves_before_other_keys_where_both_fit() {
        let names = &["www.example.com"];
        let all = [
            credentials(names, &rcgen::PKCS_ED25519),
            credentials(names, &rcgen::PKCS_ECDSA_P256_SHA256),
        ];
        let shelf = shelf(&all, false);
        assert_eq!(found(&shelf, Some("www.example.com")), Some(1));
        assert_eq!(found(&shelf, None), Some(1), "so also for the default");
        let first: *const CertifiedKey = &*shelf.all[0];
        let only_first = shelf.find(Some("www.example.com"), |k| std::ptr::eq(k, first));
        assert!(Arc::ptr_eq(only_first.unwrap(), &shelf.all[0]));
        // What fits nobody is still the one for the name.
        let none = shelf.find(Some("www.example.com"), |_| false).unwrap();
        assert!(Arc::ptr_eq(none, &shelf.all[1]));
    }
}
