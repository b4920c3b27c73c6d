//! What the streams of one HTTP/2 connection share: how many there are, how long it has idled, and
//! which of them wait for a client that takes nothing in.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use crate::proxy::watch::{Watch, Watches};
use crate::time::Moment;
use crate::traffic::HttpTimeouts;

/// The streams of a connection.
pub(super) struct Busy {
    streams: Cell<u32>,
    idle: Duration,
    idling: Watch,
    /// How long octets may wait until the client takes them in.
    write: Duration,
    looking: Watch,
    watches: Rc<Watches>,
    /// By stream: since when octets wait for the client. As many as there were streams at once.
    waiting: RefCell<Vec<Option<Moment>>>,
    free: RefCell<Vec<usize>>,
}

impl Busy {
    /// No streams yet.
    pub(super) fn new(watches: &Rc<Watches>, timeouts: &HttpTimeouts) -> Busy {
        let idling = Watch::new(watches);
        idling.set_idle(timeouts.idle);
        Busy {
            streams: Cell::new(0),
            idle: timeouts.idle,
            idling,
            write: timeouts.write,
            looking: Watch::new(watches),
            watches: watches.clone(),
            waiting: RefCell::default(),
            free: RefCell::default(),
        }
    }

    /// Streams under way.
    pub(super) fn streams(&self) -> u32 {
        self.streams.get()
    }

    /// Ready when there was nothing to do for too long.
    pub(super) fn poll_idle(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.idling.poll(cx)
    }

    /// From now on only so much time is left without a stream.
    pub(super) fn leave(&self, left: Duration) {
        self.idling.set(left);
    }

    /// Looks now and then, while there are streams, whether one of them has waited for the client for
    /// too long; ready with what was found.
    pub(super) fn poll_stuck(&self, cx: &mut Context<'_>) -> Poll<bool> {
        if self.streams.get() == 0 {
            self.looking.clear();
            return Poll::Pending;
        }
        ready!(self.looking.poll(cx));
        self.looking.set(self.write);
        let now = self.watches.coarse();
        let stuck = |since: &Option<Moment>| since.is_some_and(|s| now.since(s) >= self.write);
        Poll::Ready(self.waiting.borrow().iter().any(stuck))
    }
}

/// One stream, for as long as its answer lives.
pub(super) struct Stream {
    busy: Rc<Busy>,
    at: usize,
}

impl Stream {
    /// One more.
    pub(super) fn new(busy: &Rc<Busy>) -> Stream {
        busy.streams.set(busy.streams.get() + 1);
        busy.idling.clear();
        if !busy.looking.is_set() {
            busy.looking.set(busy.write);
        }
        let at = busy.free.borrow_mut().pop().unwrap_or_else(|| {
            let mut waiting = busy.waiting.borrow_mut();
            waiting.push(None);
            waiting.len() - 1
        });
        Stream {
            busy: busy.clone(),
            at,
        }
    }

    /// Octets wait for the client, or no longer do.
    pub(super) fn waits(&self, given: bool) {
        let since = given.then(|| self.busy.watches.coarse());
        self.busy.waiting.borrow_mut()[self.at] = since;
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.waits(false);
        self.busy.free.borrow_mut().push(self.at);
        let left = self.busy.streams.get() - 1;
        self.busy.streams.set(left);
        if left == 0 {
            self.busy.idling.set_idle(self.busy.idle);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::task::Waker;

    use super::*;
    use crate::time::SimClock;

    #[test]
    fn a_stream_whose_octets_nobody_takes_is_found() {
        let clock = Arc::new(SimClock::default());
        let watches = Watches::new(clock.clone());
        let timeouts = HttpTimeouts::default();
        let busy = Rc::new(Busy::new(&watches, &timeouts));
        let mut cx = Context::from_waker(Waker::noop());
        let mut later = |time: Duration, busy: &Busy| {
            clock.advance(time);
            watches.tick();
            busy.poll_stuck(&mut cx)
        };
        assert_eq!(later(timeouts.write * 3, &busy), Poll::Pending);
        let (one, two) = (Stream::new(&busy), Stream::new(&busy));
        one.waits(true);
        one.waits(false);
        two.waits(true);
        drop(two);
        // One waits for its backend, the other is over.
        assert_eq!(later(timeouts.write, &busy), Poll::Ready(false));
        one.waits(true);
        assert_eq!(later(timeouts.write / 2, &busy), Poll::Pending);
        assert_eq!(later(timeouts.write / 2, &busy), Poll::Ready(true));
        assert_eq!(busy.streams(), 1);
        drop(one);
        assert_eq!(later(timeouts.write, &busy), Poll::Pending);
        assert!(
            busy.poll_idle(&mut Context::from_waker(Waker::noop()))
                .is_pending()
        );
    }
}
