//! Kernel addresses and control data to Rust's and back.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

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

/// Writes an address as the kernel wants it; gives its length.
pub(super) fn write(address: SocketAddr, to: &mut libc::sockaddr_storage) -> libc::socklen_t {
    match address {
        SocketAddr::V4(v4) => {
            // SAFETY: `sockaddr_storage` is larger than and at least as aligned as every socket address; zero
            // is a value of this one, and nobody else refers to it.
            let name = unsafe { &mut *std::ptr::from_mut(to).cast::<libc::sockaddr_in>() };
            name.sin_family = libc::AF_INET as _;
            name.sin_port = v4.port().to_be();
            name.sin_addr.s_addr = u32::from(*v4.ip()).to_be();
            name.sin_zero = [0; 8];
            size_of::<libc::sockaddr_in>() as _
        }
        SocketAddr::V6(v6) => {
            // SAFETY: as above.
            let name = unsafe { &mut *std::ptr::from_mut(to).cast::<libc::sockaddr_in6>() };
            name.sin6_family = libc::AF_INET6 as _;
            name.sin6_port = v6.port().to_be();
            name.sin6_flowinfo = v6.flowinfo();
            name.sin6_addr.s6_addr = v6.ip().octets();
            name.sin6_scope_id = v6.scope_id();
            size_of::<libc::sockaddr_in6>() as _
        }
    }
}

/// The local address that a packet was sent to, as the control data of its header says.
pub(super) fn destination(header: &libc::msghdr) -> Option<IpAddr> {
    // SAFETY: `header` describes control data that the kernel wrote, in memory the caller owns; the CMSG
    // macros stay inside `msg_controllen`.
    let mut item = unsafe { libc::CMSG_FIRSTHDR(header) };
    while !item.is_null() {
        // SAFETY: CMSG_FIRSTHDR and CMSG_NXTHDR return null or a whole header inside the data.
        let (level, kind) = unsafe { ((*item).cmsg_level, (*item).cmsg_type) };
        if (level, kind) == (libc::IPPROTO_IP, libc::IP_PKTINFO) {
            // SAFETY: the kernel puts a whole `in_pktinfo` after a header of this type, perhaps unaligned.
            let info = unsafe {
                libc::CMSG_DATA(item)
                    .cast::<libc::in_pktinfo>()
                    .read_unaligned()
            };
            // Of a broadcast this is the address of the interface, which an answer can come from.
            return Some(Ipv4Addr::from(u32::from_be(info.ipi_spec_dst.s_addr)).into());
        }
        if (level, kind) == (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) {
            // SAFETY: as above, with `in6_pktinfo`.
            let info = unsafe {
                libc::CMSG_DATA(item)
                    .cast::<libc::in6_pktinfo>()
                    .read_unaligned()
            };
            return Some(Ipv6Addr::from(info.ipi6_addr.s6_addr).into());
        }
        // SAFETY: `item` came from these macros over the same header.
        item = unsafe { libc::CMSG_NXTHDR(header, item) };
    }
    None
}

/// Writes control data that has a packet leave from a local address; gives its length. The interface is left
/// to routing.
pub(super) fn write_source(source: IpAddr, to: &mut Control) -> usize {
    fn item<T>(to: &mut Control, level: i32, kind: i32, info: T) -> usize {
        let len = size_of::<T>() as libc::c_uint;
        // SAFETY: these only compute.
        let (whole, space) = unsafe { (libc::CMSG_LEN(len), libc::CMSG_SPACE(len) as usize) };
        assert!(
            space <= size_of::<Control>(),
            "control data of {space} octets"
        );
        let header = to.0.as_mut_ptr().cast::<libc::cmsghdr>();
        // SAFETY: `Control` is aligned as `cmsghdr` needs and, as was just checked, has room for the header
        // and what follows it; the value may be unaligned.
        unsafe {
            (*header).cmsg_level = level;
            (*header).cmsg_type = kind;
            (*header).cmsg_len = whole as _;
            libc::CMSG_DATA(header).cast::<T>().write_unaligned(info);
        }
        space
    }
    match source {
        IpAddr::V4(v4) => {
            let address = libc::in_addr {
                s_addr: u32::from(v4).to_be(),
            };
            let info = libc::in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: address,
                ipi_addr: libc::in_addr { s_addr: 0 },
            };
            item(to, libc::IPPROTO_IP, libc::IP_PKTINFO, info)
        }
        IpAddr::V6(v6) => {
            let info = libc::in6_pktinfo {
                ipi6_addr: libc::in6_addr {
                    s6_addr: v6.octets(),
                },
                ipi6_ifindex: 0,
            };
            item(to, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, info)
        }
    }
}
