//! The header of a QUIC packet, and what is learned from it.

use tradewind::time::Moment;
use tradewind::traffic::udp::connection_ids::ConnectionIds;
use tradewind::traffic::udp::quic::{Header, ID_LONGEST, parse};

/// A datagram, from a backend and from a client.
pub fn check(data: &[u8]) {
    let Some(header) = parse(data) else {
        // Only what is empty or cut off says nothing.
        assert!(data.first().is_none_or(|first| first & 0x80 != 0));
        return;
    };
    let ids = ConnectionIds::new(64, [3, 4]);
    ids.learn(&header, 7, Moment(1));
    match &header {
        Header::Short { rest } => {
            assert_eq!(rest.len() + 1, data.len());
            assert!(ids.is_empty(), "a short header issues nothing");
        }
        Header::Long {
            destination,
            source,
            ..
        } => assert!(7 + destination.len() + source.len() <= data.len()),
    }
    let Some(issued) = header.issued() else {
        assert!(ids.is_empty());
        return;
    };
    assert!((1..=ID_LONGEST).contains(&issued.len()));
    // Whoever comes back with the id is known, whatever follows it; nobody else is.
    let mut packet = vec![0x40];
    packet.extend_from_slice(issued);
    packet.extend_from_slice(data);
    let back = parse(&packet).expect("a short header");
    assert_eq!(ids.find(&back, Moment(2)), Some(7));
    packet[1] ^= 1;
    let other = parse(&packet).expect("a short header");
    assert_eq!(ids.find(&other, Moment(2)), None);
    assert_eq!(ids.len(), 1);
}
