//! Regular expressions of a configuration, over octets.

use std::fmt;

use regex::bytes::{Regex, RegexBuilder};
use regex_syntax::hir::{Look, literal::Extractor};

/// Octets that one compiled expression may take.
const MOST: usize = 1 << 20;

/// A regular expression over octets: `.` is any octet but a line feed, classes are of ASCII. It is
/// found anywhere in a text unless `^` and `$` say otherwise. Matching takes time linear in the text.
#[derive(Clone)]
pub struct Pattern {
    regex: Regex,
    /// What every text that matches starts with; empty when that is not known.
    head: Box<[u8]>,
}

/// Why a text is no pattern: what `regex` says of it, on one line.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct PatternError(String);

impl Pattern {
    /// Compiles `text`.
    ///
    /// # Errors
    /// When it is no regular expression, or one that takes more than 1 MiB.
    pub fn new(text: &str) -> Result<Pattern, PatternError> {
        let regex = RegexBuilder::new(text)
            .unicode(false)
            .size_limit(MOST)
            .build()
            .map_err(|e| PatternError(in_short(&e)))?;
        Ok(Pattern {
            regex,
            head: head_of(text),
        })
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        self.regex.as_str()
    }

    /// Whether it is found in `text`.
    #[inline]
    pub fn is_match(&self, text: &[u8]) -> bool {
        self.regex.is_match(text)
    }

    /// What every text in which it is found starts with, as far as that is known.
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// The expression itself.
    pub fn regex(&self) -> &Regex {
        &self.regex
    }
}

/// The last line of the message, which says what is wrong.
fn in_short(e: &regex::Error) -> String {
    let text = e.to_string();
    let last = text.lines().last().unwrap_or_default();
    last.trim().trim_start_matches("error: ").to_owned()
}

/// The literal start of an expression that is anchored at the start of the text.
fn head_of(text: &str) -> Box<[u8]> {
    let mut parser = regex_syntax::ParserBuilder::new();
    let Ok(hir) = parser.utf8(false).unicode(false).build().parse(text) else {
        return Box::default();
    };
    if !hir.properties().look_set_prefix().contains(Look::Start) {
        return Box::default();
    }
    let literals = Extractor::new().extract(&hir);
    literals.longest_common_prefix().unwrap_or_default().into()
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Pattern) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Pattern {}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/", self.as_str())
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_every_match_starts_with() {
        for (text, head) in [
            ("^/api/v[0-9]+/", "/api/v"),
            ("^/a", "/a"),
            ("^/a$", "/a"),
            ("/a", ""),
            ("^/a|/b", ""),
            ("^/a|^/b", "/"),
            ("^(/x/1|/x/2)/", "/x/"),
            ("^/a*", "/"),
            ("^/ab?", "/a"),
            ("(?i)^/a", "/"),
            ("(?m)^/a", ""),
            ("", ""),
        ] {
            let found = Pattern::new(text).unwrap();
            assert_eq!(String::from_utf8_lossy(found.head()), head, "{text}");
        }
    }

    #[test]
    fn a_broken_expression_is_told_on_one_line() {
        let e = Pattern::new("^/(a").unwrap_err().to_string();
        assert_eq!(e, "unclosed group");
        assert!(Pattern::new("(a{1000}){1000}").is_err());
    }
}
