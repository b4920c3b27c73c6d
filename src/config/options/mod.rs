//! The option table: one row per option drives parsing, range checks, defaults, the detection of
//! unknown keys and the reference page.

mod page;
mod rows;

pub use page::reference_page;
pub use rows::ROWS;

use std::collections::HashMap;
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
    /// A status code or a range of them.
    Status,
    /// An array of at least so many different values.
    List(&'static Kind, usize),
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

/// The row of `path`.
pub fn row(path: &str) -> Option<&'static OptionRow> {
    static BY_PATH: LazyLock<HashMap<&'static str, &'static OptionRow>> =
        LazyLock::new(|| ROWS.iter().map(|r| (r.path, r)).collect());
    BY_PATH.get(path).copied()
}

/// The keys that may stand directly in the table at `path` (empty: the whole file). A key in
/// capitals stands for any name the user chooses.
pub fn keys_of(path: &str) -> &'static [&'static str] {
    static BY_TABLE: LazyLock<HashMap<&'static str, Vec<&'static str>>> = LazyLock::new(by_table);
    BY_TABLE.get(path).map_or(&[], Vec::as_slice)
}

/// The keys of every table that the rows imply, in the order of the rows.
fn by_table() -> HashMap<&'static str, Vec<&'static str>> {
    let mut tables: HashMap<&'static str, Vec<&'static str>> = HashMap::new();
    for row in ROWS {
        let dots = row.path.match_indices('.').map(|(at, _)| at);
        for end in dots.chain([row.path.len()]) {
            let (table, key) = match row.path[..end].rsplit_once('.') {
                Some((table, key)) => (table, key),
                None => ("", &row.path[..end]),
            };
            let key = key.strip_suffix("[]").unwrap_or(key);
            let keys = tables.entry(table).or_default();
            if !keys.contains(&key) {
                keys.push(key);
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
