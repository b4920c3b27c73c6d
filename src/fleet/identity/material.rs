//! The three files of a node's identity, read and checked together.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ring::signature::{Ed25519KeyPair, KeyPair as _};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};

use super::claims::{Claims, certificates, role_words, show_time};
use super::refusal::of_certificate;
use super::verifier::{Anchor, Anchors};
use crate::fleet::credentials::Roles;

/// Where the files are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Files {
    /// The node's certificate, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// The fleet's authorities, PEM.
    pub ca: PathBuf,
}

/// One of the files.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Which {
    /// The certificate.
    Certificate,
    /// The key.
    Key,
    /// The authorities.
    Ca,
}

/// Why the files are no identity.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{text}")]
pub struct MaterialError {
    /// Which file to look at.
    pub file: Which,
    /// Whether it is there and can be read.
    pub is_here: bool,
    /// What is wrong, with the file's path.
    pub text: String,
}

/// What tells one state of a file from another: inode, size and time of change.
pub(super) type Stamp = [(u64, u64, i64, i64); 3];

/// A node's identity.
#[derive(Debug)]
pub struct Material {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
    pub(super) signer: Ed25519KeyPair,
    pub(super) anchors: Arc<Anchors>,
    pub(super) claims: Claims,
    pub(super) stamp: Stamp,
    /// Of all octets, to see whether a file that was written again says something else.
    pub(super) digest: [u8; 32],
}

impl Files {
    pub(super) fn stamp(&self) -> Stamp {
        // A file that is not there has a state as well.
        let of = |path: &Path| {
            let m = fs::metadata(path);
            m.map_or_else(
                |_| Default::default(),
                |m| (m.ino(), m.size(), m.mtime(), m.mtime_nsec()),
            )
        };
        [of(&self.certificate), of(&self.key), of(&self.ca)]
    }

    fn path(&self, which: Which) -> &Path {
        match which {
            Which::Certificate => &self.certificate,
            Which::Key => &self.key,
            Which::Ca => &self.ca,
        }
    }

    fn read(&self, which: Which) -> Result<Vec<u8>, MaterialError> {
        let path = self.path(which);
        fs::read(path).map_err(|e| MaterialError {
            file: which,
            is_here: false,
            text: format!("cannot read `{}`: {e}", path.display()),
        })
    }

    fn bad(&self, which: Which, why: &str) -> MaterialError {
        MaterialError {
            file: which,
            is_here: true,
            text: format!("cannot use `{}`: {why}", self.path(which).display()),
        }
    }
}

impl Material {
    /// Reads the files of `node` in `cluster` with its roles; checks that they belong together and to
    /// it, and that one of the authorities signed it. A certificate that has expired is taken, and
    /// [`Material::trouble_at`] tells it.
    ///
    /// # Errors
    /// What is wrong, and what to do.
    pub fn read(
        files: &Files,
        cluster: &str,
        node: &str,
        roles: Roles,
    ) -> Result<Material, MaterialError> {
        use Which::{Ca, Certificate, Key};
        // First the stamp: what changes while it is read will be noticed.
        let stamp = files.stamp();
        let texts = [files.read(Certificate)?, files.read(Key)?, files.read(Ca)?];
        let mut digest = ring::digest::Context::new(&ring::digest::SHA256);
        for text in &texts {
            digest.update(&(text.len() as u64).to_be_bytes());
            digest.update(text);
        }
        let [certificate, key, ca] = &texts;
        let chain = certificates(certificate).map_err(|e| files.bad(Certificate, &e))?;
        let Some(own) = chain.first() else {
            return Err(files.bad(Certificate, "it holds no PEM certificate"));
        };
        let claims = Claims::read(own).map_err(|e| files.bad(Certificate, &e))?;
        if claims.not_before > claims.not_after {
            return Err(files.bad(Certificate, "it is valid at no time"));
        }
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|_| files.bad(Key, "it holds no whole PEM private key"))?;
        let signer =
            Ed25519KeyPair::from_pkcs8_maybe_unchecked(key.secret_der()).map_err(|_| {
                files.bad(
                    Key,
                    "it is no Ed25519 key; `tradewind fleet issue` makes one",
                )
            })?;
        if signer.public_key().as_ref() != claims.public_key {
            return Err(files.bad(Key, "it is not the key of the certificate"));
        }
        let anchors = certificates(ca)
            .and_then(|all| all.iter().map(Anchor::read).collect::<Result<Vec<_>, _>>())
            .map_err(|e| files.bad(Ca, &e))?;
        let anchors = Arc::new(Anchors(anchors));
        is_of(&claims, cluster, node, roles).map_err(|e| files.bad(Certificate, &e))?;
        // Whether it has expired is another question: nobody is helped by a node that does not start.
        let at = claims.not_after.min(
            anchors
                .0
                .iter()
                .filter(|a| a.claims.subject == claims.issuer)
                .map(|a| a.claims.not_after)
                .max()
                .unwrap_or(u64::MAX),
        );
        let at = UnixTime::since_unix_epoch(std::time::Duration::from_secs(at));
        if let Err(e) = anchors.of_client(own, &chain[1..], at) {
            let (_, why) = of_certificate(&e);
            return Err(files.bad(
                Certificate,
                &format!("signed by `{}`: {why}", claims.issuer),
            ));
        }
        let mut octets = [0; 32];
        octets.copy_from_slice(digest.finish().as_ref());
        Ok(Material {
            chain,
            key,
            signer,
            anchors,
            claims,
            stamp,
            digest: octets,
        })
    }

    /// What its certificate says.
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// What is wrong with the validity at `now`, in seconds since 1970-01-01T00:00:00Z, or will be
    /// within 30 days, or a third of its time where that is less.
    pub fn trouble_at(&self, now: u64) -> Option<String> {
        let c = &self.claims;
        let soon = (30 * 86_400).min((c.not_after - c.not_before) / 3);
        if now < c.not_before {
            Some(format!("is not valid before {}", show_time(c.not_before)))
        } else if now > c.not_after {
            Some(format!("expired on {}", show_time(c.not_after)))
        } else if now + soon > c.not_after {
            Some(format!("expires on {}", show_time(c.not_after)))
        } else {
            None
        }
    }
}

/// Whether the certificate is that of `node`.
fn is_of(claims: &Claims, cluster: &str, node: &str, roles: Roles) -> Result<(), String> {
    let again = format!(
        "make one with `tradewind fleet issue {node} --roles {}`",
        role_words(roles).join(",")
    );
    match (&claims.cluster, &claims.node) {
        (Some(other), _) if other != cluster => Err(format!(
            "it is of cluster `{other}`, and `[fleet] name` is `{cluster}`"
        )),
        (Some(_), Some(other)) if other != node => {
            Err(format!("it is of node `{other}`, not of `{node}`; {again}"))
        }
        (Some(_), Some(_)) if !claims.roles.covers(roles) => Err(format!(
            "it has the roles {}, and the configuration gives node `{node}` the roles {}; {again}",
            role_words(claims.roles).join(", "),
            role_words(roles).join(", "),
        )),
        (Some(_), Some(_)) => Ok(()),
        _ => Err(format!("it is no certificate of a fleet's node; {again}")),
    }
}
