//! What is wrong with a configuration, for people, for logs and for programs.

use std::fmt;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::Span;
use super::sources::{LineCol, Sources};

/// How bad it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Severity {
    /// The configuration is refused.
    Error,
    /// It is taken, but probably not what was meant.
    Warning,
}

impl Severity {
    /// `error` or `warning`.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        }
    }
}

/// One finding: what, where, which rule, what to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Diagnostic {
    /// How bad.
    pub severity: Severity,
    /// Where; `None` when no file says it (a missing file, an empty directory).
    pub span: Option<Span>,
    /// The finding in one sentence that names the object and the rule.
    pub message: String,
    /// Short text beside the caret.
    pub label: String,
    /// What to do.
    pub help: Option<String>,
    /// Other places that matter, each with why.
    pub related: Vec<(Span, String)>,
}

impl Diagnostic {
    /// An error at `span`.
    pub fn error(span: impl Into<Option<Span>>, message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            severity: Severity::Error,
            span: span.into(),
            message: message.into(),
            label: String::new(),
            help: None,
            related: Vec::new(),
        }
    }

    /// A warning at `span`.
    pub fn warning(span: impl Into<Option<Span>>, message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            severity: Severity::Warning,
            ..Diagnostic::error(span, message)
        }
    }

    /// With a short text beside the caret.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Diagnostic {
        self.label = label.into();
        self
    }

    /// With advice.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Diagnostic {
        self.help = Some(help.into());
        self
    }

    /// With advice when there is some.
    #[must_use]
    pub fn maybe_help(mut self, help: Option<String>) -> Diagnostic {
        self.help = help.or(self.help);
        self
    }

    /// With a further place.
    #[must_use]
    pub fn related(mut self, span: Span, why: impl Into<String>) -> Diagnostic {
        self.related.push((span, why.into()));
        self
    }
}

/// Findings and the texts they point into.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Report {
    /// The findings, sorted by file and place once [`Report::new`] made it.
    pub diagnostics: Vec<Diagnostic>,
    /// The texts.
    pub sources: Sources,
}

/// One finding as plain data, for JSON.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding<'a> {
    /// `error` or `warning`.
    pub severity: &'static str,
    /// File, when a file says it.
    pub file: Option<String>,
    /// Line and column, both from 1.
    pub place: Option<LineCol>,
    /// The finding.
    pub message: &'a str,
    /// What to do.
    pub help: Option<&'a str>,
    /// Other places: file, place, why.
    pub related: Vec<(String, LineCol, &'a str)>,
}

impl Finding<'_> {
    /// On one line, with `severity` before the message where it is not empty.
    fn line(&self, severity: &str) -> String {
        let place = match (&self.file, self.place) {
            (Some(file), Some(place)) => format!("{file}:{place}: "),
            _ => String::new(),
        };
        let colon = if severity.is_empty() { "" } else { ": " };
        let help = self.help.map_or(String::new(), |h| format!(" ({h})"));
        format!("{place}{severity}{colon}{}{help}", self.message)
    }

    /// For logs, whose lines have a level of their own: `file:line:col: message (help)`.
    pub fn without_severity(&self) -> String {
        self.line("")
    }
}

impl Report {
    /// A report sorted by file and place; findings without a place come first, and equal ones are
    /// kept once.
    pub fn new(mut diagnostics: Vec<Diagnostic>, sources: Sources) -> Report {
        diagnostics.sort_by_key(|d| (d.span, d.severity));
        diagnostics.dedup();
        Report {
            diagnostics,
            sources,
        }
    }

    /// Whether any finding is an error.
    pub fn has_errors(&self) -> bool {
        self.error_count() > 0
    }

    /// Number of errors.
    pub fn error_count(&self) -> usize {
        let is_error = |d: &&Diagnostic| d.severity == Severity::Error;
        self.diagnostics.iter().filter(is_error).count()
    }

