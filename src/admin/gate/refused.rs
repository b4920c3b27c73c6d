//! Why somebody is refused, and how they are told.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::super::problem::Problem;
use super::{Role, Who};
use crate::time::utc;

/// Why somebody is refused. None of the words holds anything secret.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refused {
    /// No credentials, and not from a place that needs none.
    Nobody,
    /// Credentials of a kind that is not known here, or several.
    Scheme,
    /// No such token.
    Token,
    /// The token was valid once.
    Expired {
        /// Whose it is.
        name: Arc<str>,
        /// Until when, in Unix time.
        at: u64,
    },
    /// Nobody is signed in with the cookie any more.
    SignedOut,
    /// The credentials may not be used from there.
    Place {
        /// Whose they are.
        name: Arc<str>,
        /// From where.
        source: IpAddr,
    },
    /// A certificate of a known authority that no role was given.
    Certificate,
    /// From this machine, but by a name that may be anybody's.
    Host(String),
    /// A change that another site's page may have asked for.
    CrossSite(&'static str),
    /// The role is too low.
    Role {
        /// Who asked.
        who: Who,
        /// What it takes.
        needs: Role,
    },
    /// A change for the second time.
    Replayed {
        /// Who asked.
        who: Who,
        /// How long ago the first one was.
        ago: Duration,
        /// Where, if not in the memory of this process.
        node: Option<String>,
        /// Whether the first one asked the same.
        same: bool,
    },
    /// What marks a change is not as it must be.
    Key,
    /// Too many requests.
    Requests {
        /// Until one may pass.
        wait: Duration,
    },
    /// Too many wrong credentials.
    Failures {
        /// Until one is looked at.
        wait: Duration,
    },
    /// The body is too long.
    Body {
        /// Octets that it may have.
        most: usize,
    },
    /// The body did not come in time.
    Slow,
    /// The target is too long.
    Target {
        /// Octets that it may have.
        most: usize,
    },
    /// The header fields are too long.
    Head {
        /// Octets that they may have.
        most: usize,
    },
    /// The body is no JSON by its own word.
    Media,
    /// The system has no randomness for a session.
    NoRandomness,
}

impl Refused {
    /// All words of [`Refused::word`].
    pub(super) const WORDS: [&'static str; 21] = [
        "nobody",
        "scheme",
        "token",
        "expired",
        "signed-out",
        "place",
        "certificate",
        "host",
        "cross-site",
        "role",
        "replayed",
        "key",
        "requests",
        "failures",
        "body",
        "slow",
        "target",
        "head",
        "media",
        "randomness",
        "other",
    ];

