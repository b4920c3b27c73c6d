//! Reads the configuration and the files it names. The only part of `config` that touches files.

pub mod kept;
mod private;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::decode::{Context, Known, decode};
use super::diagnostic::{Diagnostic, Report, Severity};
use super::digest::ConfigDigest;
use super::effective::Effective;
use super::sources::Sources;
use super::spec::{SecretSpec, Spec};
use super::tree::{Table, Value, merge, parse, secrets};
use super::{FileId, Marked, Span};

/// Reads one file; an argument so that tests need no disk.
pub type ReadFile<'a> = dyn FnMut(&Path) -> io::Result<Vec<u8>> + 'a;

/// A configuration as far as it could be read.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What it says. Objects with errors of their own may be absent; [`Spec::declared`] has their
    /// names all the same.
    pub spec: Spec,
    /// Every option with its place, to be shown.
    pub effective: Effective,
    /// The texts, for rendering further diagnostics.
    pub sources: Sources,
    /// The files it names.
    pub inputs: Inputs,
    /// What is wrong, or probably not meant, so far.
    pub diagnostics: Vec<Diagnostic>,
}

impl Loaded {
    /// A short name for what was read.
    pub fn digest(&self) -> ConfigDigest {
        ConfigDigest::of(&self.sources, &self.inputs)
    }

    /// Whether anything is wrong.
    pub fn has_errors(&self) -> bool {
        self.diagnostics
            .iter()
            .any(|d| d.severity == Severity::Error)
    }
}

/// Contents of zone files, databases and network lists.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Inputs {
    /// By the path in the [`Spec`].
    pub files: BTreeMap<PathBuf, Input>,
}

/// One file named by the configuration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Input {
    /// Its contents.
    pub bytes: Vec<u8>,
    /// Its number in [`Sources`], for text files.
    pub file: Option<FileId>,
}

impl Inputs {
    /// The file of `path`.
    pub fn get(&self, path: &Path) -> Option<&Input> {
        self.files.get(path)
    }

    /// The contents of `path`; empty when it was not read.
    pub fn bytes(&self, path: &Path) -> &[u8] {
        self.get(path).map_or(&[], |i| &i.bytes)
    }
}

/// Loads a file, or all `*.toml` files of a directory in the order of their names.
///
/// Goes on after errors, so that the caller can add those between objects and show all at once.
///
/// # Errors
/// When there is nothing to read.
pub fn load(path: &Path) -> Result<Loaded, Report> {
    let mut read = |path: &Path| std::fs::read(path);
    match texts(path) {
        Ok(files) => {
            let mut loaded = load_texts(files, &mut read);
            private::check(&loaded.spec, &mut loaded.diagnostics);
            Ok(loaded)
        }
        Err(diagnostic) => Err(Report::new(vec![*diagnostic], Sources::default())),
    }
}

/// The TOML files of `path`.
fn texts(path: &Path) -> Result<Vec<(PathBuf, Vec<u8>)>, Box<Diagnostic>> {
    let fail = |path: &Path, e: &io::Error| {
        let message = format!("cannot read configuration `{}`: {e}", path.display());
        Box::new(Diagnostic::error(None, message))
    };
    let mut paths = Vec::new();
    if path.is_dir() {
        for entry in std::fs::read_dir(path).map_err(|e| fail(path, &e))? {
            let file = entry.map_err(|e| fail(path, &e))?.path();
            let hidden = file
                .file_name()
                .is_some_and(|n| n.as_encoded_bytes().starts_with(b"."));
            if file.extension().is_some_and(|e| e == "toml") && !hidden && file.is_file() {
                paths.push(file);
            }
        }
        paths.sort();
        if paths.is_empty() {
            let message = format!("directory `{}` holds no *.toml file", path.display());
            return Err(Box::new(Diagnostic::error(None, message)));
        }
    } else {
        paths.push(path.to_owned());
    }
    paths
        .into_iter()
        .map(|p| match std::fs::read(&p) {
            Ok(bytes) => Ok((p, bytes)),
            Err(e) => Err(fail(&p, &e)),
        })
        .collect()
}

/// Loads TOML files whose contents are given; `read` gets the files they name.
pub fn load_texts(files: Vec<(PathBuf, Vec<u8>)>, read: &mut ReadFile<'_>) -> Loaded {
    let mut sources = Sources::default();
    let mut diagnostics = Vec::new();
    let mut trees = Vec::new();
    let mut torn = false;
    for (path, bytes) in files {
        let (text, bad) = utf8(bytes);
        let file = sources.add(path, text);
        if let Some(at) = bad {
            torn = true;
            diagnostics.push(Diagnostic::error(
                Span::new(file, at..at),
                "the file is not UTF-8 text from here on",
            ));
        }
        let tree = parse(file, sources.text(file), &mut diagnostics, &mut torn);
        super::secret::mask(&mut sources, file, &tree);
        trees.push(tree);
    }
    check_version(&trees, &mut diagnostics, torn);
    let known = Known::new(&trees);
    let hidden: Vec<Span> = trees.iter().flat_map(secrets).collect();
    let root = merge(trees, &mut diagnostics);
    let effective = Effective::of(&root, &sources);
    let mut cx = Context::new(known, &sources, read, diagnostics, torn);
    let spec = decode(&mut cx, root);
    let mut diagnostics = cx.finish();
    for span in hidden {
        sources.hide(span);
    }
    let inputs = read_inputs(&spec, &mut sources, read, &mut diagnostics);
    Loaded {
        spec,
        effective,
        sources,
        inputs,
        diagnostics,
    }
}

