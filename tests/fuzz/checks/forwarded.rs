//! What a client writes into the fields in which proxies tell who asked.

use std::net::SocketAddr;

use tradewind::message::{Fields, Known, RequestHead};
use tradewind::traffic::forwarded::{Hop, Reading, Said, Tell, Telling};

/// A client's part of a field, before that of a trusted proxy.
pub fn check(data: &[u8]) {
    // What a head's parser lets through.
    let allowed = |b: &&u8| !matches!(b, b'\r' | b'\n' | 0);
    let forged: Vec<u8> = data.iter().filter(allowed).copied().take(4096).collect();
    let peer: SocketAddr = ([10, 0, 0, 1], 1).into();
    let client: SocketAddr = ([203, 0, 113, 9], 0).into();
    for (said, field, own) in [
        (Said::XForwarded, Known::XForwardedFor, ", 203.0.113.9"),
        (Said::Forwarded, Known::Forwarded, ", for=203.0.113.9"),
    ] {
        let reading = Reading {
            trusted: Box::new(["10.0.0.0/8".parse().unwrap()]),
            said,
            hops: None,
        };
        let line = [&forged[..], own.as_bytes()].concat();
        let mut fields = Fields::new();
        fields.push_known(field, &line);
        let found = reading.client(peer, &fields);
        // It may break the field, but cannot choose who it is.
        let broken = field == Known::Forwarded && found.address == peer;
        assert!(found.address == client || broken, "{found:?}");
        // From a stranger nothing of it is left.
        let stranger: SocketAddr = ([192, 0, 2, 1], 9).into();
        let hop = Hop {
            client: reading.client(stranger, &fields),
            peer: stranger,
            local: peer,
            node: "n",
        };
        let mut head = RequestHead {
            fields,
            ..RequestHead::default()
        };
        Telling::new(&Tell::ALL, true).write(&mut head, &hop, &mut Vec::new());
        let told: Vec<&[u8]> = head.fields.all(Known::XForwardedFor).collect();
        assert_eq!(told, [b"192.0.2.1"]);
    }
}
