//! The console: a page for browsers at `/ui/`, served out of the binary.
//!
//! The files stand under `src/admin/console/` as the browser gets them: no build step makes them, and
//! they ask no other host for anything. The page itself knows nothing; all that it shows it asks of
//! `/v1` with the rights of whoever sits before it. So the files may be had by anybody, which the form
//! to sign in needs.

use std::io::Write;
use std::sync::OnceLock;

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use bytes::Bytes;

use super::problem::Problem;

mod files;

use files::{FILES, File};

/// What the page may do: only what comes from here, no inline code or style, no frame around it.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; \
     object-src 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
);

/// Files smaller than this are not worth compressing.
const WORTH: usize = 512;

/// The routes of the console.
pub fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route("/", get(|| async { Redirect::permanent("/ui/") }))
        .route("/ui", get(|| async { Redirect::permanent("/ui/") }))
        .route(
            "/ui/",
            get(|headers: HeaderMap| page("index.html".to_owned(), headers)),
        )
        .route(
            "/ui/{*path}",
            get(|Path(path): Path<String>, headers: HeaderMap| page(path, headers)),
        )
}

async fn page(path: String, headers: HeaderMap) -> Response {
    match FILES.iter().position(|f| f.path == path) {
        Some(at) => serve(at, &headers),
        None => {
            let detail = format!("the console has no file `{path}`; it begins at /ui/");
            let mut response = Problem::not_found(detail).into_response();
            guard(response.headers_mut());
            response
        }
    }
}

/// A file with what was made of it once.
struct Ready {
    etag: HeaderValue,
    gzip: Option<Bytes>,
}

impl Ready {
    fn of(file: &File) -> Ready {
        let digest = ring::digest::digest(&ring::digest::SHA256, file.octets);
        let name = data_encoding::HEXLOWER.encode(&digest.as_ref()[..12]);
        // Weak: the same tag stands for the octets with gzip and without.
        let etag = HeaderValue::try_from(format!("W/\"{name}\""));
        Ready {
            etag: etag.unwrap_or(HeaderValue::from_static("W/\"\"")),
            gzip: compressed(file.octets),
        }
    }
}

/// `octets` with gzip; `None` where that does not make them fewer.
fn compressed(octets: &[u8]) -> Option<Bytes> {
    if octets.len() < WORTH {
        return None;
    }
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(octets).ok()?;
    let done = encoder.finish().ok()?;
    (done.len() < octets.len()).then(|| done.into())
}

fn serve(at: usize, asked: &HeaderMap) -> Response {
    static READY: [OnceLock<Ready>; FILES.len()] = [const { OnceLock::new() }; FILES.len()];
    let file = &FILES[at];
    let ready = READY[at].get_or_init(|| Ready::of(file));
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    guard(headers);
    headers.insert(header::ETAG, ready.etag.clone());
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    // Asked again each time, so that a page never runs with files of another version.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if names(asked, &ready.etag) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return response;
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(file.kind));
    let body = match &ready.gzip {
        Some(gzip) if takes_gzip(asked) => {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            gzip.clone()
        }
        _ => Bytes::from_static(file.octets),
    };
    *response.body_mut() = Body::from(body);
    response
}

/// What keeps a browser from being used against the operator.
fn guard(headers: &mut HeaderMap) {
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY);
    let fixed = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(
        "cross-origin-opener-policy",
        HeaderValue::from_static("same-origin"),
    );
    headers.insert(
        "cross-origin-resource-policy",
        HeaderValue::from_static("same-origin"),
    );
}

/// Whether `If-None-Match` names this tag (RFC 9110, 13.1.2: compared weakly).
fn names(asked: &HeaderMap, etag: &HeaderValue) -> bool {
    let lists = asked.get_all(header::IF_NONE_MATCH).iter();
    let mut tags = lists
        .filter_map(|l| l.to_str().ok())
        .flat_map(|l| l.split(','));
    tags.any(|tag| {
        let tag = tag.trim();
        tag == "*" || opaque(tag.as_bytes()) == opaque(etag.as_bytes())
    })
}

/// A tag without the sign of a weak one.
fn opaque(tag: &[u8]) -> &[u8] {
    tag.strip_prefix(b"W/").unwrap_or(tag)
}

/// Whether the browser takes gzip (RFC 9110, 12.5.3).
fn takes_gzip(asked: &HeaderMap) -> bool {
    let lists = asked.get_all(header::ACCEPT_ENCODING).iter();
    let mut codings = lists
        .filter_map(|l| l.to_str().ok())
        .flat_map(|l| l.split(','));
    codings.any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let named = parts.next().is_some_and(|c| c.eq_ignore_ascii_case("gzip"));
        let refused = parts.any(|p| {
            let quality = p.strip_prefix("q=").or_else(|| p.strip_prefix("Q="));
            quality.is_some_and(|q| q.parse::<f32>().is_ok_and(|q| q <= 0.0))
        });
        named && !refused
    })
}

#[cfg(test)]
mod tests;
