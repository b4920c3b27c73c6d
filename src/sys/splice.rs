//! Octets from socket to socket within the kernel: `splice(2)` through a pipe.

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

/// A pipe that octets pass through.
#[derive(Debug)]
pub struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
    capacity: usize,
}

impl Pipe {
    /// A new pipe that can hold `octets`, of which the system gives up to `/proc/sys/fs/pipe-max-size`. It
    /// holds less where the system gives no more: users without privileges may have
    /// `/proc/sys/fs/pipe-user-pages-soft` pages in all their pipes, and beyond it two in each.
    ///
    /// # Errors
    /// When there is no descriptor for it.
    pub fn new(octets: usize) -> io::Result<Pipe> {
        let mut ends = [0; 2];
        // SAFETY: `ends` has room for the two descriptors that the call writes.
        let done = unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_NONBLOCK | libc::O_CLOEXEC) };
        if done < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: both were just made and belong to nobody else.
        let (read, write) =
            unsafe { (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])) };
        let wanted = libc::c_int::try_from(octets).unwrap_or(libc::c_int::MAX);
        // SAFETY: it takes numbers only.
        let mut got = unsafe { libc::fcntl(write.as_raw_fd(), libc::F_SETPIPE_SZ, wanted) };
        if got < 0 {
            // SAFETY: as above.
            got = unsafe { libc::fcntl(write.as_raw_fd(), libc::F_GETPIPE_SZ) };
        }
        Ok(Pipe {
            read,
            write,
            capacity: usize::try_from(got).map_err(|_| io::Error::last_os_error())?,
        })
    }

    /// Octets that it can hold.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Takes up to `most` octets that wait in a socket; 0 is its end.
    ///
    /// # Errors
    /// `WouldBlock` when none wait, or the pipe is full.
    pub fn fill(&self, from: &impl AsFd, most: usize) -> io::Result<usize> {
        splice(from, &self.write, most, 0)
    }

    /// Puts up to `most` octets of it into a socket. `more`: others follow at once, so that the last
    /// segment may wait for them.
    ///
    /// # Errors
    /// `WouldBlock` when the socket takes none now.
    pub fn drain(&self, to: &impl AsFd, most: usize, more: bool) -> io::Result<usize> {
        let more = if more { libc::SPLICE_F_MORE } else { 0 };
        splice(&self.read, to, most, more)
    }
}

fn splice(from: &impl AsFd, to: &impl AsFd, most: usize, flags: libc::c_uint) -> io::Result<usize> {
    let flags = flags | libc::SPLICE_F_MOVE | libc::SPLICE_F_NONBLOCK;
    // SAFETY: both descriptors are open for as long as the borrows live; there are no offsets.
    let n = unsafe {
        libc::splice(
            from.as_fd().as_raw_fd(),
            std::ptr::null_mut(),
            to.as_fd().as_raw_fd(),
            std::ptr::null_mut(),
            most,
            flags,
        )
    };
    usize::try_from(n).map_err(|_| io::Error::last_os_error())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let address = listener.local_addr().expect("its address");
        let one = TcpStream::connect(address).expect("a connection");
        (one, listener.accept().expect("its other end").0)
    }

    #[test]
    fn octets_pass_and_the_end_is_seen() {
        let (mut client, from) = pair();
        let (to, mut backend) = pair();
        let pipe = Pipe::new(128 << 10).expect("a pipe");
        assert!(pipe.capacity() > 0);
        from.set_nonblocking(true).expect("it can be set");
        let none = pipe.fill(&from, 100).expect_err("nothing waits");
        assert_eq!(none.kind(), io::ErrorKind::WouldBlock);
        client.write_all(b"hello").expect("sent");
        from.set_nonblocking(false).expect("it can be set");
        assert_eq!(pipe.fill(&from, 100).expect("five octets"), 5);
        assert_eq!(pipe.drain(&to, 3, true).expect("three"), 3);
        assert_eq!(pipe.drain(&to, 2, false).expect("two"), 2);
        let mut got = [0; 5];
        backend.read_exact(&mut got).expect("received");
        assert_eq!(&got, b"hello");
        drop(client);
        assert_eq!(pipe.fill(&from, 100).expect("the end"), 0);
    }
}
