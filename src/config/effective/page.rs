//! The configuration in force, a page at a time.

use crate::config::tree::{Value, parse_value};

use super::{Effective, Shape, defaults};

/// One option.
#[derive(Clone, PartialEq, Debug)]
pub struct Row {
    /// Where it stands: `pools.eu.endpoints[0].address`; names that are no bare keys are quoted.
    pub path: String,
    /// What it is.
    pub value: Setting,
    /// Who says so.
    pub said: Said,
}

/// What an option is.
#[derive(Clone, PartialEq, Debug)]
pub enum Setting {
    /// Text, also durations, sizes and shares.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// A number.
    Number(f64),
    /// Yes or no.
    Flag(bool),
    /// Several.
    List(Vec<Setting>),
    /// A table without entries.
    Empty,
}

/// Who says what an option is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Said {
    /// A line, counted from 1, of a file.
    File(String, u32),
    /// Nobody: it is the default.
    Default,
    /// The command line.
    CommandLine,
}

/// Some of the rows.
#[derive(Clone, PartialEq, Debug)]
pub struct Page {
    /// Those, in the order of the files; the defaults of a table after what stands in it.
    pub rows: Vec<Row>,
    /// All that there are.
    pub total: usize,
    /// How many come before the next page; `None`: this is the last.
    pub next: Option<usize>,
}

/// There is nothing at a path; the keys that stand where it fails.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NoSuchPath {
    /// Paths that there are.
    pub known: Vec<String>,
}

impl Effective {
    /// The rows at `path` (empty: all) without the first `skip`, `limit` at most.
    ///
    /// # Errors
    /// When nothing stands at `path`.
    pub fn page(&self, path: &str, skip: usize, limit: usize) -> Result<Page, NoSuchPath> {
        if self.items.is_empty() {
            return Ok(Page {
                rows: Vec::new(),
                total: 0,
                next: None,
            });
        }
        let (at, found) = self.find(path)?;
        let extra = self.unwritten(path);
        let written = self.items[at].rows as usize;
        let total = written + extra.len();
        let mut walk = Walk {
            of: self,
            skip,
            left: limit,
            rows: Vec::new(),
        };
        walk.item(at, &found);
        for (path, value) in extra {
            walk.row(|| Row {
                path: path.clone(),
                value: setting_of(value),
                said: Said::CommandLine,
            });
        }
        let end = skip.saturating_add(walk.rows.len());
        Ok(Page {
            next: (end < total && !walk.rows.is_empty()).then_some(end),
            rows: walk.rows,
            total,
        })
    }

    /// The item at a path, and its path in full.
    fn find(&self, path: &str) -> Result<(usize, String), NoSuchPath> {
        let (mut at, mut here) = (0, String::new());
        while here != path {
            let mut known = Vec::new();
            let mut found = None;
            for (i, child) in self.children(at).enumerate() {
                let name = self.path_of(&here, child, i);
                let within = path
                    .strip_prefix(&*name)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']));
                if within {
                    found = Some((child, name));
                    break;
                }
                if known.len() < 1_000 {
                    known.push(name);
                }
            }
            (at, here) = found.ok_or(NoSuchPath { known })?;
        }
        Ok((at, here))
    }

    fn path_of(&self, parent: &str, child: usize, index: usize) -> String {
        let key = self.text_at(self.items[child].key);
        match (key, parent) {
            ("", _) => format!("{parent}[{index}]"),
            (key, "") => key_text(key),
            (key, _) => format!("{parent}.{}", key_text(key)),
        }
    }

    fn replacement(&self, path: &str) -> Option<&str> {
        let found = self.replaced.iter().find(|(p, _)| p == path)?;
        Some(&found.1)
    }

