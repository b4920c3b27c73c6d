//! What the readers share: the findings so far and the names that references may use.

use std::path::{Path, PathBuf};

use crate::config::Span;
use crate::config::diagnostic::{Diagnostic, Severity};
use crate::config::load::ReadFile;
use crate::config::sources::Sources;

use super::known::Known;

/// What all readers of one load share.
pub(crate) struct Context<'a> {
    diagnostics: Vec<Diagnostic>,
    pub(crate) sources: &'a Sources,
    pub(crate) read_file: &'a mut ReadFile<'a>,
    known: Known,
    /// A file has errors of syntax, so that tables may have lost their head or their end: nothing
    /// follows from what is absent or stands in the wrong place.
    torn: bool,
    faults: usize,
}

/// How many faults there were at some moment; see [`Context::clean_since`].
#[derive(Clone, Copy)]
pub(super) struct Mark(usize);

impl<'a> Context<'a> {
    /// `torn`: errors of syntax are among `diagnostics`.
    pub(crate) fn new(
        known: Known,
        sources: &'a Sources,
        read_file: &'a mut ReadFile<'a>,
        diagnostics: Vec<Diagnostic>,
        torn: bool,
    ) -> Context<'a> {
        Context {
            diagnostics,
            sources,
            read_file,
            known,
            torn,
            faults: 0,
        }
    }

    /// All that was found.
    pub(crate) fn finish(self) -> Vec<Diagnostic> {
        self.diagnostics
    }

    /// Adds a finding.
    pub(crate) fn push(&mut self, d: Diagnostic) {
        self.faults += usize::from(d.severity == Severity::Error);
        self.diagnostics.push(d);
    }

    pub(crate) fn error(&mut self, span: Span, message: impl Into<String>) {
        self.push(Diagnostic::error(span, message));
    }

    /// Adds an error that says something is missing, unknown or in the wrong place: after an error of
    /// syntax that may be its consequence, and is not shown.
    pub(super) fn absence(&mut self, d: Diagnostic) {
        if self.torn {
            self.faults += 1;
        } else {
            self.push(d);
        }
    }

    /// Notes that something could not be read and has been reported already.
    pub(super) fn spoil(&mut self) {
        self.faults += 1;
    }

    /// The table of all `kind` is misspelt: references into it are not followed.
    pub(super) fn forgive(&mut self, kind: &'static str) {
        self.known.forgive(kind);
    }

    /// Now, for [`Context::clean_since`].
    pub(super) fn mark(&self) -> Mark {
        Mark(self.faults)
    }

    /// Whether all that was read since `mark` was read in full.
    pub(super) fn clean_since(&self, mark: Mark) -> bool {
        !self.torn && self.faults == mark.0
    }

    /// Whether nothing at all was found wrong so far, also not when the files were merged.
    pub(super) fn clean(&self) -> bool {
        let is_error = |d: &Diagnostic| d.severity == Severity::Error;
        !self.torn && !self.diagnostics.iter().any(is_error)
    }

    /// What the file says at `span`, without quotes.
    pub(super) fn text_of(&self, span: Span) -> String {
        let text = &self.sources.text(span.file)[self.sources.clamp(span)];
        text.trim_matches(['"', '\'']).to_owned()
    }

    /// `path` seen from the directory of the file that says it.
    pub(crate) fn resolve(&self, path: &Path, span: Span) -> PathBuf {
        match self.sources.path(span.file).parent() {
            Some(dir) => dir.join(path),
            None => path.to_owned(),
        }
    }

    /// Whether an object of any of `kinds` is called `name`; reports when none is.
    pub(super) fn check_any(
        &mut self,
        kinds: &[&'static str],
        name: &str,
        span: Span,
        message: impl FnOnce() -> String,
    ) -> bool {
        if kinds.iter().any(|kind| self.known.contains(kind, name)) {
            return true;
        }
        let help = self.known.nearest_of(kinds, name);
        self.absence(Diagnostic::error(span, message()).maybe_help(help));
        false
    }

    /// Whether an object of `kind` is called `name`; reports when none is.
    pub(super) fn check_reference(
        &mut self,
        kind: &'static str,
        name: &str,
        span: Span,
        user: impl FnOnce() -> String,
    ) -> bool {
        if self.known.contains(kind, name) {
            return true;
        }
        let message = format!("{} names unknown {} `{name}`", user(), singular(kind));
        let help = self.known.advice(kind, name);
        self.absence(Diagnostic::error(span, message).maybe_help(help));
        false
    }
}

/// `monitor` for `monitors`.
pub(super) fn singular(kind: &'static str) -> &'static str {
    match kind {
        "policies" => "policy",
        "tsig-keys" => "TSIG key",
        "dnssec" => "DNSSEC policy",
        "waf" => "WAF rule set",
        "rate-limits" => "rate limit",
        "error-pages" => "error pages",
        "auth" => "authorisation",
        "vips" => "VIP",
        _ => kind.strip_suffix('s').unwrap_or(kind),
    }
}
