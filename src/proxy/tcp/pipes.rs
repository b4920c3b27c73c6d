//! Pipes of one worker: borrowed while octets are in flight, kept for the next.

use std::cell::RefCell;

use crate::sys::splice::{PIPE_OCTETS, Pipe};

/// Pipes that are kept. Each has two descriptors, and memory only while octets are in it.
const KEPT: usize = 64;

/// The pipes of a worker.
#[derive(Debug, Default)]
pub struct Pipes {
    idle: RefCell<Vec<Pipe>>,
}

impl Pipes {
    /// An empty pipe; `None` when the system has none to give.
    pub fn take(&self) -> Option<Pipe> {
        let kept = self.idle.borrow_mut().pop();
        kept.or_else(|| Pipe::new(PIPE_OCTETS).ok())
    }

    /// Takes back a pipe that is empty.
    pub fn give(&self, pipe: Pipe) {
        let mut idle = self.idle.borrow_mut();
        if idle.len() < KEPT {
            idle.push(pipe);
        }
    }
}
