//! What an answer is held against, made ready once.

use regex::bytes::Regex;

use crate::health::{Expect, Failure};

/// Octets of an answer shown in an error.
const SHOWN: usize = 60;

/// What an answer must have in it.
#[derive(Debug)]
pub(super) struct Expectation {
    contains: Option<Box<[u8]>>,
    regex: Option<Regex>,
}

impl Expectation {
    /// Makes `expect` ready.
    ///
    /// # Errors
    /// When its pattern is no regular expression; the configuration has seen to that.
    pub(super) fn of(expect: &Expect) -> Result<Expectation, Failure> {
        let regex = expect.regex.as_deref().map(Regex::new).transpose();
        Ok(Expectation {
            contains: expect.contains.clone(),
            regex: regex.map_err(|e| Failure::Unable(e.to_string()))?,
        })
    }

    /// Whether anything is asked of an answer.
    pub(super) fn is_some(&self) -> bool {
        self.contains.is_some() || self.regex.is_some()
    }

    /// Whether `answer` has what it must have.
    pub(super) fn met_by(&self, answer: &[u8]) -> bool {
        let contains = self.contains.as_deref().is_none_or(|text| {
            text.is_empty() || answer.windows(text.len()).any(|window| window == text)
        });
        contains && self.regex.as_ref().is_none_or(|r| r.is_match(answer))
    }

    /// The words for an answer that does not.
    pub(super) fn unmet(&self, answer: &[u8]) -> Failure {
        let mut wanted = Vec::new();
        if let Some(text) = &self.contains {
            wanted.push(format!("`{}`", shown(text)));
        }
        if let Some(regex) = &self.regex {
            wanted.push(format!("a match of `{regex}`"));
        }
        Failure::Unexpected(format!(
            "the answer `{}` lacks {}",
            shown(answer),
            wanted.join(" or ")
        ))
    }
}

/// The beginning of `octets` in printable letters.
pub(super) fn shown(octets: &[u8]) -> String {
    let more = if octets.len() > SHOWN { "…" } else { "" };
    format!("{}{more}", octets[..octets.len().min(SHOWN)].escape_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expectation(contains: Option<&[u8]>, regex: Option<&str>) -> Expectation {
        Expectation::of(&Expect {
            contains: contains.map(Into::into),
            regex: regex.map(Into::into),
        })
        .unwrap()
    }

    #[test]
    fn text_and_pattern_must_both_be_there() {
        let both = expectation(Some(b"\xFFok"), Some("(?-u)^a.*z$"));
        assert!(both.met_by(b"a\xFFokz"));
        assert!(!both.met_by(b"a\xFFok"), "the pattern wants a z");
        assert!(!both.met_by(b"aokz"), "the octet FF is missing");
        assert!(expectation(None, None).met_by(b""));
    }

    #[test]
    fn a_long_answer_is_cut_and_made_printable() {
        let failure = expectation(Some(b"\x00"), None).unmet(&[b'\n'; 100]);
        let text = failure.to_string();
        assert!(text.ends_with("…` lacks `\\x00`"), "{text}");
        assert_eq!(text.matches("\\n").count(), SHOWN);
    }
}
