//! The field `Forwarded` (RFC 7239).

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use crate::message::Scheme;

/// One element of `Forwarded`: what one proxy says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Element {
    /// `for`: who asked it; port 0 where it does not say. `None` for `unknown` and hidden names.
    pub client: Option<SocketAddr>,
    /// `proto`: how it was asked.
    pub scheme: Option<Scheme>,
}

/// The elements of one line of `Forwarded`, in order. An element that breaks the grammar is one that
/// says nothing, so that nobody can hide an element behind it.
pub fn elements(line: &[u8]) -> impl Iterator<Item = Element> + '_ {
    split_outside_quotes(line, b',')
        .filter(|e| !e.is_empty())
        .map(|e| element(e).unwrap_or_default())
}

/// The pieces of `text` between the separators that are not in a quoted string, without the white space
/// around them.
fn split_outside_quotes(text: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let (mut quoted, mut escaped) = (false, false);
        let end = text.iter().position(|b| {
            let ends = !quoted && *b == separator;
            match *b {
                _ if escaped => escaped = false,
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                _ => {}
            }
            ends
        });
        rest = end.map(|at| &text[at + 1..]);
        Some(text[..end.unwrap_or(text.len())].trim_ascii())
    })
}

fn element(text: &[u8]) -> Option<Element> {
    let mut element = Element::default();
    let (mut fors, mut protos) = (0, 0);
    for pair in split_outside_quotes(text, b';') {
        if pair.is_empty() {
            continue;
        }
        let at = pair.iter().position(|b| *b == b'=')?;
        let (name, value) = (&pair[..at], unquoted(&pair[at + 1..])?);
        // RFC 7239 section 4: a token. A quote in it is a string that a client opened before.
        if name.is_empty() || !name.iter().all(|b| is_token(*b)) {
            return None;
        }
        if name.eq_ignore_ascii_case(b"for") {
            fors += 1;
            element.client = node(value);
        } else if name.eq_ignore_ascii_case(b"proto") {
            protos += 1;
            element.scheme = scheme(value);
        }
    }
    // RFC 7239 section 4: each parameter must not occur more than once per element.
    (fors <= 1 && protos <= 1).then_some(element)
}

/// What a token is made of (RFC 9110 section 5.6.2).
fn is_token(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)
}

/// The value of a token or a quoted string. One that holds a quote is broken: a client may have opened
/// it, so that the element of the next proxy seems to be its text. Addresses need no escapes.
fn unquoted(text: &[u8]) -> Option<&[u8]> {
    let inner = match text.strip_prefix(b"\"") {
        Some(rest) => rest.strip_suffix(b"\"")?,
        None => text,
    };
    let plain = !inner.iter().any(|b| matches!(b, b'"' | b'\\'));
    plain.then_some(inner)
}

/// A scheme that this proxy knows.
pub(super) fn scheme(text: &[u8]) -> Option<Scheme> {
    if text.eq_ignore_ascii_case(b"https") || text.eq_ignore_ascii_case(b"wss") {
        Some(Scheme::Https)
    } else if text.eq_ignore_ascii_case(b"http") || text.eq_ignore_ascii_case(b"ws") {
        Some(Scheme::Http)
    } else {
        None
    }
}

/// An address, perhaps with a port, as `Forwarded` and `X-Forwarded-For` write it: `192.0.2.1`,
/// `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`. A port that hides behind a name
/// (`_x`) counts as unknown, 0.
pub(super) fn node(text: &[u8]) -> Option<SocketAddr> {
    let text = std::str::from_utf8(text).ok()?;
    if let Some(rest) = text.strip_prefix('[') {
        let (ip, port) = rest.split_once(']')?;
        let ip: Ipv6Addr = ip.parse().ok()?;
        return Some(SocketAddr::new(IpAddr::V6(ip).to_canonical(), after(port)?));
    }
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Some(SocketAddr::new(ip.to_canonical(), 0));
    }
    let (ip, _) = text.split_once(':')?;
    let ip: std::net::Ipv4Addr = ip.parse().ok()?;
    Some(SocketAddr::new(ip.into(), after(&text[text.find(':')?..])?))
}

/// The port in `:80`; 0 where there is none.
fn after(text: &str) -> Option<u16> {
    if text.is_empty() {
        return Some(0);
    }
    let port = text.strip_prefix(':')?;
    match port.strip_prefix('_') {
        Some(_) => Some(0),
        None => port.parse().ok(),
    }
}
