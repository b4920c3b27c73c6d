//! Serial numbers of zones: their arithmetic, and where an IXFR query says the client's.

use crate::dns::rtype;

use super::HEADER;
use super::parse::{plain_name, record};

/// Whether serial `a` is newer than `b` (RFC 1982 section 3.2). Where they are exactly half the
/// circle apart neither is.
pub fn newer(a: u32, b: u32) -> bool {
    let ahead = a.wrapping_sub(b);
    ahead != 0 && ahead < 1 << 31
}

/// The serial of an SOA record's data, whether its names are compressed or not: five numbers of four
/// octets end it (RFC 1035 section 3.3.13).
pub fn of_soa(rdata: &[u8]) -> Option<u32> {
    let numbers: &[u8; 20] = rdata.last_chunk()?;
    Some(u32::from_be_bytes([
        numbers[0], numbers[1], numbers[2], numbers[3],
    ]))
}

/// The serial that the client of an IXFR query has: that of the SOA record "in the authority section
/// of the query" (RFC 1995 section 3). `None` where there is none to be read.
pub fn of_ixfr(packet: &[u8]) -> Option<u32> {
    let count = |at: usize| Some(u16::from_be_bytes([*packet.get(at)?, *packet.get(at + 1)?]));
    if (count(4)?, count(6)?) != (1, 0) || count(8)? == 0 {
        return None;
    }
    let question = plain_name(packet, HEADER)? + 4;
    let soa = record(packet, question).ok()?;
    (soa.rtype == rtype::SOA)
        .then(|| of_soa(soa.rdata))
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc1982_3_2_serials_go_round() {
        for (a, b, want) in [
            (1, 0, true),
            (0, 0, false),
            (0, 1, false),
            (44, 0, true),
            (0, u32::MAX, true),
            (u32::MAX, 0, false),
            (1 << 31, 0, false),
            (0, 1 << 31, false),
            ((1 << 31) - 1, 0, true),
        ] {
            assert_eq!(newer(a, b), want, "{a} {b}");
        }
    }

    #[test]
    fn rfc1995_3_the_serial_stands_in_the_authority_section() {
        let mut p = vec![0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0];
        p.extend(b"\x01z\x00\x00\xfb\x00\x01");
        // Owner and names compressed, as clients do.
        p.extend(b"\xc0\x0c\x00\x06\x00\x01\x00\x00\x00\x00\x00\x18\xc0\x0c\xc0\x0c");
        p.extend(7u32.to_be_bytes());
        p.extend([0; 16]);
        assert_eq!(of_ixfr(&p), Some(7));
        for len in 0..p.len() {
            assert_eq!(of_ixfr(&p[..len]), None, "{len}");
        }
        p[9] = 0;
        assert_eq!(of_ixfr(&p), None);
    }
}
