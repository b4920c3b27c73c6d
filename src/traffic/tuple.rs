//! What tells connections and flows of datagrams apart where nothing is known of what they carry.

use std::net::SocketAddr;

use super::algorithm::hash_address;
use crate::balance::mix::mix;

/// What carries the octets.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Transport {
    /// A connection.
    Tcp,
    /// Datagrams.
    Udp,
}

/// Source and destination of a connection or a flow.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Tuple {
    /// Who it comes from.
    pub source: SocketAddr,
    /// Where that one sent it.
    pub destination: SocketAddr,
    /// What carries it.
    pub transport: Transport,
}

impl Tuple {
    /// The hash of the tuple. It is the same on every node, in every process and release, so that all
    /// proxies behind one address choose the same backend for it; IPv4 addresses in IPv6 form are the
    /// IPv4 addresses.
    pub fn hash(&self) -> u64 {
        // The numbers that IP has for them.
        let transport: u64 = match self.transport {
            Transport::Tcp => 6,
            Transport::Udp => 17,
        };
        let ports = u64::from(self.source.port()) << 16 | u64::from(self.destination.port());
        let ends =
            hash_address(self.source.ip()) ^ hash_address(self.destination.ip()).rotate_left(21);
        mix(ends ^ mix(ports | transport << 32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tuple(source: &str, destination: &str, transport: Transport) -> Tuple {
        Tuple {
            source: source.parse().unwrap(),
            destination: destination.parse().unwrap(),
            transport,
        }
    }

    #[test]
    fn p5_every_part_of_a_tuple_counts_and_its_hash_is_pinned() {
        let base = tuple("192.0.2.1:1000", "198.51.100.1:443", Transport::Tcp);
        let others = [
            tuple("192.0.2.2:1000", "198.51.100.1:443", Transport::Tcp),
            tuple("192.0.2.1:1001", "198.51.100.1:443", Transport::Tcp),
            tuple("192.0.2.1:1000", "198.51.100.2:443", Transport::Tcp),
            tuple("192.0.2.1:1000", "198.51.100.1:444", Transport::Tcp),
            tuple("192.0.2.1:1000", "198.51.100.1:443", Transport::Udp),
            // The way back is another flow.
            tuple("198.51.100.1:443", "192.0.2.1:1000", Transport::Tcp),
        ];
        for other in others {
            assert_ne!(base.hash(), other.hash(), "{other:?}");
        }
        let mapped = tuple(
            "[::ffff:192.0.2.1]:1000",
            "[::ffff:198.51.100.1]:443",
            Transport::Tcp,
        );
        assert_eq!(base.hash(), mapped.hash());
        // Another release must choose the same backend.
        assert_eq!(base.hash(), PINNED);
    }

    /// Ports of one client, one after the other, spread evenly.
    #[test]
    fn p5_neighbouring_ports_spread_over_all_of_the_word() {
        let mut low = [0_u32; 16];
        let mut high = [0_u32; 16];
        for port in 1024..17_408_u16 {
            let hash = Tuple {
                source: SocketAddr::from(([192, 0, 2, 1], port)),
                destination: SocketAddr::from(([198, 51, 100, 1], 443)),
                transport: Transport::Tcp,
            }
            .hash();
            low[(hash & 15) as usize] += 1;
            high[(hash >> 60) as usize] += 1;
        }
        for count in low.into_iter().chain(high) {
            assert!((900..1150).contains(&count), "{low:?} {high:?}");
        }
    }

    const PINNED: u64 = 0xd120_a3d4_356e_271a;
}