/// The text, and where it stops being UTF-8.
fn utf8(bytes: Vec<u8>) -> (String, Option<usize>) {
    match String::from_utf8(bytes) {
        Ok(text) => (text, None),
        Err(e) => {
            let at = e.utf8_error().valid_up_to();
            (String::from_utf8_lossy(e.as_bytes()).into_owned(), Some(at))
        }
    }
}

/// At least one file must say `version = 1`, and none another. In a file torn by errors of syntax the
/// line may just be lost.
fn check_version(trees: &[Table], diagnostics: &mut Vec<Diagnostic>, torn: bool) {
    let mut found = false;
    for entry in trees.iter().filter_map(|t| t.get("version")) {
        found = true;
        if matches!(entry.node.value, Value::Integer(Some(1))) {
            continue;
        }
        let what = match &entry.node.value {
            Value::Integer(Some(n)) => n.to_string(),
            other => other.kind().to_owned(),
        };
        diagnostics.push(
            Diagnostic::error(
                entry.node.span,
                format!("`version` is {what}; this release reads version 1"),
            )
            .help("write `version = 1`"),
        );
    }
    if let (false, Some(first)) = (found || torn, trees.first()) {
        diagnostics.push(
            Diagnostic::error(
                first.span,
                "`version` is missing; this release reads version 1",
            )
            .help("add `version = 1` as the first line"),
        );
    }
}

fn read_inputs(
    spec: &Spec,
    sources: &mut Sources,
    read: &mut ReadFile<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Inputs {
    let mut inputs = Inputs::default();
    let zones = spec.zones.iter().map(|z| (&z.file, "zone file", true));
    let databases = spec
        .geoip
        .databases
        .iter()
        .map(|d| (d, "GeoIP database", false));
    let networks = spec
        .geoip
        .networks
        .iter()
        .map(|n| (n, "network list", true));
    let secrets = spec.tsig_keys.iter().filter_map(|k| match &k.secret {
        SecretSpec::File(path) => Some((path, "secret file", false)),
        SecretSpec::Inline(_) => None,
    });
    let pages = spec.error_pages.iter().flat_map(|e| &e.pages);
    let pages = pages.map(|p| (&p.file, "error page", false));
    let keys = spec.zones.iter().flat_map(|z| &z.key_files);
    let keys: Vec<Marked<PathBuf>> = keys.flat_map(with_public_half).collect();
    // Not as texts: a secret must not show in a rendered error.
    let keys = keys.iter().map(|k| (k, "key file", false));
    for (path, what, is_text) in zones
        .chain(databases)
        .chain(networks)
        .chain(keys)
        .chain(secrets)
        .chain(pages)
    {
        read_input(path, what, is_text, sources, read, diagnostics, &mut inputs);
    }
    inputs
}

/// A key file, and the file of the public half that stands beside BIND's.
fn with_public_half(file: &Marked<PathBuf>) -> Vec<Marked<PathBuf>> {
    let mut files = vec![file.clone()];
    if file.extension().is_some_and(|e| e == "private") {
        files.push(Marked::new(file.with_extension("key"), file.span));
    }
    files
}

fn read_input(
    path: &Marked<PathBuf>,
    what: &str,
    is_text: bool,
    sources: &mut Sources,
    read: &mut ReadFile<'_>,
    diagnostics: &mut Vec<Diagnostic>,
    inputs: &mut Inputs,
) {
    if inputs.files.contains_key(&path.value) {
        return;
    }
    match read(&path.value) {
        Err(e) => {
            let missing = e.kind() == io::ErrorKind::NotFound;
            let help = "paths are relative to the file that says them".to_owned();
            diagnostics.push(
                Diagnostic::error(
                    path.span,
                    format!("cannot read {what} `{}`: {e}", path.value.display()),
                )
                .maybe_help(missing.then_some(help)),
            );
        }
        Ok(bytes) => {
            let text = is_text.then(|| String::from_utf8_lossy(&bytes).into_owned());
            let file = text.map(|t| sources.add(path.value.clone(), t));
            inputs
                .files
                .insert(path.value.clone(), Input { bytes, file });
        }
    }
}
