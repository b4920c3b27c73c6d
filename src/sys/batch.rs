//! Datagrams in batches: one system call receives up to [`BATCH`] queries, one sends the answers.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::ptr::NonNull;

use super::address::{Control, aim_back, socket_addr};
use super::packet::{Packet, PacketIo, REPLY_BYTES, Sent};
use crate::dns::edns::UDP_PAYLOAD;

/// Packets per system call. Beyond 64 the cost per packet no longer falls measurably.
const BATCH: usize = 64;

/// Longest query taken: the size that our answers offer (RFC 6891 section 6.2.3), and room for a PROXY
/// header before it. Each buffer that begins on a page of its own costs a translation per packet, so
/// they lie as close as that allows.
const QUERY_BYTES: usize = UDP_PAYLOAD as usize + 304;

/// Distance of query buffers: not a power of two, or the first lines of all of them would compete
/// for the same few sets of the cache.
const QUERY_STRIDE: usize = QUERY_BYTES + 64;

/// Stands for a peer whose address is of no kind we know.
const NOBODY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// Buffers and headers of one batch, as the kernel wants them.
#[repr(C)]
struct Slots {
    queries: [[u8; QUERY_STRIDE]; BATCH],
    replies: [[u8; REPLY_BYTES]; BATCH],
    peers: [libc::sockaddr_storage; BATCH],
    controls: [Control; BATCH],
    query_parts: [libc::iovec; BATCH],
    reply_parts: [libc::iovec; BATCH],
    inbound: [libc::mmsghdr; BATCH],
    outbound: [libc::mmsghdr; BATCH],
}

/// A UDP socket that receives and sends in batches.
///
/// Invariants that the unsafe blocks lean on:
/// - PINNED: `slots` is allocated once, never moved, and freed in `drop` only; it is owned by this
///   value alone, and all access goes through this one pointer.
/// - WIRED: every pointer inside the headers of `slots` leads into `slots`, with a length that its
///   target has. `new` sets those of `inbound`; `queue` those of `outbound` below `queued`. The
///   kernel writes lengths and flags, no pointers.
/// - FILLED: slots below `received` hold what the last `recvmmsg` wrote. All of `slots` is
///   initialised at all times (it starts zeroed, and zero is a value of every field).
pub struct BatchSocket {
    socket: UdpSocket,
    slots: NonNull<Slots>,
    received: usize,
    queued: usize,
    /// Whether the answers say from which address they leave.
    from_destination: bool,
}

// SAFETY: `slots` is owned by this value alone (PINNED) and holds plain data; nothing in it is tied
// to a thread.
unsafe impl Send for BatchSocket {}

impl BatchSocket {
    /// Takes over `socket`. With `from_destination`, which wants a socket that reports destinations,
    /// answers leave from the address their query was sent to. `receive` waits as long as the read
    /// timeout of `socket` says.
    pub fn new(socket: UdpSocket, from_destination: bool) -> BatchSocket {
        let layout = Layout::new::<Slots>();
        // SAFETY: the layout is not of size zero.
        let raw = unsafe { alloc_zeroed(layout) }.cast::<Slots>();
        let Some(slots) = NonNull::new(raw) else {
            handle_alloc_error(layout)
        };
        let s = slots.as_ptr();
        for i in 0..BATCH {
            // SAFETY: `s` is a fresh zeroed allocation of a `Slots`, for which zero is a value; only
            // places inside are computed and written, and no reference to it exists. This makes
            // WIRED true of `inbound`.
            unsafe {
                (*s).query_parts[i] = libc::iovec {
                    iov_base: (&raw mut (*s).queries[i]).cast(),
                    iov_len: QUERY_BYTES,
                };
                let header = &raw mut (*s).inbound[i].msg_hdr;
                (*header).msg_name = (&raw mut (*s).peers[i]).cast();
                (*header).msg_namelen = size_of::<libc::sockaddr_storage>() as _;
                (*header).msg_iov = &raw mut (*s).query_parts[i];
                (*header).msg_iovlen = 1;
                if from_destination {
                    (*header).msg_control = (&raw mut (*s).controls[i]).cast();
                    (*header).msg_controllen = size_of::<Control>() as _;
                }
            }
        }
        BatchSocket {
            socket,
            slots,
            received: 0,
            queued: 0,
            from_destination,
        }
    }
}

