//! The TOML tree with a [`Span`] on every key and value, and the merging of several files.

use hashbrown::HashMap;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnostic::Diagnostic;
use super::{FileId, Span};

/// Deepest nesting that any option needs is 6; beyond this a file is not a configuration.
const MAX_DEPTH: usize = 16;

/// A value and its place.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) span: Span,
}

/// A TOML value.
#[derive(Clone, Debug)]
pub(super) enum Value {
    String(String),
    /// `None` when it does not fit 64 bits.
    Integer(Option<i64>),
    Float(f64),
    Boolean(bool),
    Datetime,
    Array(Vec<Node>),
    Table(Table),
}

impl Value {
    /// What it is, for "…, but it is an integer".
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Value::String(_) => "a string",
            Value::Integer(_) => "an integer",
            Value::Float(_) => "a number with a fraction",
            Value::Boolean(_) => "a boolean",
            Value::Datetime => "a date",
            Value::Array(_) => "an array",
            Value::Table(_) => "a table",
        }
    }
}

/// A table: entries in the order of the file.
#[derive(Clone, Debug)]
pub(super) struct Table {
    pub(super) entries: Vec<Entry>,
    /// The header, or the braces of an inline table.
    pub(super) span: Span,
}

/// One `key = value`.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_span: Span,
    pub(super) node: Node,
}

impl Table {
    /// A table without entries.
    pub(super) fn empty(span: Span) -> Table {
        Table {
            entries: Vec::new(),
            span,
        }
    }

    /// The entry of `key`.
    pub(super) fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|e| e.key == key)
    }

    /// Takes out what stands under `key`, as the only entry of a table of its own; an empty table
    /// stays in its place.
    pub(super) fn detach(&mut self, key: &str) -> Table {
        let mut detached = Table::empty(self.span);
        if let Some(entry) = self.entries.iter_mut().find(|e| e.key == key) {
            let span = entry.node.span;
            let emptied = Node {
                value: Value::Table(Table::empty(span)),
                span,
            };
            detached.entries.push(Entry {
                key: entry.key.clone(),
                key_span: entry.key_span,
                node: std::mem::replace(&mut entry.node, emptied),
            });
        }
        detached
    }

    /// The table under `key`, when there is one.
    pub(super) fn table(&self, key: &str) -> Option<&Table> {
        match &self.get(key)?.node.value {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }
}

/// Parses one file. Syntax errors are collected and set `torn`; what could be understood is returned
/// all the same.
pub(super) fn parse(
    file: FileId,
    text: &str,
    diagnostics: &mut Vec<Diagnostic>,
    torn: &mut bool,
) -> Table {
    let (root, errors) = DeTable::parse_recoverable(text);
    let syntax = !errors.is_empty();
    *torn |= syntax;
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        diagnostics.push(Diagnostic::error(
            Span::new(file, span),
            format!("TOML syntax: {}", error.message()),
        ));
    }
    let mut reader = Converter {
        file,
        diagnostics,
        syntax,
    };
    let span = Span::new(file, 0..text.find('\n').unwrap_or(text.len()));
    Table {
        span,
        ..reader.table(root.into_inner(), span, 0)
    }
}

/// Parses one value, for the defaults that option rows state as TOML.
pub(super) fn parse_value(text: &str) -> Option<Node> {
    let value = DeValue::parse(text).ok()?;
    let mut diagnostics = Vec::new();
    let mut reader = Converter {
        file: FileId::default(),
        diagnostics: &mut diagnostics,
        syntax: false,
    };
    Some(reader.node(value, 0))
}

struct Converter<'d> {
    file: FileId,
    diagnostics: &'d mut Vec<Diagnostic>,
    /// Whether syntax errors were reported: a broken number then needs no second message.
    syntax: bool,
}

