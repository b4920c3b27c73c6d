//! The geo table: address → location, for both families.
//!
//! IPv6 forms that carry an IPv4 address (v4-mapped `::ffff:0:0/96`, NAT64 `64:ff9b::/96`, 6to4
//! `2002::/16`, Teredo `2001::/32` by its server, as MaxMind databases alias it) are not stored:
//! their slot says where the IPv4 address sits, and the IPv4 half answers. The scope is then the
//! IPv4 scope plus the offset, so requirement E2 holds for them as well.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::ids::LocationId;
use crate::net::RangeMap;

use super::Location;

/// What an IPv6 range maps to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Slot6<V> {
    /// A value of its own.
    Value(V),
    /// The IPv4 address in the 32 bits that start at bit `offset` decides.
    Embedded {
        /// Bits before the IPv4 address: 16, 32 or 96.
        offset: u8,
    },
}

/// The IPv6 prefixes that carry an IPv4 address: prefix, its length, bits before the IPv4 address.
pub const EMBEDDED: [(Ipv6Addr, u8, u8); 4] = [
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96, 96), // v4-mapped, RFC 4291 section 2.5.5.2
    (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96, 96), // NAT64, RFC 6052
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16, 16), // 6to4, RFC 3056
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 32, 32), // Teredo, RFC 4380
];

/// The IPv4 address that sits in `addr` after `offset` bits.
pub fn embedded_v4(addr: u128, offset: u8) -> u32 {
    ((addr << offset) >> 96) as u32
}

/// A location found for an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// Which.
    pub id: LocationId,
    /// Length of the widest prefix around the address with this one location.
    pub len: u8,
}

/// Address → location.
#[derive(Clone, Debug)]
pub struct GeoTable {
    /// IPv4 half.
    pub v4: RangeMap<u32, LocationId>,
    /// IPv6 half.
    pub v6: RangeMap<u128, Slot6<LocationId>>,
    /// The distinct locations; the first two are [`GeoTable::UNKNOWN`] and [`GeoTable::BOGON`].
    pub locations: Vec<Location>,
    /// Names of the inputs in the order of the bits of [`super::Source`]: own networks first.
    pub inputs: Vec<Box<str>>,
}

impl GeoTable {
    /// Nothing is known of the address.
    pub const UNKNOWN: LocationId = LocationId(0);
    /// The address is of the special-purpose space ([`crate::net::bogon`]) and no own network covers
    /// it: where it came in an ECS option, the resolver's address decides (requirement E7).
    pub const BOGON: LocationId = LocationId(1);

    /// The location of `addr`.
    pub fn locate(&self, addr: IpAddr) -> Place {
        match addr {
            IpAddr::V4(a) => self.locate4(a),
            IpAddr::V6(a) => match self.v6.lookup(a.into()) {
                (Slot6::Value(id), len) => Place { id, len },
                (Slot6::Embedded { offset }, block) => {
                    let inner = self.locate4(embedded_v4(a.into(), offset).into());
                    Place {
                        id: inner.id,
                        len: (inner.len + offset).max(block),
                    }
                }
            },
        }
    }

    fn locate4(&self, addr: Ipv4Addr) -> Place {
        let (id, len) = self.v4.lookup(addr.into());
        Place { id, len }
    }

    /// The facts of a location.
    pub fn location(&self, id: LocationId) -> &Location {
        &self.locations[id.index()]
    }
}
