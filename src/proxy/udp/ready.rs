//! Which of many sockets have something to read: an epoll of their own, which the runtime watches as one.
//!
//! With thousands of sockets that costs the runtime nothing per socket, and one call tells of many.

use std::cell::RefCell;
use std::io;
use std::net::UdpSocket;
use std::os::fd::OwnedFd;
use std::task::{Context, Poll, ready};

use rustix::event::{Timespec, epoll};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::sys;
use crate::traffic::udp::table::Id;

/// Sockets told of by one call.
const EVENTS: usize = 64;

/// The sockets of sessions.
///
/// Each is told of once when something comes ("edge-triggered"): whoever is told reads until nothing is left,
/// or comes back by himself.
pub struct Ready {
    epoll: AsyncFd<OwnedFd>,
    events: RefCell<Vec<epoll::Event>>,
}

impl Ready {
    /// No sockets yet.
    ///
    /// # Errors
    /// When the system has no more descriptors.
    pub fn new() -> io::Result<Ready> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Ready {
            epoll: sys::readable(epoll)?,
            events: RefCell::new(Vec::with_capacity(EVENTS)),
        })
    }

    /// Watches a socket until it is closed.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn watch(&self, socket: &UdpSocket, id: Id) -> io::Result<()> {
        let data = epoll::EventData::new_u64(id.to_bits());
        let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
        epoll::add(self.epoll.get_ref(), socket, data, flags)?;
        Ok(())
    }

    /// Watches a socket no longer that lives on in another process: closing it here would not end that.
    pub fn forget(&self, socket: &UdpSocket) {
        // One that is not watched is none that wakes anybody.
        let _ = epoll::delete(self.epoll.get_ref(), socket);
    }

    /// Waits until there is something to read somewhere.
    pub fn poll(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Whether it is ready is found out by looking.
        let _guard = ready!(self.epoll.poll_read_ready(cx))?;
        Poll::Ready(Ok(()))
    }

    /// Adds to `found` sessions with something to read; says whether there may be more.
    ///
    /// # Errors
    /// As the system says.
    pub fn look(&self, found: &mut Vec<Id>) -> io::Result<bool> {
        let mut events = self.events.borrow_mut();
        events.clear();
        let looked = self.epoll.try_io(Interest::READABLE, |epoll| {
            let at_once = Timespec::default();
            let room = rustix::buffer::spare_capacity(&mut events);
            match epoll::wait(epoll, room, Some(&at_once)) {
                // Fewer than there was room for were all: the next one will be news.
                Ok(n) if n < EVENTS => Err(io::ErrorKind::WouldBlock.into()),
                Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
                Err(error) => Err(error.into()),
            }
        });
        found.extend(events.iter().map(|e| Id::from_bits(e.data.u64())));
        match looked {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }
}
