//! Keys and their states in the state directory.
//!
//! `STATE/keys/ZONE/state.json` says what is known of the keys; beside it lies each key that was made
//! here, as PKCS #8 in PEM. Folders are 0700, files 0600. A file is written under another name,
//! flushed to the disk and renamed, so that a crash leaves the old or the new one, whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use data_encoding::BASE64_MIME;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::{self, PemObject as _};

use super::record;
use crate::dns::name::WireName;
use crate::dnssec::rollover::{KeyState, ZoneState};
use crate::dnssec::{Role, SigningKey};

/// Something in the state directory cannot be read or written: which file, why, what to do.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct StoreError(pub String);

/// The keys' part of the state directory.
#[derive(Clone, Debug)]
pub struct Store {
    keys: PathBuf,
}

/// Makes a folder that only its owner may enter, unless it is there.
pub(super) fn make_private_dir(dir: &Path) -> Result<(), StoreError> {
    let made = fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir);
    made.map_err(|e| {
        StoreError(format!(
            "cannot make folder `{}`: {e}; the user that runs the node must be able to write to \
             `state-dir`",
            dir.display()
        ))
    })
}

impl Store {
    /// The keys under a state directory. Nothing is touched yet.
    pub fn new(state_dir: &Path) -> Store {
        Store {
            keys: state_dir.join("keys"),
        }
    }

    /// The folder of a zone's keys.
    pub fn dir(&self, apex: &WireName) -> PathBuf {
        self.keys.join(dir_name(apex))
    }

    /// The state of a zone's keys; `None` when it never had any here.
    ///
    /// # Errors
    /// When there is something, but it cannot be read. New keys must not be made then: the old ones
    /// are what the parent's DS speaks of.
    pub fn load(&self, apex: &WireName) -> Result<Option<ZoneState>, StoreError> {
        let dir = self.dir(apex);
        let path = dir.join("state.json");
        match fs::read_to_string(&path) {
            Ok(text) => record::read(apex, &text).map(Some).map_err(|e| {
                StoreError(format!(
                    "`{}` is damaged: {e}; restore it from a backup, or from another node of the \
                     zone",
                    path.display()
                ))
            }),
            Err(e) if e.kind() == io::ErrorKind::NotFound => match first_key(&dir) {
                Ok(None) => Ok(None),
                Ok(Some(key)) => Err(StoreError(format!(
                    "`{}` is missing, but key `{}` is there; restore the file from a backup, or \
                     move the key away if zone `{apex}` has no DS at its parent",
                    path.display(),
                    key.display()
                ))),
                Err(e) => Err(cannot("read", &dir, &e)),
            },
            Err(e) => Err(cannot("read", &path, &e)),
        }
    }

    /// Stores a state.
    ///
    /// # Errors
    /// When it could not be made sure that it is on the disk.
    pub fn save(&self, apex: &WireName, state: &ZoneState) -> Result<(), StoreError> {
        let dir = self.dir(apex);
        make_private_dir(&dir)?;
        let text = record::write(apex, state);
        replace(&dir.join("state.json"), text.as_bytes(), 0o600)
    }

    /// Stores the secret of a key.
    ///
    /// # Errors
    /// As [`Store::save`].
    pub fn save_key(
        &self,
        apex: &WireName,
        role: Role,
        key: &SigningKey,
        pkcs8: &[u8],
    ) -> Result<(), StoreError> {
        let dir = self.dir(apex);
        make_private_dir(&dir)?;
        let mut text = String::from("-----BEGIN PRIVATE KEY-----\n");
        text.push_str(&BASE64_MIME.encode(pkcs8).replace('\r', ""));
        if !text.ends_with('\n') {
            text.push('\n');
        }
        text.push_str("-----END PRIVATE KEY-----\n");
        let name = key_name(role, key.algorithm().number(), key.tag());
        replace(&dir.join(name), text.as_bytes(), 0o600)
    }

