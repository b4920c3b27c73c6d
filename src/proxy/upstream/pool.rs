//! Connections to backends that wait for their next request. Each worker has its own.

use std::cell::RefCell;
use std::task::{Context, Waker};

use bytes::BytesMut;
use hashbrown::HashMap;

use crate::proxy::io::Io;
use crate::time::Moment;

/// Idle connections to one server at most, per worker.
const IDLE: usize = 512;

/// A connection to a backend.
pub struct Line {
    /// The connection.
    pub io: Io,
    /// What was read and not used yet.
    pub inbox: BytesMut,
    /// Whether it has carried a request before.
    pub used: bool,
}

struct Idle {
    line: Line,
    until: Moment,
}

/// Idle connections, by server.
#[derive(Default)]
pub struct Pool {
    idle: RefCell<HashMap<u64, Vec<Idle>>>,
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

    /// Keeps a connection for the next request.
    pub fn put(&self, server: u64, line: Line, until: Moment) {
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
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.idle.borrow().values().map(Vec::len).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
