//! Virtual addresses that survive their machine: one proxy of several has each, and VRRP (RFC 9568)
//! says which.

use std::net::IpAddr;
use std::time::Duration;

use crate::net::{Family, HostAddress};

/// The smallest unit of time that an advertisement of VRRP can say.
pub const CENTISECOND: Duration = Duration::from_millis(10);

/// One virtual router: addresses that move together from proxy to proxy.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Vip {
    /// Its name in the configuration.
    pub name: Box<str>,
    /// Not empty; in the order of the configuration.
    pub addresses: Vec<HostAddress>,
    /// VRID, 1 to 255; the same in both families.
    pub router_id: u8,
    /// Time between two advertisements: whole centiseconds, 1 to 4095.
    pub advert_interval: Duration,
    /// Whether and how late a node that comes back takes the VIP from a less preferred one.
    pub preempt: Option<Duration>,
    /// Interfaces without which a node does not have the VIP.
    pub track: Vec<Box<str>>,
    /// Whether advertisements go from node to node instead of to a multicast group.
    pub unicast: bool,
    /// Who may have it, the preferred one first; not empty.
    pub nodes: Vec<VipNode>,
}

/// A node that may have a VIP.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VipNode {
    /// Its name in the configuration.
    pub name: Box<str>,
    /// The interface that gets the addresses.
    pub interface: Box<str>,
    /// Its own addresses, under which its peers reach it; at most one per family.
    pub addresses: Vec<IpAddr>,
}

impl VipNode {
    /// Its own address of that family.
    pub fn address(&self, family: Family) -> Option<IpAddr> {
        let of = |a: &&IpAddr| Family::of(**a) == family;
        self.addresses.iter().find(of).copied()
    }
}

impl Vip {
    /// The families it has addresses of, IPv4 first.
    pub fn families(&self) -> impl Iterator<Item = Family> + '_ {
        let has = |family: &Family| self.of(*family).next().is_some();
        Family::ALL.into_iter().filter(has)
    }

    /// Its addresses of one family.
    pub fn of(&self, family: Family) -> impl Iterator<Item = &HostAddress> {
        let addresses = self.addresses.iter();
        addresses.filter(move |a| a.family() == family)
    }

    /// The place of a node in the order of preference, from 0.
    pub fn place(&self, node: &str) -> Option<usize> {
        self.nodes.iter().position(|n| &*n.name == node)
    }

    /// The VRRP priority of the node at `place`: 200, and 10 less for each that is preferred to it. Never
    /// below 1, nor 255, which belongs to who owns the address.
    pub fn priority(place: usize) -> u8 {
        u8::try_from(place)
            .ok()
            .and_then(|place| 200_u8.checked_sub(place.checked_mul(10)?))
            .map_or(1, |priority| priority.max(1))
    }
}

/// Most nodes that one VIP can have: so many have priorities of their own.
pub const MOST_NODES: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn priorities_fall_with_every_place() {
        let all: Vec<u8> = (0..MOST_NODES).map(Vip::priority).collect();
        assert_eq!((all[0], all[1], all[MOST_NODES - 1]), (200, 190, 10));
        assert!(all.windows(2).all(|w| w[0] > w[1]));
        assert_eq!(Vip::priority(1_000_000), 1);
    }
}
