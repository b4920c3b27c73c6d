//! The TSIG record on the wire (RFC 8945 section 4.2).

use crate::dns::message::HEADER;
use crate::dns::message::parse::plain_name;
use crate::dns::name::MAX_NAME;
use crate::dns::rtype;

use super::ANY;

/// The name of a key, complete and in lower case.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeyName {
    octets: [u8; MAX_NAME],
    len: usize,
}

impl KeyName {
    /// Reads the name at `at`, which may be compressed: some clients do so. Says where it ends.
    fn read(message: &[u8], at: usize) -> Option<(KeyName, usize)> {
        let mut name = KeyName {
            octets: [0; MAX_NAME],
            len: 0,
        };
        let (mut from, mut end) = (at, None);
        loop {
            let len = usize::from(*message.get(from)?);
            match len {
                0..=63 => {
                    let label = message.get(from..=from + len)?;
                    let room = name.octets.get_mut(name.len..name.len + label.len())?;
                    room.copy_from_slice(label);
                    // Length octets are at most 63 and so never an upper-case letter.
                    room.make_ascii_lowercase();
                    name.len += label.len();
                    from += 1 + len;
                    if len == 0 {
                        return Some((name, end.unwrap_or(from)));
                    }
                }
                0xC0.. => {
                    let to = (len & 0x3F) << 8 | usize::from(*message.get(from + 1)?);
                    end = end.or(Some(from + 2));
                    // Only backwards, so that it ends.
                    from = Some(to).filter(|to| *to < from)?;
                }
                _ => return None,
            }
        }
    }

    /// The octets, with the root label.
    pub fn as_bytes(&self) -> &[u8] {
        &self.octets[..self.len]
    }
}

/// What a TSIG record says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tsig<'p> {
    /// Where in the message it starts.
    pub(super) start: usize,
    /// The key's name.
    pub key: KeyName,
    /// The algorithm's name, as sent.
    pub algorithm: &'p [u8],
    /// Unix time of the signing in seconds, 48 bits.
    pub time: u64,
    /// Seconds by which the time may be off.
    pub fudge: u16,
    /// The signature.
    pub mac: &'p [u8],
    /// The ID that the message had when it was signed.
    pub original_id: u16,
    /// What was wrong with the request's TSIG.
    pub error: u16,
    /// The server's time, where the error is BADTIME.
    pub other: &'p [u8],
}

impl<'p> Tsig<'p> {
    /// Reads the record at `start`, which must be the last of the message. `None` where it is
    /// malformed: the class is ANY, the TTL 0, the algorithm's name not compressed.
    pub fn read(message: &'p [u8], start: usize) -> Option<Tsig<'p>> {
        let (key, name_end) = KeyName::read(message, start)?;
        let mut from = Cursor(message.get(name_end..)?);
        let (rtype, class) = (from.u16()?, from.u16()?);
        let (ttl_high, ttl_low) = (from.u16()?, from.u16()?);
        let rdlen = usize::from(from.u16()?);
        if (rtype, class, ttl_high, ttl_low) != (rtype::TSIG, ANY, 0, 0) || from.0.len() != rdlen {
            return None;
        }
        let algorithm = from.bytes(plain_name(from.0, 0)?)?;
        let time =
            u64::from(from.u16()?) << 32 | u64::from(from.u16()?) << 16 | u64::from(from.u16()?);
        let fudge = from.u16()?;
        let mac_len = usize::from(from.u16()?);
        let mac = from.bytes(mac_len)?;
        let (original_id, error) = (from.u16()?, from.u16()?);
        let other_len = usize::from(from.u16()?);
        let other = from.bytes(other_len)?;
        from.0.is_empty().then_some(Tsig {
            start,
            key,
            algorithm,
            time,
            fudge,
            mac,
            original_id,
            error,
            other,
        })
    }

    /// The header as it was signed: with its own ID, and without the TSIG in the count.
    pub(super) fn header(&self, message: &[u8]) -> [u8; HEADER] {
        let mut header = [0; HEADER];
        header.copy_from_slice(&message[..HEADER]);
        header[..2].copy_from_slice(&self.original_id.to_be_bytes());
        let count = u16::from_be_bytes([header[10], header[11]]);
        header[10..].copy_from_slice(&count.saturating_sub(1).to_be_bytes());
        header
    }

    /// The message without its header and without the TSIG.
    pub(super) fn body<'m>(&self, message: &'m [u8]) -> &'m [u8] {
        &message[HEADER..self.start]
    }
}

/// Reads off the front.
struct Cursor<'p>(&'p [u8]);

impl<'p> Cursor<'p> {
    fn bytes(&mut self, n: usize) -> Option<&'p [u8]> {
        let (head, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(head)
    }

    fn u16(&mut self) -> Option<u16> {
        let b = self.bytes(2)?;
        Some(u16::from_be_bytes([b[0], b[1]]))
    }
}