impl PacketIo for BatchSocket {
    fn receive(&mut self) -> io::Result<usize> {
        let s = self.slots.as_ptr();
        for i in 0..self.received {
            // SAFETY: PINNED; `i` is in bounds. The kernel shortened these lengths; restored to what
            // their targets have, WIRED holds.
            unsafe {
                let header = &raw mut (*s).inbound[i].msg_hdr;
                (*header).msg_namelen = size_of::<libc::sockaddr_storage>() as _;
                (*header).msg_flags = 0;
                if self.from_destination {
                    (*header).msg_controllen = size_of::<Control>() as _;
                }
            }
        }
        self.received = 0;
        self.queued = 0;
        // SAFETY: WIRED: the kernel writes only into `slots`, which nobody else touches during the
        // call, since `self` is borrowed mutably. The descriptor is open while `socket` lives.
        let n = unsafe {
            libc::recvmmsg(
                self.socket.as_raw_fd(),
                (&raw mut (*s).inbound).cast(),
                BATCH as libc::c_uint,
                libc::MSG_WAITFORONE as _,
                std::ptr::null_mut(),
            )
        };
        match usize::try_from(n) {
            Ok(n) => {
                self.received = n;
                Ok(n)
            }
            Err(_) => {
                let error = io::Error::last_os_error();
                match error.kind() {
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(0),
                    _ => Err(error),
                }
            }
        }
    }

    fn packet(&mut self, index: usize) -> Packet<'_> {
        assert!(index < self.received, "packet {index} of {}", self.received);
        let s = self.slots.as_ptr();
        // SAFETY: PINNED, FILLED; `index` is in bounds. The references are to three disjoint places
        // and end with the borrow of `self`.
        let (header, peer, query, reply) = unsafe {
            (
                &(*s).inbound[index],
                &(*s).peers[index],
                &(*s).queries[index],
                &mut (*s).replies[index],
            )
        };
        let whole = header.msg_hdr.msg_flags & libc::MSG_TRUNC == 0;
        let len = if whole { header.msg_len as usize } else { 0 };
        Packet {
            query: &query[..len.min(QUERY_BYTES)],
            // An IP socket gives IP addresses. Answers go to what the kernel wrote, not to this.
            peer: socket_addr(peer).unwrap_or(NOBODY),
            reply,
        }
    }

    fn queue(&mut self, index: usize, len: usize) {
        assert!(index < self.received, "reply {index} of {}", self.received);
        assert!(len <= REPLY_BYTES, "a reply of {len} octets");
        assert!(self.queued < self.received, "more replies than packets");
        let s = self.slots.as_ptr();
        // SAFETY: PINNED; `index` and `queued` are in bounds; `len` is not beyond the buffer. What is
        // written makes WIRED true of `outbound[queued]`. The lengths of name and control data are
        // those the kernel filled in (FILLED).
        unsafe {
            let from = &raw mut (*s).inbound[index].msg_hdr;
            (*s).reply_parts[index] = libc::iovec {
                iov_base: (&raw mut (*s).replies[index]).cast(),
                iov_len: len,
            };
            let to = &raw mut (*s).outbound[self.queued].msg_hdr;
            (*to).msg_name = (*from).msg_name;
            (*to).msg_namelen = (*from).msg_namelen;
            (*to).msg_iov = &raw mut (*s).reply_parts[index];
            (*to).msg_iovlen = 1;
            if self.from_destination {
                aim_back(&mut *from);
                (*to).msg_control = (*from).msg_control;
                (*to).msg_controllen = (*from).msg_controllen;
            }
        }
        self.queued += 1;
    }

    fn send(&mut self) -> Sent {
        let s = self.slots.as_ptr();
        let mut result = Sent::default();
        let mut at = 0;
        while at < self.queued {
            // SAFETY: WIRED for `outbound` below `queued`; `at` is below it, so pointer and count
            // stay inside the array. The kernel reads from `slots` and writes `msg_len` there.
            let n = unsafe {
                libc::sendmmsg(
                    self.socket.as_raw_fd(),
                    (&raw mut (*s).outbound[at]).cast(),
                    (self.queued - at) as libc::c_uint,
                    0,
                )
            };
            match usize::try_from(n) {
                Ok(n) if n > 0 => {
                    at += n;
                    result.sent += n;
                }
                _ => {
                    let error = io::Error::last_os_error();
                    match error.kind() {
                        io::ErrorKind::Interrupted => continue,
                        // The device does not keep up: the rest of the batch would fare no better,
                        // and newer queries wait.
                        io::ErrorKind::WouldBlock => {
                            result.failed += self.queued - at;
                            at = self.queued;
                        }
                        // `sendmmsg` stops at the message that fails; the ones after it go out.
                        _ => {
                            result.failed += 1;
                            at += 1;
                        }
                    }
                    result.error = Some(error);
                }
            }
        }
        self.queued = 0;
        result
    }
}

impl Drop for BatchSocket {
    fn drop(&mut self) {
        // SAFETY: PINNED: allocated in `new` with this layout, freed once, here. `Slots` has no drop
        // glue.
        unsafe { dealloc(self.slots.as_ptr().cast(), Layout::new::<Slots>()) }
    }
}
