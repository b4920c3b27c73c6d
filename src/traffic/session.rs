//! Sessions: how the requests of one client are kept with one backend, as configured.
//!
//! What is written into and read from messages is in [`cookie`], what names a backend there in
//! [`token`], and what is remembered of clients whose messages say nothing of backends in [`table`],
//! by several proxies together in [`shared`].

pub mod cookie;
pub mod shared;
pub mod table;
pub mod token;

use std::time::Duration;

use super::algorithm::HashKey;
use crate::limit::Secret;

/// How the requests of one client are kept with one backend.
#[derive(Clone, PartialEq, Debug)]
pub struct Session {
    /// What of a request tells its session.
    pub binding: Binding,
    /// What happens when the backend cannot serve.
    pub on_gone: OnGone,
    /// Sessions that a table remembers at most.
    pub entries: usize,
    /// How long a table remembers a session that is not used.
    pub ttl: Duration,
    /// Whether the proxies of the region remember together.
    pub is_shared: bool,
    /// What names of backends are signed with: the first signs, all are accepted. Empty: the process
    /// draws one.
    pub secrets: Vec<Secret>,
}

/// What of a request tells its session.
#[derive(Clone, PartialEq, Debug)]
pub enum Binding {
    /// A cookie of ours that names the backend.
    Insert(InsertedCookie),
    /// A cookie of the application, before whose value we write the backend.
    Prefix(Box<[u8]>),
    /// A cookie of the application; a table remembers which backend set which value.
    Learn(Box<[u8]>),
    /// Something that the client sends; a table remembers which backend was chosen for it first.
    Key(HashKey),
}

impl Binding {
    /// Whether a table remembers the sessions.
    pub fn wants_table(&self) -> bool {
        matches!(self, Binding::Learn(_) | Binding::Key(_))
    }
}

/// A cookie of ours (RFC 6265 section 4.1).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InsertedCookie {
    /// Its name.
    pub name: Box<str>,
    /// `Path`.
    pub path: Box<str>,
    /// `Domain`; without one the cookie goes back to this host only.
    pub domain: Option<Box<str>>,
    /// `Secure`; `None`: when the client speaks TLS.
    pub secure: Option<bool>,
    /// `HttpOnly`.
    pub http_only: bool,
    /// `SameSite`.
    pub same_site: SameSite,
    /// `Max-Age`; without one it ends with the browser's session.
    pub max_age: Option<Duration>,
    /// Whether the backend does not see it.
    pub indirect: bool,
    /// Whether answers that set it are marked `Cache-Control: private`.
    pub no_cache: bool,
}

/// `SameSite` of a cookie.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum SameSite {
    /// Also when a link of another site is followed.
    #[default]
    Lax,
    /// From this site only.
    Strict,
    /// From everywhere; browsers then want `Secure`.
    None,
}

/// What happens to a request whose backend cannot serve.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum OnGone {
    /// It goes to another, and the session with it.
    #[default]
    Reassign,
    /// It is answered with 503.
    Refuse,
}
