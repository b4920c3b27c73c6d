//! What the proxy answers itself when it cannot pass a request on.

use bytes::Bytes;

use crate::message::http1::{self, Refusal};
use crate::message::{Known, RequestHead, ResponseHead};
use crate::traffic::route::path::PathError;

use super::backend::Unavailable;
use super::body::{Body, BodyError};
use super::message::Response;
use super::upstream::Why;

/// Why a request was not answered by a backend. Each has a status and a word for the log (P1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failure {
    /// What came is no request that may be passed on.
    Refused(Refusal),
    /// The head did not come in time.
    SlowHead,
    /// The body ended early, or is longer than allowed.
    Body(BodyError),
    /// Its path has no safe reading.
    Path(PathError),
    /// No route takes it.
    NoRoute,
    /// Its route refuses it with this status.
    Denied(u16),
    /// Its route has it closed without an answer.
    Dropped,
    /// The rules of the WAF refuse it with this status.
    Waf(u16),
    /// No backend may have it.
    NoBackend,
    /// The upstream cannot take it now.
    Busy(Unavailable),
    /// A backend did not answer.
    Backend(Why),
    /// Its rate was exceeded; it may come back after so many seconds.
    RateLimited {
        /// The status that the client gets.
        status: u16,
        /// Seconds.
        wait: u32,
    },
    /// Its route has as many requests under way as it may.
    TooMany,
    /// It could not be asked whether the request may pass.
    AuthFailed,
    /// It was not answered in the time it had in all.
    TooLate,
}

impl Failure {
    /// The status that the client gets.
    pub fn status(self) -> u16 {
        match self {
            Failure::Refused(refusal) => refusal.status(),
            Failure::SlowHead | Failure::Body(BodyError::Timeout) => 408,
            Failure::Body(BodyError::TooLong) => 413,
            Failure::Body(_) | Failure::Backend(Why::Body(_)) => 400,
            Failure::Path(_) => 400,
            Failure::NoRoute => 404,
            Failure::Denied(status) | Failure::Waf(status) => status,
            // Nobody gets it; logs have had a number for it since nginx.
            Failure::Dropped => 444,
            Failure::NoBackend | Failure::Busy(_) | Failure::TooMany | Failure::AuthFailed => 503,
            Failure::RateLimited { status, .. } => status,
            Failure::Backend(Why::ConnectTimeout | Why::Timeout) | Failure::TooLate => 504,
            Failure::Backend(Why::NoSocket | Why::TakenOut) => 503,
            Failure::Backend(_) => 502,
        }
    }

    /// One word for logs and metrics.
    pub fn word(self) -> &'static str {
        match self {
            Failure::Refused(refusal) => refusal.word(),
            Failure::SlowHead => "slow-head",
            Failure::Body(BodyError::Timeout) => "slow-body",
            Failure::Body(BodyError::TooLong) => "body-too-long",
            Failure::Body(_) | Failure::Backend(Why::Body(_)) => "body-broken",
            Failure::Path(_) => "bad-path",
            Failure::NoRoute => "no-route",
            Failure::Denied(_) => "denied",
            Failure::Dropped => "dropped",
            Failure::Waf(_) => "waf",
            Failure::NoBackend => "no-backend",
            Failure::RateLimited { .. } => "rate-limited",
            Failure::TooMany => "too-many-requests",
            Failure::AuthFailed => "auth-failed",
            Failure::Busy(busy) => busy.why.word(),
            Failure::TooLate => "total-timeout",
            Failure::Backend(why) => match why {
                Why::Refused => "connect-refused",
                Why::ConnectTimeout => "connect-timeout",
                Why::NoSocket => "no-socket",
                Why::TakenOut => "backend-taken-out",
                Why::Tls => "backend-tls",
                Why::Closed => "backend-closed",
                Why::Timeout => "backend-timeout",
                Why::Malformed => "backend-malformed",
                Why::TooLong => "backend-head-too-long",
                Why::Body(_) => "body-broken",
            },
        }
    }
}

impl From<Why> for Failure {
    fn from(why: Why) -> Failure {
        match why {
            Why::Body(e) => Failure::Body(e),
            why => Failure::Backend(why),
        }
    }
}

/// The answer that tells a client of a failure.
pub fn failure(failure: Failure) -> Response {
    let status = failure.status();
    let mut head = ResponseHead::new(status);
    head.fields
        .push_known(Known::ContentType, b"text/plain; charset=utf-8");
    if let Failure::RateLimited { wait, .. } = failure {
        let wait = wait.to_string();
        head.fields.push_known(Known::RetryAfter, wait.as_bytes());
    } else if failure == Failure::TooMany {
        head.fields.push_known(Known::RetryAfter, b"1");
    } else if status == 503 {
        // A client that comes back at once makes it worse.
        let after = match failure {
            Failure::Busy(busy) => busy.retry_after.as_secs(),
            _ => 5,
        };
        head.fields
            .push_known(Known::RetryAfter, after.to_string().as_bytes());
    }
    let text = format!("{status} {}\n", http1::write::reason(status));
    let mut response = Response::new(head, Body::Whole(Bytes::from(text)));
    // What was not read of a request that failed is not waited for.
    response.close = matches!(
        failure,
        Failure::Refused(_) | Failure::SlowHead | Failure::Body(_)
    );
    response
}

/// Whether a request is one of gRPC, whose clients look for a status of its own.
pub fn is_grpc(head: &RequestHead) -> bool {
    let kind = head.fields.get(Known::ContentType).unwrap_or_default();
    kind.strip_prefix(b"application/grpc")
        .is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

/// Turns an answer of our own into one that gRPC understands: trailers only, HTTP status 200.
pub fn into_grpc(response: &mut Response) {
    let status = response.head.status;
    // The mapping of gRPC's own document on HTTP statuses.
    let code: &[u8] = match status {
        400 => b"13",
        401 => b"16",
        403 => b"7",
        404 => b"12",
        408 => b"1",
        413 | 431 => b"8",
        429 | 502 | 503 | 504 => b"14",
        _ => b"2",
    };
    let fields = &mut response.head.fields;
    fields.set(Known::ContentType, b"application/grpc");
    fields.set(Known::GrpcStatus, code);
    let words = http1::write::reason(status);
    let text = format!("the proxy answered {status} {words}");
    fields.set(Known::GrpcMessage, text.as_bytes());
    fields.remove(Known::ContentLength);
    response.head.status = 200;
    response.body = Body::Empty;
}
