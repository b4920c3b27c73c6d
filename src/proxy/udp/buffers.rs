//! The memory through which the datagrams of a worker go: one for all of its listeners, since it is only
//! borrowed between two awaits.

use std::cell::Cell;

use crate::sys::Datagrams;

/// Both directions.
#[derive(Debug, Default)]
pub struct Pair {
    /// From clients.
    pub inbound: Datagrams,
    /// From backends.
    pub outbound: Datagrams,
}

/// Made when the first datagram comes: a proxy without UDP has none.
#[derive(Default)]
pub struct Buffers(Cell<Option<Box<Pair>>>);

impl Buffers {
    /// Runs `f` with them.
    pub fn with<T>(&self, f: impl FnOnce(&mut Pair) -> T) -> T {
        let mut pair = self.0.take().unwrap_or_default();
        let done = f(&mut pair);
        self.0.set(Some(pair));
        done
    }
}
