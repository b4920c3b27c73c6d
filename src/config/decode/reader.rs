//! Reads tables by the option rows and collects every error on the way.

use std::fmt;
use std::hash::Hash;
use std::rc::Rc;
use std::sync::LazyLock;

use hashbrown::HashMap;

use crate::config::diagnostic::Diagnostic;
use crate::config::options::{self, Kind, OptionRow, Presence, Section};
use crate::config::tree::{Entry, Table, Value, parse_value};
use crate::config::{Marked, Span};

use super::context::Context;
use super::value::{FromDatum, is_header, nearest, noun, quoted, read};

/// The default values of the rows, read once: a configuration may have 100,000 endpoints.
static DEFAULTS: LazyLock<HashMap<&'static str, Value>> = LazyLock::new(|| {
    let default = |r: &OptionRow| match r.presence {
        Presence::Default(text) => Some((r.path, parse_value(text)?.value)),
        _ => None,
    };
    options::ROWS.iter().filter_map(default).collect()
});

/// The object that is read, in the words of a message; put into words only when there is one.
#[derive(Clone)]
pub(super) enum Subject<'t> {
    /// As it is called.
    Text(Rc<str>),
    /// "monitor `web`"
    Object(&'static str, &'t str),
    /// "endpoint `eu-1` of pool `eu`"
    Endpoint(&'t str, &'t str),
}

impl From<String> for Subject<'_> {
    fn from(text: String) -> Self {
        Subject::Text(text.into())
    }
}

impl fmt::Display for Subject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Text(text) => f.write_str(text),
            Subject::Object(word, name) => write!(f, "{word} `{name}`"),
            Subject::Endpoint(name, pool) => write!(f, "endpoint `{name}` of pool `{pool}`"),
        }
    }
}

/// One table being read.
pub(super) struct Reader<'t> {
    /// `None` when it is absent, so that defaults apply.
    table: Option<&'t Table>,
    /// The table, or the one that lacks it.
    span: Span,
    /// Its rows.
    section: &'static Section,
    /// The object.
    subject: Subject<'t>,
    /// What stands before a key of this table within the object: `http.`.
    prefix: String,
    /// Keys that an unknown key of the table resembles: that they are missing needs no second word.
    misspelt: Vec<&'static str>,
}

/// A value in the file, or a default, whose place is the table that lacks it.
#[derive(Clone, Copy)]
struct Found<'t> {
    value: &'t Value,
    span: Span,
}

impl<'t> Reader<'t> {
    /// A reader of `table`, whose keys are the rows under `path`. Unknown keys are reported here.
    pub(super) fn new(
        cx: &mut Context<'_>,
        table: &'t Table,
        section: &'static Section,
        subject: Subject<'t>,
    ) -> Self {
        Reader::checked(cx, Some(table), table.span, section, subject, String::new())
    }

