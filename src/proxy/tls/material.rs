//! What the TLS files of a listener or an upstream hold: read together, judged together.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ring::digest::{Context, SHA256};
use rustls::RootCertStore;
use rustls::pki_types::CertificateRevocationListDer;

use crate::tls::{Credentials, CredentialsError, OcspResponse, trust};
use crate::traffic::tls::{CertificateFiles, ClientAuth, ListenerTls, UpstreamTls};

use super::tickets::{self, Secret};

/// What tells one state of a file from another: inode, size and time of change; zeros where it is
/// missing.
type Stamp = (u64, u64, i64, i64);

/// The states of files.
pub(super) type Stamps = Vec<(PathBuf, Stamp)>;

/// What is wrong with a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// The file.
    pub path: PathBuf,
    /// Whether it cannot be read at all.
    pub unreadable: bool,
    /// In words.
    pub text: String,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let what = if self.unreadable { "read" } else { "use" };
        write!(f, "cannot {what} `{}`: {}", self.path.display(), self.text)
    }
}

/// A certificate with what is stapled to it.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The chain and its key.
    pub credentials: Credentials,
    /// The response, where its file holds a good one for this certificate.
    pub ocsp: Option<OcspResponse>,
}

/// Whose client certificates are taken.
#[derive(Clone, Debug)]
pub struct ClientTrust {
    /// Authorities.
    pub anchors: Arc<RootCertStore>,
    /// What they revoked.
    pub revocations: Vec<CertificateRevocationListDer<'static>>,
    /// When the first list should have been renewed, in seconds since 1970-01-01T00:00:00Z.
    pub renewal: Option<u64>,
    /// Of the files' contents.
    pub digest: [u8; 32],
}

/// All that the files of a listener hold.
#[derive(Clone, Debug)]
pub struct Material {
    /// In the order of the configuration.
    pub certificates: Vec<Certificate>,
    /// Whose client certificates are taken.
    pub client: Option<ClientTrust>,
    /// Shared secrets of tickets; empty: none are shared.
    pub secrets: Vec<Secret>,
    /// What is wrong, but keeps nothing from working.
    pub doubts: Vec<Fault>,
    pub(super) stamps: Stamps,
}

/// All that the files of an upstream hold.
#[derive(Clone, Debug)]
pub struct UpstreamMaterial {
    /// Whom to trust, where that is in a file.
    pub anchors: Option<Arc<RootCertStore>>,
    /// Our own certificate.
    pub certificate: Option<Credentials>,
    pub(super) stamps: Stamps,
}

/// Reads files one after the other and remembers their states and faults.
#[derive(Default)]
struct Desk {
    stamps: Stamps,
    faults: Vec<Fault>,
}

impl Desk {
    fn read(&mut self, path: &Path) -> Option<Vec<u8>> {
        // First the stamp: what changes while it is read will be noticed.
        self.stamps.push((path.to_owned(), stamp(path)));
        match fs::read(path) {
            Ok(octets) => Some(octets),
            Err(e) => {
                self.faults.push(Fault {
                    path: path.to_owned(),
                    unreadable: true,
                    text: e.to_string(),
                });
                None
            }
        }
    }

    fn bad(&mut self, path: &Path, text: impl Into<String>) {
        self.faults.push(Fault {
            path: path.to_owned(),
            unreadable: false,
            text: text.into(),
        });
    }

    fn credentials(&mut self, files: &CertificateFiles) -> Option<Credentials> {
        let (certificate, key) = (self.read(&files.certificate), self.read(&files.key));
        match Credentials::read(&certificate?, &key?) {
            Ok(read) => Some(read),
            Err(e @ CredentialsError::Certificate(_)) => {
                self.bad(&files.certificate, e.to_string());
                None
            }
            Err(e @ CredentialsError::Key(_)) => {
                self.bad(&files.key, e.to_string());
                None
            }
        }
    }

    fn anchors(&mut self, path: &Path) -> Option<(RootCertStore, Vec<u8>)> {
        let file = self.read(path)?;
        match trust::anchors(&file) {
            Ok(anchors) => Some((anchors, file)),
            Err(text) => {
                self.bad(path, text);
                None
            }
        }
    }

