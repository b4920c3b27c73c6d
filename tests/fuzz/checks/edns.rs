//! The RDATA of an OPT record, behind its class and TTL.

use tradewind::dns::edns;

/// Two octets of class, four of TTL, then the options.
pub fn check(data: &[u8]) {
    let Some((head, rdata)) = data.split_first_chunk::<6>() else {
        return;
    };
    let class = u16::from_be_bytes([head[0], head[1]]);
    let ttl = u32::from_be_bytes([head[2], head[3], head[4], head[5]]);
    let (edns, fault) = edns::read(class, ttl, rdata);
    assert_eq!(edns.payload, class);
    assert_eq!(edns.version, head[3]);
    if edns.version != 0 {
        assert!(
            fault.is_none(),
            "the options of another version mean nothing"
        );
    }
    if let Some(fault) = fault {
        assert!(!fault.to_string().is_empty());
    }
    if let Some(network) = edns.ecs.and_then(|ecs| ecs.network()) {
        assert!(network.contains(network.addr()));
    }
}
