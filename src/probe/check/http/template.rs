//! What all targets of one HTTP monitor share: made once, so that a target costs next to nothing.

use std::collections::HashSet;
use std::sync::Arc;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Method, http};

use super::super::secure::TlsClient;
use super::answer::Expectation;
use super::redirect::Place;
use crate::health::{Failure, HttpCheck, HttpVersion};

/// Sent unless the monitor's headers name another.
const AGENT: &str = concat!("tradewind-probe/", env!("CARGO_PKG_VERSION"));

/// A monitor's request, and what is expected of the answer.
#[derive(Debug)]
pub struct Template {
    pub(super) method: Method,
    /// Path and query, normalised.
    pub(super) path: String,
    pub(super) body: Option<Box<str>>,
    /// All but `Host` and `Connection`, which depend on target and version.
    pub(super) headers: HeaderMap,
    /// `Host` as configured; the target's address when `None`.
    pub(super) authority: Option<HeaderValue>,
    /// The host that certificate and redirects are judged by; the target's address when `None`.
    pub(super) host: Option<Box<str>>,
    pub(super) version: HttpVersion,
    pub(super) tls: Option<Arc<TlsClient>>,
    pub(super) expectation: Expectation,
    pub(super) follow_redirects: u32,
}

impl Template {
    /// Works out what every run of `check` needs. `tls` is its side of TLS, where it has one.
    ///
    /// # Errors
    /// When nothing can be asked: the reason.
    pub fn of(check: &HttpCheck, tls: Option<Arc<TlsClient>>) -> Result<Template, Failure> {
        let wrong = |what: String| Failure::Http(what);
        let method = Method::from_bytes(check.method.as_bytes())
            .map_err(|_| wrong(format!("`{}` is no request method", check.method)))?;
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        let mut named = HashSet::new();
        for (name, value) in &check.headers {
            let (key, text) = header(name, value)?;
            // The first of a name takes the place of our own; more of it are added.
            if named.insert(key.clone()) {
                headers.insert(key, text);
            } else {
                headers.append(key, text);
            }
        }
        headers.remove(CONNECTION);
        let own_host = headers.remove(HOST);
        let authority = match (&check.host, own_host) {
            (_, Some(value)) => Some(value),
            (Some(host), None) => Some(header(HOST.as_str(), host)?.1),
            (None, None) => None,
        };
        // A target's own address is a host in any case; what the path becomes does not depend on it.
        let host = check.host.as_deref().unwrap_or("192.0.2.1");
        let place = Place::first(check.tls.is_some(), host, &check.path)?;
        Ok(Template {
            method,
            path: place.path(),
            body: check.body.clone(),
            headers,
            authority,
            host: check.host.clone(),
            version: check.version,
            tls,
            expectation: Expectation::of(check)?,
            follow_redirects: check.follow_redirects,
        })
    }

    /// The protocols to offer in TLS handshakes (RFC 7301), the most wanted first.
    pub fn alpn(version: HttpVersion) -> &'static [&'static str] {
        match version {
            HttpVersion::Http11 => &["http/1.1"],
            HttpVersion::Http2 => &["h2"],
            HttpVersion::Auto => &["h2", "http/1.1"],
        }
    }

    /// The body to send.
    pub(super) fn body_of(&self, text: Option<&str>) -> Full<Bytes> {
        Full::new(text.map_or_else(Bytes::new, |t| Bytes::copy_from_slice(t.as_bytes())))
    }

    /// Asks the server to close after its answer (RFC 9112 section 9.6).
    pub(super) fn close(&self, headers: &mut HeaderMap) {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
}

fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), Failure> {
    let key: Result<HeaderName, http::header::InvalidHeaderName> =
        HeaderName::from_bytes(name.as_bytes());
    let key = key.map_err(|_| Failure::Http(format!("`{name}` is no header name")))?;
    let text = HeaderValue::from_str(value).map_err(|_| {
        Failure::Http(format!(
            "header `{name}` has characters that no header may have"
        ))
    })?;
    Ok((key, text))
}