    /// What the command line says and no file, nor a default.
    fn unwritten(&self, path: &str) -> Vec<&(String, String)> {
        let within = |p: &str| {
            path.is_empty()
                || p.strip_prefix(path)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        let unknown = |p: &str| self.find(p).is_err() && !self.is_default(p);
        let all = self.replaced.iter();
        all.filter(|(p, _)| within(p) && unknown(p)).collect()
    }

    /// Whether a default stands at a path of which the table is there.
    fn is_default(&self, path: &str) -> bool {
        let Some((table, key)) = path.rsplit_once('.') else {
            return false;
        };
        self.find(table).is_ok_and(|(at, _)| {
            let place = &self.places[usize::from(self.items[at].place)];
            defaults::of(place).iter().any(|d| d.path == key)
        })
    }
}

struct Walk<'e> {
    of: &'e Effective,
    skip: usize,
    left: usize,
    rows: Vec<Row>,
}

impl Walk<'_> {
    fn row(&mut self, make: impl FnOnce() -> Row) {
        if self.skip > 0 {
            self.skip -= 1;
        } else if self.left > 0 {
            self.left -= 1;
            self.rows.push(make());
        }
    }

    fn item(&mut self, at: usize, path: &str) {
        let item = self.of.items[at];
        if self.left == 0 {
            return;
        }
        if item.rows as usize <= self.skip {
            self.skip -= item.rows as usize;
            return;
        }
        let said = || {
            let file = self.of.files.get(usize::from(item.file));
            Said::File(file.map(ToString::to_string).unwrap_or_default(), item.line)
        };
        if item.shape == Shape::Value {
            let row = match self.of.replacement(path) {
                Some(value) => Row {
                    path: path.to_owned(),
                    value: setting_of(value),
                    said: Said::CommandLine,
                },
                None => Row {
                    path: path.to_owned(),
                    value: setting_of(self.of.text_at(item.value)),
                    said: said(),
                },
            };
            return self.row(|| row);
        }
        let before = (self.skip, self.left);
        for (i, child) in self.of.children(at).enumerate() {
            if self.left == 0 {
                return;
            }
            // Its path only where it is shown.
            if self.of.items[child].rows as usize <= self.skip {
                self.skip -= self.of.items[child].rows as usize;
                continue;
            }
            let path = self.of.path_of(path, child, i);
            self.item(child, &path);
        }
        let mut own = 0;
        if item.shape == Shape::Table {
            let place = &self.of.places[usize::from(item.place)];
            for default in defaults::of(place) {
                if self.of.has(at, default.key) {
                    continue;
                }
                own += 1;
                let path = match path {
                    "" => default.path.clone(),
                    _ => format!("{path}.{}", default.path),
                };
                let of = self.of;
                self.row(|| match of.replacement(&path) {
                    Some(value) => Row {
                        value: setting_of(value),
                        said: Said::CommandLine,
                        path,
                    },
                    None => Row {
                        value: setting_of(default.value),
                        said: Said::Default,
                        path,
                    },
                });
            }
        }
        let nothing = own == 0 && item.end as usize == at + 1;
        if nothing && before == (self.skip, self.left) && !path.is_empty() {
            let said = Said::File(
                self.of
                    .files
                    .get(usize::from(item.file))
                    .map(ToString::to_string)
                    .unwrap_or_default(),
                item.line,
            );
            self.row(|| Row {
                path: path.to_owned(),
                value: Setting::Empty,
                said,
            });
        }
    }
}

/// A key as TOML has it: quoted where it is no bare one.
pub(super) fn key_text(key: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    match !key.is_empty() && key.chars().all(bare) {
        true => key.to_owned(),
        false => format!("{key:?}"),
    }
}

/// What a TOML value is; the text itself where it cannot be read.
fn setting_of(toml: &str) -> Setting {
    match parse_value(toml) {
        Some(node) => of_value(node.value),
        None => Setting::Text(toml.to_owned()),
    }
}

fn of_value(value: Value) -> Setting {
    match value {
        Value::String(text) => Setting::Text(text),
        Value::Integer(number) => Setting::Integer(number.unwrap_or(i64::MAX)),
        Value::Float(number) => Setting::Number(number),
        Value::Boolean(flag) => Setting::Flag(flag),
        // No option is one.
        Value::Datetime => Setting::Text(String::new()),
        Value::Array(items) => {
            Setting::List(items.into_iter().map(|i| of_value(i.value)).collect())
        }
        Value::Table(_) => Setting::Empty,
    }
}
