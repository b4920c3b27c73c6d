//! Reads tables by the option rows and collects every error on the way.

use crate::config::diagnostic::Diagnostic;
use crate::config::options::{self, Kind, OptionRow, Presence};
use crate::config::tree::{Entry, Node, Table, Value, parse_value};
use crate::config::{Marked, Span};

use super::context::Context;
use super::value::{FromDatum, is_header, nearest, noun, quoted, read};

/// One table being read.
#[derive(Clone)]
pub(super) struct Reader<'t> {
    table: std::borrow::Cow<'t, Table>,
    /// Path of its rows.
    path: String,
    /// The object: "monitor `web`".
    subject: String,
    /// What stands before a key of this table within the object: `http.`.
    prefix: String,
}

impl<'t> Reader<'t> {
    /// A reader of `table`, whose keys are the rows under `path`. Unknown keys are reported here.
    pub(super) fn new(cx: &mut Context<'_>, table: &'t Table, path: &str, subject: String) -> Self {
        let reader = Reader {
            table: std::borrow::Cow::Borrowed(table),
            path: path.to_owned(),
            subject,
            prefix: String::new(),
        };
        reader.check_keys(cx);
        reader
    }

    pub(super) fn span(&self) -> Span {
        self.table.span
    }

    pub(super) fn subject(&self) -> &str {
        &self.subject
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.table.get(key).is_some()
    }

    /// Where `key` stands, or the table that lacks it.
    pub(super) fn span_of(&self, key: &str) -> Span {
        self.table.get(key).map_or(self.table.span, |e| e.node.span)
    }

