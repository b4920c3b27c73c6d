//! PROXY protocol version 2 (HAProxy's `proxy-protocol.txt`, section 2.2): what a trusted proxy says
//! about whom it speaks for. The text form is in [`super::proxy_v1`], what may follow the addresses in
//! [`super::proxy_tlv`].

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::proxy_tlv::{self, Facts};
use super::proxy_v1::mapped;

/// "\r\n\r\n\0\r\nQUIT\n": what no protocol begins with.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// Signature, version and command, family, length.
const FIXED: usize = 16;

/// Longest header taken. Addresses need 36 octets beside the fixed part; the rest are TLVs, of which
/// proxies send some hundred octets.
pub const LONGEST: usize = 4_096;

/// Whom a proxy speaks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Endpoints {
    /// The client.
    pub source: SocketAddr,
    /// What it connected or sent to.
    pub destination: SocketAddr,
}

/// Why octets are no header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProxyError {
    /// So far all is well, and the header reaches at least to this length.
    Incomplete(usize),
    /// It does not begin with the signature.
    Signature,
    /// Not version 2.
    Version(u8),
    /// Neither LOCAL (0) nor PROXY (1).
    Command(u8),
    /// Neither unspecified nor IPv4 or IPv6 with a stream or datagrams; with its octet.
    Family(u8),
    /// Shorter than the addresses of its family.
    Short {
        /// Octets announced.
        octets: usize,
        /// Octets the addresses need.
        need: usize,
    },
    /// Over [`LONGEST`].
    Long(usize),
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProxyError::Incomplete(need) => {
                write!(f, "the header is cut off: it has at least {need} octets")
            }
            ProxyError::Signature => {
                f.write_str("it does not begin with the signature of PROXY protocol version 2")
            }
            ProxyError::Version(v) => write!(f, "version {v} is not 2"),
            ProxyError::Command(c) => write!(f, "command {c} is neither LOCAL nor PROXY"),
            ProxyError::Family(b) => {
                write!(f, "family 0x{b:02x} is not that of an IPv4 or IPv6 client")
            }
            ProxyError::Short { octets, need } => {
                write!(
                    f,
                    "{octets} octets are announced; the addresses need {need}"
                )
            }
            ProxyError::Long(octets) => {
                write!(f, "{octets} octets; at most {LONGEST} are read")
            }
        }
    }
}

/// Reads the header at the start of `octets`: whom the proxy speaks for and the header's length.
/// `None`: for itself (LOCAL, say a health check), or for something that has no address; the sender
/// is then who it is.
///
/// Whether stream or datagrams are named does not matter: a proxy may take queries in over one and
/// hand them on over the other. TLVs are skipped.
///
/// # Errors
/// [`ProxyError`]. Only [`ProxyError::Incomplete`] may turn good with more octets.
pub fn parse(octets: &[u8]) -> Result<(Option<Endpoints>, usize), ProxyError> {
    let seen = octets.len().min(SIGNATURE.len());
    if octets[..seen] != SIGNATURE[..seen] {
        return Err(ProxyError::Signature);
    }
    let Some((fixed, rest)) = octets.split_first_chunk::<FIXED>() else {
        return Err(ProxyError::Incomplete(FIXED));
    };
    let (version, command) = (fixed[12] >> 4, fixed[12] & 0x0F);
    // "the highest four bits contain the version … it must always be sent as \x2"
    if version != 2 {
        return Err(ProxyError::Version(version));
    }
    // "other values are unassigned … Receivers must drop connections presenting unexpected values"
    if command > 1 {
        return Err(ProxyError::Command(command));
    }
    let announced = usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    let len = FIXED + announced;
    if len > LONGEST {
        return Err(ProxyError::Long(len));
    }
    let need = match (command, fixed[13]) {
        // "The receiver must accept this connection as valid and must use the real connection
        // endpoints and discard the protocol block including the family which is ignored."
        (0, _) => 0,
        // AF_UNSPEC: "the receiver … should ignore address information".
        (_, family) if family >> 4 == 0 => 0,
        (_, 0x11 | 0x12) => 12,
        (_, 0x21 | 0x22) => 36,
        (_, other) => return Err(ProxyError::Family(other)),
    };
    if announced < need {
        return Err(ProxyError::Short {
            octets: announced,
            need,
        });
    }
    let Some(block) = rest.get(..announced) else {
        return Err(ProxyError::Incomplete(len));
    };
    Ok((endpoints(&block[..need]), len))
}

