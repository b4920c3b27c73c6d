//! Which of many sockets have something to read: an epoll of their own, which the runtime watches as one.

use std::io;
use std::net::UdpSocket;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{Timespec, epoll};

use crate::traffic::udp::table::Id;

/// Sockets looked at per system call.
const EVENTS: usize = 64;

/// The sockets of sessions.
///
/// Each is told of once when something comes ("edge-triggered"): whoever is told reads until nothing is left,
/// or comes back by himself.
pub struct Ready {
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
}

impl Ready {
    /// No sockets yet.
    ///
    /// # Errors
    /// When the system has no more descriptors.
    pub fn new() -> io::Result<Ready> {
        Ok(Ready {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            events: Vec::with_capacity(EVENTS),
        })
    }

    /// Watches a socket until it is closed.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn watch(&self, socket: &UdpSocket, id: Id) -> io::Result<()> {
        let data = epoll::EventData::new_u64(id.to_bits());
        epoll::add(
            &self.epoll,
            socket,
            data,
            epoll::EventFlags::IN | epoll::EventFlags::ET,
        )?;
        Ok(())
    }

    /// Adds to `found` sessions with something to read; says whether there may be more.
    ///
    /// # Errors
    /// As the system says.
    pub fn look(&mut self, found: &mut Vec<Id>) -> io::Result<bool> {
        self.events.clear();
        let at_once = Timespec::default();
        let room = rustix::buffer::spare_capacity(&mut self.events);
        match epoll::wait(&self.epoll, room, Some(&at_once)) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => return Ok(true),
            Err(error) => return Err(error.into()),
        }
        found.extend(self.events.iter().map(|e| Id::from_bits(e.data.u64())));
        Ok(self.events.len() >= EVENTS)
    }
}

impl AsFd for Ready {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

impl std::os::fd::AsRawFd for Ready {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.epoll.as_fd().as_raw_fd()
    }
}
