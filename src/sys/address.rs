//! Kernel addresses and control data to Rust's and back.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// Room for the control data of one packet: one `in6_pktinfo` with its header takes 40 bytes.
/// Aligned as `cmsghdr` needs.
#[repr(C, align(8))]
pub(super) struct Control(pub(super) [u8; 64]);

/// The address the kernel wrote; `None` for a family that is not IP.
pub(super) fn socket_addr(storage: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match i32::from(storage.ss_family) {
        libc::AF_INET => {
            // SAFETY: `sockaddr_storage` is larger than and at least as aligned as every socket
            // address, and `ss_family` says that it holds this kind; all bit patterns are valid.
            let v4 = unsafe { &*std::ptr::from_ref(storage).cast::<libc::sockaddr_in>() };
            Some(SocketAddr::V4(SocketAddrV4::new(
                Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr)),
                u16::from_be(v4.sin_port),
            )))
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let v6 = unsafe { &*std::ptr::from_ref(storage).cast::<libc::sockaddr_in6>() };
            Some(SocketAddr::V6(SocketAddrV6::new(
                Ipv6Addr::from(v6.sin6_addr.s6_addr),
                u16::from_be(v6.sin6_port),
                v6.sin6_flowinfo,
                v6.sin6_scope_id,
            )))
        }
        _ => None,
    }
}

/// Turns received control data into that of the answer: the local address stays, the interface is
/// left to routing, because on a host with several uplinks the way back may be another one.
/// Link-local addresses mean nothing without their interface and keep it.
pub(super) fn aim_back(header: &mut libc::msghdr) {
    // SAFETY: `header` describes control data that the kernel wrote, in memory the caller owns
    // (invariant PINNED of `batch`); the CMSG macros stay inside `msg_controllen`.
    let mut item = unsafe { libc::CMSG_FIRSTHDR(header) };
    while !item.is_null() {
        // SAFETY: CMSG_FIRSTHDR and CMSG_NXTHDR return null or a whole header inside the data.
        let (level, kind) = unsafe { ((*item).cmsg_level, (*item).cmsg_type) };
        if (level, kind) == (libc::IPPROTO_IP, libc::IP_PKTINFO) {
            // SAFETY: the kernel puts a whole `in_pktinfo` after a header of this type; the pointer
            // may be unaligned for it, so it is read and written unaligned.
            unsafe {
                let data = libc::CMSG_DATA(item).cast::<libc::in_pktinfo>();
                let mut info = data.read_unaligned();
                info.ipi_ifindex = 0;
                data.write_unaligned(info);
            }
        } else if (level, kind) == (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) {
            // SAFETY: as above, with `in6_pktinfo`.
            unsafe {
                let data = libc::CMSG_DATA(item).cast::<libc::in6_pktinfo>();
                let mut info = data.read_unaligned();
                if !Ipv6Addr::from(info.ipi6_addr.s6_addr).is_unicast_link_local() {
                    info.ipi6_ifindex = 0;
                }
                data.write_unaligned(info);
            }
        }
        // SAFETY: `item` came from these macros over the same header.
        item = unsafe { libc::CMSG_NXTHDR(header, item) };
    }
}
