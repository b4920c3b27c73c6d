//! Gathers diagnostics.

use crate::config::{Diagnostic, Severity, Span};

/// The problems found so far.
#[derive(Debug, Default)]
pub(super) struct Problems {
    found: Vec<Diagnostic>,
    dangling: bool,
}

impl Problems {
    /// An error at `span`.
    pub(super) fn error(&mut self, span: Span, message: impl Into<String>) -> &mut Diagnostic {
        self.push(Diagnostic::error(span, message))
    }

    /// An error of the configuration as a whole.
    pub(super) fn general(&mut self, message: impl Into<String>) -> &mut Diagnostic {
        self.push(Diagnostic::error(None, message))
    }

    /// A warning at `span`.
    pub(super) fn warning(&mut self, span: Span, message: impl Into<String>) -> &mut Diagnostic {
        self.push(Diagnostic::warning(span, message))
    }

    /// Something refers to an object that is missing or could not be read. `config` has said so, with
    /// place and nearest name; here it only keeps the result from being used.
    pub(super) fn dangling(&mut self) {
        self.dangling = true;
    }

    /// Adds a finished diagnostic.
    pub(super) fn push(&mut self, d: Diagnostic) -> &mut Diagnostic {
        self.found.push(d);
        let last = self.found.len() - 1;
        &mut self.found[last]
    }

    /// Whether this was said of this place.
    pub(super) fn has(&self, span: Span, message: &str) -> bool {
        let mut found = self.found.iter();
        found.any(|d| d.span == Some(span) && d.message == message)
    }

    /// Whether any is an error, or something refers to nothing.
    pub(super) fn any_error(&self) -> bool {
        self.dangling || self.found.iter().any(|d| d.severity == Severity::Error)
    }

    /// All of them.
    pub(super) fn finish(self) -> Vec<Diagnostic> {
        self.found
    }
}
