//! The defaults that stand in a table, from the option rows.

use std::sync::LazyLock;

use hashbrown::HashMap;

use crate::config::options::{self, Kind, Presence, ROWS, Section};

/// A default.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Default {
    /// The key in the table that must be missing for it to count.
    pub(super) key: &'static str,
    /// Its path from the table on: the key, or within a table that is not there either.
    pub(super) path: String,
    /// As TOML.
    pub(super) value: &'static str,
}

/// What `key` of a table is called among the option rows.
pub(super) fn row_key<'k>(section: &Section, key: &'k str) -> &'k str {
    if section.keys.contains(&key) {
        return key;
    }
    let placeholder = section.keys.iter().find(|k| options::is_placeholder(k));
    placeholder.copied().unwrap_or(key)
}

/// The defaults of the table at `place`.
pub(super) fn of(place: &str) -> &'static [Default] {
    static BY_PLACE: LazyLock<HashMap<&'static str, Vec<Default>>> = LazyLock::new(|| {
        let mut tables: HashMap<&'static str, Vec<Default>> = HashMap::new();
        tables.insert("", of_table(""));
        for row in ROWS {
            for (at, _) in row.path.match_indices('.') {
                let table = &row.path[..at];
                tables.entry(table).or_insert_with(|| of_table(table));
            }
        }
        tables
    });
    BY_PLACE.get(place).map_or(&[], Vec::as_slice)
}

fn of_table(place: &'static str) -> Vec<Default> {
    let section = options::section(place);
    let mut all = Vec::new();
    for key in section.keys.iter().copied() {
        if options::is_placeholder(key) {
            continue;
        }
        match section.row(key) {
            Some(row) => {
                let tables = matches!(row.kind, Kind::Table | Kind::Tables(_));
                if let (false, Presence::Default(value)) = (tables, row.presence) {
                    all.push(Default {
                        key,
                        path: key.to_owned(),
                        value,
                    });
                }
            }
            // A table that nobody has to write for its defaults to stand.
            None => {
                let inner = match place {
                    "" => key.to_owned(),
                    _ => format!("{place}.{key}"),
                };
                let known = ROWS.iter().map(|r| r.path);
                let Some(path) = known.into_iter().find(|p| {
                    p.strip_prefix(&*inner)
                        .is_some_and(|rest| rest.starts_with('.'))
                }) else {
                    continue;
                };
                let within = of_table(&path[..inner.len()]);
                all.extend(within.into_iter().map(|d| Default {
                    key,
                    path: format!("{key}.{}", d.path),
                    value: d.value,
                }));
            }
        }
    }
    all
}
