//! The option table: one row per option drives parsing, range checks, defaults, the detection of
//! unknown keys and the reference page.

mod page;
mod rows;

pub use page::reference_page;
pub use rows::ROWS;

use hashbrown::HashMap;
use std::sync::LazyLock;
use std::time::Duration;

/// What a value must be.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// A whole number in the range.
    Integer(i64, i64),
    /// A number in the range, with its unit.
    Number(f64, f64, &'static str),
    /// A duration string in the range; whole seconds only when the flag is set.
    Duration(Duration, Duration, bool),
    /// A distance string in the range, in kilometres.
    Distance(f64, f64),
    /// A size string in the range, in bytes.
    Size(u64, u64),
    /// A percentage string in the range.
    Percent(u32, u32),
    /// Text that is not empty.
    Text,
    /// Text of at most so many octets, perhaps empty.
    Phrase(usize),
    /// At most so many octets, written as text with escapes such as `\r` and `\xFF`.
    Octets(usize),
    /// A DNS record type.
    Rtype,
    /// 32 hexadecimal digits that nobody is shown.
    Secret,
    /// Text starting with `/`.
    UrlPath,
    /// An HTTP token (a method or a header name).
    Token,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A new object's name: letters, digits, `-` and `_`, at most 63.
    NewName,
    /// The name of an object of this kind (a top-level table, or `endpoints`).
    Ref(&'static str),
    /// An IPv4 or IPv6 address that a client can be sent to.
    Address,
    /// `ADDRESS:PORT`.
    Socket,
    /// An address with the prefix length of its network, such as `192.0.2.10/24`.
    HostAddress,
    /// The name of a network interface.
    LinkName,
    /// A network such as `192.0.2.0/24`.
    Network,
    /// A domain name.
    Domain,
    /// A path, relative to the file that says it.
    Path,
    /// A two-letter country code.
    Country,
    /// A subdivision such as `US-CA`.
    Subdivision,
    /// `"majority"`, a percentage string, or a number.
    Quorum,
    /// A status code or a range of them.
    Status,
    /// An array of at least so many different values.
    List(&'static Kind, usize),
    /// An array of at least so many values, of which several may be the same.
    Array(&'static Kind, usize),
    /// A table whose keys are rows of their own.
    Table,
    /// An array of at least so many tables whose keys are rows of their own.
    Tables(usize),
}

/// Whether an option must be given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Presence {
    /// It must.
    Required,
    /// It need not; the text says what its absence means.
    Optional(&'static str),
    /// Its default, as TOML.
    Default(&'static str),
}

/// When a change takes effect.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Applies {
    /// With the next reload.
    Reload,
    /// With the next start.
    Restart,
}

/// One option.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct OptionRow {
    /// Where it stands: capitals are names the user chooses, `[]` is an array of tables.
    pub path: &'static str,
    /// What it must be.
    pub kind: Kind,
    /// Whether it must be given.
    pub presence: Presence,
    /// When a change takes effect.
    pub applies: Applies,
    /// What it does.
    pub doc: &'static str,
    /// A value, as TOML.
    pub example: &'static str,
}

/// The options of one table, looked up once for all of its keys.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Section {
    /// Where the table stands (empty: the whole file).
    pub path: &'static str,
    /// The keys that may stand directly in it. A key in capitals stands for any name the user chooses.
    pub keys: Vec<&'static str>,
    /// The rows of those keys that have one.
    rows: Vec<(&'static str, &'static OptionRow)>,
}

impl Section {
    /// The row of `key`.
    pub fn row(&self, key: &str) -> Option<&'static OptionRow> {
        let found = self.rows.iter().find(|(k, _)| *k == key);
        found.map(|(_, row)| *row)
    }
}

/// The section of the table at `path`; an empty one where no row stands in such a table.
pub fn section(path: &str) -> &'static Section {
    static BY_TABLE: LazyLock<HashMap<&'static str, Section>> = LazyLock::new(by_table);
    static NONE: LazyLock<Section> = LazyLock::new(Section::default);
    BY_TABLE.get(path).unwrap_or_else(|| &*NONE)
}

/// The keys that may stand directly in the table at `path`.
pub fn keys_of(path: &str) -> &'static [&'static str] {
    &section(path).keys
}

/// The section of every table that the rows imply, keys in the order of the rows.
fn by_table() -> HashMap<&'static str, Section> {
    let mut tables: HashMap<&'static str, Section> = HashMap::new();
    for row in ROWS {
        let dots = row.path.match_indices('.').map(|(at, _)| at);
        for end in dots.chain([row.path.len()]) {
            let (table, key) = match row.path[..end].rsplit_once('.') {
                Some((table, key)) => (table, key),
                None => ("", &row.path[..end]),
            };
            let section = tables.entry(table).or_default();
            section.path = table;
            if end == row.path.len() {
                section.rows.push((key, row));
            }
            let key = key.strip_suffix("[]").unwrap_or(key);
            if !section.keys.contains(&key) {
                section.keys.push(key);
            }
        }
    }
    tables
}

/// Whether a path component stands for any name.
pub fn is_placeholder(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|b| b.is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_unique_and_told() {
        for (i, row) in ROWS.iter().enumerate() {
            assert!(
                !row.doc.is_empty() && row.doc.ends_with('.'),
                "{}",
                row.path
            );
            assert!(!row.example.is_empty(), "{}", row.path);
            assert!(
                ROWS[..i].iter().all(|r| r.path != row.path),
                "{} twice",
                row.path
            );
        }
    }

    #[test]
    fn keys_of_tables() {
        assert!(keys_of("").contains(&"monitors"));
        assert_eq!(keys_of("monitors"), ["NAME"]);
        assert!(keys_of("monitors.NAME").contains(&"http"));
        assert_eq!(keys_of("names.NAME.weights"), ["POOL"]);
        assert!(keys_of("pools.NAME.endpoints[]").contains(&"cname"));
        assert!(keys_of("pools.NAME.endpoints").is_empty());
        assert!(is_placeholder("NAME") && !is_placeholder("tcp"));
    }
}
