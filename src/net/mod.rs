//! Addresses, prefixes and maps over the address space.

pub mod bogon;
pub mod host_address;
pub mod prefix;
pub mod proxy_header;
pub mod proxy_tlv;
pub mod proxy_v1;
pub mod proxy_v2;
pub mod ranges;

pub use host_address::HostAddress;
pub use prefix::Prefix;
pub use ranges::{Key, RangeMap, RangeMapBuilder};

/// Address family of an answer or a client.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Family {
    /// IPv4: A records.
    V4,
    /// IPv6: AAAA records.
    V6,
}

impl Family {
    /// Both families, IPv4 first.
    pub const ALL: [Family; 2] = [Family::V4, Family::V6];

    /// The family of `addr`.
    pub fn of(addr: std::net::IpAddr) -> Family {
        if addr.is_ipv4() {
            Family::V4
        } else {
            Family::V6
        }
    }

    /// 0 for IPv4, 1 for IPv6: for arrays by family.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Bits of an address: 32 or 128.
    pub const fn bits(self) -> u8 {
        match self {
            Family::V4 => 32,
            Family::V6 => 128,
        }
    }
}

impl std::fmt::Display for Family {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Family::V4 => "IPv4",
            Family::V6 => "IPv6",
        })
    }
}
