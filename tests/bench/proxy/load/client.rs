//! One client: a connection and the requests under way on it.

use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::time::Instant;

use crate::Error;
use crate::h1::Answer;
use crate::h2::Session;
use crate::wire::Wire;
use crate::workload::{Use, Workload};

/// Octets that one read takes, and those that are only counted.
const READ: usize = 128 << 10;
const COUNT: usize = 1 << 20;

/// The version it speaks.
enum Speech {
    H1 {
        answer: Answer,
        flying: Option<Instant>,
    },
    H2(Session),
    Octets {
        /// Octets of the answer that are missing.
        left: u64,
        flying: Option<Instant>,
    },
}

/// Where what comes is read to.
pub(crate) struct Scratch {
    read: Vec<u8>,
    /// Never written.
    nowhere: Vec<MaybeUninit<u8>>,
}

impl Scratch {
    pub(crate) fn new() -> Scratch {
        Scratch {
            read: vec![0; READ],
            nowhere: vec![MaybeUninit::uninit(); COUNT],
        }
    }
}

pub(crate) struct Client {
    pub(crate) wire: Wire,
    speech: Speech,
    /// Requests it may still send on this connection.
    budget: u64,
    streams: usize,
}

impl Client {
    pub(crate) fn open(addr: SocketAddr, workload: &Workload) -> Result<Client, Error> {
        let wire = Wire::open(addr, &workload.over)?;
        let (speech, streams) = match workload.usage {
            Use::Streams(streams) => (Speech::H2(Session::new()), streams),
            Use::Octets | Use::OctetsOnce => (
                Speech::Octets {
                    left: 0,
                    flying: None,
                },
                1,
            ),
            Use::Keep | Use::Once => (
                Speech::H1 {
                    answer: Answer::default(),
                    flying: None,
                },
                1,
            ),
        };
        let once = matches!(workload.usage, Use::Once | Use::OctetsOnce);
        Ok(Client {
            wire,
            speech,
            budget: if once { 1 } else { u64::MAX },
            streams,
        })
    }

    /// Requests under way.
    pub(crate) fn flying(&self) -> usize {
        match &self.speech {
            Speech::H1 { flying, .. } | Speech::Octets { flying, .. } => {
                usize::from(flying.is_some())
            }
            Speech::H2(session) => session.flying.len(),
        }
    }

    /// Whether it takes one more request.
    pub(crate) fn free(&self) -> bool {
        self.budget > 0 && self.flying() < self.streams
    }

    /// Begins a request that was due at `due`; its answer has `length` octets.
    pub(crate) fn ask(
        &mut self,
        request: Option<&[u8]>,
        length: u64,
        due: Instant,
    ) -> Result<(), Error> {
        self.budget -= 1;
        match (&mut self.speech, request) {
            (Speech::H1 { flying, .. }, Some(request)) => {
                *flying = Some(due);
                self.wire.send(request)
            }
            (Speech::H2(session), _) => {
                session.ask(due);
                Ok(())
            }
            (Speech::Octets { left, flying }, Some(request)) => {
                (*left, *flying) = (length, Some(due));
                self.wire.send(request)
            }
            (Speech::H1 { .. } | Speech::Octets { .. }, None) => Err("no request to send".into()),
        }
    }

    /// Sends what waits to be sent.
    pub(crate) fn flush(&mut self) -> Result<(), Error> {
        if let Speech::H2(session) = &mut self.speech
            && !session.out.is_empty()
        {
            self.wire.send(&session.out)?;
            session.out.clear();
        }
        Ok(())
    }

    /// Takes what came; `done` is told when each request that is complete was due. False when the
    /// connection is over.
    pub(crate) fn receive(
        &mut self,
        scratch: &mut Scratch,
        length: u64,
        mut done: impl FnMut(Instant),
    ) -> Result<bool, Error> {
        let speech = &mut self.speech;
        let budget = &mut self.budget;
        if let Speech::Octets { left, flying } = speech {
            let n = self.wire.count(&mut scratch.nowhere)?;
            if let Some(n) = n {
                let after = left.checked_sub(n as u64);
                *left = after.ok_or("more came than was asked for")?;
                if *left == 0
                    && let Some(due) = flying.take()
                {
                    done(due);
                }
            }
            let over = *budget == 0 && flying.is_none();
            return Ok(n != Some(0) && !over);
        }
        let open = self.wire.receive(&mut scratch.read, |part| match speech {
            Speech::Octets { .. } => Ok(()),
            Speech::H1 { answer, flying } => {
                if flying.is_none() {
                    return Err("an answer that nobody asked for".into());
                }
                if answer.take(part, length)? {
                    if let Some(due) = flying.take() {
                        done(due);
                    }
                    if answer.last {
                        *budget = 0;
                    }
                }
                Ok(())
            }
            Speech::H2(session) => {
                session.take(part, length, &mut done)?;
                if session.last {
                    *budget = 0;
                }
                Ok(())
            }
        })?;
        self.flush()?;
        Ok(open)
    }
}
