//! Browsers that are signed in: a cookie instead of the token, so that no script of a page can read it.
//!
//! A session holds no rights of its own. It names a token, and that is looked up with every request: once
//! the token is gone from the configuration, has expired or has another role, so it is with the session.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, header};
use hashbrown::HashMap;

use super::Who;
use super::identify::Now;
use crate::compile::{Access, TokenAccess};
use crate::config::spec::Sha256;
use crate::time::Moment;

/// Browsers that are signed in at once at most.
const MOST: usize = 1_024;

/// Of those, with one token.
const MOST_OF_ONE: usize = 32;

/// A session that was opened.
pub(in crate::admin) struct Opened {
    pub(in crate::admin) who: Who,
    /// The field `Set-Cookie`. Secret.
    pub(in crate::admin) cookie: String,
    /// When it ends, in Unix time.
    pub(in crate::admin) ends: u64,
}

/// All that are signed in, by the SHA-256 of their cookie: what is in memory signs nobody in.
#[derive(Default)]
pub(super) struct Sessions(HashMap<Sha256, Session>);

struct Session {
    name: Arc<str>,
    /// The token that it was opened with.
    token: Sha256,
    ends: Moment,
}

impl Sessions {
    /// Opens one; the value of its cookie. Where there is no room, the one that ends first makes some.
    pub(super) fn open(
        &mut self,
        token: &TokenAccess,
        secret: [u8; 32],
        now: Moment,
        ends: Moment,
    ) -> String {
        self.0.retain(|_, s| s.ends > now);
        let of_one = |s: &Session| s.name == token.name;
        if self.0.values().filter(|s| of_one(s)).count() >= MOST_OF_ONE {
            self.make_room(of_one);
        }
        if self.0.len() >= MOST {
            self.make_room(|_| true);
        }
        let value = data_encoding::HEXLOWER.encode(&secret);
        let session = Session {
            name: token.name.clone(),
            token: token.hash,
            ends,
        };
        self.0.insert(sha256(value.as_bytes()), session);
        value
    }

    fn make_room(&mut self, among: impl Fn(&Session) -> bool) {
        let those = self.0.iter().filter(|(_, s)| among(s));
        if let Some(first) = those.min_by_key(|(_, s)| s.ends).map(|(key, _)| *key) {
            self.0.remove(&first);
        }
    }

    /// The token that whoever shows a cookie is signed in with; an error where they no longer are.
    pub(super) fn find<'a>(
        &self,
        access: &'a Access,
        headers: &HeaderMap,
        secure: bool,
        now: Now,
    ) -> Option<Result<&'a TokenAccess, ()>> {
        let key = key(headers, secure)?;
        let session = self.0.get(&key).filter(|s| s.ends > now.moment);
        let token = session.and_then(|s| access.tokens.iter().find(|t| t.hash == s.token));
        let token = token.filter(|t| t.expires.is_none_or(|at| now.unix < at));
        Some(token.ok_or(()))
    }

    /// Ends one; whether there was one.
    pub(super) fn close(&mut self, headers: &HeaderMap, secure: bool) -> bool {
        key(headers, secure).is_some_and(|key| self.0.remove(&key).is_some())
    }

    /// How long one lasts.
    pub(super) fn left(&self, headers: &HeaderMap, secure: bool, now: Moment) -> Option<Duration> {
        let session = self.0.get(&key(headers, secure)?)?;
        Some(now.until(session.ends))
    }

    /// How many there are.
    pub(super) fn len(&self, now: Moment) -> usize {
        self.0.values().filter(|s| s.ends > now).count()
    }
}

/// With the prefix, browsers take it over TLS only, from this host only, and for all of its paths.
fn cookie_name(secure: bool) -> &'static str {
    match secure {
        true => "__Host-tradewind",
        false => "tradewind",
    }
}

/// The field `Set-Cookie`; an empty value takes the cookie away.
pub(super) fn cookie(secure: bool, value: &str, lasts: Duration) -> String {
    format!(
        "{}={value}; Path=/; Max-Age={}; HttpOnly; SameSite=Strict{}",
        cookie_name(secure),
        lasts.as_secs(),
        if secure { "; Secure" } else { "" }
    )
}

/// What the cookie is kept under; found without a comparison that could be timed.
fn key(headers: &HeaderMap, secure: bool) -> Option<Sha256> {
    let fields = headers.get_all(header::COOKIE).iter();
    let mut pairs = fields.flat_map(|f| f.as_bytes().split(|b| *b == b';'));
    let value = pairs.find_map(|pair| {
        let at = pair.iter().position(|b| *b == b'=')?;
        let (name, value) = pair.split_at(at);
        (name.trim_ascii() == cookie_name(secure).as_bytes()).then(|| value[1..].trim_ascii())
    })?;
    Some(sha256(value))
}

fn sha256(octets: &[u8]) -> Sha256 {
    let digest = ring::digest::digest(&ring::digest::SHA256, octets);
    let mut all = Sha256::default();
    all.copy_from_slice(digest.as_ref());
    all
}
