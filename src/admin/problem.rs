//! Errors of the API as problem documents (RFC 9457).

use std::borrow::Cow;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::etag::ETag;

const KIND: HeaderValue = HeaderValue::from_static("application/problem+json");

/// An error that a person can act on.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    body: Document,
    /// The tag of the thing as it is.
    tag: Option<ETag>,
}

/// A problem document (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct Document {
    /// Short, the same for every occurrence.
    title: &'static str,
    /// The status code.
    status: u16,
    /// What is wrong here, and what to do.
    detail: String,
    /// The parameter at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    parameter: Option<Cow<'static, str>>,
    /// Each problem, where there are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<String>,
}

impl Problem {
    /// A wrong or missing parameter: 400.
    pub fn parameter(name: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Problem {
        let mut p = Problem::new(StatusCode::BAD_REQUEST, "invalid parameter", detail);
        p.body.parameter = Some(name.into());
        p
    }

    /// No such object: 404.
    pub fn not_found(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::NOT_FOUND, "not found", detail)
    }

    /// What a parameter names does not exist: 404.
    pub fn no_such(name: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Problem {
        let mut p = Problem::not_found(detail);
        p.body.parameter = Some(name.into());
        p
    }

    /// The same, and the parameter that it is about.
    pub fn about(mut self, parameter: &'static str) -> Problem {
        self.body.parameter = Some(parameter.into());
        self
    }

    /// The path takes another method: 405.
    pub fn method(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method not allowed", detail)
    }

    /// The configuration is wrong: 422, with every error.
    pub fn refused(problems: Vec<String>) -> Problem {
        let mut p = Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "configuration refused",
            format!(
                "{} problem{}; the configuration in force stays as it was",
                problems.len(),
                if problems.len() == 1 { "" } else { "s" }
            ),
        );
        p.body.problems = problems;
        p
    }

    /// An order breaks rules: 409, with each of them.
    pub fn conflict(rules: Vec<String>) -> Problem {
        let mut p = Problem::new(
            StatusCode::CONFLICT,
            "rule broken",
            format!(
                "{}; nothing was changed. Order less, or say with `break-glass` why it must be all \
                 the same",
                rules.join("; ")
            ),
        );
        p.body.problems = rules;
        p
    }

    /// What is asked for is over: 409.
    pub fn too_late(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::CONFLICT, "too late", detail)
    }

    /// Not ready, or the order could not be tried: 503.
    pub fn unavailable(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
    }

    /// It changed since the client looked: 412, with the tag that was wanted and the one it has now.
    pub fn precondition(wanted: &str, tag: &ETag) -> Problem {
        let detail = format!(
            "it changed since you read it: `If-Match` wants {wanted}, and its entity tag is {tag} now; \
             read it again, then change it"
        );
        let status = StatusCode::PRECONDITION_FAILED;
        let mut p = Problem::new(status, "precondition failed", detail);
        p.body.parameter = Some("If-Match".into());
        p.tag = Some(tag.clone());
        p
    }

    /// The body is of a kind that is not read: 415.
    pub fn media_type(detail: impl Into<String>) -> Problem {
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        let mut p = Problem::new(status, "unsupported media type", detail);
        p.body.parameter = Some("Content-Type".into());
        p
    }

    /// The body is too large: 413.
    pub fn too_large(detail: impl Into<String>) -> Problem {
        let mut p = Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too large", detail);
        p.body.parameter = Some("body".into());
        p
    }

    /// Anything else, in words, and the parameter that it is about.
    pub(super) fn of(
        status: StatusCode,
        title: &'static str,
        detail: String,
        parameter: Option<&'static str>,
    ) -> Problem {
        let mut p = match parameter {
            Some(name) => Problem::parameter(name, detail),
            None => Problem::new(status, title, detail),
        };
        (p.status, p.body.status, p.body.title) = (status, status.as_u16(), title);
        p
    }

    fn new(status: StatusCode, title: &'static str, detail: impl Into<String>) -> Problem {
        Problem {
            status,
            body: Document {
                title,
                status: status.as_u16(),
                detail: detail.into(),
                parameter: None,
                problems: Vec::new(),
            },
            tag: None,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body)).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, KIND);
        let tag = self
            .tag
            .and_then(|t| HeaderValue::from_str(t.as_str()).ok());
        if let Some(tag) = tag {
            response.headers_mut().insert(header::ETAG, tag);
        }
        response
    }
}
