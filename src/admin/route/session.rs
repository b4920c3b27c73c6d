//! `/v1/session`: browsers sign in and out, and everybody may ask who they are.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, State as Extract};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Response};

use super::object::Object;
use super::query::NoQuery;
use crate::admin::State;
use crate::admin::gate::{Peer, Viewer, bearer_of};
use crate::admin::problem::{Document, Problem};
use crate::admin::view::session::{Login, Session};
use crate::time::utc;

/// Who asks, their role, and until when they are known.
#[utoipa::path(
    get,
    path = "/v1/session",
    tag = "node",
    responses((status = 200, description = "Who asks", body = Session))
)]
pub async fn session(
    Viewer(who): Viewer,
    Extract(state): Extract<State>,
    _: NoQuery,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
) -> impl IntoResponse {
    let expires = state.gate.known_until(&who, &headers, &peer);
    let session = Session {
        name: who.name.to_string(),
        role: who.role.word(),
        by: who.by.word(),
        expires: expires.map(utc::show),
    };
    (kept_by_nobody(), Json(session))
}

/// Exchanges a token for a cookie that no script of a page can read.
#[utoipa::path(
    post,
    path = "/v1/session",
    tag = "node",
    request_body = Login,
    responses(
        (status = 200, description = "Signed in: `Set-Cookie` has the session", body = Session),
        (status = 401, description = "The token is no good", body = Document,
         content_type = "application/problem+json"),
        (status = 503, description = "The system has no randomness", body = Document,
         content_type = "application/problem+json"),
    )
)]
pub async fn sign_in(
    Extract(state): Extract<State>,
    _: NoQuery,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Response> {
    let login: Login = match body.is_empty() {
        true => Login::default(),
        // What the parser says may quote the token.
        false => serde_json::from_slice(&body).map(|Object(login)| login).map_err(|_| {
            let detail = "the body must be {\"token\": \"…\"}, or empty with the token in the field \
                          `Authorization`";
            Problem::parameter("body", detail).into_response()
        })?,
    };
    let token = login.token.or_else(|| bearer_of(&headers));
    let token = token.ok_or_else(|| {
        let detail = "give the token here, or in the field `Authorization`";
        Problem::parameter("token", detail).into_response()
    })?;
    let opened = state.gate.sign_in(&peer, &token);
    let opened = opened.map_err(IntoResponse::into_response)?;
    let session = Session {
        name: opened.who.name.to_string(),
        role: opened.who.role.word(),
        by: opened.who.by.word(),
        expires: Some(utc::show(opened.ends)),
    };
    Ok((with_cookie(&opened.cookie), kept_by_nobody(), Json(session)).into_response())
}

/// Ends the session of the cookie.
#[utoipa::path(
    delete,
    path = "/v1/session",
    tag = "node",
    responses((status = 204, description = "Signed out"))
)]
pub async fn sign_out(
    Viewer(who): Viewer,
    Extract(state): Extract<State>,
    _: NoQuery,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
) -> impl IntoResponse {
    let cookie = state.gate.sign_out(&who, &peer, &headers);
    (
        StatusCode::NO_CONTENT,
        with_cookie(&cookie),
        kept_by_nobody(),
    )
}

fn kept_by_nobody() -> [(header::HeaderName, &'static str); 1] {
    [(header::CACHE_CONTROL, "no-store")]
}

/// Marked, so that no log shows it.
fn with_cookie(text: &str) -> AppendHeaders<Option<(header::HeaderName, HeaderValue)>> {
    let value = HeaderValue::from_str(text).ok().map(|mut value| {
        value.set_sensitive(true);
        (header::SET_COOKIE, value)
    });
    AppendHeaders(value)
}
