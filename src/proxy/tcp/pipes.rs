//! Pipes of one worker: borrowed while octets are in flight, kept for the next.

use std::cell::{Cell, RefCell};
use std::ops::Deref;
use std::rc::Rc;

use crate::sys::splice::Pipe;

/// What a pipe is asked to hold. One move of the kernel's is a fraction of it, so that more does not make
/// anything faster; but it is what a receiver that does not read holds of the system's memory, and what
/// users without privileges have 64 MiB of together (`/proc/sys/fs/pipe-user-pages-soft`).
const OCTETS: usize = 256 << 10;

/// A pipe that holds less is not worth its system calls.
const LEAST: usize = 64 << 10;

/// Pipes at most: what lies in those that nobody empties stays below 64 MiB. Who gets none copies.
const MOST: usize = 256;

/// Pipes that are kept. Each has two descriptors, and memory only while octets are in it.
const KEPT: usize = 16;

/// Askers that go without after the system had no pipe to give, until it is asked again.
const REFUSED: u32 = 1000;

/// A pipe of a worker's.
#[derive(Debug)]
pub struct Borrowed {
    pipe: Pipe,
    /// One of these for each pipe there is.
    _one: Rc<()>,
}

impl Deref for Borrowed {
    type Target = Pipe;

    fn deref(&self) -> &Pipe {
        &self.pipe
    }
}

/// The pipes of a worker.
#[derive(Debug, Default)]
pub struct Pipes {
    idle: RefCell<Vec<Borrowed>>,
    /// Shared by all pipes there are.
    all: Rc<()>,
    /// Askers that still go without.
    refused: Cell<u32>,
}

impl Pipes {
    /// An empty pipe; `None` when the system has none to give, or too many are in use.
    pub fn take(&self) -> Option<Borrowed> {
        if let Some(kept) = self.idle.borrow_mut().pop() {
            return Some(kept);
        }
        if self.refused.get() > 0 {
            self.refused.set(self.refused.get() - 1);
            return None;
        }
        if self.count() >= MOST {
            return None;
        }
        let pipe = Pipe::new(OCTETS).ok().filter(|p| p.capacity() >= LEAST);
        if pipe.is_none() {
            self.refused.set(REFUSED);
        }
        Some(Borrowed {
            pipe: pipe?,
            _one: self.all.clone(),
        })
    }

    /// Takes back a pipe that is empty.
    pub fn give(&self, pipe: Borrowed) {
        let mut idle = self.idle.borrow_mut();
        if idle.len() < KEPT {
            idle.push(pipe);
        }
    }

    /// Pipes there are, idle or in use.
    pub fn count(&self) -> usize {
        Rc::strong_count(&self.all) - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pipes_are_used_again_and_few_are_kept() {
        let pipes = Pipes::default();
        let some: Vec<Borrowed> = (0..KEPT + 4).filter_map(|_| pipes.take()).collect();
        assert_eq!((some.len(), pipes.count()), (KEPT + 4, KEPT + 4));
        some.into_iter().for_each(|pipe| pipes.give(pipe));
        assert_eq!(pipes.count(), KEPT);
        drop(pipes.take());
        assert_eq!(pipes.count(), KEPT - 1, "one that is lost is not counted");
    }

    #[test]
    fn no_more_than_a_worker_may_have() {
        let pipes = Pipes::default();
        let mut all: Vec<Borrowed> = std::iter::from_fn(|| pipes.take()).collect();
        // Fewer where the process may have few descriptors.
        assert!((1..=MOST).contains(&all.len()), "{}", all.len());
        assert!(pipes.take().is_none());
        all.truncate(1);
        pipes.give(all.remove(0));
        assert!(pipes.take().is_some());
    }
}
