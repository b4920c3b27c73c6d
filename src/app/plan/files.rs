//! Compiling a configuration whose texts came over the API.
//!
//! Its files lie where the node's own configuration does, in thought only. What it names is taken from
//! the texts that came; beyond them the node reads only files that its own configuration names, so
//! nobody can have another file of the machine read, or learn whether there is one.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use crate::admin::plan::PlanRefusal;
use crate::app::load::Wanted;
use crate::compile::compile;
use crate::config::load::load_texts;
use crate::config::{Report, Severity};
use crate::snapshot::Snapshot;

/// Longest path that is taken.
const LONGEST: usize = 1024;

/// Compiles these files for the node that runs `wanted`; with the warnings.
///
/// # Errors
/// When a path is no path, or the configuration is wrong.
pub(super) fn compile_given(
    wanted: &Wanted,
    files: &BTreeMap<String, String>,
) -> Result<(Arc<Snapshot>, Vec<String>), PlanRefusal> {
    let root = root(&wanted.config);
    let mut texts = Vec::new();
    let mut given: HashMap<PathBuf, &str> = HashMap::new();
    for (path, text) in files {
        check_path(path)?;
        let whole = plain(&root.join(path));
        if path.ends_with(".toml") {
            texts.push((whole, text.clone().into_bytes()));
        } else {
            given.insert(whole, text);
        }
    }
    if texts.is_empty() {
        return Err(PlanRefusal::Files(
            "none of the files is called *.toml; send the configuration itself, too".to_owned(),
        ));
    }
    texts.sort();
    let own = named_by(&wanted.config);
    let mut read = |path: &Path| -> io::Result<Vec<u8>> {
        let path = plain(path);
        if let Some(text) = given.get(&path) {
            return Ok(text.as_bytes().to_vec());
        }
        if own.contains(&path) {
            return std::fs::read(&path);
        }
        // The same whether there is such a file or not.
        Err(io::Error::other(
            "it did not come with the request, and the node's own configuration does not name it",
        ))
    };
    let mut loaded = load_texts(texts, &mut read);
    loaded.spec.apply(&wanted.overlay);
    let (compiled, found) = compile(
        &loaded.spec,
        &loaded.inputs,
        &loaded.sources,
        wanted.node.as_deref(),
    );
    let mut all = loaded.diagnostics;
    all.extend(found);
    let errors = all.iter().any(|d| d.severity == Severity::Error);
    let lines: Vec<String> = Report::new(all, loaded.sources).lines().collect();
    match compiled {
        Some(compiled) if !errors => Ok((compiled.snapshot, lines)),
        _ => Err(PlanRefusal::Refused(lines)),
    }
}

/// Where relative paths begin.
fn root(config: &Path) -> PathBuf {
    match config.is_dir() {
        true => config.to_owned(),
        false => config.parent().unwrap_or(Path::new("")).to_owned(),
    }
}

fn check_path(path: &str) -> Result<(), PlanRefusal> {
    let wrong = if path.is_empty() {
        "a path is empty".to_owned()
    } else if path.len() > LONGEST {
        format!(
            "a path has {} octets; at most {LONGEST} are allowed",
            path.len()
        )
    } else if path.chars().any(char::is_control) {
        "a path has control characters".to_owned()
    } else {
        return Ok(());
    };
    Err(PlanRefusal::Files(wrong))
}

/// The path without `.` and, as far as it goes, without `..`.
fn plain(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => match out.components().next_back() {
                Some(Component::Normal(_)) => {
                    out.pop();
                }
                Some(Component::RootDir) => {}
                _ => out.push(part),
            },
            _ => out.push(part),
        }
    }
    out
}

