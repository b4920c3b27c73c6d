//! Socket options that no safe crate sets.

use std::io;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;

/// Has the kernel say with each packet which local address it was sent to, so that the answer to a
/// query on a wildcard address leaves from there.
///
/// # Errors
/// When the kernel refuses.
pub fn report_destination(socket: &UdpSocket, ipv6: bool) -> io::Result<()> {
    if ipv6 {
        set(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1)
    } else {
        set(socket, libc::IPPROTO_IP, libc::IP_PKTINFO, 1)
    }
}

/// Ignores path-MTU news: answers are small enough never to need it, and forged ICMP messages could
/// otherwise make the kernel fragment them (RFC 9715 section 3.1).
///
/// # Errors
/// When the kernel refuses.
pub fn send_without_path_mtu(socket: &UdpSocket, ipv6: bool) -> io::Result<()> {
    if ipv6 {
        let how = libc::IPV6_PMTUDISC_OMIT;
        set(socket, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, how)
    } else {
        let how = libc::IP_PMTUDISC_OMIT;
        set(socket, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, how)
    }
}

/// Leaves the choice of a port to the moment when the socket is connected: one that is bound before must
/// differ from all others in use, and there are only some 28,000.
///
/// # Errors
/// When the kernel refuses.
pub fn bind_address_without_port(socket: &impl AsRawFd) -> io::Result<()> {
    set(socket, libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT, 1)
}

fn set(socket: &impl AsRawFd, level: i32, name: i32, value: libc::c_int) -> io::Result<()> {
    let size = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the descriptor is open while `socket` is borrowed; the kernel reads `size` bytes of
    // `value`, which lives until the call returns.
    let done = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            (&raw const value).cast(),
            size,
        )
    };
    if done == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