/// The addresses in a block as long as those of its family; `None` in an empty one.
fn endpoints(block: &[u8]) -> Option<Endpoints> {
    let (source, destination, ports): (IpAddr, IpAddr, &[u8]) =
        if let Some((v4, ports)) = block.split_first_chunk::<8>().filter(|_| block.len() == 12) {
            let [a, b, c, d, e, f, g, h] = *v4;
            (
                Ipv4Addr::new(a, b, c, d).into(),
                Ipv4Addr::new(e, f, g, h).into(),
                ports,
            )
        } else {
            let (source, rest) = block.split_first_chunk::<16>()?;
            let (destination, ports) = rest.split_first_chunk::<16>()?;
            (
                Ipv6Addr::from(*source).into(),
                Ipv6Addr::from(*destination).into(),
                ports,
            )
        };
    let ports: &[u8; 4] = ports.first_chunk()?;
    Some(Endpoints {
        source: SocketAddr::new(source, u16::from_be_bytes([ports[0], ports[1]])),
        destination: SocketAddr::new(destination, u16::from_be_bytes([ports[2], ports[3]])),
    })
}

/// Where the values behind the addresses begin, in a header that [`parse`] took; `None` where the block
/// has no known form.
pub fn values_at(header: &[u8]) -> Option<usize> {
    match (header.get(12)? & 0x0F, header.get(13)?) {
        (1, 0x11 | 0x12) => Some(FIXED + 12),
        (1, 0x21 | 0x22) => Some(FIXED + 36),
        _ => None,
    }
}

/// Appends the header that tells a backend of `endpoints`, over a stream; `None` for a connection of our
/// own, such as a health check (LOCAL). Addresses of two families are told as IPv6, the IPv4 one mapped.
pub fn write(endpoints: Option<&Endpoints>, facts: &Facts, out: &mut Vec<u8>) {
    out.extend_from_slice(&SIGNATURE);
    let Some(e) = endpoints else {
        out.extend_from_slice(&[0x20, 0, 0, 0]);
        return;
    };
    let mut block = Vec::with_capacity(36);
    let (from, to) = (
        e.source.ip().to_canonical(),
        e.destination.ip().to_canonical(),
    );
    let family = if let (IpAddr::V4(from), IpAddr::V4(to)) = (from, to) {
        block.extend_from_slice(&from.octets());
        block.extend_from_slice(&to.octets());
        0x11
    } else {
        block.extend_from_slice(&mapped(from).octets());
        block.extend_from_slice(&mapped(to).octets());
        0x21
    };
    block.extend_from_slice(&e.source.port().to_be_bytes());
    block.extend_from_slice(&e.destination.port().to_be_bytes());
    proxy_tlv::write(facts, &mut block);
    out.extend_from_slice(&[0x21, family]);
    // A few values of bounded length: far below 64 KiB.
    out.extend_from_slice(&u16::try_from(block.len()).unwrap_or(0).to_be_bytes());
    out.extend_from_slice(&block);
}

