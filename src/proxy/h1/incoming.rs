//! The body of a request, as it is read off a client's connection.

use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use crate::message::http1::BodyFraming;
use crate::message::http1::chunked::{Decoder, Step};
use crate::proxy::body::{Body, BodyError, Frame, Source};
use crate::proxy::io::Outbox;
use crate::proxy::watch::{Watch, Watches};

use super::client::{BodyState, Client};

/// Octets that are read at once.
const READ: usize = 64 << 10;

/// The body of the request under way.
struct Incoming {
    client: Rc<Client>,
    framing: Framing,
    /// Octets that may still come.
    allowed: u64,
    timeout: Duration,
    watch: Watch,
    /// `100 (Continue)`, until it is sent or the client no longer waits for it.
    interim: Option<Outbox>,
}

enum Framing {
    Length(u64),
    Chunked(Box<Decoder>),
}

/// Bounds of a body.
pub(super) struct BodyRules {
    /// Octets at most.
    pub(super) most: u64,
    /// Time between two parts.
    pub(super) timeout: Duration,
    /// Whether the client waits to be told to go on (RFC 9110 section 10.1.1).
    pub(super) expects: bool,
}

/// The body that follows the head just read.
pub(super) fn body(
    client: &Rc<Client>,
    framing: BodyFraming,
    rules: &BodyRules,
    watches: &Rc<Watches>,
) -> Body {
    let (framing, length) = match framing {
        BodyFraming::None | BodyFraming::Length(0) => {
            client.body.set(BodyState::Done);
            return Body::Empty;
        }
        BodyFraming::Length(n) => (Framing::Length(n), Some(n)),
        BodyFraming::Chunked | BodyFraming::UntilClose => (Framing::Chunked(Box::default()), None),
    };
    client.body.set(BodyState::Open);
    let interim = rules.expects.then(|| {
        let mut out = Outbox::default();
        out.text.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        out
    });
    let incoming = Incoming {
        client: client.clone(),
        framing,
        allowed: rules.most,
        timeout: rules.timeout,
        watch: Watch::new(watches),
        interim,
    };
    Body::stream(length, incoming)
}

impl Incoming {
    fn fail(&self, why: BodyError) -> Poll<Option<Result<Frame, BodyError>>> {
        self.client.body.set(BodyState::Broken);
        Poll::Ready(Some(Err(why)))
    }

    /// The next part, out of what has been read.
    fn take(&mut self) -> Poll<Option<Result<Frame, BodyError>>> {
        let mut inbox = self.client.inbox.borrow_mut();
        match &mut self.framing {
            Framing::Length(left) => {
                if *left == 0 {
                    self.client.body.set(BodyState::Done);
                    return Poll::Ready(None);
                }
                if inbox.is_empty() {
                    return Poll::Pending;
                }
                let n = usize::try_from(*left)
                    .unwrap_or(usize::MAX)
                    .min(inbox.len());
                *left -= n as u64;
                Poll::Ready(Some(Ok(Frame::Data(inbox.split_to(n).freeze()))))
            }
            Framing::Chunked(decoder) => match decoder.decode(&inbox) {
                Ok(Step::Data(range)) => {
                    let mut data = inbox.split_to(range.end);
                    bytes::Buf::advance(&mut data, range.start);
                    Poll::Ready(Some(Ok(Frame::Data(data.freeze()))))
                }
                Ok(Step::NeedMore) => {
                    inbox.clear();
                    Poll::Pending
                }
                Ok(Step::End(used)) => {
                    bytes::Buf::advance(&mut *inbox, used);
                    let trailers = decoder.take_trailers();
                    self.client.body.set(BodyState::Done);
                    self.framing = Framing::Length(0);
                    Poll::Ready(trailers.map(|fields| Ok(Frame::Trailers(fields))))
                }
                Err(_) => {
                    drop(inbox);
                    self.fail(BodyError::Malformed)
                }
            },
        }
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if self.client.body.get() != BodyState::Open {
            return;
        }
        match self.framing {
            // A client that still waits to be told to go on may send the body or not.
            Framing::Length(left) if self.interim.is_none() => self.client.unread.set(left),
            _ => self.client.body.set(BodyState::Broken),
        }
    }
}

impl Source for Incoming {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        loop {
            match self.take() {
                Poll::Ready(Some(Ok(Frame::Data(data)))) => {
                    self.watch.clear();
                    self.interim = None;
                    let Some(left) = self.allowed.checked_sub(data.len() as u64) else {
                        return self.fail(BodyError::TooLong);
                    };
                    self.allowed = left;
                    let received = &self.client.received;
                    received.set(received.get() + data.len() as u64);
                    return Poll::Ready(Some(Ok(Frame::Data(data))));
                }
                Poll::Ready(other) => return Poll::Ready(other),
                Poll::Pending => {}
            }
            if let Some(interim) = &mut self.interim {
                let mut io = self.client.io.borrow_mut();
                let sent = ready!(interim.poll_write(cx, &mut io));
                drop(io);
                self.interim = None;
                if sent.is_err() {
                    return self.fail(BodyError::Cut);
                }
            }
            match self.client.poll_more(cx, READ) {
                Poll::Ready(Ok(n)) if n > 0 => self.watch.clear(),
                Poll::Ready(_) => return self.fail(BodyError::Cut),
                Poll::Pending => {
                    if !self.watch.is_set() {
                        self.watch.set(self.timeout);
                    }
                    ready!(self.watch.poll(cx));
                    return self.fail(BodyError::Timeout);
                }
            }
        }
    }
}
