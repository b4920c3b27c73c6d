//! The texts a configuration was read from, and the arithmetic from byte to line and column.

use std::fmt;
use std::path::{Path, PathBuf};

use super::{FileId, Span};

/// One text file and where its lines start.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Source {
    path: PathBuf,
    text: String,
    line_starts: Vec<usize>,
}

/// Line and column, both counted from 1; columns count characters (Unicode scalar values), as
/// editors do, not bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LineCol {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl fmt::Display for LineCol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// Some lines of a file.
#[derive(Debug)]
pub(super) struct Part<'s> {
    pub(super) text: &'s str,
    /// Byte in the file where they start.
    pub(super) start: usize,
    /// Number of the first, from 1.
    pub(super) line: usize,
}

/// All text files of one load: TOML, zones and CSV. A [`FileId`] is a position in here.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Sources {
    files: Vec<Source>,
}

impl Sources {
    /// Adds a file and returns its number.
    pub fn add(&mut self, path: impl Into<PathBuf>, text: impl Into<String>) -> FileId {
        let text = text.into();
        let line_starts = std::iter::once(0)
            .chain(text.match_indices('\n').map(|(at, _)| at + 1))
            .collect();
        self.files.push(Source {
            path: path.into(),
            text,
            line_starts,
        });
        FileId(u32::try_from(self.files.len() - 1).unwrap_or(u32::MAX))
    }

    /// Covers what stands at `span`, so that no message shows it. Places stay what they are.
    pub(super) fn hide(&mut self, span: Span) {
        let range = self.clamp(span);
        if let Some(source) = self.files.get_mut(span.file.0 as usize) {
            let covered = |b| if b == b'\n' { '\n' } else { '*' };
            let hidden: String = source.text[range.clone()].bytes().map(covered).collect();
            source.text.replace_range(range, &hidden);
        }
    }

    /// The number of the file that was added under `path`, the first if several were.
    pub fn find(&self, path: &Path) -> Option<FileId> {
        let at = self.files.iter().position(|f| f.path == path)?;
        u32::try_from(at).ok().map(FileId)
    }

    /// The path the file was added under; empty for an unknown number.
    pub fn path(&self, file: FileId) -> &Path {
        self.get(file).map_or(Path::new(""), |f| &f.path)
    }

    /// The file's text; empty for an unknown number.
    pub fn text(&self, file: FileId) -> &str {
        self.get(file).map_or("", |f| &f.text)
    }

    /// All texts, in the order they were added.
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|f| &*f.text)
    }

    /// Replaces what stands at `span` by asterisks, as many as octets.
    pub(super) fn blank(&mut self, span: Span) {
        let range = self.clamp(span);
        if let Some(source) = self.files.get_mut(span.file.0 as usize) {
            let kept = |c: char| {
                if c == '\n' {
                    "\n".to_owned()
                } else {
                    "*".repeat(c.len_utf8())
                }
            };
            let blank: String = source.text[range.clone()].chars().map(kept).collect();
            source.text.replace_range(range, &blank);
        }
    }

    /// Where `span` starts. A start beyond the end or inside a character is moved back to the
    /// nearest place that exists.
    pub fn line_col(&self, span: Span) -> LineCol {
        let Some(source) = self.get(span.file) else {
            return LineCol { line: 1, column: 1 };
        };
        let at = floor_boundary(&source.text, span.start as usize);
        let line = source.line_starts.partition_point(|start| *start <= at);
        let start = source.line_starts[line - 1];
        LineCol {
            line,
            column: source.text[start..at].chars().count() + 1,
        }
    }

    /// The span of one character at `line` and `column` (both from 1), for readers that report
    /// places that way. Places beyond the end of the line or file are moved back to it.
    pub fn span_at(&self, file: FileId, line: usize, column: usize) -> Span {
        let Some(source) = self.get(file) else {
            return Span::new(file, 0..0);
        };
        let index = line.clamp(1, source.line_starts.len()) - 1;
        let start = source.line_starts[index];
        let rest = source.text[start..].split('\n').next().unwrap_or("");
        let rest = rest.strip_suffix('\r').unwrap_or(rest);
        let mut places = rest.char_indices().skip(column.max(1) - 1);
        match places.next() {
            Some((at, c)) => Span::new(file, start + at..start + at + c.len_utf8()),
            None => Span::new(file, start + rest.len()..start + rest.len()),
        }
    }

    /// The bytes of `span` cut to what exists, on character boundaries: what a renderer may index.
    pub fn clamp(&self, span: Span) -> std::ops::Range<usize> {
        let text = self.text(span.file);
        let start = floor_boundary(text, span.start as usize);
        let end = floor_boundary(text, span.end as usize).max(start);
        start..end
    }

    /// The lines from the first to the last of `spans`, which lie in one file: a renderer that is given
    /// whole files takes minutes for a thousand errors in a large one.
    pub(super) fn lines_around(&self, spans: impl IntoIterator<Item = Span>) -> Part<'_> {
        let mut spans = spans.into_iter().peekable();
        let source = spans.peek().and_then(|s| self.get(s.file));
        let Some(source) = source else {
            return Part {
                text: "",
                start: 0,
                line: 1,
            };
        };
        let (mut start, mut end) = (usize::MAX, 0);
        for span in spans {
            let range = self.clamp(span);
            start = start.min(range.start);
            end = end.max(range.end);
        }
        let line = source.line_starts.partition_point(|s| *s <= start);
        let start = source.line_starts[line - 1];
        let next = source.line_starts.partition_point(|s| *s <= end);
        let end = source.line_starts.get(next).copied();
        Part {
            text: &source.text[start..end.unwrap_or(source.text.len())],
            start,
            line,
        }
    }

    fn get(&self, file: FileId) -> Option<&Source> {
        self.files.get(file.0 as usize)
    }
}

