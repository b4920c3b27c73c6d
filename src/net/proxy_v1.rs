//! PROXY protocol version 1, the text form (HAProxy's `proxy-protocol.txt`, section 2.1).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::proxy_v2::Endpoints;

/// What every header begins with.
const PREFIX: &[u8] = b"PROXY ";

/// Octets of the longest line, CR LF included: "so a 108-byte buffer is always enough to store all
/// the line and a trailing zero".
pub const LONGEST: usize = 107;

/// The shortest whole line: `PROXY UNKNOWN` and CR LF.
const SHORTEST: usize = 15;

/// Why octets are no header of version 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LineError {
    /// So far all is well, and the line reaches at least to this length.
    Incomplete(usize),
    /// It does not begin with `PROXY` and a space.
    Prefix,
    /// No CR LF within [`LONGEST`] octets.
    Long,
    /// A line feed, or a carriage return, alone.
    LineEnd,
    /// Neither `TCP4`, `TCP6` nor `UNKNOWN`.
    Family,
    /// Not four fields with one space before each.
    Fields,
    /// No address of the family that the line names.
    Address,
    /// No decimal number from 0 to 65535 without leading zeros.
    Port,
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LineError::Incomplete(need) => {
                return write!(f, "the line is cut off: it has at least {need} octets");
            }
            LineError::Prefix => "it does not begin with `PROXY `",
            LineError::Long => {
                return write!(f, "the line does not end within {LONGEST} octets");
            }
            LineError::LineEnd => "the line does not end with CR LF",
            LineError::Family => "the family is neither TCP4, TCP6 nor UNKNOWN",
            LineError::Fields => "there are not two addresses and two ports, one space before each",
            LineError::Address => "an address is not one of the family named",
            LineError::Port => "a port is no decimal number from 0 to 65535",
        })
    }
}

/// Reads the line at the start of `octets`: whom the proxy speaks for, and the line's length with its
/// CR LF. `None`: it does not say (`UNKNOWN`); the sender is then who it is.
///
/// # Errors
/// [`LineError`]. Only [`LineError::Incomplete`] may turn good with more octets; what it says is
/// missing belongs to the line for sure.
pub fn parse(octets: &[u8]) -> Result<(Option<Endpoints>, usize), LineError> {
    let seen = octets.len().min(PREFIX.len());
    if octets[..seen] != PREFIX[..seen] {
        return Err(LineError::Prefix);
    }
    let window = &octets[..octets.len().min(LONGEST)];
    let Some(feed) = window.iter().position(|o| *o == b'\n') else {
        if window.len() == LONGEST {
            return Err(LineError::Long);
        }
        // "the receiver must … wait for the CRLF sequence": a CR that something else follows is none.
        if let Some(cr) = window.iter().position(|o| *o == b'\r')
            && cr + 1 < window.len()
        {
            return Err(LineError::LineEnd);
        }
        let missing = if window.last() == Some(&b'\r') { 1 } else { 2 };
        return Err(LineError::Incomplete(
            (window.len() + missing).clamp(SHORTEST, LONGEST),
        ));
    };
    let Some(line) = window[..feed].strip_suffix(b"\r") else {
        return Err(LineError::LineEnd);
    };
    if line.contains(&b'\r') {
        return Err(LineError::LineEnd);
    }
    let text = line.get(PREFIX.len()..).ok_or(LineError::LineEnd)?;
    Ok((endpoints(text)?, feed + 1))
}

