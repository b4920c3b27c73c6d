//! When a relay is over, and why: the same rules for bare connections and encrypted ones.

use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::net::TcpStream;

use crate::proxy::tier::Server;
use crate::proxy::watch::Watch;
use crate::proxy::worker::Worker;
use crate::traffic::TcpTimeouts;

use super::flow::Ended;
use super::silence::Silence;

/// Which side of a direction broke.
pub(super) enum Broken {
    /// The one that it reads.
    From,
    /// The one that it writes.
    To,
}

/// How far a direction is after its turn: ready when nothing will come any more.
pub(super) struct Step {
    pub(super) state: Poll<Result<(), Broken>>,
    /// The side that it reads has ended.
    pub(super) ended: bool,
}

/// Watches the two directions of a connection.
pub(super) struct Ends<'a> {
    watch: Watch,
    server: &'a Server,
    timeouts: &'a TcpTimeouts,
    /// Who ended first.
    first: Option<Ended>,
    silence: Silence,
}

impl<'a> Ends<'a> {
    pub(super) fn new(worker: &Worker, server: &'a Server, timeouts: &'a TcpTimeouts) -> Ends<'a> {
        let watch = Watch::new(&worker.watches);
        watch.set(timeouts.idle);
        Ends {
            watch,
            server,
            timeouts,
            first: None,
            silence: Silence::default(),
        }
    }

    /// Whether the connection is over after a turn of both directions. `moved`: octets have moved. `sides`
    /// are the client and the backend.
    pub(super) fn look(
        &mut self,
        cx: &mut Context<'_>,
        up: &Step,
        down: &Step,
        moved: bool,
        sides: [Option<&TcpStream>; 2],
    ) -> Poll<Ended> {
        match (&up.state, &down.state) {
            (Poll::Ready(Err(Broken::From)), _) | (_, Poll::Ready(Err(Broken::To))) => {
                return Poll::Ready(Ended::ClientReset);
            }
            (Poll::Ready(Err(Broken::To)), _) | (_, Poll::Ready(Err(Broken::From))) => {
                return Poll::Ready(Ended::BackendReset);
            }
            _ => {}
        }
        let before = self.first;
        self.first = before.or(match (up.ended, down.ended) {
            (true, _) => Some(Ended::ClientClosed),
            (_, true) => Some(Ended::BackendClosed),
            _ => None,
        });
        if let (Some(first), true, true) = (self.first, up.state.is_ready(), down.state.is_ready())
        {
            return Poll::Ready(first);
        }
        if moved {
            self.silence.broken();
        }
        if moved || before.is_none() && self.first.is_some() {
            self.watch.set(self.longest());
        }
        if self.server.is_cut() {
            return Poll::Ready(Ended::TakenOut);
        }
        ready!(self.watch.poll(cx));
        if self.silence.is_slowness(sides) {
            self.watch.set(self.longest());
            // It has just been set: this only has it wake us.
            ready!(self.watch.poll(cx));
        }
        Poll::Ready(match self.first {
            None => Ended::IdleTimeout,
            Some(_) => Ended::HalfCloseTimeout,
        })
    }

    /// How long nothing may move.
    fn longest(&self) -> Duration {
        match self.first {
            None => self.timeouts.idle,
            Some(_) => self.timeouts.half_close,
        }
    }
}

impl Ended {
    /// Whether both sides said themselves that they are done. What broke off must not look like an end.
    pub(super) const fn is_clean(self) -> bool {
        matches!(self, Ended::ClientClosed | Ended::BackendClosed)
    }
}
