//! Changes that a page of another site has a browser ask for.
//!
//! A browser sends its cookie, and reaches this machine, whoever wrote the page. So what it may do without
//! a token or certificate of its own is done only when it says that the page is the dashboard's: with
//! `Sec-Fetch-Site`, or with an `Origin` that is this host. Programs send neither, and are let through
//! from this machine; with a session both a word about the page and an `Idempotency-Key` are needed, which
//! no form can send and no other site's script without a permission that is never given.

use axum::http::{HeaderMap, header};

use super::refused::Refused;
use super::{By, Peer};

const SITE: &str = "sec-fetch-site";

/// Whether a change may be made by who was known like that.
pub(super) fn check(
    by: By,
    headers: &HeaderMap,
    peer: &Peer,
    is_marked: bool,
) -> Result<(), Refused> {
    if matches!(by, By::Token) {
        return Ok(());
    }
    let (mut told, mut same) = (false, false);
    for site in headers.get_all(SITE) {
        (told, same) = (true, site == "same-origin");
        if site != "same-origin" && site != "none" {
            return Err(Refused::CrossSite(
                "the page is of another site (`Sec-Fetch-Site`)",
            ));
        }
    }
    for origin in headers.get_all(header::ORIGIN) {
        told = true;
        // A page that tells nobody where it is has no origin either, but is where the browser says it is.
        let hidden = same && origin == "null";
        if !hidden && !is_own(origin.as_bytes(), headers, peer.secure) {
            return Err(Refused::CrossSite("the page is of another site (`Origin`)"));
        }
    }
    if by == By::Session && !told {
        return Err(Refused::CrossSite(
            "the page is not told (`Origin` or `Sec-Fetch-Site`)",
        ));
    }
    if by == By::Session && !is_marked {
        return Err(Refused::CrossSite("there is no `Idempotency-Key`"));
    }
    Ok(())
}

/// Whether an origin (RFC 6454 section 6.2) is the host that is asked.
fn is_own(origin: &[u8], headers: &HeaderMap, secure: bool) -> bool {
    let scheme: &[u8] = if secure { b"https://" } else { b"http://" };
    let (Some(authority), Some(host)) = (origin.strip_prefix(scheme), headers.get(header::HOST))
    else {
        return false;
    };
    let default: &[u8] = if secure { b":443" } else { b":80" };
    let bare = |text: &[u8]| {
        text.strip_suffix(default)
            .unwrap_or(text)
            .to_ascii_lowercase()
    };
    bare(authority) == bare(host.as_bytes())
}
