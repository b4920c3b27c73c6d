//! Keeps secrets out of what is shown: errors quote lines of the files they are in.

use super::options::{self, Kind, OptionRow};
use super::sources::Sources;
use super::tree::{Node, Table, Value};
use super::{FileId, Span};

/// Keys whose values are secret, wherever they stand.
const KEYS: &[&str] = &["secret", "secrets"];

/// Hexadecimal digits in a row that can only be a key; an address has at most four.
const DIGITS: usize = 24;

/// Words in the names of header fields and the like whose values nobody is shown.
const TELLING: &[&str] = &[
    "authorization",
    "cookie",
    "password",
    "passphrase",
    "api-key",
    "auth-token",
];

/// Whether the value of `key`, whose option row is `row`, is nobody to be shown.
pub(super) fn is_secret(row: Option<&OptionRow>, key: &str) -> bool {
    let by_row = row.is_some_and(|r| match r.kind {
        Kind::Secret => true,
        Kind::List(of, _) | Kind::Array(of, _) => *of == Kind::Secret,
        _ => false,
    });
    // A key that the user chose: the name of a header field, say.
    let chosen = row.is_some_and(|r| {
        let last = r.path.rsplit('.').next().unwrap_or("");
        options::is_placeholder(last)
    });
    let telling = || {
        let key = key.to_ascii_lowercase();
        TELLING.iter().any(|word| key.contains(word))
    };
    by_row || KEYS.contains(&key) || (chosen && telling())
}

/// Blanks the secrets in the text of a TOML file that was read as `tree`. The text keeps its length,
/// so places stay right.
pub(super) fn mask(sources: &mut Sources, file: FileId, tree: &Table) {
    let mut spans = Vec::new();
    of_table(tree, &mut spans);
    // What an error of syntax tears out of the tree.
    digits(sources.text(file), file, &mut spans);
    for span in spans {
        sources.blank(span);
    }
}

fn of_table(table: &Table, spans: &mut Vec<Span>) {
    for entry in &table.entries {
        if KEYS.contains(&entry.key.as_str()) {
            of_value(&entry.node, spans);
        } else if let Value::Table(inner) = &entry.node.value {
            of_table(inner, spans);
        } else if let Value::Array(items) = &entry.node.value {
            for item in items {
                if let Value::Table(inner) = &item.value {
                    of_table(inner, spans);
                }
            }
        }
    }
}

fn of_value(node: &Node, spans: &mut Vec<Span>) {
    match &node.value {
        Value::Array(items) => items.iter().for_each(|item| of_value(item, spans)),
        Value::Table(table) => table.entries.iter().for_each(|e| of_value(&e.node, spans)),
        _ => spans.push(node.span),
    }
}

fn digits(text: &str, file: FileId, spans: &mut Vec<Span>) {
    let mut start = 0;
    for (at, octet) in text.bytes().chain([b'\n']).enumerate() {
        if !octet.is_ascii_hexdigit() {
            if at - start >= DIGITS {
                spans.push(Span::new(file, start..at));
            }
            start = at + 1;
        }
    }
}
