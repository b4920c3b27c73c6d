//! Configurations as they are kept: each a list of files, each file once, whichever configurations it
//! belongs to.

use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;
use std::sync::Arc;

use data_encoding::HEXLOWER;
use redb::{ReadableTable as _, Table};

use super::pack::{pack, pack_text, unpack_text};
use crate::app::store::disk::Trouble;
use crate::config::ConfigDigest;
use crate::config::load::kept::{Content, Files, sha256};

/// A configuration with its files.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Kept {
    /// By what it is found: its short name and a digest of all its files with their paths.
    pub(super) digest: Arc<str>,
    /// The files.
    pub(super) files: Arc<Files>,
}

impl Kept {
    /// What was loaded as the configuration of this short name.
    pub fn of(name: &ConfigDigest, files: Files) -> Kept {
        let manifest = Manifest::of(&files).text();
        let hash = HEXLOWER.encode(&sha256(manifest.as_bytes())[..8]);
        Kept {
            digest: format!("{name}-{hash}").into(),
            files: Arc::new(files),
        }
    }
}

/// The short name in a digest, as the fleet shows it.
pub(super) fn short(digest: &str) -> &str {
    digest.split_once('-').map_or(digest, |(name, _)| name)
}

/// The list of a configuration's files.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Manifest(Vec<Entry>);

#[derive(Clone, PartialEq, Eq, Debug)]
struct Entry {
    /// Whether it is one of the TOML files.
    is_text: bool,
    /// Whether its octets are kept.
    is_kept: bool,
    sha: [u8; 32],
    path: PathBuf,
}

impl Manifest {
    fn of(files: &Files) -> Manifest {
        let texts = files.texts.iter().map(|f| (true, f));
        let named = files.named.iter().map(|f| (false, f));
        let all = texts.chain(named).map(|(is_text, (path, content))| Entry {
            is_text,
            is_kept: matches!(content, Content::Octets(_)),
            sha: content.digest(),
            path: path.clone(),
        });
        Manifest(all.collect())
    }

    /// A line for each: what it is, digest, path, the latter in hex since it may be any octets.
    fn text(&self) -> String {
        let line = |e: &Entry| {
            format!(
                "{} {} {} {}\n",
                if e.is_text { "text" } else { "named" },
                if e.is_kept { "kept" } else { "known" },
                HEXLOWER.encode(&e.sha),
                HEXLOWER.encode(e.path.as_os_str().as_bytes())
            )
        };
        self.0.iter().map(line).collect()
    }

    /// Reads what was written; `None`: it is no such text.
    pub(super) fn read(text: &str) -> Option<Manifest> {
        let entry = |line: &str| {
            let mut words = line.split(' ');
            let entry = Entry {
                is_text: match words.next()? {
                    "text" => true,
                    "named" => false,
                    _ => return None,
                },
                is_kept: match words.next()? {
                    "kept" => true,
                    "known" => false,
                    _ => return None,
                },
                sha: HEXLOWER
                    .decode(words.next()?.as_bytes())
                    .ok()?
                    .try_into()
                    .ok()?,
                path: std::ffi::OsString::from_vec(HEXLOWER.decode(words.next()?.as_bytes()).ok()?)
                    .into(),
            };
            words.next().is_none().then_some(entry)
        };
        text.lines().map(entry).collect::<Option<_>>().map(Manifest)
    }

    /// The configuration, with octets from `get`; `None` where one of them is missing.
    pub(super) fn fill(
        &self,
        digest: &str,
        mut get: impl FnMut([u8; 32]) -> Option<Vec<u8>>,
    ) -> Option<Kept> {
        let mut files = Files::default();
        for entry in &self.0 {
            let content = match entry.is_kept {
                true => Content::Octets(get(entry.sha)?.into()),
                false => Content::Digest(entry.sha),
            };
            let list = match entry.is_text {
                true => &mut files.texts,
                false => &mut files.named,
            };
            list.push((entry.path.clone(), content));
        }
        Some(Kept {
            digest: digest.into(),
            files: Arc::new(files),
        })
    }
}

type Configs<'t> = Table<'t, &'static str, (u64, &'static [u8])>;
type Octets<'t> = Table<'t, &'static [u8], &'static [u8]>;

