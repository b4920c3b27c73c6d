//! Datagrams that are passed on: received in batches at one socket, sent at others, never copied between.
//!
//! Where a datagram may have 64 KiB and most have some hundred octets, a buffer is two parts: a small one,
//! close to those of its neighbours so that a batch of small datagrams stays in the cache, and a large one
//! that is touched only by what does not fit. The kernel fills one after the other and sends both as one.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::NonNull;

use super::address::{self, Control};

/// Datagrams per system call. Beyond 64 the cost of each no longer falls measurably.
pub const BATCH: usize = 64;

/// Octets of the first part: a datagram that an Ethernet carries whole.
pub const HEAD: usize = 2_048;

/// Distance of first parts: not a power of two, or the first lines of all of them would compete for the
/// same few sets of the cache.
const STRIDE: usize = HEAD + 64;

/// Octets of the second part: both hold whatever UDP can carry.
const TAIL: usize = (64 << 10) - HEAD;

/// Parts of what is sent: something before it, and the two that were received.
const PARTS: usize = 3;

#[repr(C)]
struct Slots {
    heads: [[u8; STRIDE]; BATCH],
    tails: [[u8; TAIL]; BATCH],
    names: [libc::sockaddr_storage; BATCH],
    controls: [Control; BATCH],
    parts_in: [[libc::iovec; 2]; BATCH],
    parts_out: [[libc::iovec; PARTS]; BATCH],
    inbound: [libc::mmsghdr; BATCH],
    outbound: [libc::mmsghdr; BATCH],
}

/// How sending a run of datagrams ended.
#[derive(Debug, Default)]
pub struct Sending {
    /// So many went out.
    pub sent: usize,
    /// What became of the one after them; `None`: there was none.
    pub error: Option<io::Error>,
}

/// Buffers of one batch.
///
/// Invariants that the unsafe blocks lean on:
/// - PINNED: `slots` is allocated once, never moved, and freed in `drop` only; it is owned by this value
///   alone, and all access goes through this one pointer.
/// - WIRED: before each receiving call, every pointer in the part of `inbound` that is handed over leads into
///   `slots` with a length that its target has. Each sending call sets the part of `outbound` that it hands
///   over: its pointers lead into `slots`, or to a prefix that is borrowed for as long as the call.
/// - FILLED: slots below `received` hold what the kernel wrote, `lengths` octets of it. All of `slots` is
///   initialised at all times (it starts zeroed, and zero is a value of every field).
pub struct Datagrams {
    slots: NonNull<Slots>,
    lengths: [u32; BATCH],
    received: usize,
}

impl std::fmt::Debug for Datagrams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Datagrams({})", self.received)
    }
}

// SAFETY: `slots` is owned by this value alone (PINNED) and holds plain data; nothing in it is tied to a
// thread.
unsafe impl Send for Datagrams {}

impl Default for Datagrams {
    fn default() -> Datagrams {
        Datagrams::new()
    }
}

/// Runs a system call again when a signal broke it off.
fn retried(mut call: impl FnMut() -> isize) -> io::Result<usize> {
    loop {
        match usize::try_from(call()) {
            Ok(n) => return Ok(n),
            Err(_) => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
        }
    }
}

