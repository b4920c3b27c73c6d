//! What a socket has been given and its other end has not acknowledged.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// Octets in a socket's send queue that its other end has not acknowledged (`SIOCOUTQ`, tcp(7)).
///
/// # Errors
/// When the kernel refuses, as it does of what is no socket.
pub fn unacknowledged(socket: &impl AsFd) -> io::Result<u32> {
    let mut octets: libc::c_int = 0;
    // SAFETY: the descriptor is open while `socket` is borrowed; the kernel writes one `int` to `octets`,
    // which lives until the call returns. `TIOCOUTQ` is the number of `SIOCOUTQ`.
    let done = unsafe { libc::ioctl(socket.as_fd().as_raw_fd(), libc::TIOCOUTQ, &raw mut octets) };
    if done < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(u32::try_from(octets).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn what_nobody_reads_stays_in_the_queue() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let address = listener.local_addr().expect("its address");
        let mut sender = TcpStream::connect(address).expect("a connection");
        assert_eq!(unacknowledged(&sender).expect("a socket"), 0);
        let _receiver = listener.accept().expect("its other end");
        sender.set_nonblocking(true).expect("it can be set");
        while sender.write(&[0; 64 << 10]).is_ok() {}
        assert!(unacknowledged(&sender).expect("a socket") > 0);
        let file = std::fs::File::open("/dev/null").expect("a file");
        assert!(unacknowledged(&file).is_err());
    }
}