impl Converter<'_> {
    /// Takes the parser's tables apart, so that both trees are never whole at once.
    fn table(&mut self, table: DeTable<'_>, span: Span, depth: usize) -> Table {
        let entries = table
            .into_iter()
            .map(|(key, value)| Entry {
                key_span: Span::new(self.file, key.span()),
                key: key.into_inner().into_owned(),
                node: self.node(value, depth + 1),
            })
            .collect();
        Table { entries, span }
    }

    fn node(&mut self, value: Spanned<DeValue<'_>>, depth: usize) -> Node {
        let span = Span::new(self.file, value.span());
        if depth > MAX_DEPTH {
            self.diagnostics.push(Diagnostic::error(
                span,
                format!("nested {depth} levels deep; at most {MAX_DEPTH} are allowed"),
            ));
            return Node {
                value: Value::Table(Table::empty(span)),
                span,
            };
        }
        let value = match value.into_inner() {
            DeValue::String(text) => Value::String(text.into_owned()),
            DeValue::Integer(number) => {
                let parsed = i64::from_str_radix(number.as_str(), number.radix()).ok();
                if parsed.is_none() && !self.syntax {
                    self.diagnostics.push(Diagnostic::error(
                        span,
                        format!("`{number}` is not a number of 64 bits"),
                    ));
                }
                Value::Integer(parsed)
            }
            DeValue::Float(number) => Value::Float(number.as_str().parse().unwrap_or(f64::NAN)),
            DeValue::Boolean(flag) => Value::Boolean(flag),
            DeValue::Datetime(_) => Value::Datetime,
            DeValue::Array(items) => {
                let items = items.into_iter();
                Value::Array(items.map(|i| self.node(i, depth + 1)).collect())
            }
            DeValue::Table(table) => Value::Table(self.table(table, span, depth)),
        };
        Node { value, span }
    }
}

/// Merges the files' trees: top-level tables are joined key by key, `expect` item by item; the same key in
/// two files is an error that names both places. `version` may stand in each file and is checked by the caller.
pub(super) fn merge(trees: Vec<Table>, diagnostics: &mut Vec<Diagnostic>) -> Table {
    let mut merged = Table::empty(trees.first().map_or(Span::default(), |t| t.span));
    if let [_] = trees[..] {
        merged.entries = trees.into_iter().flat_map(|t| t.entries).collect();
        return merged;
    }
    // Where each key of each top-level table stood first: a configuration may have 100,000 names.
    let mut first: HashMap<String, HashMap<String, Span>> = HashMap::new();
    for tree in trees {
        for entry in tree.entries {
            let known = first.entry(entry.key.clone()).or_default();
            let Some(at) = merged.entries.iter().position(|e| e.key == entry.key) else {
                if let Value::Table(table) = &entry.node.value {
                    known.extend(table.entries.iter().map(|e| (e.key.clone(), e.key_span)));
                }
                merged.entries.push(entry);
                continue;
            };
            if entry.key == "version" {
                continue;
            }
            let kind = entry.key;
            match (&mut merged.entries[at].node.value, entry.node.value) {
                // Each file may have its own, in the order of the files.
                (Value::Array(into), Value::Array(from)) if kind == "expect" => into.extend(from),
                (Value::Table(into), Value::Table(from)) => {
                    for entry in from.entries {
                        match known.get(&entry.key) {
                            None => {
                                known.insert(entry.key.clone(), entry.key_span);
                                into.entries.push(entry);
                            }
                            Some(first) => diagnostics.push(twice(
                                &format!("`{kind}.{}`", entry.key),
                                entry.key_span,
                                *first,
                            )),
                        }
                    }
                }
                _ => diagnostics.push(twice(
                    &format!("`{kind}`"),
                    entry.key_span,
                    merged.entries[at].key_span,
                )),
            }
        }
    }
    merged
}

/// Where secrets stand: the texts in `[tsig-keys]`, under whatever key, since that may be misspelt.
pub(super) fn secrets(tree: &Table) -> Vec<Span> {
    const PLAIN: [&str; 2] = ["algorithm", "secret-file"];
    let mut found = Vec::new();
    let mut tables: Vec<&Table> = tree.table("tsig-keys").into_iter().collect();
    while let Some(table) = tables.pop() {
        for entry in &table.entries {
            match &entry.node.value {
                Value::Table(inner) => tables.push(inner),
                Value::String(_) if !PLAIN.contains(&entry.key.as_str()) => {
                    found.push(entry.node.span);
                }
                _ => {}
            }
        }
    }
    found
}

/// "defined twice", at the second place, with the first as related.
pub(super) fn twice(what: &str, second: Span, first: Span) -> Diagnostic {
    Diagnostic::error(second, format!("{what} is defined twice"))
        .label("again here")
        .related(first, "first here")
        .help("remove or rename one of the two")
}
