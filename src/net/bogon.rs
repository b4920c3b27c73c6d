//! Addresses that say nothing about where a client is.
//!
//! An ECS prefix out of this space is not used: the resolver's own address decides instead
//! (requirement E7, RFC 7871 section 11.3). The documentation prefixes of RFC 5737 and RFC 3849 are
//! *not* here, because demos, drills and tests place them.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Special-purpose IPv4 blocks (RFC 6890): first address and prefix length.
pub const V4: &[(Ipv4Addr, u8)] = &[
    (Ipv4Addr::new(0, 0, 0, 0), 8),      // this network, RFC 1122
    (Ipv4Addr::new(10, 0, 0, 0), 8),     // private, RFC 1918
    (Ipv4Addr::new(100, 64, 0, 0), 10),  // shared, RFC 6598
    (Ipv4Addr::new(127, 0, 0, 0), 8),    // loopback, RFC 1122
    (Ipv4Addr::new(169, 254, 0, 0), 16), // link local, RFC 3927
    (Ipv4Addr::new(172, 16, 0, 0), 12),  // private, RFC 1918
    (Ipv4Addr::new(192, 0, 0, 0), 24),   // IETF protocol assignments, RFC 6890
    (Ipv4Addr::new(192, 168, 0, 0), 16), // private, RFC 1918
    (Ipv4Addr::new(198, 18, 0, 0), 15),  // benchmarking, RFC 2544
    (Ipv4Addr::new(224, 0, 0, 0), 3),    // multicast, reserved, broadcast
];

/// Special-purpose IPv6 blocks (RFC 6890): first address and prefix length.
pub const V6: &[(Ipv6Addr, u8)] = &[
    (Ipv6Addr::UNSPECIFIED, 127),                     // :: and ::1
    (Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 0), 64),  // discard, RFC 6666
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7),  // unique local, RFC 4193
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10), // link local, RFC 4291
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8),  // multicast, RFC 4291
];