/// What stands behind `PROXY `.
fn endpoints(text: &[u8]) -> Result<Option<Endpoints>, LineError> {
    // What follows UNKNOWN is not looked at: "the receiver must ignore anything presented before the
    // CRLF is found".
    if text == b"UNKNOWN" || text.starts_with(b"UNKNOWN ") {
        return Ok(None);
    }
    let text = std::str::from_utf8(text).map_err(|_| LineError::Fields)?;
    let mut fields = text.split(' ');
    let is_v4 = match fields.next() {
        Some("TCP4") => true,
        Some("TCP6") => false,
        _ => return Err(LineError::Family),
    };
    let mut next = || fields.next().ok_or(LineError::Fields);
    let (source, destination) = (next()?, next()?);
    let (from, to) = (next()?, next()?);
    if fields.next().is_some() {
        return Err(LineError::Fields);
    }
    Ok(Some(Endpoints {
        source: SocketAddr::new(address(source, is_v4)?, port(from)?),
        destination: SocketAddr::new(address(destination, is_v4)?, port(to)?),
    }))
}

fn address(text: &str, is_v4: bool) -> Result<IpAddr, LineError> {
    let parsed = if is_v4 {
        text.parse::<Ipv4Addr>().map(IpAddr::V4)
    } else {
        text.parse::<Ipv6Addr>().map(IpAddr::V6)
    };
    parsed.map_err(|_| {
        if text.is_empty() {
            LineError::Fields
        } else {
            LineError::Address
        }
    })
}

/// "a decimal number in the range 0..65535 … heading zeroes are not permitted".
fn port(text: &str) -> Result<u16, LineError> {
    let is_plain =
        text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse()
        .ok()
        .filter(|_| is_plain)
        .ok_or(LineError::Port)
}

/// Appends the line that tells a backend of `endpoints`; `None` for a connection of our own, such as a
/// health check. Addresses of two families are told as IPv6, the IPv4 one mapped.
pub fn write(endpoints: Option<&Endpoints>, out: &mut Vec<u8>) {
    use std::io::Write;
    let Some(Endpoints {
        source,
        destination,
    }) = endpoints
    else {
        out.extend_from_slice(b"PROXY UNKNOWN\r\n");
        return;
    };
    let (from, to) = (source.ip().to_canonical(), destination.ip().to_canonical());
    let (sport, dport) = (source.port(), destination.port());
    let written = match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            write!(out, "PROXY TCP4 {from} {to} {sport} {dport}\r\n")
        }
        (from, to) => {
            let (from, to) = (mapped(from), mapped(to));
            write!(out, "PROXY TCP6 {from} {to} {sport} {dport}\r\n")
        }
    };
    debug_assert!(written.is_ok(), "memory takes what is written to it");
}

