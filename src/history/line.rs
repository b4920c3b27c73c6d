//! One line of fields, separated by tabs: what the store holds can be read by people and compared by
//! tools.

use std::fmt::Write as _;
use std::str::FromStr;

/// Writes a line, field by field.
#[derive(Clone, Debug, Default)]
pub(super) struct Line(String);

impl Line {
    /// A line that begins with `word`.
    pub(super) fn new(word: &str) -> Line {
        Line(word.to_owned())
    }

    /// Any text.
    pub(super) fn text(mut self, text: &str) -> Line {
        self.0.push('\t');
        // Alone it stands for nothing.
        if text == "-" {
            self.0.push('\\');
        }
        for c in text.chars() {
            match c {
                '\\' => self.0.push_str("\\\\"),
                '\t' => self.0.push_str("\\t"),
                '\n' => self.0.push_str("\\n"),
                '\r' => self.0.push_str("\\r"),
                c => self.0.push(c),
            }
        }
        self
    }

    /// A text, or nothing.
    pub(super) fn maybe_text(mut self, text: Option<&str>) -> Line {
        match text {
            Some(text) => self.text(text),
            None => {
                self.0.push_str("\t-");
                self
            }
        }
    }

    /// A number or a word without tabs.
    pub(super) fn plain(mut self, value: impl std::fmt::Display) -> Line {
        // Writing to a String cannot fail.
        let _ = write!(self.0, "\t{value}");
        self
    }

    /// One of these, or nothing.
    pub(super) fn maybe(self, value: Option<impl std::fmt::Display>) -> Line {
        match value {
            Some(value) => self.plain(value),
            None => self.maybe_text(None),
        }
    }

    /// Yes or no.
    pub(super) fn flag(self, yes: bool) -> Line {
        self.plain(u8::from(yes))
    }

    /// The line, without an end of line.
    pub(super) fn end(self) -> String {
        self.0
    }
}

/// Reads a line, field by field; `None` from any of them: it is not one that [`Line`] wrote.
#[derive(Clone, Debug)]
pub(super) struct Fields<'l>(std::str::Split<'l, char>);

impl<'l> Fields<'l> {
    /// The fields of `line`.
    pub(super) fn of(line: &'l str) -> Fields<'l> {
        Fields(line.split('\t'))
    }

    /// A word that is none of people's texts.
    pub(super) fn word(&mut self) -> Option<&'l str> {
        self.0.next()
    }

    /// A text.
    pub(super) fn text(&mut self) -> Option<String> {
        self.maybe_text()?
    }

    /// A text, or nothing.
    pub(super) fn maybe_text(&mut self) -> Option<Option<String>> {
        let field = self.0.next()?;
        if field == "-" {
            return Some(None);
        }
        if field == "\\-" {
            return Some(Some("-".to_owned()));
        }
        let mut text = String::with_capacity(field.len());
        let mut chars = field.chars();
        while let Some(c) = chars.next() {
            text.push(match c {
                '\\' => match chars.next()? {
                    '\\' => '\\',
                    't' => '\t',
                    'n' => '\n',
                    'r' => '\r',
                    _ => return None,
                },
                '\n' | '\r' => return None,
                c => c,
            });
        }
        Some(Some(text))
    }

    /// A number.
    pub(super) fn plain<T: FromStr>(&mut self) -> Option<T> {
        self.0.next()?.parse().ok()
    }

    /// A number, or nothing.
    pub(super) fn maybe<T: FromStr>(&mut self) -> Option<Option<T>> {
        match self.0.next()? {
            "-" => Some(None),
            field => field.parse().ok().map(Some),
        }
    }

    /// Yes or no.
    pub(super) fn flag(&mut self) -> Option<bool> {
        match self.0.next()? {
            "0" => Some(false),
            "1" => Some(true),
            _ => None,
        }
    }

    /// Nothing follows.
    pub(super) fn end(&mut self) -> Option<()> {
        self.0.next().is_none().then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(texts in prop::collection::vec(prop::option::of("[\\\\a\t\n\r\u{e9}-]{0,5}"), 0..6)) {
            let mut line = Line::new("x");
            for text in &texts {
                line = line.maybe_text(text.as_deref());
            }
            let line = line.end();
            prop_assert!(!line.contains('\n') && !line.contains('\r'));
            let mut fields = Fields::of(&line);
            prop_assert_eq!(fields.word(), Some("x"));
            for text in texts {
                prop_assert_eq!(fields.maybe_text(), Some(text));
            }
            prop_assert_eq!(fields.end(), Some(()));
        }
    }

    #[test]
    fn other_lines_are_refused() {
        for bad in ["x\ta\\", "x\t\\q", "x\ta\nb"] {
            let mut fields = Fields::of(bad);
            fields.word();
            assert_eq!(fields.text(), None, "{bad:?}");
        }
        let mut fields = Fields::of("x\t2\t-\t7a");
        fields.word();
        assert_eq!(fields.flag(), None);
        assert_eq!(fields.maybe::<u8>(), Some(None));
        assert_eq!(fields.plain::<u8>(), None);
        assert_eq!(fields.text(), None);
    }
}