/// The files that a configuration on the disk names. They are not read, only asked for.
fn named_by(config: &Path) -> HashSet<PathBuf> {
    let mut named = HashSet::new();
    let mut texts = Vec::new();
    let paths = match std::fs::read_dir(config) {
        Ok(entries) => {
            let all = entries.filter_map(Result::ok).map(|e| e.path());
            let mut toml: Vec<PathBuf> = all
                .filter(|p| p.extension().is_some_and(|e| e == "toml"))
                .collect();
            toml.sort();
            toml
        }
        Err(_) => vec![config.to_owned()],
    };
    for path in paths {
        if let Ok(octets) = std::fs::read(&path) {
            texts.push((path, octets));
        }
    }
    if texts.is_empty() {
        return named;
    }
    load_texts(texts, &mut |path: &Path| {
        named.insert(plain(path));
        Ok(Vec::new())
    });
    named
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_seen_from_one_place() {
        for (path, want) in [
            ("a/b/../c", "a/c"),
            ("./a/./b", "a/b"),
            ("../a", "../a"),
            ("a/../../b", "../b"),
            ("/a/../../b", "/b"),
        ] {
            assert_eq!(plain(Path::new(path)), Path::new(want), "{path}");
        }
    }

    const CONFIG: &str = "version = 1\n[regions.eu]\nlatitude = 50\nlongitude = 8\n\
        [zones.\"x.example\"]\nfile = \"x.zone\"\n\
        [pools.eu]\nregion = \"eu\"\nendpoints = [{ name = \"e\", address = \"192.0.2.1\" }]\n\
        [policies.any]\nstages = [{ weighted = {} }]\n\
        [names.\"www.x.example\"]\npools = [\"eu\"]\npolicy = \"any\"\n";

    const ZONE: &str = "$TTL 300\n@ SOA ns1 h 1 3600 600 86400 60\n@ NS ns1\nns1 A 192.0.2.1\n";

    fn wanted(dir: &Path) -> Wanted {
        std::fs::write(dir.join("own.toml"), CONFIG).unwrap();
        std::fs::write(dir.join("x.zone"), ZONE).unwrap();
        std::fs::write(dir.join("secret.zone"), "TOP SECRET\n").unwrap();
        Wanted {
            config: dir.to_owned(),
            ..Wanted::default()
        }
    }

    fn files(all: &[(&str, &str)]) -> BTreeMap<String, String> {
        let owned = |(a, b): &(&str, &str)| ((*a).to_owned(), (*b).to_owned());
        all.iter().map(owned).collect()
    }

    #[test]
    fn what_comes_is_compiled_and_only_named_files_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let wanted = wanted(dir.path());
        // The zone is one that the node's own configuration names, then one that came.
        let (snapshot, _) = compile_given(&wanted, &files(&[("new.toml", CONFIG)])).unwrap();
        assert_eq!(snapshot.steering.names.len(), 1);
        let other = CONFIG.replace("x.zone", "sub/other.zone");
        let with = [("new.toml", &*other), ("sub/../sub/other.zone", ZONE)];
        assert!(compile_given(&wanted, &files(&with)).is_ok());
        // Another file of the machine is not read, and nobody learns whether there is one.
        let said = |name: &str| {
            let config = CONFIG.replace("x.zone", name);
            match compile_given(&wanted, &files(&[("new.toml", &config)])) {
                Err(PlanRefusal::Refused(lines)) => lines.join("\n"),
                other => panic!("{other:?}"),
            }
        };
        let (there, nowhere) = (said("secret.zone"), said("nothing.zone"));
        assert!(there.contains("did not come with the request"), "{there}");
        assert!(!there.contains("TOP SECRET"));
        assert_eq!(
            there.replace("secret.zone", "F"),
            nowhere.replace("nothing.zone", "F")
        );
    }

    #[test]
    fn what_is_no_configuration_is_refused_with_a_reason() {
        let dir = tempfile::tempdir().unwrap();
        let wanted = wanted(dir.path());
        let refused = |all: &[(&str, &str)]| match compile_given(&wanted, &files(all)) {
            Err(PlanRefusal::Files(why)) => why,
            other => panic!("{other:?}"),
        };
        assert!(refused(&[("x.zone", ZONE)]).contains("*.toml"));
        assert!(refused(&[("", CONFIG)]).contains("empty"));
        assert!(refused(&[("a\0.toml", CONFIG)]).contains("control"));
        assert!(refused(&[(&("a".repeat(1100) + ".toml"), CONFIG)]).contains("1024"));
        let wrong = CONFIG.replace("region = \"eu\"", "region = \"us\"");
        let Err(PlanRefusal::Refused(lines)) =
            compile_given(&wanted, &files(&[("n.toml", &wrong)]))
        else {
            panic!("an unknown region was taken");
        };
        assert!(lines.iter().any(|l| l.contains("n.toml:8:")), "{lines:?}");
    }
}