    /// Plain data of every finding.
    pub fn findings(&self) -> impl Iterator<Item = Finding<'_>> {
        self.diagnostics.iter().map(|d| Finding {
            severity: d.severity.as_str(),
            file: d.span.map(|s| self.path(s)),
            place: d.span.map(|s| self.sources.line_col(s)),
            message: &d.message,
            help: d.help.as_deref(),
            related: d
                .related
                .iter()
                .map(|(s, why)| (self.path(*s), self.sources.line_col(*s), why.as_str()))
                .collect(),
        })
    }

    /// One line per finding: `file:line:col: error: message (help)`.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.findings().map(|f| f.line(f.severity))
    }

    /// Every finding with its source line and a caret under the place, and a closing count.
    pub fn render(&self, colour: bool) -> String {
        let renderer = if colour {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let mut out = String::new();
        for d in &self.diagnostics {
            out.push_str(renderer.render(&self.groups(d)).trim_end());
            out.push_str("\n\n");
        }
        let errors = self.error_count();
        let warnings = self.diagnostics.len() - errors;
        let count = |n: usize, word: &str| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
        let summary: Vec<String> = [(errors, "error"), (warnings, "warning")]
            .into_iter()
            .filter(|(n, _)| *n > 0)
            .map(|(n, word)| count(n, word))
            .collect();
        if !summary.is_empty() {
            out.push_str(&summary.join(", "));
            out.push('\n');
        }
        out
    }

    fn groups<'a>(&'a self, d: &'a Diagnostic) -> Vec<Group<'a>> {
        let level = match d.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let title = level.primary_title(d.message.as_str());
        let mut group = match d.span {
            None => Group::with_title(title),
            Some(span) => {
                let here = d.related.iter().map(|(o, _)| *o);
                let here = here.filter(|o| o.file == span.file).chain([span]);
                let part = self.sources.lines_around(here);
                let shown = |s: Span| {
                    let range = self.sources.clamp(s);
                    range.start - part.start..range.end - part.start
                };
                let mut snippet = Snippet::source(part.text)
                    .line_start(part.line)
                    .path(self.path(span))
                    .fold(true)
                    .annotation(
                        AnnotationKind::Primary
                            .span(shown(span))
                            .label(d.label.as_str()),
                    );
                for (other, why) in d.related.iter().filter(|(o, _)| o.file == span.file) {
                    snippet = snippet.annotation(
                        AnnotationKind::Context
                            .span(shown(*other))
                            .label(why.as_str()),
                    );
                }
                title.element(snippet)
            }
        };
        for (other, why) in &d.related {
            if d.span.is_some_and(|s| s.file == other.file) {
                continue;
            }
            let part = self.sources.lines_around([*other]);
            let range = self.sources.clamp(*other);
            group = group.element(
                Snippet::source(part.text)
                    .line_start(part.line)
                    .path(self.path(*other))
                    .fold(true)
                    .annotation(
                        AnnotationKind::Context
                            .span(range.start - part.start..range.end - part.start)
                            .label(why.as_str()),
                    ),
            );
        }
        if let Some(help) = &d.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        vec![group]
    }

    fn path(&self, span: Span) -> String {
        self.sources.path(span.file).display().to_string()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Report {}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Report {
        let mut sources = Sources::default();
        let a = sources.add("a.toml", "x = 1\ny = 2\n");
        let b = sources.add("b.toml", "z = 3\n");
        Report::new(
            vec![
                Diagnostic::warning(Span::new(b, 0..1), "late").help("do this"),
                Diagnostic::error(Span::new(a, 6..7), "second")
                    .label("here")
                    .related(Span::new(b, 4..5), "and here"),
                Diagnostic::error(Span::new(a, 0..1), "first"),
                Diagnostic::error(None, "nowhere"),
            ],
            sources,
        )
    }

    #[test]
    fn o4_lines_are_sorted_by_place() {
        let lines: Vec<String> = sample().lines().collect();
        assert_eq!(
            lines,
            [
                "error: nowhere",
                "a.toml:1:1: error: first",
                "a.toml:2:1: error: second",
                "b.toml:1:1: warning: late (do this)",
            ]
        );
    }

    #[test]
    fn rendering_shows_the_places_and_counts() {
        let text = sample().render(false);
        assert!(text.contains("--> a.toml:2:1"), "{text}");
        assert!(text.contains("and here"), "{text}");
        assert!(text.ends_with("3 errors, 1 warning\n"), "{text}");
        assert!(sample().render(true).contains("\u{1b}["));
    }

    #[test]
    fn spans_at_and_beyond_the_end_render() {
        for text in ["", "é", "a\r\n", "a"] {
            let mut sources = Sources::default();
            let file = sources.add("a", text);
            for span in [0..0, 0..1, 1..1, 1..9, 9..9] {
                let d = Diagnostic::error(Span::new(file, span), "m");
                assert!(
                    !Report::new(vec![d], sources.clone())
                        .render(false)
                        .is_empty()
                );
            }
        }
    }
}
