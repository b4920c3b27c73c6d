//! A page in Prometheus text format.

use std::fmt::{Display, Write};

/// The page, as far as it is written.
#[derive(Debug, Default)]
pub struct Page(String);

/// Something that has metrics of its own.
pub trait Metrics: Send + Sync {
    /// Writes them.
    fn render(&self, page: &mut Page);
}

impl Page {
    /// An empty page with this much room.
    pub fn with_capacity(octets: usize) -> Page {
        Page(String::with_capacity(octets))
    }

    /// Begins a family; its samples follow.
    pub fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// One sample. `labels` are written, with their values escaped; empty: none.
    pub fn sample(&mut self, name: &str, labels: &str, value: impl Display) {
        let _ = if labels.is_empty() {
            writeln!(self.0, "{name} {value}")
        } else {
            writeln!(self.0, "{name}{{{labels}}} {value}")
        };
    }

    /// The text.
    pub fn into_text(self) -> String {
        self.0
    }
}

/// Escapes a label value.
pub fn escape(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}
