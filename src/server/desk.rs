//! A desk: one worker's place at the engine. It holds the view for a round of queries, and it
//! outlives a panic of the engine, because DNS must never stop answering.

use std::any::Any;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::engine::transfer::Transfer;
use crate::engine::{self, Ahead, Inbound, Reply, Scratch};
use crate::snapshot::{Publisher, Reader, View};
use crate::telemetry::{DnsCounters, DnsEvent};
use crate::time::{Clock, Moment};

use super::tap::{Tap, Taps};

/// What answers: [`engine::answer`], or a stand-in where the edge itself is tested.
pub(super) type Engine = fn(&View, &Inbound<'_>, Moment, &mut Scratch, &mut [u8]) -> Reply;

/// One worker's reader, clock and scratch.
pub struct Desk {
    reader: Reader,
    clock: Arc<dyn Clock>,
    scratch: Scratch,
    ahead: Ahead,
    tap: Tap,
    engine: Engine,
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk")
            .field("scratch", &self.scratch)
            .finish_non_exhaustive()
    }
}

impl Desk {
    /// A desk that answers from the views of `publisher` and counts in `counters`, which nobody else
    /// may count in.
    pub fn new(publisher: &Publisher, clock: &Arc<dyn Clock>, counters: Arc<DnsCounters>) -> Desk {
        Desk::with_engine(publisher, clock, counters, engine::answer)
    }

    pub(super) fn with_engine(
        publisher: &Publisher,
        clock: &Arc<dyn Clock>,
        counters: Arc<DnsCounters>,
        engine: Engine,
    ) -> Desk {
        // The standard hasher's random keys: every worker draws its own sequence.
        let seed = RandomState::new().hash_one(0u8);
        Desk {
            reader: publisher.reader(),
            clock: clock.clone(),
            scratch: Scratch::new(seed, counters),
            ahead: Ahead::default(),
            tap: Taps::default().tap(0),
            engine,
        }
    }

    /// Gives samples of what is answered to `taps`.
    pub fn tap(&mut self, taps: &Taps) {
        self.tap = taps.tap(RandomState::new().hash_one(1u8));
    }

    /// Has answers say how long a connection may idle, in units of 100 milliseconds (RFC 7828).
    pub(super) fn tell_idle_timeout(&mut self, units: u16) {
        self.scratch.idle_timeout = Some(units);
    }

    /// Begins a round: takes the newest view and the time, once for all queries of the round.
    pub fn round(&mut self) -> Round<'_> {
        let now = self.clock.now();
        if now >= self.tap.window_ends {
            self.tap.turn_window(now);
        }
        Round {
            view: self.reader.view(),
            now,
            tap: &mut self.tap,
            scratch: &mut self.scratch,
            ahead: &mut self.ahead,
            engine: self.engine,
        }
    }

    /// Goes over to the newest view without a query to answer, so that an old one can be freed.
    pub fn rest(&mut self) {
        self.reader.view();
    }

    /// Counts something that happened outside the engine.
    pub fn count(&self, event: DnsEvent) {
        self.scratch.counters.count(event);
    }
}

/// Queries answered from one view at one moment.
pub struct Round<'d> {
    view: &'d View,
    now: Moment,
    scratch: &'d mut Scratch,
    ahead: &'d mut Ahead,
    tap: &'d mut Tap,
    engine: Engine,
}

impl fmt::Debug for Round<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Round")
            .field("generation", &self.view.generation)
            .field("now", &self.now)
            .finish_non_exhaustive()
    }
}

impl Round<'_> {
    /// Has `look` read ahead for the queries of this round. Should it panic, nothing is lost: the query
    /// that it stumbled over is answered as any other, and what that leads to is said there.
    pub fn read_ahead(&mut self, look: impl FnOnce(&mut Ahead, &View)) {
        let (view, ahead) = (self.view, &mut *self.ahead);
        if catch_unwind(AssertUnwindSafe(|| look(ahead, view))).is_err() {
            self.scratch.counters.count(DnsEvent::EnginePanic);
            *self.ahead = Ahead::default();
        }
    }

    /// Answers one query into `out`. Should the engine panic, the query gets SERVFAIL, the panic is
    /// counted and logged, and the next query finds everything as before.
    pub fn answer(&mut self, inbound: &Inbound<'_>, out: &mut [u8]) -> Reply {
        let (view, now, engine) = (self.view, self.now, self.engine);
        let scratch = &mut *self.scratch;
        // What a panic may leave half done is harmless: the view is immutable, `out` is overwritten,
        // and the scratch holds counters, turns and random bits that are valid in any state.
        let reply = match catch_unwind(AssertUnwindSafe(|| {
            engine(view, inbound, now, scratch, out)
        })) {
            Ok(reply) => reply,
            Err(panic) => self.survive(inbound, &*panic, out),
        };
        if self.tap.is_due() {
            let len = match reply {
                Reply::Send(len) | Reply::SendAndClose(len) => len,
                Reply::Drop | Reply::Transfer => 0,
            };
            self.tap.take(inbound, &out[..len], now, view.generation);
        }
        reply
    }

    /// The transfer of a query that was answered with [`Reply::Transfer`].
    pub fn take_transfer(&mut self) -> Option<Box<Transfer>> {
        self.scratch.take_transfer()
    }

    #[cold]
    fn survive(
        &mut self,
        inbound: &Inbound<'_>,
        panic: &(dyn Any + Send),
        out: &mut [u8],
    ) -> Reply {
        let counters = &self.scratch.counters;
        counters.count(DnsEvent::EnginePanic);
        let times = counters.get(DnsEvent::EnginePanic);
        // A query that panics may come a million times: log it ever more seldom.
        if times.is_power_of_two() {
            let said = panic
                .downcast_ref::<&str>()
                .copied()
                .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
                .unwrap_or("(no message)");
            tracing::error!(
                peer = %inbound.peer,
                octets = inbound.packet.len(),
                query = %Hex(inbound.packet),
                times,
                "the answer engine panicked, SERVFAIL was sent; this is a bug, please report it with this line: {said}"
            );
        }
        servfail(inbound.packet, out)
    }
}

/// The bare header of a SERVFAIL to `query`: nothing beyond the header is parsed, since parsing may
/// be what panicked, and the reply is never longer than the query. Silence for a response
/// (requirement A8).
fn servfail(query: &[u8], out: &mut [u8]) -> Reply {
    const RESPONSE: u8 = 0x80;
    const KEPT: u8 = 0x79; // opcode and RD
    const SERVFAIL: u8 = 2;
    let Some(header) = query.first_chunk::<12>() else {
        return Reply::Drop;
    };
    if header[2] & RESPONSE != 0 || out.len() < 12 {
        return Reply::Drop;
    }
    out[..12].fill(0);
    out[..2].copy_from_slice(&header[..2]);
    out[2] = RESPONSE | (header[2] & KEPT);
    out[3] = SERVFAIL;
    Reply::Send(12)
}

/// The first octets of a message in hexadecimal.
struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 512;
        for octet in self.0.iter().take(SHOWN) {
            write!(f, "{octet:02x}")?;
        }
        if self.0.len() > SHOWN {
            f.write_str("…")?;
        }
        Ok(())
    }
}
