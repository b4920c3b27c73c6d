//! Where a message ends (RFC 9112 section 6), and what both directions share in finding that out.

use std::mem::MaybeUninit;

use httparse::Header;

use crate::message::{Fields, Known};

/// Bounds of a head.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HeadRules {
    /// Octets of the whole head, with the first line and the empty line at its end.
    pub head: usize,
    /// Fields.
    pub fields: usize,
    /// Octets of a request's target; answers have none.
    pub target: usize,
}

/// How far the octets that have come reach.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Parsed<F> {
    /// The head is not complete yet.
    Partial,
    /// The head is complete.
    Whole {
        /// Octets of the head; the body starts behind them.
        octets: usize,
        /// What the head says about what follows.
        framing: F,
    },
}

/// How the end of a body is found (RFC 9112 section 6.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum BodyFraming {
    /// There is no body.
    #[default]
    None,
    /// This many octets.
    Length(u64),
    /// In chunks.
    Chunked,
    /// All until the connection ends; answers only.
    UntilClose,
}

impl BodyFraming {
    /// Whether no octet follows the head.
    pub fn is_empty(self) -> bool {
        matches!(self, BodyFraming::None | BodyFraming::Length(0))
    }
}

/// Fields of a head that are read without touching the heap; more than the bounds of backends' heads.
const ON_STACK: usize = 256;

/// The longest field name that is let through, in octets. The longest registered one has 46.
const MAX_NAME: usize = 1_024;

/// Calls `read` with room for as many fields as `rules` allows.
pub(super) fn with_room<'b, T>(
    rules: &HeadRules,
    read: impl FnOnce(&mut [MaybeUninit<Header<'b>>]) -> T,
) -> T {
    if rules.fields <= ON_STACK {
        let mut room = [const { MaybeUninit::uninit() }; ON_STACK];
        read(&mut room[..rules.fields])
    } else {
        let mut room = Vec::new();
        room.resize_with(rules.fields, MaybeUninit::uninit);
        read(&mut room)
    }
}

/// Whether a LF stands without its CR. The parser has already refused a CR without its LF.
pub(super) fn has_bare_lf(head: &[u8]) -> bool {
    // Without an early end, so that it is done many octets at a time.
    let next = head.get(1..).unwrap_or_default();
    let bare = |found, (a, b): (&u8, &u8)| found | ((*b == b'\n') & (*a != b'\r'));
    head.first() == Some(&b'\n') || head.iter().zip(next).fold(false, bare)
}

/// Whether a field name is longer than is let through.
pub(super) fn too_long(header: &Header<'_>) -> bool {
    header.name.len() > MAX_NAME
}

/// A `Content-Length` (RFC 9110 section 8.6): digits only. Not even a list of equal numbers, which the
/// RFC lets a recipient repair, is taken.
pub(super) fn content_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || value.len() > 19 {
        return None;
    }
    value.iter().try_fold(0u64, |n, b| {
        b.is_ascii_digit().then(|| n * 10 + u64::from(b - b'0'))
    })
}

/// The only field of this name; `Err` where there are several.
pub(super) fn only(fields: &Fields, known: Known) -> Result<Option<&[u8]>, ()> {
    if !fields.has(known) {
        return Ok(None);
    }
    let mut all = fields.all(known);
    let first = all.next();
    if all.next().is_some() {
        return Err(());
    }
    Ok(first)
}

/// What `Connection` says (RFC 9110 section 7.6.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Options {
    pub(super) close: bool,
    pub(super) keep_alive: bool,
    pub(super) upgrade: bool,
}

pub(super) fn connection(fields: &Fields) -> Options {
    let mut options = Options::default();
    for member in fields.members(Known::Connection) {
        options.close |= member.eq_ignore_ascii_case(b"close");
        options.keep_alive |= member.eq_ignore_ascii_case(b"keep-alive");
        options.upgrade |= member.eq_ignore_ascii_case(b"upgrade");
    }
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_length_is_digits_and_nothing_else() {
        assert_eq!(content_length(b"0"), Some(0));
        assert_eq!(content_length(b"0042"), Some(42));
        assert_eq!(
            content_length(b"9999999999999999999"),
            Some(9_999_999_999_999_999_999)
        );
        for bad in [
            &b""[..],
            b"+5",
            b"-1",
            b"5, 5",
            b"5,5",
            b"0x5",
            b"5 ",
            b"1_0",
            b"5.0",
            b"18446744073709551616",
            b"99999999999999999999999999",
        ] {
            assert_eq!(content_length(bad), None, "{}", bad.escape_ascii());
        }
    }

    #[test]
    fn a_line_feed_without_its_carriage_return_is_seen() {
        assert!(!has_bare_lf(b""));
        assert!(!has_bare_lf(b"a\r\nb\r\n\r\n"));
        for bad in [&b"\n"[..], b"a\nb\r\n", b"a\r\n\n", b"a\n"] {
            assert!(has_bare_lf(bad), "{}", bad.escape_ascii());
        }
    }
}
