//! What can be wrong with an own-networks file, in words for the person who wrote it.

use std::fmt;

use crate::net::{Prefix, prefix::PrefixError};

/// The columns, in the order in which messages list them.
pub const COLUMNS: [&str; 8] = [
    "network",
    "continent",
    "country",
    "subdivision",
    "latitude",
    "longitude",
    "asn",
    "place",
];

/// All that is wrong with an own-networks file, in the order of its lines. Never empty.
#[derive(Clone, PartialEq, Debug)]
pub struct NetworksErrors(pub Vec<NetworksError>);

impl fmt::Display for NetworksErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, error) in self.0.iter().enumerate() {
            if n > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for NetworksErrors {}

/// One thing wrong, and where.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
#[error("{line}:{column}: {problem}")]
pub struct NetworksError {
    /// Line, counted from 1.
    pub line: usize,
    /// Column in characters, counted from 1.
    pub column: usize,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong with a place in the file.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum Problem {
    /// The bytes are not UTF-8.
    #[error("the line is not UTF-8 text; save the file as UTF-8")]
    Encoding,
    /// No header line.
    #[error(
        "the file has no header; its first line must name the columns, such as `network,country,latitude,longitude`"
    )]
    NoHeader,
    /// A header without `network`.
    #[error("the header has no column `network`, which every file needs")]
    NoNetworkColumn,
    /// A column that does not exist.
    #[error("unknown column `{name}`; {}", suggestion(.name))]
    UnknownColumn {
        /// The name found.
        name: String,
    },
    /// The same column twice.
    #[error("column `{name}` is named twice, the first time as column number {first}")]
    RepeatedColumn {
        /// The name.
        name: String,
        /// Number of the first, counted from 1.
        first: usize,
    },
    /// More or fewer fields than columns.
    #[error(
        "{found} fields, but the header names {columns} columns; put a field with a comma in double quotes, leave an unknown field empty"
    )]
    FieldCount {
        /// Fields of the line.
        found: usize,
        /// Columns of the header.
        columns: usize,
    },
    /// Quotes that do not close or stand inside a field.
    #[error(
        "a quoted field must begin and end with a double quote on one line, and a quote inside it is written twice"
    )]
    Quotes,
    /// The network is empty.
    #[error("the network is missing; write a prefix such as `192.0.2.0/24`")]
    NoNetwork,
    /// The network does not parse.
    #[error("network: {0}")]
    Network(PrefixError),
    /// The same network twice.
    #[error("network `{prefix}` is already given in line {first}; keep one of the two lines")]
    Duplicate {
        /// The network.
        prefix: Prefix,
        /// The line of the first.
        first: usize,
    },
    /// A value that its column does not take.
    #[error("{column} `{value}` is not {rule}")]
    Value {
        /// The column.
        column: &'static str,
        /// The text found.
        value: String,
        /// What the column takes.
        rule: &'static str,
    },
    /// One coordinate without the other.
    #[error("{given} is given without {missing}; give both or neither")]
    HalfPoint {
        /// The column with a value.
        given: &'static str,
        /// The column without.
        missing: &'static str,
    },
}

fn suggestion(name: &str) -> String {
    let near = COLUMNS
        .iter()
        .map(|c| (strsim::damerau_levenshtein(c, &name.to_lowercase()), *c))
        .min()
        .filter(|(distance, _)| *distance <= 2);
    match near {
        Some((_, column)) => format!("did you mean `{column}`?"),
        None => format!("the columns are {}", COLUMNS.join(", ")),
    }
}
