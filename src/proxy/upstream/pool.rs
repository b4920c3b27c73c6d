//! Connections to backends that wait for their next request. Each worker has its own.

use std::cell::RefCell;
use std::task::{Context, Waker};

use bytes::BytesMut;
use hashbrown::HashMap;

use crate::proxy::io::Io;
use crate::time::Moment;

/// Idle connections to one server at most, per worker.
const IDLE: usize = 512;

/// Idle connections that belong to one connection of a client at most.
const OWNED: usize = 16;

/// A connection to a backend.
pub struct Line {
    /// The connection.
    pub io: Io,
    /// What was read and not used yet.
    pub inbox: BytesMut,
    /// Whether it has carried a request before.
    pub used: bool,
    /// The client's connection that it belongs to; 0: it serves all.
    pub owner: u64,
}

impl Line {
    /// A new connection; `owner` is 0 or the client's connection that it belongs to.
    pub fn new(io: Io, owner: u64) -> Line {
        Line {
            io,
            inbox: BytesMut::new(),
            used: false,
            owner,
        }
    }
}

struct Idle {
    line: Line,
    until: Moment,
}

/// Idle connections, by server.
#[derive(Default)]
pub struct Pool {
    idle: RefCell<HashMap<u64, Vec<Idle>>>,
    /// By owner: those that serve one client's connection only.
    owned: RefCell<HashMap<u64, Vec<(u64, Idle)>>>,
}

impl Pool {
    /// A connection to the server, the one used last, which has not been closed as far as is known.
    pub fn take(&self, server: u64, now: Moment) -> Option<Line> {
        let mut idle = self.idle.borrow_mut();
        let lines = idle.get_mut(&server)?;
        let mut cx = Context::from_waker(Waker::noop());
        while let Some(Idle { line, until }) = lines.pop() {
            // News of a connection that nobody asked anything is its end.
            if until > now && !line.io.has_news(&mut cx) {
                return Some(line);
            }
        }
        None
    }

    /// A connection to the server that belongs to this connection of a client.
    pub fn take_owned(&self, server: u64, owner: u64, now: Moment) -> Option<Line> {
        let mut owned = self.owned.borrow_mut();
        let lines = owned.get_mut(&owner)?;
        let mut cx = Context::from_waker(Waker::noop());
        while let Some(at) = lines.iter().rposition(|(s, _)| *s == server) {
            let (_, Idle { line, until }) = lines.swap_remove(at);
            if until > now && !line.io.has_news(&mut cx) {
                return Some(line);
            }
        }
        None
    }

    /// Closes what belongs to a client's connection that has ended.
    pub fn forget(&self, owner: u64) {
        let mut owned = self.owned.borrow_mut();
        if !owned.is_empty() {
            owned.remove(&owner);
        }
    }

    /// Keeps a connection for the next request.
    pub fn put(&self, server: u64, line: Line, until: Moment) {
        if line.owner != 0 {
            let mut owned = self.owned.borrow_mut();
            let lines = owned.entry(line.owner).or_default();
            if lines.len() < OWNED {
                lines.push((server, Idle { line, until }));
            }
            return;
        }
        let mut idle = self.idle.borrow_mut();
        let lines = idle.entry(server).or_default();
        if lines.len() < IDLE {
            lines.push(Idle { line, until });
        }
    }

    /// Closes what has idled for too long or was closed by its server.
    pub fn sweep(&self, now: Moment) {
        let mut cx = Context::from_waker(Waker::noop());
        self.idle.borrow_mut().retain(|_, lines| {
            lines.retain(|i| i.until > now && !i.line.io.has_news(&mut cx));
            !lines.is_empty()
        });
        self.owned.borrow_mut().retain(|_, lines| {
            lines.retain(|(_, i)| i.until > now && !i.line.io.has_news(&mut cx));
            !lines.is_empty()
        });
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        let owned: usize = self.owned.borrow().values().map(Vec::len).sum();
        self.idle.borrow().values().map(Vec::len).sum::<usize>() + owned
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
