//! Datagrams in batches: `recvmmsg` and `sendmmsg` over buffers of fixed size.

use std::io;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;

/// Octets of a buffer: more than any answer that fits a datagram here.
const BUFFER: usize = 1_500;

/// Buffers with their headers, wired once: the vectors below never change their length, so what the
/// headers point to stays where it is.
pub(crate) struct Batch {
    buffers: Vec<[u8; BUFFER]>,
    /// What the headers' `msg_iov` point to.
    parts: Vec<libc::iovec>,
    /// What the headers' `msg_name` point to, where they name anybody.
    peers: Vec<libc::sockaddr_storage>,
    headers: Vec<libc::mmsghdr>,
}

impl Batch {
    /// Room for `count` datagrams; with `named`, of and to anybody, else over a connected socket.
    pub(crate) fn new(count: usize, named: bool) -> Batch {
        // SAFETY: zero is a value of both structures: null pointers, no lengths, no family.
        let (header, peer): (libc::mmsghdr, libc::sockaddr_storage) =
            unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
        let mut batch = Batch {
            buffers: vec![[0; BUFFER]; count],
            parts: Vec::with_capacity(count),
            peers: vec![peer; count],
            headers: vec![header; count],
        };
        for buffer in &mut batch.buffers {
            batch.parts.push(libc::iovec {
                iov_base: buffer.as_mut_ptr().cast(),
                iov_len: BUFFER,
            });
        }
        for (i, header) in batch.headers.iter_mut().enumerate() {
            header.msg_hdr.msg_iov = &raw mut batch.parts[i];
            header.msg_hdr.msg_iovlen = 1;
            if named {
                header.msg_hdr.msg_name = (&raw mut batch.peers[i]).cast();
            }
        }
        batch
    }

    /// Receives up to all buffers; 0 where nothing waits (or came in the socket's time).
    pub(crate) fn receive(&mut self, socket: &UdpSocket, flags: libc::c_int) -> io::Result<usize> {
        for i in 0..self.headers.len() {
            self.parts[i].iov_len = BUFFER;
            let header = &mut self.headers[i].msg_hdr;
            if !header.msg_name.is_null() {
                header.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
            }
        }
        // SAFETY: the headers point into vectors of `self` that are as long as they say, and `self`
        // is borrowed mutably; the descriptor is open while `socket` lives.
        let n = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                self.headers.len() as libc::c_uint,
                flags as _,
                std::ptr::null_mut(),
            )
        };
        count(n)
    }

    /// Sends the first `n` buffers; how many went out.
    pub(crate) fn send(&mut self, socket: &UdpSocket, n: usize) -> io::Result<usize> {
        let mut sent = 0;
        while sent < n {
            let rest = &mut self.headers[sent..n];
            // SAFETY: as in `receive`; the slice says how many headers there are.
            let went = unsafe {
                libc::sendmmsg(
                    socket.as_raw_fd(),
                    rest.as_mut_ptr(),
                    rest.len() as libc::c_uint,
                    0,
                )
            };
            match count(went)? {
                0 => break,
                went => sent += went,
            }
        }
        Ok(sent)
    }

    /// The datagram received into buffer `i`.
    pub(crate) fn received(&self, i: usize) -> &[u8] {
        &self.buffers[i][..(self.headers[i].msg_len as usize).min(BUFFER)]
    }

    /// Buffer `i` for filling; say its length with [`Batch::set_len`] before sending.
    pub(crate) fn buffer(&mut self, i: usize) -> &mut [u8; BUFFER] {
        &mut self.buffers[i]
    }

    /// Sets the octets of buffer `i` to send.
    pub(crate) fn set_len(&mut self, i: usize, len: usize) {
        self.parts[i].iov_len = len.min(BUFFER);
    }
}

fn count(n: libc::c_int) -> io::Result<usize> {
    match usize::try_from(n) {
        Ok(n) => Ok(n),
        Err(_) => {
            let error = io::Error::last_os_error();
            match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(0),
                _ => Err(error),
            }
        }
    }
}
