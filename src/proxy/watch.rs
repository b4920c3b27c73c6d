//! Deadlines of one worker: coarse, and nearly free.
//!
//! A proxy sets and clears several deadlines per request, of which hardly one ever passes. So they
//! are numbers in a table that the worker looks through twenty times a second: setting one is a
//! store, and a deadline passes at most [`TICK`] late.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::time::{Clock, Moment};

/// How often the deadlines are looked at.
pub const TICK: Duration = Duration::from_millis(50);

const NEVER: u64 = u64::MAX;

/// All deadlines of one worker.
pub struct Watches {
    clock: Arc<dyn Clock>,
    now: Cell<Moment>,
    table: RefCell<Table>,
}

#[derive(Default)]
struct Table {
    deadlines: Vec<u64>,
    /// Those that only bound idling.
    idle: Vec<bool>,
    wakers: Vec<Option<Waker>>,
    free: Vec<u32>,
}

impl Watches {
    /// No deadlines yet.
    pub fn new(clock: Arc<dyn Clock>) -> Rc<Watches> {
        Rc::new(Watches {
            now: Cell::new(clock.now()),
            clock,
            table: RefCell::default(),
        })
    }

    /// The time of the last tick: at most [`TICK`] and one turn of the worker old.
    pub fn coarse(&self) -> Moment {
        self.now.get()
    }

    /// The time.
    pub fn now(&self) -> Moment {
        self.clock.now()
    }

    /// Wakes those whose deadline has passed.
    pub fn tick(&self) {
        let now = self.clock.now();
        self.now.set(now);
        let mut due = Vec::new();
        {
            let Table {
                deadlines, wakers, ..
            } = &mut *self.table.borrow_mut();
            for (at, deadline) in deadlines.iter().enumerate() {
                if *deadline <= now.0 {
                    due.extend(wakers.get_mut(at).and_then(Option::take));
                }
            }
        }
        // Outside the borrow: waking may drop what holds a watch.
        due.into_iter().for_each(Waker::wake);
    }

    /// Lets the deadlines of all that idle pass with the next tick.
    pub fn end_idling(&self) {
        let Table {
            deadlines, idle, ..
        } = &mut *self.table.borrow_mut();
        for (deadline, idle) in deadlines.iter_mut().zip(idle) {
            if *idle && *deadline != NEVER {
                *deadline = 0;
            }
        }
    }

    /// Wakes everybody who waits: something has changed that they look at when they wake.
    pub fn wake_all(&self) {
        let wakers: Vec<Waker> = {
            let mut table = self.table.borrow_mut();
            table.wakers.iter_mut().filter_map(Option::take).collect()
        };
        // Outside the borrow: waking may drop what holds a watch.
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Ticks for as long as anybody but this task holds the watches.
    pub async fn run(self: Rc<Watches>) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while Rc::strong_count(&self) > 1 {
            ticks.tick().await;
            self.tick();
        }
    }
}

/// One deadline.
pub struct Watch {
    all: Rc<Watches>,
    at: u32,
}

impl Watch {
    /// A deadline that is not set.
    pub fn new(all: &Rc<Watches>) -> Watch {
        let mut table = all.table.borrow_mut();
        let at = table.free.pop().unwrap_or_else(|| {
            table.deadlines.push(NEVER);
            table.idle.push(false);
            table.wakers.push(None);
            (table.deadlines.len() - 1) as u32
        });
        Watch {
            all: all.clone(),
            at,
        }
    }

    /// Sets the deadline so long after now.
    pub fn set(&self, after: Duration) {
        self.put(after, false);
    }

    /// As [`Watch::set`], but not after `until`.
    pub fn set_until(&self, after: Duration, until: Option<Moment>) {
        match until {
            None => self.set(after),
            Some(until) => self.set(after.min(self.all.coarse().until(until))),
        }
    }

    /// As [`Watch::set`], of one that has nothing to do: [`Watches::end_idling`] ends it too.
    pub fn set_idle(&self, after: Duration) {
        self.put(after, true);
    }

    fn put(&self, after: Duration, idle: bool) {
        let deadline = self.all.coarse() + after;
        let mut table = self.all.table.borrow_mut();
        table.deadlines[self.at as usize] = deadline.0;
        table.idle[self.at as usize] = idle;
    }

    /// Whether it is set.
    pub fn is_set(&self) -> bool {
        self.all.table.borrow().deadlines[self.at as usize] != NEVER
    }

    /// Takes the deadline away.
    pub fn clear(&self) {
        self.all.table.borrow_mut().deadlines[self.at as usize] = NEVER;
    }

    /// Whether the deadline has passed; if not, the task is woken when it does.
    pub fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut table = self.all.table.borrow_mut();
        let at = self.at as usize;
        if table.deadlines[at] <= self.all.now.get().0 {
            return Poll::Ready(());
        }
        match &mut table.wakers[at] {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    /// Runs `future` until the deadline; `None` when that came first.
    pub async fn bound<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        let mut future = std::pin::pin!(future);
        std::future::poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(value) => Poll::Ready(Some(value)),
            Poll::Pending => self.poll(cx).map(|()| None),
        })
        .await
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut table = self.all.table.borrow_mut();
        let at = self.at as usize;
        table.deadlines[at] = NEVER;
        table.wakers[at] = None;
        table.free.push(self.at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::SimClock;

    #[test]
    fn a_deadline_passes_once_the_clock_is_there() {
        let clock = Arc::new(SimClock::default());
        let all = Watches::new(clock.clone());
        let watch = Watch::new(&all);
        let mut cx = Context::from_waker(Waker::noop());
        assert!(watch.poll(&mut cx).is_pending());
        watch.set(Duration::from_secs(1));
        clock.advance(Duration::from_millis(999));
        all.tick();
        assert!(watch.poll(&mut cx).is_pending());
        clock.advance(Duration::from_millis(1));
        assert!(watch.poll(&mut cx).is_pending(), "before the tick");
        all.tick();
        assert!(watch.poll(&mut cx).is_ready());
        watch.clear();
        assert!(watch.poll(&mut cx).is_pending());
    }

    #[test]
    fn a_place_in_the_table_is_used_again() {
        let all = Watches::new(Arc::new(SimClock::default()));
        for _ in 0..100 {
            let _one = Watch::new(&all);
        }
        assert_eq!(all.table.borrow().deadlines.len(), 1);
    }
}