/// The largest character boundary not after `at`.
fn floor_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str, byte: usize) -> (usize, usize) {
        let mut sources = Sources::default();
        let file = sources.add("a.toml", text);
        let found = sources.line_col(Span::new(file, byte..byte));
        (found.line, found.column)
    }

    #[test]
    fn o4_line_and_column() {
        for (text, byte, want) in [
            ("", 0, (1, 1)),
            ("", 9, (1, 1)),
            ("ab", 2, (1, 3)),
            ("ab\n", 2, (1, 3)),
            ("ab\n", 3, (2, 1)),
            ("ab\ncd", 4, (2, 2)),
            ("ab\r\ncd", 4, (2, 1)),
            ("ab\r\ncd", 3, (1, 4)),
            ("é=1", 2, (1, 2)),
            ("é=1", 1, (1, 1)),
            ("x\n日本=1", 8, (2, 3)),
            ("\n\n", 99, (3, 1)),
        ] {
            assert_eq!(at(text, byte), want, "{text:?} at {byte}");
        }
    }

    #[test]
    fn unknown_file_is_harmless() {
        let sources = Sources::default();
        let span = Span::new(FileId(7), 3..4);
        assert_eq!(sources.line_col(span), LineCol { line: 1, column: 1 });
        assert_eq!(sources.text(FileId(7)), "");
        assert_eq!(sources.span_at(FileId(7), 1, 1), Span::new(FileId(7), 0..0));
    }

    #[test]
    fn span_at_stays_in_its_line() {
        let mut sources = Sources::default();
        let file = sources.add("z", "ab\r\nçd\n");
        assert_eq!(sources.span_at(file, 1, 2), Span::new(file, 1..2));
        assert_eq!(sources.span_at(file, 1, 9), Span::new(file, 2..2));
        assert_eq!(sources.span_at(file, 2, 1), Span::new(file, 4..6));
        assert_eq!(sources.span_at(file, 0, 0), Span::new(file, 0..1));
        assert_eq!(sources.span_at(file, 99, 1), Span::new(file, 8..8));
    }

    proptest! {
        #[test]
        fn line_col_and_span_at_agree(text in "[a-c\u{e9}\u{65e5}\n]{0,40}", byte in 0usize..80) {
            let mut sources = Sources::default();
            let file = sources.add("t", text.clone());
            let lc = sources.line_col(Span::new(file, byte..byte));
            let back = sources.span_at(file, lc.line, lc.column);
            prop_assert_eq!(back.start as usize, floor_boundary(&text, byte));
            prop_assert_eq!(sources.line_col(back), lc);
        }
    }
}
