//! Connection ids of QUIC packets, as far as anybody can read them without keys.
//!
//! The parts of a packet that no version of QUIC may change (RFC 8999) and their lengths in version 1
//! (RFC 9000 section 17.2: at most 20 octets). A packet with a long header says how long its ids are; one
//! with a short header does not, and only who issued the id knows.

/// The longest connection id of versions 1 and 2 (RFC 9000 section 17.2, RFC 9369).
pub const ID_LONGEST: usize = 20;

/// The form bit (RFC 8999 section 5).
const LONG: u8 = 0x80;

/// What the first packet of a datagram says to everybody.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Header<'a> {
    /// RFC 8999 section 5.1.
    Long {
        /// 0: version negotiation (RFC 8999 section 6).
        version: u32,
        /// Destination connection id; at most 255 octets.
        destination: &'a [u8],
        /// Source connection id; at most 255 octets.
        source: &'a [u8],
    },
    /// RFC 8999 section 5.2.
    Short {
        /// The destination connection id, and what follows it.
        rest: &'a [u8],
    },
}

/// Reads the header of the first packet of a datagram; `None` when it is cut off. Any octets with a clear
/// form bit read as a short header.
pub fn parse(datagram: &[u8]) -> Option<Header<'_>> {
    let (first, rest) = datagram.split_first()?;
    if first & LONG == 0 {
        return Some(Header::Short { rest });
    }
    let (version, rest) = rest.split_first_chunk::<4>()?;
    let (destination, rest) = id(rest)?;
    let (source, _) = id(rest)?;
    Some(Header::Long {
        version: u32::from_be_bytes(*version),
        destination,
        source,
    })
}

/// One id after its length.
fn id(octets: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = octets.split_first()?;
    rest.split_at_checked(usize::from(*length))
}

impl<'a> Header<'a> {
    /// The id by which whoever sent this wants to be addressed from now on; `None` where it says none that
    /// helps: short headers, ids of no length, version negotiation (whose ids are an echo).
    pub fn issued(&self) -> Option<&'a [u8]> {
        match self {
            Header::Long {
                version: 1..,
                source,
                ..
            } if (1..=ID_LONGEST).contains(&source.len()) => Some(source),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The client's first packet of RFC 9001 appendix A.2, as protected: its first octets.
    const INITIAL: [u8; 22] = [
        0xc0, 0x00, 0x00, 0x00, 0x01, 0x08, 0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08, 0x00,
        0x00, 0x44, 0x9e, 0x7b, 0x9a, 0xec, 0x34,
    ];

    /// The server's of appendix A.3.
    const ANSWER: [u8; 20] = [
        0xcf, 0x00, 0x00, 0x00, 0x01, 0x00, 0x08, 0xf0, 0x67, 0xa5, 0x50, 0x2a, 0x42, 0x62, 0xb5,
        0x00, 0x40, 0x75, 0xc0, 0xd9,
    ];

    #[test]
    fn rfc_9001_appendix_a() {
        let client = parse(&INITIAL).unwrap();
        let id = [0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08];
        let said = Header::Long {
            version: 1,
            destination: &id,
            source: &[],
        };
        assert_eq!(client, said);
        assert_eq!(client.issued(), None, "an id of no length names nobody");
        let server = parse(&ANSWER).unwrap();
        assert_eq!(
            server.issued(),
            Some(&[0xf0, 0x67, 0xa5, 0x50, 0x2a, 0x42, 0x62, 0xb5][..])
        );
    }

    #[test]
    fn rfc_8999_section_5_2_short_headers_do_not_say_how_long_the_id_is() {
        let rest = [1, 2, 3];
        assert_eq!(
            parse(&[0x40, 1, 2, 3]).unwrap(),
            Header::Short { rest: &rest }
        );
        assert_eq!(parse(&[0x40]).unwrap(), Header::Short { rest: &[] });
        assert_eq!(parse(&[]), None);
    }

    #[test]
    fn rfc_8999_section_6_version_negotiation_issues_nothing() {
        let mut packet = ANSWER;
        packet[4] = 0;
        assert_eq!(parse(&packet).unwrap().issued(), None);
    }

    #[test]
    fn an_id_longer_than_any_version_has_is_not_taken_up() {
        let mut packet = vec![0xc0, 0, 0, 0, 9, 0, 21];
        packet.extend_from_slice(&[7; 21]);
        let read = parse(&packet).unwrap();
        assert!(matches!(read, Header::Long { source, .. } if source.len() == 21));
        assert_eq!(read.issued(), None);
    }

    proptest! {
        #[test]
        fn s4_what_is_written_is_read_and_what_is_cut_off_is_not(
            first in 0x80..=0xff_u8,
            version in any::<u32>(),
            destination in proptest::collection::vec(any::<u8>(), 0..=255),
            source in proptest::collection::vec(any::<u8>(), 0..=255),
            rest in proptest::collection::vec(any::<u8>(), 0..64),
            cut in any::<proptest::sample::Index>(),
        ) {
            let mut packet = vec![first];
            packet.extend_from_slice(&version.to_be_bytes());
            for id in [&destination, &source] {
                packet.push(id.len() as u8);
                packet.extend_from_slice(id);
            }
            let whole = packet.len();
            packet.extend_from_slice(&rest);
            let said = Header::Long { version, destination: &destination, source: &source };
            prop_assert_eq!(parse(&packet), Some(said));
            prop_assert_eq!(parse(&packet[..cut.index(whole)]), None);
        }
    }
}