    /// The table under `key`: an empty one when it is absent, so that defaults apply.
    pub(super) fn sub(&self, cx: &mut Context<'_>, key: &str) -> Reader<'t> {
        let table = match self.table.get(key) {
            None => Table::empty(self.table.span),
            Some(Entry { node, .. }) => match &node.value {
                Value::Table(table) => table.clone(),
                other => {
                    let what = self.name_of(key);
                    cx.error(
                        node.span,
                        format!("{what} must be a table, but it is {}", other.kind()),
                    );
                    Table::empty(node.span)
                }
            },
        };
        let reader = Reader {
            table: std::borrow::Cow::Owned(table),
            path: self.path_of(key),
            subject: self.subject.clone(),
            prefix: format!("{}{key}.", self.prefix),
        };
        reader.check_keys(cx);
        reader
    }

    fn check_keys(&self, cx: &mut Context<'_>) {
        let keys = options::keys_of(&self.path);
        if keys.iter().any(|k| options::is_placeholder(k)) {
            return;
        }
        for entry in &self.table.entries {
            if keys.contains(&entry.key.as_str()) {
                continue;
            }
            let whole = format!("{}{}", self.prefix, entry.key);
            let message = format!("unknown key `{whole}` in {}", self.subject);
            let help = match nearest(&entry.key, keys.iter().copied()) {
                Some(near) => format!("did you mean `{}{near}`?", self.prefix),
                None if keys.is_empty() => "no keys are allowed here".to_owned(),
                None => format!("keys allowed here: {}", quoted(keys.iter().copied())),
            };
            cx.diagnostics
                .push(Diagnostic::error(entry.key_span, message).help(help));
        }
    }

    /// "`interval` of monitor `web`".
    pub(super) fn name_of(&self, key: &str) -> String {
        format!("`{}{key}` of {}", self.prefix, self.subject)
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    fn row(&self, key: &str) -> &'static OptionRow {
        let path = self.path_of(key);
        options::row(&path).unwrap_or_else(|| panic!("no option row `{path}`"))
    }

    /// The node of `key`, or of its default. Reports a missing required key.
    fn node(&self, cx: &mut Context<'_>, key: &str, row: &OptionRow) -> Option<Node> {
        if let Some(entry) = self.table.get(key) {
            return Some(entry.node.clone());
        }
        match row.presence {
            Presence::Optional(_) => None,
            Presence::Default(text) => parse_value(text).map(|n| Node {
                span: self.table.span,
                ..n
            }),
            Presence::Required => {
                let key = format!("{}{key}", self.prefix);
                cx.diagnostics.push(
                    Diagnostic::error(self.table.span, format!("{} lacks `{key}`", self.subject))
                        .help(format!("add `{key} = {}`", row.example)),
                );
                None
            }
        }
    }

    fn value<T: FromDatum>(
        &self,
        cx: &mut Context<'_>,
        node: &Node,
        kind: &Kind,
        what: &str,
    ) -> Option<Marked<T>> {
        match read(node, kind) {
            Ok(datum) => {
                if let (Kind::Ref(of), Value::String(name)) = (kind, &node.value)
                    && !cx.check_reference(of, name, node.span, what)
                {
                    return None;
                }
                T::from_datum(datum).map(|v| Marked::new(v, node.span))
            }
            Err(fault) if fault.text.is_empty() => None,
            Err(fault) => {
                cx.diagnostics.push(
                    Diagnostic::error(node.span, format!("{what} {}", fault.text))
                        .maybe_help(fault.help),
                );
                None
            }
        }
    }

    /// The value of `key` or its default. `None` when it is absent and has none, or when it is wrong
    /// (which is then reported).
    pub(super) fn get<T: FromDatum>(&self, cx: &mut Context<'_>, key: &str) -> Option<Marked<T>> {
        let row = self.row(key);
        let node = self.node(cx, key, row)?;
        self.value(cx, &node, &row.kind, &self.name_of(key))
    }

    /// The array under `key` or its default; values that occur twice are reported. `None` as in
    /// [`Reader::get`]; wrong items are left out.
    pub(super) fn list<T: FromDatum + PartialEq>(
        &self,
        cx: &mut Context<'_>,
        key: &str,
    ) -> Option<Vec<Marked<T>>> {
        let row = self.row(key);
        let Kind::List(kind, min) = row.kind else {
            panic!("option row `{}` is no list", row.path)
        };
        let node = self.node(cx, key, row)?;
        let what = self.name_of(key);
        let Value::Array(items) = &node.value else {
            let example = format!("write `{key} = {}`", row.example);
            cx.diagnostics.push(
                Diagnostic::error(
                    node.span,
                    format!("{what} must be an array, but it is {}", node.value.kind()),
                )
                .help(example),
            );
            return None;
        };
        if items.len() < min {
            cx.error(
                node.span,
                format!(
                    "{what} has {} items; the smallest allowed number is {min}",
                    items.len()
                ),
            );
            return None;
        }
        let mut values: Vec<Marked<T>> = Vec::new();
        for item in items {
            // A default has no place of its own: its items stand where the table does.
            let item = Node {
                span: if self.has(key) { item.span } else { node.span },
                value: item.value.clone(),
            };
            let Some(value) = self.value::<T>(cx, &item, kind, &what) else {
                continue;
            };
            if let Some(first) = values.iter().find(|v| v.value == value.value) {
                cx.diagnostics.push(
                    Diagnostic::error(
                        value.span,
                        format!("{what} has `{}` twice", cx.text_of(value.span)),
                    )
                    .label("again here")
                    .related(first.span, "first here")
                    .help("remove one of the two"),
                );
                continue;
            }
            values.push(value);
        }
        Some(values)
    }

    /// The map under `key`: names chosen by the user to values. `placeholder` is the row's last word.
    pub(super) fn map<T: FromDatum>(
        &self,
        cx: &mut Context<'_>,
        key: &str,
        placeholder: &str,
    ) -> Vec<(Marked<String>, T)> {
        let inner = self.sub(cx, key);
        let row = inner.row(placeholder);
        let of = match placeholder {
            "POOL" => Some("pools"),
            "REGION" => Some("regions"),
            _ => None,
        };
        let mut values = Vec::new();
        for entry in &inner.table.entries {
            let user = self.name_of(key);
            let good = match of {
                Some(kind) => cx.check_reference(kind, &entry.key, entry.key_span, &user),
                None if is_header(&entry.key) => true,
                None => {
                    cx.error(
                        entry.key_span,
                        format!("{user} has `{}`, which is not a header name", entry.key),
                    );
                    false
                }
            };
            let what = inner.name_of(&entry.key);
            if let Some(value) = inner.value::<T>(cx, &entry.node, &row.kind, &what)
                && good
            {
                values.push((Marked::new(entry.key.clone(), entry.key_span), value.value));
            }
        }
        values
    }

    /// The array of tables under `key`; each comes with its subject, made by `name` from its position
    /// (from 1) and its table.
    pub(super) fn tables(
        &self,
        cx: &mut Context<'_>,
        key: &str,
        name: impl Fn(usize, &Table) -> String,
    ) -> Vec<Reader<'t>> {
        let row = self.row(key);
        let Some(node) = self.node(cx, key, row) else {
            return Vec::new();
        };
        let what = self.name_of(key);
        let Value::Array(items) = &node.value else {
            let found = node.value.kind();
            cx.error(
                node.span,
                format!("{what} must be {}, but it is {found}", noun(&row.kind)),
            );
            return Vec::new();
        };
        if let Kind::Tables(min) = row.kind
            && items.len() < min
        {
            cx.error(
                node.span,
                format!(
                    "{what} has {} items; the smallest allowed number is {min}",
                    items.len()
                ),
            );
        }
        let mut readers = Vec::new();
        for (at, item) in items.iter().enumerate() {
            let Value::Table(table) = &item.value else {
                let found = item.value.kind();
                let help = match &item.value {
                    Value::String(word) => format!("write `{{ {word} = {{}} }}`"),
                    _ => format!("write `{key} = {}`", row.example),
                };
                cx.diagnostics.push(
                    Diagnostic::error(
                        item.span,
                        format!(
                            "item {} of {what} must be a table, but it is {found}",
                            at + 1
                        ),
                    )
                    .help(help),
                );
                continue;
            };
            let reader = Reader {
                table: std::borrow::Cow::Owned(table.clone()),
                path: format!("{}.{key}[]", self.path),
                subject: name(at + 1, table),
                prefix: String::new(),
            };
            reader.check_keys(cx);
            readers.push(reader);
        }
        readers
    }

