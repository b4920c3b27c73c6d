//! The access log: one line per exchange.

use std::path::PathBuf;

/// Where and how a listener's exchanges are written down.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AccessLog {
    /// Where the lines go.
    pub to: LogTarget,
    /// What a line looks like.
    pub format: LogFormat,
    /// Of successful exchanges so many in 10,000 are written; those that failed always are.
    pub sample: u32,
}

/// Where lines go.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum LogTarget {
    /// Standard output.
    Stdout,
    /// A file, which is opened again when it was moved away.
    File(PathBuf),
}

impl std::fmt::Display for LogTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            LogTarget::Stdout => f.write_str("stdout"),
            LogTarget::File(path) => path.display().fmt(f),
        }
    }
}

/// What a line looks like.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum LogFormat {
    /// One JSON object.
    #[default]
    Json,
    /// The combined format of Apache and nginx.
    Combined,
}
