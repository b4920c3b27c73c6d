//! The extensions of a hello that say where it wants to go.

use std::net::IpAddr;

use super::record::Cursor;
use super::{Malformed, Part};

/// RFC 6066 section 3.
const SERVER_NAME: u16 = 0;
/// RFC 7301 section 3.1.
const ALPN: u16 = 16;
/// `NameType.host_name`
const HOST_NAME: u8 = 0;

/// Octets of the longest domain name as text, without its final dot.
const LONGEST_NAME: usize = 253;
/// Octets of a label.
const LONGEST_LABEL: usize = 63;

/// What is read of the list.
#[derive(Default)]
pub(super) struct Extensions<'a> {
    pub(super) server_name: Option<&'a [u8]>,
    pub(super) alpn: Option<&'a [u8]>,
}

impl<'a> Extensions<'a> {
    /// Reads the list. Unknown types, those of GREASE (RFC 8701) among them, are skipped; none may stand
    /// there twice.
    pub(super) fn read(list: &'a [u8]) -> Result<Extensions<'a>, Malformed> {
        let mut found = Extensions::default();
        // One bit for each type that there can be: a hello may have thousands of extensions.
        let mut seen = [0u64; 1 << 10];
        let mut rest = Cursor(list);
        while !rest.0.is_empty() {
            let kind = rest.u16();
            let (Some(kind), Some(data)) = (kind, rest.vector16()) else {
                return Err(Malformed::Torn(Part::Extensions));
            };
            let (word, bit) = (usize::from(kind >> 6), 1 << (kind & 63));
            if seen[word] & bit != 0 {
                return Err(Malformed::Twice(kind));
            }
            seen[word] |= bit;
            match kind {
                SERVER_NAME => found.server_name = Some(data),
                ALPN => found.alpn = Some(data),
                _ => {}
            }
        }
        Ok(found)
    }
}

/// The host in `server_name`; `None` when it is an address, or of a type that does not exist yet.
pub(super) fn host_name(extension: &[u8]) -> Result<Option<Box<str>>, Malformed> {
    let torn = Malformed::Torn(Part::ServerName);
    let mut outer = Cursor(extension);
    // "ServerName server_name_list<1..2^16-1>"
    let list = outer.vector16().filter(|_| outer.0.is_empty());
    let mut rest = Cursor(list.filter(|list| !list.is_empty()).ok_or(torn)?);
    let mut host = None;
    while !rest.0.is_empty() {
        let kind = rest.u8();
        // "opaque HostName<1..2^16-1>"; "all data structures associated with other NameTypes MUST begin
        // with a 16-bit length field".
        let (Some(kind), Some(name)) = (kind, rest.vector16()) else {
            return Err(torn);
        };
        if kind == HOST_NAME && host.replace(name).is_some() {
            return Err(Malformed::TwoNames);
        }
    }
    host.map_or(Ok(None), text_of)
}

fn text_of(name: &[u8]) -> Result<Option<Box<str>>, Malformed> {
    let text = std::str::from_utf8(name).map_err(|_| Malformed::HostName)?;
    // "Literal IPv4 and IPv6 addresses are not permitted": some clients send them all the same, and
    // servers act as if they had not.
    if text.parse::<IpAddr>().is_ok() {
        return Ok(None);
    }
    // "without a trailing dot"; resolvers' users write it.
    let text = text.strip_suffix('.').unwrap_or(text);
    let is_label = |label: &str| {
        (1..=LONGEST_LABEL).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    if text.len() > LONGEST_NAME || !text.split('.').all(is_label) {
        return Err(Malformed::HostName);
    }
    Ok(Some(text.to_ascii_lowercase().into()))
}

/// The list in `application_layer_protocol_negotiation`, found sound.
pub(super) fn protocols(extension: &[u8]) -> Result<&[u8], Malformed> {
    let torn = Malformed::Torn(Part::Alpn);
    let mut outer = Cursor(extension);
    // "ProtocolName protocol_name_list<2..2^16-1>"
    let list = outer.vector16().filter(|_| outer.0.is_empty());
    let list = list.filter(|list| !list.is_empty()).ok_or(torn)?;
    let mut rest = Cursor(list);
    while !rest.0.is_empty() {
        // "opaque ProtocolName<1..2^8-1>"
        if rest.vector8().is_none_or(<[u8]>::is_empty) {
            return Err(torn);
        }
    }
    Ok(list)
}