    fn checked(
        cx: &mut Context<'_>,
        table: Option<&'t Table>,
        span: Span,
        section: &'static Section,
        subject: Subject<'t>,
        prefix: String,
    ) -> Reader<'t> {
        let mut reader = Reader {
            table,
            span,
            section,
            subject,
            prefix,
            misspelt: Vec::new(),
        };
        reader.check_keys(cx);
        reader
    }

    /// Its rows.
    pub(super) fn section(&self) -> &'static Section {
        self.section
    }

    pub(super) fn span(&self) -> Span {
        self.span
    }

    pub(super) fn subject(&self) -> &Subject<'t> {
        &self.subject
    }

    fn entries(&self) -> &'t [Entry] {
        self.table.map_or(&[], |t| &t.entries)
    }

    /// The keys that stand in the table and have rows, with their places.
    pub(super) fn keys(&self) -> impl Iterator<Item = (&'t str, Span)> + use<'t> {
        let rows = &self.section.keys;
        let known = self
            .entries()
            .iter()
            .filter(|e| rows.contains(&e.key.as_str()));
        known.map(|e| (e.key.as_str(), e.key_span))
    }

    fn entry(&self, key: &str) -> Option<&'t Entry> {
        self.table?.get(key)
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.entry(key).is_some()
    }

    /// Whether a table stands under `key`.
    pub(super) fn is_table(&self, key: &str) -> bool {
        self.entry(key)
            .is_some_and(|e| matches!(e.node.value, Value::Table(_)))
    }

    /// Whether `key` is missing, and not just written a little differently.
    pub(super) fn lacks(&self, key: &str) -> bool {
        !self.has(key) && !self.misspelt.contains(&key)
    }

    /// Keys of the rows that unknown keys of this table resemble.
    pub(super) fn misspelt(&self) -> &[&'static str] {
        &self.misspelt
    }

    /// Where `key` stands, or the table that lacks it.
    pub(super) fn span_of(&self, key: &str) -> Span {
        self.entry(key).map_or(self.span, |e| e.node.span)
    }

    /// Where `key` of the table under `of` stands, if both do. Says nothing of what is wrong with them.
    pub(super) fn span_within(&self, of: &str, key: &str) -> Option<Span> {
        match &self.entry(of)?.node.value {
            Value::Table(table) => Some(table.get(key)?.node.span),
            _ => None,
        }
    }

    /// The table under `key`: an empty one when it is absent, so that defaults apply.
    pub(super) fn sub(&self, cx: &mut Context<'_>, key: &str) -> Reader<'t> {
        self.sub_like(cx, key, options::section(&self.path_of(key)))
    }

    /// As [`Reader::sub`], for a table whose rows are those of `section`: one that nests.
    pub(super) fn sub_like(
        &self,
        cx: &mut Context<'_>,
        key: &str,
        section: &'static Section,
    ) -> Reader<'t> {
        let (table, span) = match self.entry(key).map(|e| &e.node) {
            None => (None, self.span),
            Some(node) => match &node.value {
                Value::Table(table) => (Some(table), table.span),
                other => {
                    let what = self.name_of(key);
                    cx.error(
                        node.span,
                        format!("{what} must be a table, but it is {}", other.kind()),
                    );
                    (None, node.span)
                }
            },
        };
        let prefix = format!("{}{key}.", self.prefix);
        Reader::checked(cx, table, span, section, self.subject.clone(), prefix)
    }

    fn check_keys(&mut self, cx: &mut Context<'_>) {
        let keys = &self.section.keys;
        if keys.iter().any(|k| options::is_placeholder(k)) {
            return;
        }
        for entry in self.entries() {
            if keys.contains(&entry.key.as_str()) {
                continue;
            }
            let whole = format!("{}{}", self.prefix, entry.key);
            let message = format!("unknown key `{whole}` in {}", self.subject);
            let near = nearest(&entry.key, keys.iter().copied());
            let help = match near {
                Some(near) => format!("did you mean `{}{near}`?", self.prefix),
                None if keys.is_empty() => "no keys are allowed here".to_owned(),
                None => format!("keys allowed here: {}", quoted(keys.iter().copied())),
            };
            let known = keys.iter().copied().find(|k| Some(*k) == near);
            self.misspelt.extend(known);
            cx.absence(Diagnostic::error(entry.key_span, message).help(help));
        }
    }

    /// "`interval` of monitor `web`".
    pub(super) fn name_of(&self, key: &str) -> String {
        format!("`{}{key}` of {}", self.prefix, self.subject)
    }

    fn path_of(&self, key: &str) -> String {
        if self.section.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.section.path)
        }
    }

    fn row(&self, key: &str) -> &'static OptionRow {
        let row = self.section.row(key);
        row.unwrap_or_else(|| panic!("no option row `{}`", self.path_of(key)))
    }

    /// The value of `key`, or its default. Reports a missing required key.
    fn find(&self, cx: &mut Context<'_>, key: &str, row: &OptionRow) -> Option<Found<'t>> {
        if let Some(entry) = self.entry(key) {
            return Some(Found {
                value: &entry.node.value,
                span: entry.node.span,
            });
        }
        match row.presence {
            Presence::Optional(_) => None,
            Presence::Default(_) => DEFAULTS.get(row.path).map(|value| Found {
                value,
                span: self.span,
            }),
            Presence::Required if !self.lacks(key) => None,
            Presence::Required => {
                let key = format!("{}{key}", self.prefix);
                cx.absence(
                    Diagnostic::error(self.span, format!("{} lacks `{key}`", self.subject))
                        .help(format!("add `{key} = {}`", row.example)),
                );
                None
            }
        }
    }

    fn value<T: FromDatum>(
        &self,
        cx: &mut Context<'_>,
        found: Found<'_>,
        kind: &Kind,
        what: &dyn Fn() -> String,
    ) -> Option<Marked<T>> {
        match read(found.value, kind) {
            Ok(datum) => {
                if let (Kind::Ref(of), Value::String(name)) = (kind, found.value) {
                    // A reference to nothing is reported and kept: whoever follows it finds nothing.
                    cx.check_reference(of, name, found.span, what);
                }
                T::from_datum(datum).map(|v| Marked::new(v, found.span))
            }
            Err(fault) => {
                if fault.text.is_empty() {
                    // Reported when the tree was made.
                    cx.spoil();
                } else {
                    cx.push(
                        Diagnostic::error(found.span, format!("{} {}", what(), fault.text))
                            .maybe_help(fault.help),
                    );
                }
                None
            }
        }
    }

    /// The value of `key` or its default. `None` when it is absent and has none, or when it is wrong
    /// (which is then reported).
    pub(super) fn get<T: FromDatum>(&self, cx: &mut Context<'_>, key: &str) -> Option<Marked<T>> {
        let row = self.row(key);
        let found = self.find(cx, key, row)?;
        self.value(cx, found, &row.kind, &|| self.name_of(key))
    }

    /// As [`Reader::get`]; `instead` stands for what is missing or wrong, so that the rest of the
    /// object can be checked all the same.
    pub(super) fn get_or<T: FromDatum>(
        &self,
        cx: &mut Context<'_>,
        key: &str,
        instead: T,
    ) -> Marked<T> {
        let found = self.get(cx, key);
        found.unwrap_or_else(|| Marked::new(instead, self.span_of(key)))
    }

    /// The array under `key` or its default; values that occur twice are reported, unless the row is of
    /// [`Kind::Array`]. `None` as in
    /// [`Reader::get`]; wrong items are left out.
    pub(super) fn list<T: FromDatum + Eq + Hash + Clone>(
        &self,
        cx: &mut Context<'_>,
        key: &str,
    ) -> Option<Vec<Marked<T>>> {
        let row = self.row(key);
        let (Kind::List(kind, min) | Kind::Array(kind, min)) = row.kind else {
            panic!("option row `{}` is no list", row.path)
        };
        let may_repeat = matches!(row.kind, Kind::Array(..));
        let found = self.find(cx, key, row)?;
        let Value::Array(items) = found.value else {
            let example = format!("write `{key} = {}`", row.example);
            cx.push(
                Diagnostic::error(
                    found.span,
                    format!(
                        "{} must be an array, but it is {}",
                        self.name_of(key),
                        found.value.kind()
                    ),
                )
                .help(example),
            );
            return None;
        };
        if items.len() < min {
            self.too_few(cx, key, found.span, items.len(), min);
            return None;
        }
        let mut values: Vec<Marked<T>> = Vec::new();
        let mut places: HashMap<T, Span> = HashMap::new();
        for item in items {
            // A default has no place of its own: its items stand where the table does.
            let item = Found {
                value: &item.value,
                span: if self.has(key) { item.span } else { found.span },
            };
            let Some(value) = self.value::<T>(cx, item, kind, &|| self.name_of(key)) else {
                continue;
            };
            if let Some(first) = places.get(&value.value) {
                let text = cx.text_of(value.span);
                cx.push(
                    Diagnostic::error(
                        value.span,
                        format!("{} has `{text}` twice", self.name_of(key)),
                    )
                    .label("again here")
                    .related(*first, "first here")
                    .help("remove one of the two"),
                );
                continue;
            }
            if items.len() > 1 && !may_repeat {
                places.insert(value.value.clone(), value.span);
            }
            values.push(value);
        }
        Some(values)
    }

    fn too_few(&self, cx: &mut Context<'_>, key: &str, span: Span, count: usize, min: usize) {
        let what = self.name_of(key);
        cx.absence(Diagnostic::error(
            span,
            format!("{what} has {count} items; the smallest allowed number is {min}"),
        ));
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
            "UPSTREAM" => Some("upstreams"),
            "REGION" => Some("regions"),
            "NODE" => Some("nodes"),
            _ => None,
        };
        let mut values = Vec::new();
        for entry in inner.entries() {
            let good = match of {
                Some(kind) => {
                    let user = || self.name_of(key);
                    cx.check_reference(kind, &entry.key, entry.key_span, user)
                }
                // Checked by whoever knows what it may be.
                None if placeholder == "WHAT" || is_header(&entry.key) => true,
                None => {
                    let user = self.name_of(key);
                    cx.error(
                        entry.key_span,
                        format!("{user} has `{}`, which is not a header name", entry.key),
                    );
                    false
                }
            };
            let found = Found {
                value: &entry.node.value,
                span: entry.node.span,
            };
            let what = || inner.name_of(&entry.key);
            if let Some(value) = inner.value::<T>(cx, found, &row.kind, &what)
                && good
            {
                values.push((Marked::new(entry.key.clone(), entry.key_span), value.value));
            }
        }
        values
    }

    /// The array of tables under `key`; each comes with its subject, made by `name` from its position
    /// (from 1) and its table.
    pub(super) fn tables<S: Into<Subject<'t>>>(
        &self,
        cx: &mut Context<'_>,
        key: &str,
        name: impl Fn(usize, &'t Table) -> S,
    ) -> Vec<Reader<'t>> {
        let section = options::section(&format!("{}.{key}[]", self.section.path));
        self.tables_like(cx, key, section, name)
    }

    /// As [`Reader::tables`], for tables whose rows are those of `section`: ones that nest.
    pub(super) fn tables_like<S: Into<Subject<'t>>>(
        &self,
        cx: &mut Context<'_>,
        key: &str,
        section: &'static Section,
        name: impl Fn(usize, &'t Table) -> S,
    ) -> Vec<Reader<'t>> {
        let row = self.row(key);
        let Some(found) = self.find(cx, key, row) else {
            return Vec::new();
        };
        let Value::Array(items) = found.value else {
            let message = format!(
                "{} must be {}, but it is {}",
                self.name_of(key),
                noun(&row.kind),
                found.value.kind()
            );
            cx.error(found.span, message);
            return Vec::new();
        };
        if let Kind::Tables(min) = row.kind
            && items.len() < min
        {
            self.too_few(cx, key, found.span, items.len(), min);
        }
        let mut readers = Vec::with_capacity(items.len());
        for (at, item) in items.iter().enumerate() {
            let Value::Table(table) = &item.value else {
                let help = match &item.value {
                    Value::String(word) => format!("write `{{ {word} = {{}} }}`"),
                    _ => format!("write `{key} = {}`", row.example),
                };
                let message = format!(
                    "item {} of {} must be a table, but it is {}",
                    at + 1,
                    self.name_of(key),
                    item.value.kind()
                );
                cx.push(Diagnostic::error(item.span, message).help(help));
                continue;
            };
            readers.push(Reader::new(cx, table, section, name(at + 1, table).into()));
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
            self.subject.to_string()
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
            [] if kinds.iter().any(|k| self.misspelt.contains(k)) => None,
            [] => {
                cx.absence(
                    Diagnostic::error(self.span(), format!("{place} has no {word}"))
                        .help(format!("give exactly one of {all}")),
                );
                None
            }
            _ => {
                let spans: Vec<Span> = self
                    .entries()
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
                cx.push(d);
                None
            }
        }
    }
}