    /// The one key of `kinds` that the table has; none or several are reported. `word` is what a kind
    /// is called here: "kind", "stage".
    pub(super) fn one_of(
        &self,
        cx: &mut Context<'_>,
        kinds: &[&'static str],
        word: &str,
    ) -> Option<&'static str> {
        let found: Vec<&'static str> = kinds.iter().copied().filter(|k| self.has(k)).collect();
        let place = if self.prefix.is_empty() {
            self.subject.clone()
        } else {
            format!(
                "`{}` of {}",
                self.prefix.trim_end_matches('.'),
                self.subject
            )
        };
        let all = quoted(kinds.iter().copied());
        match found[..] {
            [one] => Some(one),
            [] => {
                cx.diagnostics.push(
                    Diagnostic::error(self.span(), format!("{place} has no {word}"))
                        .help(format!("give exactly one of {all}")),
                );
                None
            }
            _ => {
                let spans: Vec<Span> = self
                    .table
                    .entries
                    .iter()
                    .filter(|e| kinds.contains(&e.key.as_str()))
                    .map(|e| e.key_span)
                    .collect();
                let message = format!(
                    "{place} has {} {word}s, {}; exactly 1 is allowed",
                    found.len(),
                    quoted(found.iter().copied())
                );
                let mut d = Diagnostic::error(spans[1], message).help("keep one of them");
                for span in spans
                    .iter()
                    .enumerate()
                    .filter(|(i, _)| *i != 1)
                    .map(|(_, s)| *s)
                {
                    d = d.related(span, "the other one");
                }
                cx.diagnostics.push(d);
                None
            }
        }
    }
}
