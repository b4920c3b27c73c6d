//! The configuration in force, option by option: what each is, and which line of which file says so.
//!
//! Built from the merged files before they are read into a [`Spec`], kept small, and shown a
//! page at a time: a configuration may have 100,000 endpoints. Secrets are not in it.

mod defaults;
mod page;

use super::options;
use super::overlay::Overlay;
use super::secret;
use super::spec::Spec;
use super::tree::{Node, Table, Value};
use super::{FileId, Sources, Span};

pub use page::{NoSuchPath, Page, Row, Said, Setting};

/// What stands in the place of a secret.
const SECRET: &str = "\"(secret)\"";

/// Every option that the files give, and which defaults stand beside them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Effective {
    /// Paths of the files.
    files: Vec<Box<str>>,
    /// Tables and values, each table before what is in it.
    items: Vec<Item>,
    /// Keys, and values as TOML.
    text: String,
    /// Where tables stand, with capitals for names that the user chooses.
    places: Vec<Box<str>>,
    /// What the command line says instead: path and TOML value.
    replaced: Vec<(String, String)>,
}

/// A table, an array of tables, or a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Item {
    /// Its key, in [`Effective::text`]; empty in an array.
    key: (u32, u32),
    /// Its value there; empty: it is a table or an array of tables.
    value: (u32, u32),
    /// Position in [`Effective::places`]; of tables.
    place: u16,
    file: u16,
    line: u32,
    /// One past the last item in it.
    end: u32,
    /// Rows that it makes, defaults among them.
    rows: u32,
    shape: Shape,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Shape {
    Table,
    Tables,
    Value,
}

impl Effective {
    /// What `root` says.
    pub(super) fn of(root: &Table, sources: &Sources) -> Effective {
        let mut builder = Builder {
            made: Effective::default(),
            sources,
        };
        builder.table("", (0, 0), root, root.span);
        let mut made = builder.made;
        made.items.shrink_to_fit();
        made.text.shrink_to_fit();
        made
    }

    /// Takes in what the command line replaces in `spec`, to which it was applied already.
    pub fn overlaid(&mut self, overlay: &Overlay, spec: &Spec) {
        let mut say = |path: String, value: String| self.replaced.push((path, value));
        let quoted = |text: &dyn std::fmt::Display| format!("{:?}", text.to_string());
        for node in &spec.nodes {
            let table = format!("nodes.{}", page::key_text(&node.name.value));
            if overlay.dns_port.is_some() && !node.dns_listen.is_empty() {
                let all: Vec<String> = node.dns_listen.iter().map(|l| quoted(&l.value)).collect();
                say(
                    format!("{table}.dns.listen"),
                    format!("[{}]", all.join(", ")),
                );
            }
            if let (Some(_), Some(listen)) = (overlay.admin_port, &node.admin_listen) {
                say(format!("{table}.admin.listen"), quoted(&listen.value));
            }
            if let Some(dir) = &overlay.state_dir {
                say(format!("{table}.state-dir"), quoted(&dir.display()));
            }
        }
        if overlay.endpoint_ports.is_empty() {
            return;
        }
        for pool in &spec.pools {
            for (i, endpoint) in pool.endpoints.iter().enumerate() {
                if let Some(port) = overlay.endpoint_ports.get(&endpoint.name.value) {
                    let table = page::key_text(&pool.name.value);
                    say(
                        format!("pools.{table}.endpoints[{i}].port"),
                        port.to_string(),
                    );
                }
            }
        }
    }

    fn text_at(&self, (start, end): (u32, u32)) -> &str {
        self.text.get(start as usize..end as usize).unwrap_or("")
    }

    /// The items that lie directly in the one at `at`.
    fn children(&self, at: usize) -> impl Iterator<Item = usize> + '_ {
        let end = self.items[at].end as usize;
        let mut next = at + 1;
        std::iter::from_fn(move || {
            let this = next;
            (this < end).then(|| {
                next = self.items[this].end as usize;
                this
            })
        })
    }

    /// Whether `key` stands in a table; also in the last one while it is built.
    fn has(&self, table: usize, key: &str) -> bool {
        let end = match self.items[table].end as usize {
            0 => self.items.len(),
            end => end,
        };
        let mut next = table + 1;
        while next < end {
            if self.text_at(self.items[next].key) == key {
                return true;
            }
            next = self.items[next].end as usize;
        }
        false
    }
}

