//! A PROXY protocol header in front of a query or of a connection, of either version.

use tradewind::net::proxy_header::{self, HeaderError};
use tradewind::net::proxy_tlv::Facts;
use tradewind::net::proxy_v2::{ProxyError, parse};
use tradewind::net::{proxy_v1, proxy_v2};

/// A datagram, or what has come of a stream.
pub fn check(data: &[u8]) {
    match parse(data) {
        Ok((_, len)) => {
            assert!(len <= data.len());
            // What follows the header has no say in it.
            assert_eq!(parse(&data[..len]), parse(data));
        }
        Err(ProxyError::Incomplete(needed)) => assert!(needed > data.len()),
        Err(_) => {}
    }
    either(data);
}

/// Either version, with the values of the second.
fn either(data: &[u8]) {
    match proxy_header::parse(data) {
        Ok((header, len)) => {
            assert!(len <= data.len() && len <= proxy_v2::LONGEST);
            assert_eq!(
                proxy_header::parse(&data[..len]),
                Ok((header.clone(), len)),
                "what follows the header has no say in it"
            );
            // Less than the whole is never taken for the whole.
            let cut = proxy_header::parse(&data[..len - 1]);
            assert!(matches!(cut, Err(HeaderError::Incomplete(_))), "{cut:?}");
            if let Some(who) = header.endpoints {
                let mut line = Vec::new();
                proxy_v1::write(Some(&who), &mut line);
                assert!(line.len() <= proxy_v1::LONGEST);
                let (again, taken) = proxy_v1::parse(&line).expect("our own line");
                let again = again.expect("it names endpoints");
                assert_eq!(taken, line.len());
                assert_eq!(
                    again.source.ip().to_canonical(),
                    who.source.ip().to_canonical()
                );
            }
            let mut binary = Vec::new();
            proxy_v2::write(header.endpoints.as_ref(), &header.facts, &mut binary);
            let (again, _) = proxy_header::parse(&binary).expect("our own header");
            let kept = if header.endpoints.is_some() {
                header.facts
            } else {
                Facts::default()
            };
            assert_eq!(again.facts, kept);
        }
        Err(HeaderError::Incomplete(needed)) => assert!(needed > data.len()),
        Err(_) => {}
    }
}
