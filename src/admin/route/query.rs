//! Reading what is asked: the query, the path and the body of a request. Whatever is wrong in them is told
//! with the name of the parameter, and never as a fault of the server.

use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::{Json, extract};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::object::Object;
use crate::admin::problem::Problem;

/// Entries of a list in one answer, where nothing else is asked for.
pub const LIMIT: usize = 100;

/// Entries of a list in one answer at most.
pub const LIMIT_MOST: usize = 1000;

/// The parameters of a query. Their struct denies unknown fields, so that a misspelt one is told.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        match extract::Query::<T>::try_from_uri(&parts.uri) {
            Ok(extract::Query(value)) => Ok(Query(value)),
            Err(e) => Err(wrong("query", &e.body_text())),
        }
    }
}

/// There are no parameters here.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// A query without parameters.
#[derive(Debug)]
pub struct NoQuery;

impl<S: Send + Sync> FromRequestParts<S> for NoQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Query(Nothing {}) = Query::from_request_parts(parts, state).await?;
        Ok(NoQuery)
    }
}

/// The names in a path, percent-decoded.
#[derive(Debug)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path: Result<extract::Path<T>, PathRejection> =
            extract::Path::from_request_parts(parts, state).await;
        match path {
            Ok(extract::Path(value)) => Ok(Path(value)),
            Err(e) => Err(Problem::parameter(
                "path",
                format!("{}; percent-encode UTF-8 text", e.body_text()),
            )),
        }
    }
}

/// A body of JSON: an object.
#[derive(Debug)]
pub struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        match Json::<Object<T>>::from_request(request, state).await {
            Ok(Json(Object(value))) => Ok(Body(value)),
            Err(JsonRejection::MissingJsonContentType(_)) => Err(Problem::media_type(
                "send the body as `Content-Type: application/json`",
            )),
            Err(e) if e.status() == StatusCode::PAYLOAD_TOO_LARGE => Err(Problem::too_large(
                "the body is larger than this path takes; give less at a time",
            )),
            Err(e) => Err(wrong("body", &e.body_text())),
        }
    }
}

/// A problem out of the text of a refusal, with the parameter that it speaks of; `whole` where it speaks
/// of none.
pub(super) fn wrong(whole: &'static str, text: &str) -> Problem {
    let detail = text.split_once(": ").map_or(text, |(_, detail)| detail);
    match culprit(detail) {
        Some(name) => Problem::parameter(name.to_owned(), detail),
        None => Problem::parameter(whole, detail),
    }
}

/// The parameter that `unknown field `x`, expected …` or `limit: invalid digit …` speaks of.
fn culprit(detail: &str) -> Option<&str> {
    for what in ["unknown field `", "missing field `", "duplicate field `"] {
        if let Some((_, rest)) = detail.split_once(what) {
            return rest.split_once('`').map(|(name, _)| name);
        }
    }
    let (name, _) = detail.split_once(": ")?;
    let fine = |c: char| c.is_ascii_alphanumeric() || "-_.[]".contains(c);
    (!name.is_empty() && name.chars().all(fine)).then_some(name)
}

/// How many entries of a list are wanted.
///
/// # Errors
/// When it is not between 1 and [`LIMIT_MOST`].
pub fn limit(wanted: Option<usize>) -> Result<usize, Problem> {
    limited(wanted, LIMIT)
}

/// As [`limit`], with another number where nothing is asked for.
///
/// # Errors
/// When it is not between 1 and [`LIMIT_MOST`].
pub fn limited(wanted: Option<usize>, default: usize) -> Result<usize, Problem> {
    let limit = wanted.unwrap_or(default);
    match (1..=LIMIT_MOST).contains(&limit) {
        true => Ok(limit),
        false => Err(Problem::parameter(
            "limit",
            format!("{limit} is not between 1 and {LIMIT_MOST}"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Uri;

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "kebab-case", deny_unknown_fields)]
    struct Wanted {
        #[expect(dead_code, reason = "only whether it can be read matters")]
        limit: Option<u32>,
        #[expect(dead_code, reason = "only whether it can be read matters")]
        how_many: u32,
    }

    fn blamed(query: &str) -> String {
        let uri: Uri = format!("/v1/x?{query}").parse().unwrap();
        let text = extract::Query::<Wanted>::try_from_uri(&uri).unwrap_err();
        let text = text.body_text();
        let detail = text.split_once(": ").unwrap().1;
        culprit(detail).unwrap_or("query").to_owned()
    }

    #[test]
    fn a_wrong_parameter_is_named() {
        for (query, name) in [
            ("how-many=1&limit=x", "limit"),
            ("how-many=1&limit=-1", "limit"),
            ("how-many=1&limit=", "limit"),
            ("how-many=1&limit=1&limit=2", "limit"),
            ("limit=1", "how-many"),
            ("how-many=1&limti=1", "limti"),
            ("how-many=99999999999", "how-many"),
        ] {
            assert_eq!(blamed(query), name, "{query}");
        }
    }

    #[test]
    fn a_wrong_part_of_a_body_is_named() {
        let blamed = |text: &str| {
            let e = Json::<Object<Wanted>>::from_bytes(text.as_bytes()).unwrap_err();
            let text = e.body_text();
            culprit(text.split_once(": ").unwrap().1).map(str::to_owned)
        };
        assert_eq!(blamed(r#"{"how-many": "x"}"#).as_deref(), Some("how-many"));
        assert_eq!(blamed(r#"{"x": 1}"#).as_deref(), Some("x"));
        assert_eq!(blamed("{}").as_deref(), Some("how-many"));
        assert_eq!(blamed("{"), None);
        // Serde would take these for the fields in their order.
        assert_eq!(blamed("[1, 2]"), None);
        assert_eq!(blamed("[null, 2]"), None);
    }

    #[test]
    fn limits_are_bounded() {
        assert_eq!(limit(None).unwrap(), 100);
        assert_eq!(limit(Some(1)).unwrap(), 1);
        assert_eq!(limit(Some(1000)).unwrap(), 1000);
        assert!(limit(Some(0)).is_err());
        assert!(limit(Some(1001)).is_err());
    }
}