    fn client(&mut self, auth: &ClientAuth) -> Option<ClientTrust> {
        let mut digest = Context::new(&SHA256);
        digest.update(&[u8::from(auth.required)]);
        let anchors = self.anchors(&auth.authorities);
        let mut lists = Some((Vec::new(), None));
        if let Some(path) = &auth.revocations {
            lists = None;
            if let Some(file) = self.read(path) {
                digest.update(&file);
                match trust::revocations(&file) {
                    Ok(read) => lists = Some(read),
                    Err(text) => self.bad(path, text),
                }
            }
        }
        let ((anchors, file), (revocations, renewal)) = (anchors?, lists?);
        digest.update(&file);
        let mut sum = [0; 32];
        sum.copy_from_slice(digest.finish().as_ref());
        Some(ClientTrust {
            anchors: Arc::new(anchors),
            revocations,
            renewal,
            digest: sum,
        })
    }
}

impl Material {
    /// Reads all files of a listener.
    ///
    /// # Errors
    /// Everything that is wrong with them. A staple that cannot be used is no error, but a doubt.
    pub fn read(settings: &ListenerTls) -> Result<Material, Vec<Fault>> {
        let mut desk = Desk::default();
        let mut doubts = Vec::new();
        let mut certificates = Vec::new();
        for files in &settings.certificates {
            let Some(credentials) = desk.credentials(files) else {
                continue;
            };
            let ocsp = files.ocsp.as_ref().and_then(|path| {
                let before = desk.faults.len();
                let file = desk.read(path);
                doubts.extend(desk.faults.drain(before..));
                OcspResponse::read(&file?, credentials.serial())
                    .map_err(|e| {
                        doubts.push(Fault {
                            path: path.clone(),
                            unreadable: false,
                            text: e.to_string(),
                        });
                    })
                    .ok()
            });
            certificates.push(Certificate { credentials, ocsp });
        }
        let client = settings.client.as_ref().map(|auth| desk.client(auth));
        let mut secrets = Vec::new();
        let shared = settings.tickets.as_ref().and_then(|t| t.secrets.as_ref());
        if let Some(path) = shared
            && let Some(file) = desk.read(path)
        {
            match tickets::secrets(&file) {
                Ok(read) => secrets = read,
                Err(text) => desk.bad(path, text),
            }
        }
        if !desk.faults.is_empty() {
            return Err(desk.faults);
        }
        Ok(Material {
            certificates,
            client: client.flatten(),
            secrets,
            doubts,
            stamps: desk.stamps,
        })
    }

    /// The earliest last second of validity of its certificates, in seconds since
    /// 1970-01-01T00:00:00Z.
    pub fn not_after(&self) -> Option<u64> {
        self.certificates
            .iter()
            .map(|c| c.credentials.not_after())
            .min()
    }
}

impl UpstreamMaterial {
    /// Reads all files of an upstream.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn read(settings: &UpstreamTls) -> Result<UpstreamMaterial, Vec<Fault>> {
        let mut desk = Desk::default();
        let anchors = settings.authorities.as_ref().map(|p| desk.anchors(p));
        let certificate = settings.certificate.as_ref().map(|f| desk.credentials(f));
        if !desk.faults.is_empty() {
            return Err(desk.faults);
        }
        Ok(UpstreamMaterial {
            anchors: anchors.flatten().map(|(anchors, _)| Arc::new(anchors)),
            certificate: certificate.flatten(),
            stamps: desk.stamps,
        })
    }
}

fn stamp(path: &Path) -> Stamp {
    // A missing file has a state as well.
    fs::metadata(path).map_or_else(
        |_| Stamp::default(),
        |m| (m.ino(), m.size(), m.mtime(), m.mtime_nsec()),
    )
}

/// The present states of the same files.
pub(super) fn stamps_now(of: &Stamps) -> Stamps {
    of.iter()
        .map(|(path, _)| (path.clone(), stamp(path)))
        .collect()
}
