//! The header with which a proxy begins a connection, of either version of the PROXY protocol.

use std::fmt;

use super::proxy_tlv::{self, Facts, TlvError};
use super::proxy_v1::{self, LineError};
use super::proxy_v2::{self, Endpoints, ProxyError};

/// Octets that must be there to tell which version it is.
const TELLING: usize = 1;

/// What a header says.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Header {
    /// Whom the proxy speaks for; `None`: for itself, or it does not know.
    pub endpoints: Option<Endpoints>,
    /// What else it says; nothing in version 1.
    pub facts: Facts,
}

/// Why octets are no header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HeaderError {
    /// So far all is well, and the header reaches at least to this length.
    Incomplete(usize),
    /// It begins like neither version.
    Neither,
    /// Version 1 that breaks its rules.
    Text(LineError),
    /// Version 2 that breaks its rules.
    Binary(ProxyError),
    /// The values of version 2 are wrong.
    Values(TlvError),
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HeaderError::Incomplete(need) => {
                write!(
                    f,
                    "the PROXY header is cut off: it has at least {need} octets"
                )
            }
            HeaderError::Neither => f.write_str("it does not begin with a PROXY header"),
            HeaderError::Text(e) => write!(f, "PROXY header of version 1: {e}"),
            HeaderError::Binary(e) => write!(f, "PROXY header of version 2: {e}"),
            HeaderError::Values(TlvError::Torn) => {
                f.write_str("PROXY header of version 2: a value reaches beyond its end")
            }
            HeaderError::Values(TlvError::Checksum) => {
                f.write_str("PROXY header of version 2: the checksum is not the header's")
            }
        }
    }
}

impl std::error::Error for HeaderError {}

/// Reads the header at the start of `octets`, and its length.
///
/// # Errors
/// [`HeaderError`]. Only [`HeaderError::Incomplete`] may turn good with more octets; all that it says
/// is missing belongs to the header.
pub fn parse(octets: &[u8]) -> Result<(Header, usize), HeaderError> {
    match octets.first() {
        None => Err(HeaderError::Incomplete(TELLING)),
        Some(b'P') => match proxy_v1::parse(octets) {
            Ok((endpoints, len)) => Ok((
                Header {
                    endpoints,
                    facts: Facts::default(),
                },
                len,
            )),
            Err(LineError::Incomplete(need)) => Err(HeaderError::Incomplete(need)),
            Err(LineError::Prefix) => Err(HeaderError::Neither),
            Err(e) => Err(HeaderError::Text(e)),
        },
        Some(_) => match proxy_v2::parse(octets) {
            Ok((endpoints, len)) => {
                let header = &octets[..len];
                let facts = match proxy_v2::values_at(header) {
                    Some(at) => proxy_tlv::read(header, at).map_err(HeaderError::Values)?,
                    None => Facts::default(),
                };
                Ok((Header { endpoints, facts }, len))
            }
            Err(ProxyError::Incomplete(need)) => Err(HeaderError::Incomplete(need)),
            Err(ProxyError::Signature) => Err(HeaderError::Neither),
            Err(e) => Err(HeaderError::Binary(e)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_are_told_apart_by_their_first_octet() {
        let said = Endpoints {
            source: "203.0.113.7:56324".parse().unwrap(),
            destination: "192.0.2.1:443".parse().unwrap(),
        };
        let mut text = Vec::new();
        proxy_v1::write(Some(&said), &mut text);
        let mut binary = Vec::new();
        let facts = Facts {
            authority: Some("a.example".into()),
            tls: None,
        };
        proxy_v2::write(Some(&said), &facts, &mut binary);
        for (octets, facts) in [(text, Facts::default()), (binary, facts)] {
            let (header, len) = parse(&octets).unwrap();
            assert_eq!(header.endpoints, Some(said));
            assert_eq!((header.facts, len), (facts, octets.len()));
            for n in 0..octets.len() {
                match parse(&octets[..n]) {
                    Err(HeaderError::Incomplete(need)) => assert!(need > n && need <= octets.len()),
                    other => panic!("{n}: {other:?}"),
                }
            }
        }
        assert_eq!(parse(b"GET / HTTP/1.1\r\n"), Err(HeaderError::Neither));
        assert_eq!(parse(b"PRI * HTTP/2.0\r\n"), Err(HeaderError::Neither));
        assert_eq!(parse(&[0x16, 3, 1]), Err(HeaderError::Neither));
    }

    #[test]
    fn values_of_local_and_unspecified_headers_are_not_read() {
        // "discard the protocol block including the family which is ignored".
        let mut local = b"\r\n\r\n\0\r\nQUIT\n\x20\x11\x00\x03".to_vec();
        local.extend_from_slice(&[1, 2, 3]);
        let (header, len) = parse(&local).unwrap();
        assert_eq!((header, len), (Header::default(), local.len()));
    }
}
