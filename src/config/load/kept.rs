//! A configuration as it lay on the disk, so that it can be read again when its files are others.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ring::digest::{SHA256, digest};

use super::super::{Report, Sources};
use super::{Loaded, load_texts, private, texts};

/// Files larger than this are known by their digest only: databases, which are seldom changed.
pub const LARGEST: usize = 8 << 20;

/// All files of a configuration.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Files {
    /// The TOML files, in order.
    pub texts: Vec<(PathBuf, Content)>,
    /// The files they name, in the order in which they were read.
    pub named: Vec<(PathBuf, Content)>,
}

/// What is known of a file.
#[derive(Clone, PartialEq, Eq)]
pub enum Content {
    /// All of it.
    Octets(Arc<[u8]>),
    /// Its SHA-256: it was too large.
    Digest([u8; 32]),
}

impl std::fmt::Debug for Content {
    /// A file may hold secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Content::Octets(octets) => write!(f, "{} octets", octets.len()),
            Content::Digest(_) => f.write_str("a digest"),
        }
    }
}

impl Content {
    fn of(octets: &[u8]) -> Content {
        match octets.len() > LARGEST {
            true => Content::Digest(sha256(octets)),
            false => Content::Octets(octets.into()),
        }
    }

    /// Its SHA-256.
    pub fn digest(&self) -> [u8; 32] {
        match self {
            Content::Octets(octets) => sha256(octets),
            Content::Digest(digest) => *digest,
        }
    }
}

/// SHA-256 of some octets.
pub fn sha256(octets: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, octets).as_ref());
    out
}

/// As [`super::load`], and gives the files as they were read.
///
/// # Errors
/// When there is nothing to read.
pub fn load_keeping(path: &Path) -> Result<(Loaded, Files), Report> {
    let toml = match texts(path) {
        Ok(toml) => toml,
        Err(diagnostic) => return Err(Report::new(vec![*diagnostic], Sources::default())),
    };
    let mut files = Files {
        texts: toml
            .iter()
            .map(|(path, octets)| (path.clone(), Content::of(octets)))
            .collect(),
        named: Vec::new(),
    };
    let named = &mut files.named;
    let mut read = |path: &Path| {
        let octets = std::fs::read(path)?;
        if !named.iter().any(|(known, _)| known == path) {
            named.push((path.to_owned(), Content::of(&octets)));
        }
        Ok(octets)
    };
    let mut loaded = load_texts(toml, &mut read);
    private::check(&loaded.spec, &mut loaded.diagnostics);
    Ok((loaded, files))
}

/// Loads what was kept. Files of which only the digest is known are read with `read`, and must be what
/// they were.
///
/// # Errors
/// When one of the TOML files is such a file, and is another now.
pub fn load_kept(
    files: &Files,
    read: &mut dyn FnMut(&Path) -> io::Result<Vec<u8>>,
) -> io::Result<Loaded> {
    let mut get = |path: &Path, content: &Content| match content {
        Content::Octets(octets) => Ok(octets.to_vec()),
        Content::Digest(digest) => {
            let octets = read(path)?;
            match sha256(&octets) == *digest {
                true => Ok(octets),
                false => Err(io::Error::other(
                    "the file was too large to be kept, and is another now",
                )),
            }
        }
    };
    let mut toml = Vec::new();
    for (path, content) in &files.texts {
        toml.push((path.clone(), get(path, content)?));
    }
    let mut named = |path: &Path| {
        let known = files.named.iter().find(|(p, _)| p == path);
        let (_, content) = known.ok_or(io::ErrorKind::NotFound)?;
        get(path, content)
    };
    Ok(load_texts(toml, &mut named))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_is_read_again_when_the_files_are_others() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("t.toml");
        let zone = dir.path().join("z.zone");
        let text = "version = 1\n[zones.\"gslb.test\"]\nfile = \"z.zone\"\n";
        std::fs::write(&file, text).unwrap();
        std::fs::write(&zone, "; a zone\n").unwrap();
        let (loaded, files) = load_keeping(&file).unwrap();
        assert_eq!(files.texts.len(), 1);
        assert_eq!(files.named[0].0, zone);
        std::fs::remove_file(&file).unwrap();
        std::fs::write(&zone, "; another\n").unwrap();
        let again = load_kept(&files, &mut |p| panic!("{} is read", p.display())).unwrap();
        assert_eq!(again.inputs, loaded.inputs);
        assert_eq!(again.digest(), loaded.digest());
        assert!(!format!("{files:?}").contains("another"));
    }

    #[test]
    fn what_was_too_large_must_be_what_it_was() {
        let kept = |octets: &[u8]| Files {
            texts: vec![("a.toml".into(), Content::Digest(sha256(octets)))],
            named: Vec::new(),
        };
        let mut read = |_: &Path| Ok(b"version = 1\n".to_vec());
        assert!(load_kept(&kept(b"version = 1\n"), &mut read).is_ok());
        let e = load_kept(&kept(b"version = 2\n"), &mut read).unwrap_err();
        assert!(e.to_string().contains("another now"), "{e}");
        assert!(matches!(
            Content::of(&vec![0; LARGEST + 1]),
            Content::Digest(_)
        ));
    }
}