/// As IPv6.
pub(super) fn mapped(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn who(line: &str) -> Result<Option<(String, String)>, LineError> {
        let (who, len) = parse(line.as_bytes())?;
        assert_eq!(len, line.len());
        Ok(who.map(|w| (w.source.to_string(), w.destination.to_string())))
    }

    #[test]
    fn section_2_1_lines_of_the_text() {
        let v4 = who("PROXY TCP4 255.255.255.255 192.0.2.1 65535 443\r\n");
        assert_eq!(
            v4,
            Ok(Some((
                "255.255.255.255:65535".into(),
                "192.0.2.1:443".into()
            )))
        );
        let v6 = who("PROXY TCP6 2001:db8::7 2001:db8::1 56324 0\r\n");
        assert_eq!(
            v6,
            Ok(Some((
                "[2001:db8::7]:56324".into(),
                "[2001:db8::1]:0".into()
            )))
        );
        let full = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
        let longest = format!("PROXY TCP6 {full} {full} 65535 65535\r\n");
        assert!(who(&longest).is_ok() && longest.len() == 104);
        let unknown = format!("PROXY UNKNOWN {full} {full} 65535 65535\r\n");
        assert_eq!((who(&unknown), unknown.len()), (Ok(None), LONGEST));
        assert_eq!(who("PROXY UNKNOWN\r\n"), Ok(None));
        assert_eq!(who("PROXY UNKNOWN  whatever \0\r\n"), Ok(None));
    }

    #[test]
    fn section_2_1_what_is_refused() {
        use LineError::{Address, Family, Fields, LineEnd, Long, Port, Prefix};
        let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(92));
        for (line, want) in [
            ("proxy TCP4 192.0.2.7 192.0.2.1 1 2\r\n", Prefix),
            ("GET / HTTP/1.1\r\n", Prefix),
            ("PROXY TCP4 192.0.2.7 192.0.2.1 1 2\n", LineEnd),
            ("PROXY TCP4 192.0.2.7\r 192.0.2.1 1 2\r\n", LineEnd),
            ("PROXY TCP4 192.0.2.7\r", LineError::Incomplete(22)),
            ("PROXY TCP4 192.0.2.7\r 1", LineEnd),
            ("PROXY UDP4 192.0.2.7 192.0.2.1 1 2\r\n", Family),
            ("PROXY UNKNOWNS\r\n", Family),
            ("PROXY  TCP4 192.0.2.7 192.0.2.1 1 2\r\n", Family),
            ("PROXY TCP4  192.0.2.7 192.0.2.1 1 2\r\n", Fields),
            ("PROXY TCP4 192.0.2.7 192.0.2.1 1\r\n", Fields),
            ("PROXY TCP4 192.0.2.7 192.0.2.1 1 2 \r\n", Fields),
            ("PROXY TCP4 192.0.2.7 192.0.2.1 1 2 3\r\n", Fields),
            ("PROXY TCP4 2001:db8::7 2001:db8::1 1 2\r\n", Address),
            ("PROXY TCP6 192.0.2.7 192.0.2.1 1 2\r\n", Address),
            ("PROXY TCP4 192.000.2.7 192.0.2.1 1 2\r\n", Address),
            ("PROXY TCP4 192.0.2.7 192.0.2.1 65536 2\r\n", Port),
            ("PROXY TCP4 192.0.2.7 192.0.2.1 -1 2\r\n", Port),
            ("PROXY TCP4 192.0.2.7 192.0.2.1 +1 2\r\n", Port),
            ("PROXY TCP4 192.0.2.7 192.0.2.1 01 2\r\n", Port),
            (long.as_str(), Long),
        ] {
            assert_eq!(parse(line.as_bytes()), Err(want), "{line:?}");
        }
    }

    #[test]
    fn what_is_missing_belongs_to_the_line() {
        let line = b"PROXY TCP4 203.0.113.7 192.0.2.1 56324 443\r\n";
        for n in 0..line.len() {
            match parse(&line[..n]) {
                Err(LineError::Incomplete(need)) => assert!(need > n && need <= line.len(), "{n}"),
                other => panic!("{n}: {other:?}"),
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            a in any::<[u8; 16]>(), b in any::<[u8; 16]>(), v4 in any::<bool>(), ports in any::<(u16, u16)>()
        ) {
            let ip = |o: [u8; 16]| if v4 { IpAddr::from([o[0], o[1], o[2], o[3]]) } else { IpAddr::from(o).to_canonical() };
            let said = Endpoints { source: SocketAddr::new(ip(a), ports.0), destination: SocketAddr::new(ip(b), ports.1) };
            let mut line = Vec::new();
            write(Some(&said), &mut line);
            let (got, len) = parse(&line).unwrap();
            prop_assert_eq!(len, line.len());
            let got = got.unwrap();
            prop_assert_eq!(got.source.ip().to_canonical(), said.source.ip());
            prop_assert_eq!((got.source.port(), got.destination), (ports.0, SocketAddr::new(got.destination.ip(), ports.1)));
        }

        #[test]
        fn never_panics_and_stays_inside(octets in "(PROXY )?(TCP[46]|UNKNOWN)?[ 0-9a-f.:\r\n]{0,120}") {
            match parse(octets.as_bytes()) {
                Ok((_, len)) => prop_assert!(len <= octets.len() && len <= LONGEST),
                Err(LineError::Incomplete(need)) => prop_assert!(need > octets.len() && need <= LONGEST),
                Err(_) => {}
            }
        }
    }
}