    /// One word for it, for metrics.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Refused::Nobody => "nobody",
            Refused::Scheme => "scheme",
            Refused::Token => "token",
            Refused::Expired { .. } => "expired",
            Refused::SignedOut => "signed-out",
            Refused::Place { .. } => "place",
            Refused::Certificate => "certificate",
            Refused::Host(_) => "host",
            Refused::CrossSite(_) => "cross-site",
            Refused::Role { .. } => "role",
            Refused::Replayed { .. } => "replayed",
            Refused::Key => "key",
            Refused::Requests { .. } => "requests",
            Refused::Failures { .. } => "failures",
            Refused::Body { .. } => "body",
            Refused::Slow => "slow",
            Refused::Target { .. } => "target",
            Refused::Head { .. } => "head",
            Refused::Media => "media",
            Refused::NoRandomness => "randomness",
        }
    }

    /// The name of who is refused, where they are known.
    pub(super) fn name(&self) -> Option<&Arc<str>> {
        match self {
            Refused::Expired { name, .. } | Refused::Place { name, .. } => Some(name),
            Refused::Role { who, .. } | Refused::Replayed { who, .. } => Some(&who.name),
            _ => None,
        }
    }

    /// Whether somebody tried credentials that are no good.
    pub(super) fn is_wrong_credentials(&self) -> bool {
        matches!(
            self,
            Refused::Scheme
                | Refused::Token
                | Refused::Expired { .. }
                | Refused::Place { .. }
                | Refused::Certificate
        )
    }

    fn status(&self) -> StatusCode {
        match self {
            Refused::Nobody
            | Refused::Scheme
            | Refused::Token
            | Refused::Expired { .. }
            | Refused::SignedOut
            | Refused::Certificate => StatusCode::UNAUTHORIZED,
            Refused::Place { .. }
            | Refused::Host(_)
            | Refused::CrossSite(_)
            | Refused::Role { .. } => StatusCode::FORBIDDEN,
            Refused::Replayed { .. } => StatusCode::CONFLICT,
            Refused::Key => StatusCode::BAD_REQUEST,
            Refused::Requests { .. } | Refused::Failures { .. } => StatusCode::TOO_MANY_REQUESTS,
            Refused::Body { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Refused::Slow => StatusCode::REQUEST_TIMEOUT,
            Refused::Target { .. } => StatusCode::URI_TOO_LONG,
            Refused::Head { .. } => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Refused::Media => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Refused::NoRandomness => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn title(&self) -> &'static str {
        match self.status() {
            StatusCode::UNAUTHORIZED => "who are you",
            StatusCode::FORBIDDEN => "not allowed",
            StatusCode::CONFLICT => "seen before",
            StatusCode::BAD_REQUEST => "invalid parameter",
            StatusCode::TOO_MANY_REQUESTS => "too many requests",
            StatusCode::REQUEST_TIMEOUT => "too slow",
            StatusCode::UNSUPPORTED_MEDIA_TYPE => "no JSON",
            StatusCode::SERVICE_UNAVAILABLE => "unavailable",
            _ => "too large",
        }
    }

    /// The part of the request that is at fault.
    fn parameter(&self) -> Option<&'static str> {
        Some(match self {
            Refused::Scheme | Refused::Token | Refused::Expired { .. } => "Authorization",
            Refused::Replayed { .. } | Refused::Key => "Idempotency-Key",
            Refused::Host(_) => "Host",
            Refused::Body { .. } | Refused::Slow => "body",
            Refused::Target { .. } => "target",
            Refused::Head { .. } => "header fields",
            Refused::Media => "Content-Type",
            _ => return None,
        })
    }

    /// What is wrong, and what to do.
    pub fn detail(&self) -> String {
        match self {
            Refused::Nobody => {
                "this needs a token (`Authorization: Bearer …`), a client certificate, or \
                                a session (POST /v1/session)"
                    .to_owned()
            }
            Refused::Scheme => {
                "there must be one `Authorization` field, of the form `Bearer TOKEN`".to_owned()
            }
            Refused::Token => "no such token; `tradewind admin token NAME` makes one, and the \
                               configuration must name its hash"
                .to_owned(),
            Refused::Expired { name, at } => format!(
                "token `{name}` expired at {}; make a new one with `tradewind admin token {name}`",
                utc::show(*at)
            ),
            Refused::SignedOut => {
                "the session has ended; sign in again (POST /v1/session)".to_owned()
            }
            Refused::Place { name, source } => format!(
                "`{name}` may not ask from {source}: `from` in the configuration does not hold it"
            ),
            Refused::Certificate => "the client certificate has no role; name it in \
                                     `[admin.certificates]`"
                .to_owned(),
            Refused::Host(host) => format!(
                "without credentials this node is asked by its address or as `localhost`, not as \
                 `{host}`, which may be anybody's name for it"
            ),
            Refused::CrossSite(why) => {
                format!("{why}: a change must come from the dashboard's own page, or with a token")
            }
            Refused::Role { who, needs } => format!(
                "this takes the role {}; `{}` has the role {}",
                needs.word(),
                who.name,
                who.role.word()
            ),
            Refused::Replayed {
                ago, node, same, ..
            } => {
                let place = node.as_ref();
                let place = place.map_or_else(String::new, |n| format!(" at node `{n}`"));
                let ago = ago.as_secs();
                match same {
                    true => format!(
                        "a change with this `Idempotency-Key` came {ago} s ago{place} and is not made \
                         again; give every change its own key"
                    ),
                    false => format!(
                        "another change with this `Idempotency-Key` came {ago} s ago{place}; this one is \
                         not made: give every change its own key"
                    ),
                }
            }
            Refused::Key => {
                "`Idempotency-Key` takes 1 to 255 printable characters without spaces, once"
                    .to_owned()
            }
            Refused::Requests { wait } => format!(
                "more requests than one source may send (`[admin] requests-per-second`); come back in {} s",
                seconds(*wait)
            ),
            Refused::Failures { wait } => format!(
                "too many wrong credentials from there; come back in {} s",
                seconds(*wait)
            ),
            Refused::Body { most } => format!("the body may have {most} octets and has more"),
            Refused::Slow => "the body did not come within 30 s".to_owned(),
            Refused::Target { most } => format!("the target may have {most} octets and has more"),
            Refused::Head { most } => {
                format!("the header fields may have {most} octets and have more")
            }
            Refused::Media => {
                "the body must be JSON: send `Content-Type: application/json`".to_owned()
            }
            Refused::NoRandomness => "the system has no randomness for a session".to_owned(),
        }
    }
}

/// Whole seconds, at least one.
fn seconds(wait: Duration) -> u64 {
    wait.as_millis()
        .div_ceil(1_000)
        .max(1)
        .try_into()
        .unwrap_or(u64::MAX)
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let parameter = self.parameter();
        let problem = Problem::of(self.status(), self.title(), self.detail(), parameter);
        let mut response = problem.into_response();
        let headers = response.headers_mut();
        match &self {
            Refused::Requests { wait } | Refused::Failures { wait } => {
                headers.insert(header::RETRY_AFTER, seconds(*wait).into());
            }
            _ if self.status() == StatusCode::UNAUTHORIZED => {
                // RFC 6750 section 3.
                let challenge = match self.is_wrong_credentials() {
                    true => "Bearer realm=\"tradewind\", error=\"invalid_token\"",
                    false => "Bearer realm=\"tradewind\"",
                };
                let challenge = HeaderValue::from_static(challenge);
                headers.insert(header::WWW_AUTHENTICATE, challenge);
            }
            // What was not read of the body is not looked for a next request in.
            Refused::Body { .. } | Refused::Slow => {
                headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            _ => {}
        }
        // For the guard, which writes it down.
        response.extensions_mut().insert(self);
        response
    }
}
