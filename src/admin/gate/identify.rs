//! Who asks, by what the request and its connection show.
//!
//! A token counts first, then a browser's session, then the client certificate, then that the request
//! comes from this machine. Credentials that are no good are refused even where none are needed: who
//! gives some means them.

use std::net::IpAddr;

use axum::http::{HeaderMap, header};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use super::refused::Refused;
use super::session::Sessions;
use super::{By, Peer, Who};
use crate::compile::{Access, TokenAccess};
use crate::time::Moment;

/// The name of who asks from this machine without credentials.
const LOCAL: &str = "local";

/// Fields that a program adds when it passes on the request of somebody else.
const PASSED_ON: [&str; 4] = ["forwarded", "x-forwarded-for", "x-real-ip", "via"];

/// When it is: on the monotonic clock, and in seconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    pub(super) moment: Moment,
    pub(super) unix: u64,
}

/// Who asks.
pub(super) fn identify(
    access: &Access,
    sessions: &Sessions,
    headers: &HeaderMap,
    peer: &Peer,
    now: Now,
) -> Result<Who, Refused> {
    if headers.contains_key(header::AUTHORIZATION) {
        let text = bearer(headers).ok_or(Refused::Scheme)?;
        let found = token(access, text, peer, now.unix)?;
        return Ok(Who {
            name: found.name.clone(),
            role: found.holder.role,
            by: By::Token,
            mark: None,
        });
    }
    let mut otherwise = Refused::Nobody;
    match sessions.find(access, headers, peer.secure, now) {
        Some(Ok(found)) if !found.holder.may_come_from(peer.address) => {
            return Err(place(found, peer.address));
        }
        Some(Ok(found)) => {
            return Ok(Who {
                name: found.name.clone(),
                role: found.holder.role,
                by: By::Session,
                mark: None,
            });
        }
        // Whoever was signed in may still be known otherwise.
        Some(Err(())) => otherwise = Refused::SignedOut,
        None => {}
    }
    if let Some(shown) = &peer.certificate {
        let found = access.certificates.iter().find(|c| shown.is(&c.is));
        match found.filter(|_| !shown.is_over(now.unix)) {
            Some(c) if c.holder.may_come_from(peer.address) => {
                return Ok(Who {
                    name: c.name.clone(),
                    role: c.holder.role,
                    by: By::Certificate,
                    mark: None,
                });
            }
            Some(c) => {
                return Err(Refused::Place {
                    name: c.name.clone(),
                    source: peer.address,
                });
            }
            None => otherwise = Refused::Certificate,
        }
    }
    match access.loopback {
        Some(role) if is_at_home(headers, peer.address) => {
            by_own_name(headers)?;
            Ok(Who {
                name: LOCAL.into(),
                role,
                by: By::Loopback,
                mark: None,
            })
        }
        _ => Err(otherwise),
    }
}

/// The token that a text is, if it may be used from there and now.
pub(super) fn token<'a>(
    access: &'a Access,
    text: &[u8],
    peer: &Peer,
    unix: u64,
) -> Result<&'a TokenAccess, Refused> {
    let digest = ring::digest::digest(&ring::digest::SHA256, text);
    // Every token is compared, and every octet of it: the time tells nothing about which is near.
    let mut at = u64::MAX;
    for (index, token) in access.tokens.iter().enumerate() {
        let same: Choice = token.hash.ct_eq(digest.as_ref());
        at.conditional_assign(&(index as u64), same);
    }
    let found = usize::try_from(at)
        .ok()
        .and_then(|at| access.tokens.get(at));
    let found = found.ok_or(Refused::Token)?;
    if !found.holder.may_come_from(peer.address) {
        return Err(place(found, peer.address));
    }
    match found.expires {
        Some(at) if unix >= at => Err(Refused::Expired {
            name: found.name.clone(),
            at,
        }),
        _ => Ok(found),
    }
}

fn place(token: &TokenAccess, source: IpAddr) -> Refused {
    Refused::Place {
        name: token.name.clone(),
        source,
    }
}

/// RFC 6750 section 2.1; `None` when it is something else, or there are several.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let (first, None) = (all.next()?.as_bytes(), all.next()) else {
        return None;
    };
    let (scheme, token) = first.split_at_checked("Bearer ".len())?;
    let token = token.trim_ascii();
    (scheme.eq_ignore_ascii_case(b"Bearer ") && !token.is_empty()).then_some(token)
}

/// The token of a request, as text.
pub(in crate::admin) fn bearer_of(headers: &HeaderMap) -> Option<String> {
    let text = std::str::from_utf8(bearer(headers)?).ok()?;
    Some(text.to_owned())
}

/// Whether the request begins on this machine, and was not passed on for somebody else.
fn is_at_home(headers: &HeaderMap, source: IpAddr) -> bool {
    let passed_on = PASSED_ON.iter().any(|field| headers.contains_key(*field));
    source.to_canonical().is_loopback() && !passed_on
}

/// A page of another site can have its name lead to this machine (DNS rebinding), and its browser then
/// asks by that name. An address cannot be led elsewhere.
fn by_own_name(headers: &HeaderMap) -> Result<(), Refused> {
    let Some(host) = headers.get(header::HOST) else {
        // No browser leaves it out.
        return Ok(());
    };
    let text = String::from_utf8_lossy(host.as_bytes());
    let bare = without_port(&text);
    let is_address = bare.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
    // RFC 6761 section 6.3: resolvers answer for these names themselves.
    let lower = bare.trim_end_matches('.').to_ascii_lowercase();
    if is_address || lower == "localhost" || lower.ends_with(".localhost") {
        return Ok(());
    }
    let shown: String = bare
        .chars()
        .filter(|c| c.is_ascii_graphic())
        .take(100)
        .collect();
    Err(Refused::Host(shown))
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((bare, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !bare.ends_with(':') => {
            bare
        }
        _ => host,
    }
}
