//! What every request passes before a handler sees it, and its answer afterwards.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State as Extract};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::super::State;
use super::audit::{Asked, Told};
use super::identify::{Now, identify};
use super::refused::Refused;
use super::{By, Gate, Peer, Standing, Who, cross_site, replay};

/// Octets of the target (path and query), and of all header fields together.
const TARGET: usize = 8 << 10;
const HEAD: usize = 16 << 10;

/// Octets of a stranger's body: a token.
const STRANGERS_BODY: usize = 4 << 10;

/// For a body to come.
const BODY_TIME: Duration = Duration::from_secs(30);

/// Where browsers exchange a token for a session: who asks is not known yet, or is known too well.
const SESSION: &str = "/v1/session";

/// Tries a configuration; nothing changes.
const PLAN: &str = "/v1/plan";

/// Counts, measures and identifies a request, and writes down what became of it.
pub async fn guard(Extract(state): Extract<State>, request: Request, next: Next) -> Response {
    let gate = &*state.gate;
    let (mut parts, body) = request.into_parts();
    let Some(peer) = parts.extensions.get::<Peer>().cloned() else {
        // Only what a listener has accepted has another end.
        return Refused::Nobody.into_response();
    };
    let asked = Asked::new(&parts.method, &parts.uri, &peer);
    let now = gate.clock.now();
    let standing = match gate.limits.load().request(peer.address, now) {
        Some(wait) => Err(Refused::Requests { wait }),
        None => gate.pass(&mut parts, &peer),
    };
    let is_console = parts.uri.path().starts_with("/ui/");
    let is_change = is_change(&parts.method) && parts.uri.path() != PLAN;
    let is_session = parts.uri.path() == SESSION;
    let may_be_marked = self::is_change(&parts.method);
    let (who, response) = match standing {
        Err(refused) => (None, refused.into_response()),
        Ok(who) => {
            let most = match who {
                Some(_) => gate.access().body_limit,
                None => STRANGERS_BODY,
            };
            let read = read(body, &parts.headers, most).await;
            let first = read.and_then(|body| {
                if let (Some(who), true) = (&who, may_be_marked) {
                    gate.first_time(&mut parts, who, &body, &*state.orders)?;
                }
                Ok(body)
            });
            let response = match first {
                Ok(body) => next.run(Request::from_parts(parts, body.into())).await,
                Err(refused) => refused.into_response(),
            };
            (who, response)
        }
    };
    let mut response = response;
    if let Some(refused) = response.extensions_mut().remove::<Refused>() {
        gate.record.refused(&refused, &asked, now);
    } else if let (Some(who), true, true, false) =
        (&who, is_change, response.status().is_success(), is_session)
    {
        let told = response.extensions_mut().remove::<Told>();
        gate.record
            .changed(who, &asked, response.status(), told.as_ref());
    }
    protect(response.headers_mut(), is_console);
    response
}

impl Gate {
    /// Whether a request may go on, and who asks where they are known. What handlers need to know stands
    /// among the parts then.
    fn pass(&self, parts: &mut Parts, peer: &Peer) -> Result<Option<Who>, Refused> {
        let target = parts.uri.path_and_query().map_or(0, |t| t.as_str().len());
        if target > TARGET {
            return Err(Refused::Target { most: TARGET });
        }
        let fields = parts.headers.iter();
        let head: usize = fields.map(|(n, v)| n.as_str().len() + v.len() + 4).sum();
        if head > HEAD {
            return Err(Refused::Head { most: HEAD });
        }
        let now = Now {
            moment: self.clock.now(),
            unix: self.clock.wall().unix(self.clock.now()),
        };
        let found = {
            let sessions = self.sessions();
            identify(&self.access(), &sessions, &parts.headers, peer, now)
        };
        let found = found.map_err(|refused| self.counted(refused, peer));
        if let Err(refused @ Refused::Failures { .. }) = found {
            return Err(refused);
        }
        let who = found.as_ref().ok().cloned();
        if is_change(&parts.method) {
            self.pass_change(parts, peer, who.as_ref())?;
        }
        parts.extensions.insert(Standing(found));
        Ok(who)
    }

    fn pass_change(&self, parts: &Parts, peer: &Peer, who: Option<&Who>) -> Result<(), Refused> {
        let headers = &parts.headers;
        let key = replay::key(headers)?;
        // Who signs in has no session yet, and who signs out may have lost theirs.
        let by = match (who, parts.uri.path()) {
            (Some(who), path) if who.by != By::Session || path != SESSION => who.by,
            _ => By::Loopback,
        };
        cross_site::check(by, headers, peer, key.is_some())?;
        if has_body(headers) && !is_json(headers) {
            return Err(Refused::Media);
        }
        Ok(())
    }
}

/// RFC 9110 section 9.2.1: the others are safe.
fn is_change(method: &Method) -> bool {
    !matches!(
        *method,
        Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE
    )
}

fn has_body(headers: &HeaderMap) -> bool {
    let length = headers.get(header::CONTENT_LENGTH);
    length.is_some_and(|l| l != "0") || headers.contains_key(header::TRANSFER_ENCODING)
}

fn is_json(headers: &HeaderMap) -> bool {
    let text = headers
        .get(header::CONTENT_TYPE)
        .and_then(|v| v.to_str().ok());
    let kind = text
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default();
    let kind = kind.trim().to_ascii_lowercase();
    kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
}

/// Reads the body, of at most so many octets.
async fn read(body: Body, headers: &HeaderMap, most: usize) -> Result<Bytes, Refused> {
    let length = headers.get(header::CONTENT_LENGTH);
    let length = length.and_then(|l| l.to_str().ok()?.parse::<u64>().ok());
    // Not one octet is read of what is too long by its own word.
    if length.is_some_and(|l| l > most as u64) {
        return Err(Refused::Body { most });
    }
    if !has_body(headers) {
        return Ok(Bytes::new());
    }
    match tokio::time::timeout(BODY_TIME, Limited::new(body, most).collect()).await {
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(e)) if e.is::<LengthLimitError>() => Err(Refused::Body { most }),
        // Nobody is there to be told.
        Ok(Err(_)) | Err(_) => Err(Refused::Slow),
    }
}

/// What browsers are told about every answer. Nothing here is for other sites; the console says itself what
/// its pages may load.
fn protect(headers: &mut HeaderMap, is_console: bool) {
    const RULES: [(HeaderName, HeaderValue); 4] = [
        (
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ),
        (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
        (
            header::REFERRER_POLICY,
            HeaderValue::from_static("no-referrer"),
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            HeaderValue::from_static("same-origin"),
        ),
    ];
    for (name, value) in RULES {
        headers.entry(name).or_insert(value);
    }
    if !is_console {
        headers
            .entry(header::CONTENT_SECURITY_POLICY)
            .or_insert(HeaderValue::from_static(
                "default-src 'none'; frame-ancestors 'none'",
            ));
        // Kept by nobody without asking again: what is shown here is of now.
        headers
            .entry(header::CACHE_CONTROL)
            .or_insert(HeaderValue::from_static("private, no-cache"));
    }
}
