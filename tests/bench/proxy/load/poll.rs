//! Waiting for many sockets, to the microsecond.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

use crate::Error;

/// Sockets that one wait can tell of.
const BATCH: usize = 256;

/// How often it is looked for events before the process sleeps: for a millisecond or so.
const LOOKS: usize = 1000;

/// A set of sockets, each under a number of the caller's. Level-triggered.
pub(crate) struct Poll {
    epoll: OwnedFd,
    events: Vec<Event>,
}

impl Poll {
    pub(crate) fn new() -> Result<Poll, Error> {
        Ok(Poll {
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            events: Vec::with_capacity(BATCH),
        })
    }

    /// Tells when there is something to read.
    pub(crate) fn add(&self, socket: impl AsFd, key: usize) -> Result<(), Error> {
        let data = EventData::new_u64(key as u64);
        Ok(epoll::add(&self.epoll, socket, data, EventFlags::IN)?)
    }

    /// Tells when there is room to write, or no longer.
    pub(crate) fn writable(
        &self,
        socket: impl AsFd,
        key: usize,
        wanted: bool,
    ) -> Result<(), Error> {
        let flags = if wanted {
            EventFlags::OUT
        } else {
            EventFlags::IN
        };
        let data = EventData::new_u64(key as u64);
        Ok(epoll::modify(&self.epoll, socket, data, flags)?)
    }

    /// Waits at most so long; the sockets that are ready are taken with [`Poll::take`].
    ///
    /// Looks a while before it sleeps: who sends to a process that sleeps pays for waking it, and that
    /// is the proxy, the more the faster it is.
    pub(crate) fn wait(&mut self, most: Option<Duration>) -> Result<(), Error> {
        let start = Instant::now();
        for _ in 0..LOOKS {
            self.look(Some(Duration::ZERO))?;
            if !self.events.is_empty() {
                return Ok(());
            }
            // The generator and the backend share a CPU.
            std::thread::yield_now();
            if most.is_some_and(|most| start.elapsed() >= most) {
                return Ok(());
            }
        }
        self.look(most)
    }

    fn look(&mut self, most: Option<Duration>) -> Result<(), Error> {
        self.events.clear();
        let most = most.map(|most| most.try_into()).transpose()?;
        let room = spare_capacity(&mut self.events);
        match epoll::wait(&self.epoll, room, most.as_ref()) {
            Err(error) if error != rustix::io::Errno::INTR => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// The next socket that is ready.
    pub(crate) fn take(&mut self) -> Option<usize> {
        Some(self.events.pop()?.data.u64() as usize)
    }
}
