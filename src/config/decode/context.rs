//! What the readers share: the findings so far and the names that references may use.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::config::Span;
use crate::config::diagnostic::Diagnostic;
use crate::config::load::ReadFile;
use crate::config::sources::Sources;
use crate::config::tree::{Table, Value};

use super::value::{nearest, quoted};

/// What all readers of one load share.
pub(crate) struct Context<'a> {
    pub(crate) diagnostics: Vec<Diagnostic>,
    pub(crate) sources: &'a Sources,
    pub(crate) read_file: &'a mut ReadFile<'a>,
    /// Names of the objects of each kind, whether they decode or not: a broken pool must not make
    /// every name that uses it look broken too.
    names: HashMap<&'static str, Vec<String>>,
}

impl<'a> Context<'a> {
    pub(crate) fn new(
        root: &Table,
        sources: &'a Sources,
        read_file: &'a mut ReadFile<'a>,
        diagnostics: Vec<Diagnostic>,
    ) -> Context<'a> {
        let mut names: HashMap<&'static str, Vec<String>> = HashMap::new();
        for kind in ["regions", "monitors", "pools", "policies"] {
            let keys = root.table(kind).map_or(Vec::new(), |t| {
                t.entries.iter().map(|e| e.key.clone()).collect()
            });
            names.insert(kind, keys);
        }
        names.insert("endpoints", endpoint_names(root));
        Context {
            diagnostics,
            sources,
            read_file,
            names,
        }
    }

    pub(crate) fn error(&mut self, span: Span, message: impl Into<String>) {
        self.diagnostics.push(Diagnostic::error(span, message));
    }

    /// What the file says at `span`, without quotes.
    pub(super) fn text_of(&self, span: Span) -> String {
        let text = &self.sources.text(span.file)[self.sources.clamp(span)];
        text.trim_matches(['"', '\'']).to_owned()
    }

    /// `path` seen from the directory of the file that says it.
    pub(crate) fn resolve(&self, path: &Path, span: Span) -> PathBuf {
        match self.sources.path(span.file).parent() {
            Some(dir) => dir.join(path),
            None => path.to_owned(),
        }
    }

    /// Reports when no object of `kind` is called `name`.
    pub(super) fn check_reference(
        &mut self,
        kind: &'static str,
        name: &str,
        span: Span,
        user: &str,
    ) -> bool {
        let known = self.names.get(kind).map_or(&[][..], Vec::as_slice);
        if known.iter().any(|k| k == name) {
            return true;
        }
        let word = singular(kind);
        let near = nearest(name, known.iter().map(String::as_str));
        let help = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None if known.is_empty() => format!("no {kind} are defined"),
            None => format!(
                "defined {kind}: {}",
                quoted(known.iter().map(String::as_str))
            ),
        };
        self.diagnostics.push(
            Diagnostic::error(span, format!("{user} names unknown {word} `{name}`")).help(help),
        );
        false
    }
}

fn endpoint_names(root: &Table) -> Vec<String> {
    let pools = root.table("pools").map_or(&[][..], |t| &t.entries);
    let mut names = Vec::new();
    for pool in pools {
        let Value::Table(pool) = &pool.node.value else {
            continue;
        };
        let Some(Value::Array(endpoints)) = pool.get("endpoints").map(|e| &e.node.value) else {
            continue;
        };
        for endpoint in endpoints {
            if let Value::Table(endpoint) = &endpoint.value
                && let Some(Value::String(name)) = endpoint.get("name").map(|e| &e.node.value)
            {
                names.push(name.clone());
            }
        }
    }
    names
}

/// `monitor` for `monitors`.
pub(super) fn singular(kind: &str) -> &str {
    match kind {
        "policies" => "policy",
        _ => kind.strip_suffix('s').unwrap_or(kind),
    }
}
