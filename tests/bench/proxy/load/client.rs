//! One client: a connection and the requests under way on it.

use std::net::SocketAddr;
use std::time::Instant;

use crate::Error;
use crate::h1::Answer;
use crate::h2::Session;
use crate::wire::Wire;
use crate::workload::{Use, Workload};

/// The version it speaks.
enum Speech {
    H1 {
        answer: Answer,
        flying: Option<Instant>,
    },
    H2(Session),
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
        let wire = Wire::open(addr, workload.tls.as_ref())?;
        let (speech, streams) = match workload.usage {
            Use::Streams(streams) => (Speech::H2(Session::new()), streams),
            Use::Keep | Use::Once => (
                Speech::H1 {
                    answer: Answer::default(),
                    flying: None,
                },
                1,
            ),
        };
        let once = workload.usage == Use::Once;
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
            Speech::H1 { flying, .. } => usize::from(flying.is_some()),
            Speech::H2(session) => session.flying.len(),
        }
    }

    /// Whether it takes one more request.
    pub(crate) fn free(&self) -> bool {
        self.budget > 0 && self.flying() < self.streams
    }

    /// Begins a request that was due at `due`.
    pub(crate) fn ask(&mut self, request: Option<&[u8]>, due: Instant) -> Result<(), Error> {
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
            (Speech::H1 { .. }, None) => Err("no request to send".into()),
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
        scratch: &mut [u8],
        length: u64,
        mut done: impl FnMut(Instant),
    ) -> Result<bool, Error> {
        let speech = &mut self.speech;
        let budget = &mut self.budget;
        let open = self.wire.receive(scratch, |part| match speech {
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
