//! Gathers diagnostics.

use crate::config::spec::Declared;
use crate::config::nearest;
use crate::config::{Diagnostic, Severity, Span};

/// The problems found so far.
#[derive(Debug)]
pub(super) struct Problems<'s> {
    found: Vec<Diagnostic>,
    declared: &'s Declared,
}

impl<'s> Problems<'s> {
    /// None yet, in a configuration with these names.
    pub(super) fn new(declared: &'s Declared) -> Problems<'s> {
        Problems { found: Vec::new(), declared }
    }

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

    /// An error: `what` refers to a `kind` that does not exist; with the nearest name that does.
    pub(super) fn unknown<'n>(
        &mut self,
        span: Span,
        what: &str,
        kind: &str,
        name: &str,
        known: impl IntoIterator<Item = &'n str>,
    ) {
        let declared = match kind {
            "region" => &self.declared.regions,
            "monitor" => &self.declared.monitors,
            "policy" => &self.declared.policies,
            _ => &self.declared.pools,
        };
        if declared.contains(name) {
            // It is there, but has errors of its own, which are reported.
            return;
        }
        let known: Vec<&str> = known.into_iter().collect();
        let help = match nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if known.is_empty() => format!("no {kind} is defined"),
            None => {
                let mut list: Vec<String> =
                    known.iter().take(8).map(|k| format!("`{k}`")).collect();
                if known.len() > 8 {
                    list.push("…".to_owned());
                }
                format!("defined are {}", list.join(", "))
            }
        };
        self.error(span, format!("{what} names {kind} `{name}`, which is not defined")).help =
            Some(help);
    }

    /// Adds a finished diagnostic.
    pub(super) fn push(&mut self, d: Diagnostic) -> &mut Diagnostic {
        self.found.push(d);
        let last = self.found.len() - 1;
        &mut self.found[last]
    }

    /// Whether any is an error.
    pub(super) fn any_error(&self) -> bool {
        self.found.iter().any(|d| d.severity == Severity::Error)
    }

    /// All of them.
    pub(super) fn finish(self) -> Vec<Diagnostic> {
        self.found
    }
}
