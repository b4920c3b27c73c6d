//! Whether an answer is the expected one.

use hyper::Response;
use hyper::body::Incoming;
use regex::bytes::{Regex, RegexBuilder};

use super::super::conversation::Conversation;
use crate::health::{Failure, HttpCheck};

/// What an answer must be.
#[derive(Debug)]
pub(super) struct Expectation {
    status: Vec<(u16, u16)>,
    text: Option<Box<str>>,
    pattern: Option<Regex>,
    max_body: usize,
}

impl Expectation {
    /// What `check` expects.
    ///
    /// # Errors
    /// When its regular expression is none.
    pub(super) fn of(check: &HttpCheck) -> Result<Expectation, Failure> {
        let pattern = match &check.expect_body_regex {
            None => None,
            Some(text) => Some(RegexBuilder::new(text).build().map_err(|e| {
                Failure::Http(format!("`expect-body-regex` is no regular expression: {e}"))
            })?),
        };
        Ok(Expectation {
            status: check.expect_status.clone(),
            text: check.expect_body.clone(),
            pattern,
            max_body: check.max_body,
        })
    }

    /// Judges an answer, reading its body only where something is expected of it, and never more
    /// than the cap.
    pub(super) async fn judge(
        &self,
        talk: &mut Conversation,
        response: Response<Incoming>,
    ) -> Result<(), Failure> {
        self.judge_status(response.status().as_u16())?;
        if self.text.is_none() && self.pattern.is_none() {
            return Ok(());
        }
        let (body, whole) = self.read(talk, response.into_body()).await?;
        let seen = if whole {
            String::new()
        } else {
            format!(" in its first {} bytes", body.len())
        };
        if let Some(text) = &self.text
            && !contains(&body, text.as_bytes())
        {
            return Err(Failure::Unexpected(format!(
                "body does not contain `{text}`{seen}"
            )));
        }
        if let Some(pattern) = &self.pattern
            && !pattern.is_match(&body)
        {
            return Err(Failure::Unexpected(format!(
                "body does not match `{pattern}`{seen}"
            )));
        }
        Ok(())
    }

    fn judge_status(&self, status: u16) -> Result<(), Failure> {
        if self
            .status
            .iter()
            .any(|(low, high)| (*low..=*high).contains(&status))
        {
            return Ok(());
        }
        let ranges: Vec<String> = self
            .status
            .iter()
            .map(|(low, high)| {
                if low == high {
                    low.to_string()
                } else {
                    format!("{low}-{high}")
                }
            })
            .collect();
        Err(Failure::Unexpected(format!(
            "status {status}, expected {}",
            ranges.join(" or ")
        )))
    }

    /// The body up to the cap, and whether that is all of it.
    async fn read(
        &self,
        talk: &mut Conversation,
        mut answer: Incoming,
    ) -> Result<(Vec<u8>, bool), Failure> {
        let mut body = Vec::new();
        while let Some(frame) = talk.next_frame(&mut answer).await {
            let Ok(chunk) = frame?.into_data() else {
                // Trailers.
                continue;
            };
            let room = self.max_body - body.len();
            body.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if chunk.len() > room {
                return Ok((body, false));
            }
        }
        Ok((body, true))
    }
}

fn contains(body: &[u8], text: &[u8]) -> bool {
    text.is_empty() || body.windows(text.len()).any(|w| w == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(ranges: &[(u16, u16)], status: u16) -> Result<(), Failure> {
        let expectation = Expectation {
            status: ranges.to_vec(),
            text: None,
            pattern: None,
            max_body: 0,
        };
        expectation.judge_status(status)
    }

    #[test]
    fn h8_status_is_judged_by_ranges() {
        assert_eq!(status(&[(200, 299)], 204), Ok(()));
        assert_eq!(status(&[(200, 200), (404, 404)], 404), Ok(()));
        let words = status(&[(200, 299), (404, 404)], 503)
            .unwrap_err()
            .to_string();
        assert_eq!(words, "status 503, expected 200-299 or 404");
    }

    #[test]
    fn a_text_is_found_anywhere_and_the_empty_one_always() {
        assert!(contains(b"all is ok.", b"ok"));
        assert!(!contains(b"o", b"ok"));
        assert!(contains(b"", b""));
    }
}
