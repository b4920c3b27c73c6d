//! Entity tags (RFC 9110 sections 8.8.3 and 13): a client that has something already is told so, and a
//! change is made only where nobody else made one in between.
//!
//! All tags are strong: what a tag stands for holds no time that goes on by itself.

use std::fmt;
use std::hash::Hasher as _;

use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use siphasher::sip::SipHasher24;

use super::problem::Problem;
use crate::snapshot::View;

/// Most tags in one field.
const MOST: usize = 32;

/// The tag of one state of one thing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ETag(Box<str>);

impl ETag {
    /// The tag of what these texts say; the same on every node.
    pub fn of<T: AsRef<[u8]>>(texts: impl IntoIterator<Item = T>) -> ETag {
        let mut hasher = SipHasher24::new();
        for text in texts {
            hasher.write(text.as_ref());
            hasher.write_u8(0xff);
        }
        ETag(format!("\"{:016x}\"", hasher.finish()).into())
    }

    /// The tag of all that follows from a view alone. Generations begin anew with a process, so the time
    /// of the view is part of it.
    pub fn of_view(view: &View) -> ETag {
        let published = view.wall.unix_ms(view.published);
        ETag(format!("\"g{}-{published:x}\"", view.generation).into())
    }

    /// With quotes.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a conditional field asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Wanted {
    /// `*`: whatever there is.
    Any,
    /// One of these, with quotes; weak ones with `W/`.
    Tags(Vec<Box<str>>),
}

/// The conditions of a request: `If-Match` and `If-None-Match`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Conditions {
    if_match: Option<Wanted>,
    if_none_match: Option<Wanted>,
}

impl<S: Send + Sync> FromRequestParts<S> for Conditions {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Conditions::read(&parts.headers)
    }
}

impl Conditions {
    fn read(headers: &HeaderMap) -> Result<Conditions, Problem> {
        Ok(Conditions {
            if_match: wanted(headers, &header::IF_MATCH, "If-Match")?,
            if_none_match: wanted(headers, &header::IF_NONE_MATCH, "If-None-Match")?,
        })
    }

    /// Whether the client has what `tag` stands for: then 304 is the answer.
    pub fn has(&self, tag: &ETag) -> bool {
        match &self.if_none_match {
            None => false,
            Some(Wanted::Any) => true,
            // The weak comparison (RFC 9110 section 8.8.3.2).
            Some(Wanted::Tags(tags)) => tags
                .iter()
                .any(|t| t.strip_prefix("W/").unwrap_or(t) == tag.as_str()),
        }
    }

    /// Whether a change is only wanted where nothing else changed.
    pub fn is_bound(&self) -> bool {
        self.if_match.is_some()
    }

    /// Whether a change may be made of what `tags` stand for, each of which is good enough.
    pub fn allows(&self, tags: &[ETag]) -> bool {
        match &self.if_match {
            None | Some(Wanted::Any) => true,
            Some(Wanted::Tags(wanted)) => tags
                .iter()
                .any(|tag| wanted.iter().any(|w| **w == *tag.as_str())),
        }
    }

    /// What to say where `If-Match` wants something else than `tag`, which it is now.
    pub fn broken(&self, tag: &ETag) -> Problem {
        let wanted = match &self.if_match {
            Some(Wanted::Tags(tags)) => tags.join(", "),
            Some(Wanted::Any) | None => "*".to_owned(),
        };
        Problem::precondition(&wanted, tag)
    }

    /// Refuses a change where `tag` is not what `If-Match` wants.
    ///
    /// # Errors
    /// 412, with the tag as it is now.
    pub fn check(&self, tag: &ETag) -> Result<(), Problem> {
        match self.allows(std::slice::from_ref(tag)) {
            true => Ok(()),
            false => Err(self.broken(tag)),
        }
    }
}

fn wanted(
    headers: &HeaderMap,
    field: &HeaderName,
    name: &'static str,
) -> Result<Option<Wanted>, Problem> {
    let mut tags = Vec::new();
    let mut given = false;
    for value in headers.get_all(field) {
        given = true;
        let text = value.to_str().unwrap_or("");
        if text.trim() == "*" {
            return Ok(Some(Wanted::Any));
        }
        let read = read_tags(text, &mut tags);
        if !read || tags.is_empty() || tags.len() > MOST {
            let detail = format!(
                "give `*`, or at most {MOST} entity tags as an `ETag` field told them, in their quotes"
            );
            return Err(Problem::parameter(name, detail));
        }
    }
    Ok(given.then_some(Wanted::Tags(tags)))
}

