//! The layouts of the maps that the kernel's half and this one share: what `program/forward.bpf.c` declares,
//! in octets. A test compares the sizes with those of the object.

use std::net::{IpAddr, SocketAddr};

pub use crate::traffic::xdp::{BACKENDS, UPSTREAMS as TABLES, VIPS};

/// The layout of flows and backends; to be raised with every change of either, or of what their values mean:
/// another process copies flows of its own layout only.
pub(super) const LAYOUT: u32 = 1;

/// Slots of a Maglev table.
pub(super) const SLOTS: usize = 65_537;

/// Slots with the padding that C puts after them.
pub(super) const SLOTS_PADDED: usize = SLOTS + 3;

/// In a slot: no backend.
pub(super) const NOBODY: u16 = 0xffff;

/// The hash is of the client's address only.
pub(super) const BY_SOURCE: u32 = 1;

/// What a backend gets, as bits.
pub(super) mod flag {
    /// New flows.
    pub(in super::super) const TAKES: u8 = 1;
    /// The TCP flows that it has.
    pub(in super::super) const KEEPS_TCP: u8 = 2;
    /// The UDP flows that it has.
    pub(in super::super) const KEEPS_UDP: u8 = 4;
}

/// What is counted beside packets; places in the map `EVENT`.
pub(super) const EVENTS: usize = 7;

/// The numbers of protocols in IP.
pub(super) const TCP: u8 = 6;
/// As [`TCP`].
pub(super) const UDP: u8 = 17;

/// A hardware address.
pub type Mac = [u8; 6];

/// `struct vip_key`
pub(super) type VipKey = [u8; 20];

/// The key of a virtual address; an IPv4 address in its IPv6 form.
pub(super) fn vip_key(address: SocketAddr, protocol: u8) -> VipKey {
    let ip = match address.ip() {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    };
    let mut key = [0; 20];
    key[..16].copy_from_slice(&ip.octets());
    key[16..18].copy_from_slice(&address.port().to_be_bytes());
    key[18] = protocol;
    key
}

/// `struct vip`
pub(super) fn vip(table: u16, counter: u16, flags: u32) -> [u8; 8] {
    let mut vip = [0; 8];
    vip[..2].copy_from_slice(&table.to_ne_bytes());
    vip[2..4].copy_from_slice(&counter.to_ne_bytes());
    vip[4..].copy_from_slice(&flags.to_ne_bytes());
    vip
}

/// `struct backend`
pub(super) fn backend(mac: Mac, epoch: u16, flags: u8) -> [u8; 16] {
    let mut backend = [0; 16];
    backend[..6].copy_from_slice(&mac);
    backend[6..8].copy_from_slice(&epoch.to_ne_bytes());
    backend[8] = flags;
    backend
}

/// The hardware address and the epoch of [`backend`].
pub(super) fn read_backend(backend: &[u8; 16]) -> (Mac, u16) {
    let [a, b, c, d, e, f, x, y, ..] = *backend;
    ([a, b, c, d, e, f], u16::from_ne_bytes([x, y]))
}

/// `struct flow_key`
pub(super) type FlowKey = [u8; 40];

/// The virtual address that a flow goes to.
pub(super) fn vip_of(key: &FlowKey) -> VipKey {
    let mut vip = [0; 20];
    vip[..16].copy_from_slice(&key[16..32]);
    vip[16..18].copy_from_slice(&key[34..36]);
    vip[18] = key[36];
    vip
}

/// `struct flow`
pub(super) fn flow(place: u16, epoch: u16) -> [u8; 4] {
    let ([a, b], [c, d]) = (place.to_ne_bytes(), epoch.to_ne_bytes());
    [a, b, c, d]
}

/// Place and epoch of [`flow`].
pub(super) fn read_flow(flow: &[u8; 4]) -> (u16, u16) {
    let [a, b, c, d] = *flow;
    (u16::from_ne_bytes([a, b]), u16::from_ne_bytes([c, d]))
}

/// `struct link`
pub(super) fn link(mac: Mac) -> [u8; 8] {
    let mut link = [0; 8];
    link[..6].copy_from_slice(&mac);
    link
}

/// A hardware address as people write it.
pub fn show_mac(mac: Mac) -> String {
    mac.map(|b| format!("{b:02x}")).join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_both_families_have_keys_of_their_own() {
        let key = vip_key("192.0.2.1:443".parse().unwrap(), TCP);
        assert_eq!(key[10..20], [0xff, 0xff, 192, 0, 2, 1, 1, 187, 6, 0]);
        let key = vip_key("[2001:db8::1]:53".parse().unwrap(), UDP);
        assert_eq!(key[..4], [0x20, 1, 0xd, 0xb8]);
        assert_eq!(key[15..], [1, 0, 53, 17, 0]);
        let mac = [1, 2, 3, 4, 5, 6];
        assert_eq!(read_backend(&backend(mac, 777, flag::TAKES)), (mac, 777));
        assert_eq!(read_flow(&flow(4095, 777)), (4095, 777));
        let mut flow = [0; 40];
        flow[16..32].copy_from_slice(&key[..16]);
        flow[34..36].copy_from_slice(&key[16..18]);
        flow[36] = UDP;
        assert_eq!(vip_of(&flow), key);
        assert_eq!(show_mac([0, 1, 0xab, 3, 4, 5]), "00:01:ab:03:04:05");
    }
}