/// Writes a configuration, unless it is there or too large; how many octets that takes.
pub(super) fn store(
    kept: &Kept,
    now_ms: u64,
    most: u64,
    configs: &mut Configs<'_>,
    files: &mut Octets<'_>,
) -> Result<u64, Trouble> {
    if configs.get(&*kept.digest)?.is_some() {
        return Ok(0);
    }
    let mut new = Vec::new();
    for (_, content) in kept.files.texts.iter().chain(&kept.files.named) {
        let sha = content.digest();
        if let Content::Octets(octets) = content
            && files.get(&sha[..])?.is_none()
        {
            new.push((sha, pack(octets)));
        }
    }
    let octets: u64 = new.iter().map(|(_, packed)| packed.len() as u64).sum();
    if octets > most {
        tracing::warn!(
            octets,
            most,
            "the files of the configuration are too large to be kept: `explain --at` will not know it \
             once another one is in force; raise `[history] max-size`"
        );
        return Ok(0);
    }
    for (sha, packed) in new {
        files.insert(&sha[..], &*packed)?;
    }
    let manifest = pack_text(&Manifest::of(&kept.files).text());
    configs.insert(&*kept.digest, (now_ms, &*manifest))?;
    Ok(octets)
}

/// Throws away the configurations that were in force last before `oldest_ms`, and of the others those
/// used least lately while all take more than `most`; how many octets that frees.
pub(super) fn prune(
    in_force: &str,
    oldest_ms: u64,
    octets: u64,
    most: u64,
    configs: &mut Configs<'_>,
    files: &mut Octets<'_>,
) -> Result<u64, Trouble> {
    let mut all = Vec::new();
    for row in configs.iter()? {
        let (digest, row) = row?;
        let used = row.value().0;
        if digest.value() != in_force {
            all.push((used, digest.value().to_owned()));
        }
    }
    all.sort();
    let mut freed = 0;
    for (used, digest) in all {
        if used >= oldest_ms && octets.saturating_sub(freed) <= most {
            continue;
        }
        configs.remove(&*digest)?;
        freed += sweep(configs, files)?;
    }
    Ok(freed)
}

/// Throws away files that no configuration has.
fn sweep(configs: &Configs<'_>, files: &mut Octets<'_>) -> Result<u64, Trouble> {
    let mut needed = std::collections::HashSet::new();
    for row in configs.iter()? {
        let manifest = unpack_text(row?.1.value().1).and_then(|t| Manifest::read(&t));
        let manifest = manifest
            .ok_or_else(|| Trouble::Damaged("a configuration cannot be read".to_owned()))?;
        needed.extend(manifest.0.iter().map(|e| e.sha));
    }
    let mut freed = 0;
    files.retain(|sha, packed| {
        let keep = <[u8; 32]>::try_from(sha).is_ok_and(|sha| needed.contains(&sha));
        if !keep {
            freed += packed.len() as u64;
        }
        keep
    })?;
    Ok(freed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_files_reads_back() {
        let octets = |text: &[u8]| Content::Octets(text.into());
        let files = Files {
            texts: vec![("/c/a b.toml".into(), octets(b"version = 1"))],
            named: vec![
                ("/c/z.zone".into(), octets(b"")),
                ("/c/geo.mmdb".into(), Content::Digest([7; 32])),
            ],
        };
        let kept = Kept::of(&ConfigDigest::default(), files.clone());
        let manifest = Manifest::of(&files);
        assert_eq!(Manifest::read(&manifest.text()), Some(manifest.clone()));
        let get = |sha: [u8; 32]| match sha == sha256(b"") {
            true => Some(Vec::new()),
            false => Some(b"version = 1".to_vec()),
        };
        assert_eq!(manifest.fill(&kept.digest, get), Some(kept));
        assert_eq!(manifest.fill("x", |_| None), None);
        for bad in ["text kept 00 00", "other kept", "text kept zz zz\n"] {
            assert_eq!(Manifest::read(bad), None, "{bad:?}");
        }
        assert_eq!(short("0123456789ab-00ff"), "0123456789ab");
    }
}