impl Datagrams {
    /// Empty buffers: some megabytes of address space, of which only what is touched takes memory.
    pub fn new() -> Datagrams {
        let layout = Layout::new::<Slots>();
        // SAFETY: the layout is not of size zero.
        let raw = unsafe { alloc_zeroed(layout) }.cast::<Slots>();
        let Some(slots) = NonNull::new(raw) else {
            handle_alloc_error(layout)
        };
        let s = slots.as_ptr();
        for i in 0..BATCH {
            // SAFETY: `s` is a fresh zeroed allocation of a `Slots`, for which zero is a value; only places
            // inside are computed and written, and no reference to it exists.
            unsafe {
                (*s).parts_in[i] = [
                    libc::iovec {
                        iov_base: (&raw mut (*s).heads[i]).cast(),
                        iov_len: HEAD,
                    },
                    libc::iovec {
                        iov_base: (&raw mut (*s).tails[i]).cast(),
                        iov_len: TAIL,
                    },
                ];
                let header = &raw mut (*s).inbound[i].msg_hdr;
                (*header).msg_iov = (&raw mut (*s).parts_in[i]).cast();
                (*header).msg_iovlen = 2;
            }
        }
        Datagrams {
            slots,
            lengths: [0; BATCH],
            received: 0,
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.received
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.received == 0
    }

    /// How many more there is room for.
    pub fn room(&self) -> usize {
        BATCH - self.received
    }

    /// Forgets them.
    pub fn clear(&mut self) {
        self.received = 0;
    }

    /// Receives from anybody, as many as have come and as fit, instead of those there were. With
    /// `destinations`, which wants a socket that reports them, [`Datagrams::destination`] says where each was
    /// sent to.
    ///
    /// # Errors
    /// As the kernel says; `WouldBlock` when none have come.
    pub fn receive(&mut self, socket: BorrowedFd<'_>, destinations: bool) -> io::Result<usize> {
        self.received = 0;
        let s = self.slots.as_ptr();
        for i in 0..BATCH {
            // SAFETY: PINNED; `i` is in bounds. This makes WIRED true of `inbound[i]`.
            unsafe {
                let header = &raw mut (*s).inbound[i].msg_hdr;
                (*header).msg_name = (&raw mut (*s).names[i]).cast();
                (*header).msg_namelen = size_of::<libc::sockaddr_storage>() as _;
                if destinations {
                    (*header).msg_control = (&raw mut (*s).controls[i]).cast();
                    (*header).msg_controllen = size_of::<Control>() as _;
                } else {
                    (*header).msg_control = std::ptr::null_mut();
                    (*header).msg_controllen = 0;
                }
            }
        }
        self.receive_at(socket, 0, BATCH)
    }

    /// Receives at most `most` more, from the peer of a connected socket.
    ///
    /// # Errors
    /// As the kernel says; `WouldBlock` when none have come.
    pub fn receive_more(&mut self, socket: BorrowedFd<'_>, most: usize) -> io::Result<usize> {
        let at = self.received;
        let most = most.min(BATCH - at);
        let s = self.slots.as_ptr();
        for i in at..at + most {
            // SAFETY: PINNED; `i` is in bounds. This makes WIRED true of `inbound[i]`.
            unsafe {
                let header = &raw mut (*s).inbound[i].msg_hdr;
                (*header).msg_name = std::ptr::null_mut();
                (*header).msg_namelen = 0;
                (*header).msg_control = std::ptr::null_mut();
                (*header).msg_controllen = 0;
            }
        }
        self.receive_at(socket, at, most)
    }

    /// Receives into the slots from `at` on, which the caller has wired.
    fn receive_at(&mut self, socket: BorrowedFd<'_>, at: usize, most: usize) -> io::Result<usize> {
        assert!(at + most <= BATCH, "{most} datagrams from {at} on");
        let s = self.slots.as_ptr();
        let n = retried(|| {
            // SAFETY: WIRED: the kernel writes only into `slots`, which nobody else touches during the call,
            // since `self` is borrowed mutably; pointer and count stay inside the array. The descriptor is
            // open while `socket` is borrowed.
            let n = unsafe {
                libc::recvmmsg(
                    socket.as_raw_fd(),
                    (&raw mut (*s).inbound[at]).cast(),
                    most as libc::c_uint,
                    libc::MSG_DONTWAIT as _,
                    std::ptr::null_mut(),
                )
            };
            n as isize
        })?;
        for i in at..at + n {
            // SAFETY: PINNED; the kernel filled no more than `most` headers.
            self.lengths[i] = unsafe { (*s).inbound[i].msg_len };
        }
        self.received = at + n;
        Ok(n)
    }

    /// Octets of one datagram.
    pub fn octets(&self, index: usize) -> usize {
        assert!(
            index < self.received,
            "datagram {index} of {}",
            self.received
        );
        self.lengths[index] as usize
    }

    /// One datagram, as far as its first part reaches.
    pub fn head(&self, index: usize) -> &[u8] {
        let len = self.octets(index).min(HEAD);
        let s = self.slots.as_ptr();
        // SAFETY: PINNED, FILLED; `octets` checked the index. The reference ends with the borrow of `self`.
        let head = unsafe { &(*s).heads[index] };
        &head[..len]
    }

    /// Where one came from; `None` for a family that is not IP.
    pub fn peer(&self, index: usize) -> Option<SocketAddr> {
        assert!(
            index < self.received,
            "datagram {index} of {}",
            self.received
        );
        let s = self.slots.as_ptr();
        // SAFETY: PINNED, FILLED; the index is in bounds. The reference ends in this call.
        address::socket_addr(unsafe { &(*s).names[index] })
    }

    /// The local address that one was sent to; `None` where the socket does not report it.
    pub fn destination(&self, index: usize) -> Option<IpAddr> {
        assert!(
            index < self.received,
            "datagram {index} of {}",
            self.received
        );
        let s = self.slots.as_ptr();
        // SAFETY: PINNED, FILLED; the index is in bounds, and the header describes control data inside
        // `slots` that the kernel wrote. The reference ends in this call.
        let header = unsafe { &(*s).inbound[index].msg_hdr };
        if header.msg_controllen == 0 {
            return None;
        }
        address::destination(header)
    }

    /// Sends those of `range` to the peer of a connected socket, each after `prefix`.
    pub fn send(&mut self, socket: BorrowedFd<'_>, range: Range<usize>, prefix: &[u8]) -> Sending {
        assert!(range.end <= self.received, "{range:?} of {}", self.received);
        if range.len() == 1 && prefix.is_empty() && self.octets(range.start) <= HEAD {
            return self.send_one(socket, range.start);
        }
        let first = range.start;
        let last = range.end;
        for i in range {
            self.wire(i, prefix);
        }
        self.send_wired(socket, first, last)
    }

    /// The shortest way for what is sent most.
    fn send_one(&self, socket: BorrowedFd<'_>, index: usize) -> Sending {
        let octets = self.head(index);
        let sent = retried(|| {
            // SAFETY: the kernel reads the octets of a live slice; the descriptor is open while `socket` is
            // borrowed.
            unsafe {
                libc::send(
                    socket.as_raw_fd(),
                    octets.as_ptr().cast(),
                    octets.len(),
                    libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
                )
            }
        });
        match sent {
            Ok(_) => Sending {
                sent: 1,
                error: None,
            },
            Err(error) => Sending {
                sent: 0,
                error: Some(error),
            },
        }
    }

    /// Makes `outbound[index]` send datagram `index` after `prefix`, to nobody in particular.
    fn wire(&mut self, index: usize, prefix: &[u8]) {
        let len = self.octets(index);
        let s = self.slots.as_ptr();
        let part = |base: *mut libc::c_void, iov_len| libc::iovec {
            iov_base: base,
            iov_len,
        };
        // SAFETY: PINNED; `octets` checked the index; lengths are not beyond the parts. This makes WIRED true
        // of `outbound[index]` for as long as `prefix` is borrowed; the kernel only reads from it.
        unsafe {
            (*s).parts_out[index] = [
                part(prefix.as_ptr().cast_mut().cast(), prefix.len()),
                part((&raw mut (*s).heads[index]).cast(), len.min(HEAD)),
                part(
                    (&raw mut (*s).tails[index]).cast(),
                    len.saturating_sub(HEAD),
                ),
            ];
            let header = &raw mut (*s).outbound[index].msg_hdr;
            let skipped = usize::from(prefix.is_empty());
            (*header).msg_name = std::ptr::null_mut();
            (*header).msg_namelen = 0;
            (*header).msg_iov = (&raw mut (*s).parts_out[index])
                .cast::<libc::iovec>()
                .add(skipped);
            (*header).msg_iovlen = (PARTS - skipped - usize::from(len <= HEAD)) as _;
            (*header).msg_control = std::ptr::null_mut();
            (*header).msg_controllen = 0;
        }
    }

    /// Says where one is to be sent by [`Datagrams::flush`], and from which local address; `None`: from that
    /// of the socket.
    pub fn address(&mut self, index: usize, to: SocketAddr, from: Option<IpAddr>) {
        self.wire(index, &[]);
        let s = self.slots.as_ptr();
        // SAFETY: PINNED; `wire` checked the index. Name and control lie in `slots` and are as long as what is
        // written to them, which makes WIRED true of `outbound[index]`.
        unsafe {
            let header = &raw mut (*s).outbound[index].msg_hdr;
            (*header).msg_name = (&raw mut (*s).names[index]).cast();
            (*header).msg_namelen = address::write(to, &mut (*s).names[index]);
            if let Some(from) = from {
                (*header).msg_control = (&raw mut (*s).controls[index]).cast();
                (*header).msg_controllen =
                    address::write_source(from, &mut (*s).controls[index]) as _;
            }
        }
    }

    /// Sends those from `first` on to where [`Datagrams::address`] said, which must have been told of all of
    /// them.
    pub fn flush(&mut self, socket: BorrowedFd<'_>, first: usize) -> Sending {
        assert!(first <= self.received, "from {first} of {}", self.received);
        self.send_wired(socket, first, self.received)
    }

    /// Sends what is wired, until one fails.
    fn send_wired(&mut self, socket: BorrowedFd<'_>, first: usize, last: usize) -> Sending {
        let s = self.slots.as_ptr();
        let mut at = first;
        while at < last {
            let sent = retried(|| {
                // SAFETY: WIRED for `outbound` from `at` to `last`, which stay inside the array. The kernel
                // reads from `slots` and writes `msg_len` there.
                let n = unsafe {
                    libc::sendmmsg(
                        socket.as_raw_fd(),
                        (&raw mut (*s).outbound[at]).cast(),
                        (last - at) as libc::c_uint,
                        (libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) as _,
                    )
                };
                n as isize
            });
            match sent {
                Ok(n) => at += n.max(1),
                Err(error) => {
                    return Sending {
                        sent: at - first,
                        error: Some(error),
                    };
                }
            }
        }
        Sending {
            sent: last - first,
            error: None,
        }
    }
}

impl Drop for Datagrams {
    fn drop(&mut self) {
        // SAFETY: PINNED: allocated in `new` with this layout, freed once, here. `Slots` has no drop glue.
        unsafe { dealloc(self.slots.as_ptr().cast(), Layout::new::<Slots>()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use std::os::fd::AsFd as _;

    fn pair() -> (UdpSocket, UdpSocket) {
        let a = UdpSocket::bind("127.0.0.1:0").unwrap();
        let b = UdpSocket::bind("127.0.0.1:0").unwrap();
        b.connect(a.local_addr().unwrap()).unwrap();
        a.connect(b.local_addr().unwrap()).unwrap();
        (a, b)
    }

    fn wait(d: &mut Datagrams, socket: &UdpSocket, n: usize) {
        for _ in 0..10_000 {
            match d.receive_more(socket.as_fd(), n - d.len()) {
                Ok(_) if d.len() == n => return,
                Ok(_) => {}
                Err(e) => assert_eq!(e.kind(), io::ErrorKind::WouldBlock),
            }
            std::thread::yield_now();
        }
        panic!("{} of {n} datagrams", d.len());
    }

    #[test]
    fn datagrams_of_every_size_go_through_whole() {
        let (a, b) = pair();
        let mut all = Datagrams::new();
        let mut buffer = vec![0; 70_000];
        for size in [0, 1, HEAD - 1, HEAD, HEAD + 1, 9_000, 65_507 - 7] {
            let sent: Vec<u8> = (0..size).map(|i| (i % 251) as u8).collect();
            b.send(&sent).unwrap();
            all.clear();
            wait(&mut all, &a, 1);
            assert_eq!(all.octets(0), size);
            assert_eq!(all.head(0), &sent[..size.min(HEAD)]);
            for prefix in [&b""[..], b"before "] {
                let ended = all.send(a.as_fd(), 0..1, prefix);
                assert_eq!(ended.sent, 1, "{size} octets: {:?}", ended.error);
                let n = b.recv(&mut buffer).unwrap();
                assert_eq!(&buffer[..n], [prefix, &sent].concat());
            }
        }
    }

    #[test]
    fn a_run_goes_out_in_order_and_an_error_stops_it_where_it_is() {
        let (a, b) = pair();
        let mut all = Datagrams::new();
        for n in 0..10_u8 {
            b.send(&[n]).unwrap();
        }
        wait(&mut all, &a, 10);
        assert_eq!(all.send(a.as_fd(), 2..9, b"").sent, 7);
        let mut octets = [0; 4];
        for n in 2..9 {
            assert_eq!(b.recv(&mut octets).unwrap(), 1);
            assert_eq!(octets[0], n);
        }
        // Nobody there any more: the kernel says so with the datagram after next.
        drop(b);
        let first = all.send(a.as_fd(), 0..1, b"");
        assert_eq!(first.sent, 1);
        let refused = all.send(a.as_fd(), 1..3, b"").error.unwrap();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[test]
    fn answers_leave_from_the_address_that_was_asked() {
        let a = UdpSocket::bind("0.0.0.0:0").unwrap();
        super::super::report_destination(&a, false).unwrap();
        let port = a.local_addr().unwrap().port();
        let b = UdpSocket::bind("127.0.0.1:0").unwrap();
        b.send_to(b"one", ("127.0.0.7", port)).unwrap();
        let mut all = Datagrams::new();
        while all.is_empty() {
            let _ = all.receive(a.as_fd(), true);
        }
        let asked = all.destination(0).unwrap();
        assert_eq!(asked, IpAddr::from([127, 0, 0, 7]));
        let peer = all.peer(0).unwrap();
        assert_eq!(peer, b.local_addr().unwrap());
        all.address(0, peer, Some(asked));
        assert_eq!(all.flush(a.as_fd(), 0).sent, 1);
        let mut octets = [0; 8];
        let (n, from) = b.recv_from(&mut octets).unwrap();
        assert_eq!((&octets[..n], from.ip()), (&b"one"[..], asked));
        assert!(!all.is_empty());
        assert_eq!(all.room(), BATCH - 1);
    }
}
