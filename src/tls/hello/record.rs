//! Records of TLS (RFC 8446 section 5.1), and the message that the first of them carry.

use std::borrow::Cow;

use super::{HelloError, Malformed, window};

/// `ContentType.handshake`
const HANDSHAKE: u8 = 22;
/// `HandshakeType.client_hello`
const CLIENT_HELLO: u8 = 1;
/// Type, version, length.
const RECORD_HEAD: usize = 5;
/// Type, and a length of three octets.
const MESSAGE_HEAD: usize = 4;
/// Octets of the longest record.
const LONGEST: u16 = 1 << 14;

/// Octets that are taken one after the other.
pub(super) struct Cursor<'a>(pub(super) &'a [u8]);

impl<'a> Cursor<'a> {
    pub(super) fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u16::from_be_bytes(*first))
    }

    /// What stands behind a length of one octet.
    pub(super) fn vector8(&mut self) -> Option<&'a [u8]> {
        let len = self.u8()?;
        self.take(len.into())
    }

    /// What stands behind a length of two octets.
    pub(super) fn vector16(&mut self) -> Option<&'a [u8]> {
        let len = self.u16()?;
        self.take(len.into())
    }
}

/// The body of the hello that the records at the start of `octets` carry. Copied only when it is cut into
/// several records.
pub(super) fn message(octets: &[u8], most: usize) -> Result<Cow<'_, [u8]>, HelloError> {
    let malformed = |why| Err(HelloError::Malformed(why));
    let mut whole = Cow::Borrowed(&[][..]);
    // The message's octets, head included, once the head says so.
    let mut size = None;
    let mut at = 0;
    loop {
        if at + RECORD_HEAD > window(most) {
            return malformed(Malformed::Scattered(window(most)));
        }
        let rest = &octets[at..];
        begins_well(rest, at == 0)?;
        let missing = size.unwrap_or(MESSAGE_HEAD) - whole.len();
        let Some((head, rest)) = rest.split_first_chunk::<RECORD_HEAD>() else {
            // One octet tells whether it may be TLS at all.
            let need = match octets {
                [] => 1,
                _ => at + RECORD_HEAD + missing,
            };
            return Err(HelloError::Incomplete(need));
        };
        let len = u16::from_be_bytes([head[3], head[4]]);
        match len {
            0 => return malformed(Malformed::EmptyRecord),
            long if long > LONGEST => return malformed(Malformed::LongRecord(long)),
            _ => {}
        }
        let len = usize::from(len);
        if at + RECORD_HEAD + len.min(missing) > window(most) {
            return malformed(Malformed::Scattered(window(most)));
        }
        let there = &rest[..len.min(rest.len())];
        if whole.is_empty() {
            whole = Cow::Borrowed(there);
        } else {
            whole.to_mut().extend_from_slice(there);
        }
        if let Some(kind) = whole.first().filter(|kind| **kind != CLIENT_HELLO) {
            return malformed(Malformed::OtherMessage(*kind));
        }
        if let Some([_, a, b, c]) = whole.first_chunk::<MESSAGE_HEAD>() {
            let body = usize::try_from(u32::from_be_bytes([0, *a, *b, *c])).unwrap_or(usize::MAX);
            if body > most {
                return malformed(Malformed::Long { octets: body, most });
            }
            size = Some(MESSAGE_HEAD + body);
        }
        let missing = match size {
            Some(size) if whole.len() >= size => return Ok(body_of(whole, size)),
            known => known.unwrap_or(MESSAGE_HEAD) - whole.len(),
        };
        let coming = len - there.len();
        if coming > 0 {
            // What this record does not carry needs another one.
            let later = missing.saturating_sub(coming);
            let head = if later > 0 { RECORD_HEAD } else { 0 };
            return Err(HelloError::Incomplete(octets.len() + missing + head));
        }
        at += RECORD_HEAD + len;
    }
}

/// Whether a record with a part of a handshake may begin so.
fn begins_well(rest: &[u8], first: bool) -> Result<(), HelloError> {
    match rest {
        [] | [HANDSHAKE] | [HANDSHAKE, 3] => Ok(()),
        [HANDSHAKE, 3, minor, ..] if *minor <= 4 => Ok(()),
        _ if first => Err(HelloError::NotTls),
        // "legacy_record_version … MUST be ignored for all purposes."
        [HANDSHAKE, ..] => Ok(()),
        [kind, ..] => Err(HelloError::Malformed(Malformed::OtherRecord(*kind))),
    }
}

fn body_of(whole: Cow<'_, [u8]>, size: usize) -> Cow<'_, [u8]> {
    match whole {
        Cow::Borrowed(octets) => Cow::Borrowed(&octets[MESSAGE_HEAD..size]),
        Cow::Owned(mut octets) => {
            octets.truncate(size);
            octets.drain(..MESSAGE_HEAD);
            Cow::Owned(octets)
        }
    }
}
