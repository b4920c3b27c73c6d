//! Looking at what waits in a socket without taking it.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// Copies what waits at the start of a socket's queue, and leaves it there; 0 is its end.
///
/// # Errors
/// `WouldBlock` when nothing waits, and what the connection has died of.
pub fn peek(socket: &impl AsFd, into: &mut [u8]) -> io::Result<usize> {
    let flags = libc::MSG_PEEK | libc::MSG_DONTWAIT;
    // SAFETY: the descriptor is open while `socket` is borrowed; the kernel writes at most `into.len()`
    // octets to `into`, which is borrowed for as long.
    let n = unsafe {
        libc::recv(
            socket.as_fd().as_raw_fd(),
            into.as_mut_ptr().cast(),
            into.len(),
            flags,
        )
    };
    usize::try_from(n).map_err(|_| io::Error::last_os_error())
}

/// Has the kernel call a socket readable only when `octets` wait in it, or its end (`SO_RCVLOWAT`). It
/// makes the receive buffer larger where they would not fit.
///
/// # Errors
/// When the kernel refuses.
pub fn wake_at(socket: &impl AsFd, octets: usize) -> io::Result<()> {
    let value = libc::c_int::try_from(octets).unwrap_or(libc::c_int::MAX);
    let size = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the descriptor is open while `socket` is borrowed; the kernel reads `size` bytes of
    // `value`, which lives until the call returns.
    let done = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVLOWAT,
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