struct Builder<'s> {
    made: Effective,
    sources: &'s Sources,
}

impl Builder<'_> {
    fn table(&mut self, place: &str, key: (u32, u32), table: &Table, span: Span) {
        let at = self.begin(place, key, span, Shape::Table);
        let section = options::section(place);
        for entry in &table.entries {
            let key = self.keep(&entry.key);
            let row_key = defaults::row_key(section, &entry.key);
            let row = section.row(row_key);
            if secret::is_secret(row, &entry.key) {
                let value = self.keep(SECRET);
                self.value(key, value, entry.key_span);
                continue;
            }
            let below = || match place {
                "" => row_key.to_owned(),
                _ => format!("{place}.{row_key}"),
            };
            // The line of the key, not of a brace.
            self.node(&below, key, &entry.node, entry.key_span);
        }
        let own = defaults::of(place);
        let missing = own.iter().filter(|d| !self.made.has(at, d.key)).count();
        self.end(at, missing);
    }

    /// A value that stands at `place`, which is asked for only where there is more below it.
    fn node(&mut self, place: &dyn Fn() -> String, key: (u32, u32), node: &Node, span: Span) {
        let is_table = |n: &Node| matches!(n.value, Value::Table(_));
        match &node.value {
            Value::Table(table) => self.table(&place(), key, table, span),
            Value::Array(items) if items.iter().any(is_table) => {
                let place = format!("{}[]", place());
                let at = self.begin(&place, key, span, Shape::Tables);
                for item in items {
                    self.node(&|| place.clone(), (0, 0), item, item.span);
                }
                self.end(at, 0);
            }
            _ => {
                let range = self.sources.clamp(node.span);
                let text = &self.sources.text(node.span.file)[range];
                let value = self.keep(text);
                self.value(key, value, span);
            }
        }
    }

    fn begin(&mut self, place: &str, key: (u32, u32), span: Span, shape: Shape) -> usize {
        let places = &mut self.made.places;
        let known = places.iter().rposition(|p| **p == *place);
        let place = known.unwrap_or_else(|| {
            places.push(place.into());
            places.len() - 1
        });
        let (file, line) = self.whence(span);
        self.made.items.push(Item {
            key,
            value: (0, 0),
            place: u16::try_from(place).unwrap_or(u16::MAX),
            file,
            line,
            end: 0,
            rows: 0,
            shape,
        });
        self.made.items.len() - 1
    }

    fn end(&mut self, at: usize, defaults: usize) {
        let end = self.made.items.len();
        self.made.items[at].end = number(end);
        let rows: usize = self
            .made
            .children(at)
            .map(|c| self.made.items[c].rows as usize)
            .sum();
        // An empty table says something, too: `tcp = {}`.
        let rows = (rows + defaults).max(1);
        self.made.items[at].rows = number(rows);
    }

    fn value(&mut self, key: (u32, u32), value: (u32, u32), span: Span) {
        let (file, line) = self.whence(span);
        let end = number(self.made.items.len() + 1);
        self.made.items.push(Item {
            key,
            value,
            place: 0,
            file,
            line,
            end,
            rows: 1,
            shape: Shape::Value,
        });
    }

    fn whence(&mut self, span: Span) -> (u16, u32) {
        let FileId(file) = span.file;
        while self.made.files.len() <= file as usize {
            let path = self.sources.path(FileId(number(self.made.files.len())));
            self.made.files.push(path.display().to_string().into());
        }
        let line = self.sources.line_col(span).line;
        (u16::try_from(file).unwrap_or(u16::MAX), number(line))
    }

    fn keep(&mut self, text: &str) -> (u32, u32) {
        let start = self.made.text.len();
        self.made.text.push_str(text);
        (number(start), number(self.made.text.len()))
    }
}

/// 32 bits: a configuration of 4 GiB is none.
fn number(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