/// As [`write()`], before a datagram.
pub fn write_datagram(endpoints: &Endpoints, out: &mut Vec<u8>) {
    let at = out.len();
    write(Some(endpoints), &Facts::default(), out);
    if let Some(family) = out.get_mut(at + 13) {
        // "0x1 STREAM … 0x2 DGRAM"
        *family = *family & 0xF0 | 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn section_2_2_a_header_before_a_datagram_says_so() {
        for (source, destination, family, len) in [
            ("192.0.2.1:5000", "192.0.2.2:53", 0x12, 28),
            ("[2001:db8::1]:5000", "[2001:db8::2]:53", 0x22, 52),
        ] {
            let said = Endpoints {
                source: source.parse().unwrap(),
                destination: destination.parse().unwrap(),
            };
            let mut out = b"x".to_vec();
            write_datagram(&said, &mut out);
            assert_eq!(out[1 + 13], family);
            assert_eq!(parse(&out[1..]), Ok((Some(said), len)));
        }
    }

    fn header(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
        let mut all = SIGNATURE.to_vec();
        all.extend_from_slice(&[0x20 | command, family]);
        all.extend_from_slice(&(block.len() as u16).to_be_bytes());
        all.extend_from_slice(block);
        all
    }

    const V4: [u8; 12] = [203, 0, 113, 7, 192, 0, 2, 1, 0xDC, 0x04, 0, 53];

    fn v6() -> Vec<u8> {
        let mut block = vec![0; 36];
        block[..4].copy_from_slice(&[0x20, 1, 0xd, 0xb8]);
        block[15] = 7;
        block[16..20].copy_from_slice(&[0x20, 1, 0xd, 0xb8]);
        block[31] = 1;
        block[32..].copy_from_slice(&[0xDC, 0x04, 0, 53]);
        block
    }

    #[test]
    fn section_2_2_both_families_over_stream_and_datagrams() {
        for family in [0x11, 0x12] {
            let (who, len) = parse(&header(1, family, &V4)).unwrap();
            assert_eq!(len, 28);
            let who = who.unwrap();
            assert_eq!(who.source, "203.0.113.7:56324".parse().unwrap());
            assert_eq!(who.destination, "192.0.2.1:53".parse().unwrap());
        }
        for family in [0x21, 0x22] {
            let (who, len) = parse(&header(1, family, &v6())).unwrap();
            assert_eq!(len, 52);
            let who = who.unwrap();
            assert_eq!(who.source, "[2001:db8::7]:56324".parse().unwrap());
            assert_eq!(who.destination, "[2001:db8::1]:53".parse().unwrap());
        }
    }

    #[test]
    fn section_2_2_tlvs_and_what_follows_the_header_are_left_alone() {
        let mut block = V4.to_vec();
        block.extend_from_slice(&[0xEE, 0, 3, 1, 2, 3]);
        let mut all = header(1, 0x12, &block);
        let len = all.len();
        all.extend_from_slice(b"query");
        let (who, taken) = parse(&all).unwrap();
        assert_eq!(taken, len);
        assert_eq!(who.unwrap().source.port(), 56324);
    }

    #[test]
    fn section_2_2_local_and_unspecified_name_nobody() {
        for (command, family, block) in [
            (0, 0x00, &[][..]),
            (0, 0x11, &V4),
            (0, 0xFF, &[1, 2, 3]),
            (1, 0x00, &[]),
            (1, 0x00, &[1, 2, 3]),
        ] {
            let all = header(command, family, block);
            assert_eq!(parse(&all), Ok((None, all.len())));
        }
    }

    #[test]
    fn section_2_2_what_is_refused() {
        let good = header(1, 0x11, &V4);
        let with = |at: usize, octet: u8| {
            let mut all = good.clone();
            all[at] = octet;
            parse(&all)
        };
        assert_eq!(with(0, b'P'), Err(ProxyError::Signature));
        assert_eq!(with(11, b'X'), Err(ProxyError::Signature));
        assert_eq!(with(12, 0x11), Err(ProxyError::Version(1)));
        assert_eq!(with(12, 0x31), Err(ProxyError::Version(3)));
        assert_eq!(with(12, 0x22), Err(ProxyError::Command(2)));
        for family in [0x10, 0x13, 0x20, 0x31, 0x41, 0xFF] {
            assert_eq!(with(13, family), Err(ProxyError::Family(family)));
        }
        let short = ProxyError::Short {
            octets: 11,
            need: 12,
        };
        assert_eq!(with(15, 11), Err(short));
        assert_eq!(with(14, 0xFF), Err(ProxyError::Long(16 + 0xFF0C)));
        assert_eq!(
            parse(b"PROXY TCP4 203.0.113.7 192.0.2.1 56324 443\r\n"),
            Err(ProxyError::Signature),
            "version 1"
        );
        for n in 0..good.len() {
            let need = if n < FIXED { FIXED } else { good.len() };
            assert_eq!(parse(&good[..n]), Err(ProxyError::Incomplete(need)));
        }
    }

    proptest! {
        #[test]
        fn never_panics_and_stays_inside(
            random in proptest::collection::vec(any::<u8>(), 0..80),
            block in proptest::collection::vec(any::<u8>(), 0..80),
            signed in any::<bool>(),
            command in 0u8..3,
            cut in 0usize..100,
        ) {
            let mut all = if signed { header(command, random.first().copied().unwrap_or(0x12), &block) } else { random };
            all.truncate(cut);
            match parse(&all) {
                Ok((_, len)) => prop_assert!(len <= all.len() && len >= FIXED),
                Err(ProxyError::Incomplete(need)) => prop_assert!(need > all.len() && need <= LONGEST),
                Err(_) => {}
            }
        }
    }
}