    /// Reads the secret of a key.
    ///
    /// # Errors
    /// When the file cannot be read or is of another key.
    pub fn load_key(&self, apex: &WireName, of: &KeyState) -> Result<SigningKey, StoreError> {
        let path = self.key_path(apex, of);
        let bad = |why: String| {
            StoreError(format!(
                "key file `{}` {why}; restore it from a backup, or from another node of the zone",
                path.display()
            ))
        };
        let pem = fs::read(&path).map_err(|e| bad(format!("cannot be read: {e}")))?;
        let der = PrivatePkcs8KeyDer::from_pem_slice(&pem).map_err(|e| {
            bad(match e {
                pem::Error::NoItemsFound => "holds no PKCS #8 key in PEM".to_owned(),
                // What the parser says shows octets as numbers.
                _ => "is cut off or is no PEM file".to_owned(),
            })
        })?;
        let key = SigningKey::from_pkcs8(of.algorithm, of.role.flags(), der.secret_pkcs8_der())
            .map_err(|e| bad(format!("cannot be used: {e}")))?;
        if key.dnskey() != &*of.dnskey_rdata {
            return Err(bad(format!("is not {of}, but key {}", key.tag())));
        }
        Ok(key)
    }

    /// Deletes the secret of a key that is removed. That it is not there is no error.
    ///
    /// # Errors
    /// When it cannot be deleted.
    pub fn delete_key(&self, apex: &WireName, of: &KeyState) -> Result<(), StoreError> {
        let path = self.key_path(apex, of);
        match fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(cannot("delete", &path, &e)),
            _ => Ok(()),
        }
    }

    fn key_path(&self, apex: &WireName, of: &KeyState) -> PathBuf {
        let name = key_name(of.role, of.algorithm.number(), of.tag());
        self.dir(apex).join(name)
    }
}

/// The folder name of a zone: its labels, with all but letters, digits, `-` and `_` as `%XX`; `@` for
/// the root.
fn dir_name(apex: &WireName) -> String {
    let mut name = String::new();
    for label in apex.labels() {
        if !name.is_empty() {
            name.push('.');
        }
        for &octet in label {
            match octet {
                b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => name.push(octet.into()),
                _ => name.push_str(&format!("%{octet:02X}")),
            }
        }
    }
    if name.is_empty() {
        "@".to_owned()
    } else {
        name
    }
}

/// `csk-013-04711.pem`
fn key_name(role: Role, algorithm: u8, tag: u16) -> String {
    format!("{}-{algorithm:03}-{tag:05}.pem", role.word())
}

/// Some key in a folder, which may be missing.
fn first_key(dir: &Path) -> io::Result<Option<PathBuf>> {
    let entries = match fs::read_dir(dir) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "pem") {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// Writes a file so that after a crash the old or the new one is there, whole.
pub(super) fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<(), StoreError> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    let temporary = PathBuf::from(temporary);
    let written = (|| {
        // A left-over of a crash may have other rights.
        match fs::remove_file(&temporary) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&temporary)?;
        file.write_all(bytes)?;
        let dir = path.parent().unwrap_or(Path::new("."));
        // What an administrator writes must stay readable to the node.
        let (of_dir, own) = (fs::metadata(dir)?, file.metadata()?);
        if of_dir.uid() != own.uid() {
            std::os::unix::fs::fchown(&file, Some(of_dir.uid()), Some(of_dir.gid()))?;
        }
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        File::open(dir)?.sync_all()
    })();
    written.map_err(|e| cannot("write", path, &e))
}

fn cannot(what: &str, path: &Path, e: &io::Error) -> StoreError {
    let help = match e.kind() {
        io::ErrorKind::PermissionDenied => {
            "; it must belong to the user that runs the node (files 0600, folders 0700)"
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "; make room on the disk",
        io::ErrorKind::ReadOnlyFilesystem => "; mount it writable",
        _ => "",
    };
    StoreError(format!("cannot {what} `{}`: {e}{help}", path.display()))
}

#[cfg(test)]
mod tests;
