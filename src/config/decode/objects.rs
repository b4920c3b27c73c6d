//! The objects of a top-level table: one reader per `[KIND.NAME]`.

use crate::config::Marked;
use crate::config::diagnostic::Diagnostic;
use crate::config::options;
use crate::config::tree::{Table, Value};

use super::context::{Context, singular};
use super::reader::{Reader, Subject};
use super::value::is_name;

/// The objects of the top-level table `kind`, each with its key. Keys must be names unless `domains`.
pub(super) fn objects<'t>(
    cx: &mut Context<'_>,
    root: &'t Table,
    kind: &'static str,
    domains: bool,
) -> Vec<(Marked<String>, Reader<'t>)> {
    let Some(entry) = root.get(kind) else {
        return Vec::new();
    };
    let Value::Table(table) = &entry.node.value else {
        let found = entry.node.value.kind();
        cx.error(
            entry.node.span,
            format!("`{kind}` must be a table, but it is {found}"),
        );
        return Vec::new();
    };
    let word = singular(kind);
    let section = options::section(&format!("{kind}.NAME"));
    let mut objects = Vec::with_capacity(table.entries.len());
    for entry in &table.entries {
        let subject = Subject::Object(word, &entry.key);
        if !domains && !is_name(&entry.key) {
            cx.error(
                entry.key_span,
                format!(
                    "{subject}: `{}` is not {}",
                    entry.key,
                    super::value::NAME_RULE
                ),
            );
        }
        let Value::Table(table) = &entry.node.value else {
            let found = entry.node.value.kind();
            let d = Diagnostic::error(
                entry.node.span,
                format!("{subject} must be a table, but it is {found}"),
            );
            cx.push(d);
            continue;
        };
        if domains && let Some(whole) = unquoted(table, &entry.key, section.path) {
            cx.absence(
                Diagnostic::error(
                    entry.key_span,
                    format!("{subject} is split at its dots because it is not quoted"),
                )
                .help(format!("write `[{kind}.\"{whole}\"]`")),
            );
            continue;
        }
        let reader = Reader::new(cx, table, section, subject);
        objects.push((Marked::new(entry.key.clone(), entry.key_span), reader));
    }
    objects
}

/// The domain name that was meant when `[names.www.example]` made tables within tables.
fn unquoted(table: &Table, key: &str, path: &str) -> Option<String> {
    let [entry] = &table.entries[..] else {
        return None;
    };
    let known = options::keys_of(path).contains(&entry.key.as_str());
    let Value::Table(inner) = &entry.node.value else {
        return None;
    };
    let whole = format!("{key}.{}", entry.key);
    (!known).then(|| unquoted(inner, &whole, path).unwrap_or(whole))
}
