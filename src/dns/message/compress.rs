//! Name compression (RFC 1035 section 4.1.4) with a table on the stack.
//!
//! The table is small and fixed: an answer repeats few names, and a bounded table bounds the work
//! that a hostile question can cause. A name that no longer fits it is written in full.

use super::HEADER;

/// Suffixes remembered at most.
const ROOM: usize = 48;

/// Offsets beyond this cannot be pointed to: a pointer has 14 bits.
const FAR: usize = 0x3FFF;

/// Where in the message the suffixes of names stand.
#[derive(Clone, Debug)]
pub struct Compressor {
    /// Offset of each suffix. Apart from the lengths, so that a few wide stores clear either.
    offsets: [u16; ROOM],
    /// Uncompressed length of each suffix.
    lengths: [u8; ROOM],
    len: usize,
}

impl Default for Compressor {
    fn default() -> Self {
        Compressor {
            offsets: [0; ROOM],
            lengths: [0; ROOM],
            len: 0,
        }
    }
}

impl Compressor {
    /// Number of suffixes remembered; give it to [`Compressor::forget`] to return to this state.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Forgets all but the first `len` suffixes.
    pub fn forget(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Remembers the first `labels` labels' suffixes of the uncompressed name `name` written at `at`.
    pub fn remember(&mut self, name: &[u8], at: usize, upto: usize) {
        let mut i = 0;
        while i < upto && name[i] != 0 {
            if self.len == ROOM || at + i > FAR {
                return;
            }
            // A name has at most 255 octets, and `at + i` was compared above.
            self.offsets[self.len] = (at + i) as u16;
            self.lengths[self.len] = (name.len() - i) as u8;
            self.len += 1;
            i += 1 + usize::from(name[i]);
        }
    }

    /// Remembers the suffixes of the question's name, which stands uncompressed behind the header.
    pub fn remember_question(&mut self, message: &[u8]) {
        let mut end = HEADER;
        while message[end] != 0 {
            end += 1 + usize::from(message[end]);
        }
        self.remember(&message[HEADER..=end], HEADER, end - HEADER);
    }

    /// The longest suffix of `name` that stands in `message`: how many octets of `name` come before
    /// it, and its offset. `None` when only the root is common.
    pub fn find(&self, message: &[u8], name: &[u8]) -> Option<(usize, u16)> {
        let mut i = 0;
        while name[i] != 0 {
            let suffix = &name[i..];
            let seen = self.offsets[..self.len].iter().zip(&self.lengths);
            for (offset, len) in seen {
                if usize::from(*len) == suffix.len() && same(message, usize::from(*offset), suffix)
                {
                    return Some((i, *offset));
                }
            }
            i += 1 + usize::from(name[i]);
        }
        None
    }
}

/// Whether the name at `at` of `message` is `name`, in any case (RFC 4343). Pointers in our own
/// message always point backwards, so this ends.
fn same(message: &[u8], mut at: usize, name: &[u8]) -> bool {
    let mut i = 0;
    loop {
        let len = usize::from(message[at]);
        if len >= 0xC0 {
            at = (len & 0x3F) << 8 | usize::from(message[at + 1]);
            continue;
        }
        let (there, here) = (&message[at..=at + len], &name[i..]);
        if here.len() <= len || !there.eq_ignore_ascii_case(&here[..=len]) {
            return false;
        }
        if len == 0 {
            return true;
        }
        at += 1 + len;
        i += 1 + len;
    }
}