/// Adds the tags of a field; `false` where it is no list of tags.
fn read_tags(text: &str, tags: &mut Vec<Box<str>>) -> bool {
    let mut rest = text.trim();
    while !rest.is_empty() {
        let quoted = rest.strip_prefix("W/").unwrap_or(rest);
        let Some(end) = quoted.strip_prefix('"').and_then(|t| t.find('"')) else {
            return false;
        };
        let len = rest.len() - quoted.len() + end + 2;
        tags.push(rest[..len].into());
        rest = rest[len..].trim_start();
        match rest.strip_prefix(',') {
            Some(more) => rest = more.trim_start(),
            None if rest.is_empty() => {}
            None => return false,
        }
    }
    true
}

/// An answer with a tag.
#[derive(Debug)]
pub enum Tagged<T> {
    /// What it is.
    Now(ETag, T),
    /// The client has it.
    Known(ETag),
}

impl<T> Tagged<T> {
    /// What `make` gives, unless the client has it already.
    ///
    /// # Errors
    /// What `make` says.
    pub fn unless_known(
        conditions: &Conditions,
        tag: ETag,
        make: impl FnOnce() -> Result<T, Problem>,
    ) -> Result<Tagged<T>, Problem> {
        match conditions.has(&tag) {
            true => Ok(Tagged::Known(tag)),
            false => Ok(Tagged::Now(tag, make()?)),
        }
    }
}

impl<T: Serialize> IntoResponse for Tagged<T> {
    fn into_response(self) -> Response {
        let (tag, mut response) = match self {
            Tagged::Now(tag, body) => (tag, Json(body).into_response()),
            Tagged::Known(tag) => (tag, StatusCode::NOT_MODIFIED.into_response()),
        };
        if let Ok(value) = HeaderValue::from_str(tag.as_str()) {
            let headers = response.headers_mut();
            headers.insert(header::ETAG, value);
            // Kept, but asked for each time.
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conditions(fields: &[(HeaderName, &str)]) -> Option<Conditions> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(name, value.parse().unwrap());
        }
        Conditions::read(&headers).ok()
    }

    fn tag() -> ETag {
        ETag("\"a\"".into())
    }

    #[test]
    fn a_client_that_has_it_is_told_so() {
        let known = |value| {
            conditions(&[(header::IF_NONE_MATCH, value)])
                .unwrap()
                .has(&tag())
        };
        for value in ["\"a\"", "W/\"a\"", "\"b\", \"a\"", "*", "\"b\",W/\"a\" "] {
            assert!(known(value), "{value}");
        }
        for value in ["\"b\"", "\"A\"", "\"b\", \"c\""] {
            assert!(!known(value), "{value}");
        }
        assert!(!conditions(&[]).unwrap().has(&tag()));
    }

    #[test]
    fn a_change_needs_the_tag_that_is_there_now() {
        let allowed = |value| {
            conditions(&[(header::IF_MATCH, value)])
                .unwrap()
                .check(&tag())
                .is_ok()
        };
        for value in ["\"a\"", "*", "\"b\", \"a\""] {
            assert!(allowed(value), "{value}");
        }
        // The strong comparison: a weak tag never matches.
        for value in ["\"b\"", "W/\"a\""] {
            assert!(!allowed(value), "{value}");
        }
        assert!(conditions(&[]).unwrap().check(&tag()).is_ok());
    }

    #[test]
    fn what_is_no_list_of_tags_is_refused() {
        for value in ["", "a", "\"a", "\"a\" \"b\"", "\"a\";", ","] {
            assert_eq!(conditions(&[(header::IF_MATCH, value)]), None, "{value}");
        }
        let many = vec!["\"a\""; MOST + 1].join(",");
        assert_eq!(conditions(&[(header::IF_MATCH, &many)]), None);
    }

    #[test]
    fn tags_tell_texts_apart() {
        assert_ne!(ETag::of(["ab", "c"]), ETag::of(["a", "bc"]));
        assert_eq!(ETag::of(["ab", "c"]), ETag::of(["ab", "c"]));
    }
}
