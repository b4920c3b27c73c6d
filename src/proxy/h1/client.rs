//! A client's connection: reading heads off it.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use tokio::io::AsyncWrite as _;

use crate::message::http1::{self, HeadRules, Parsed, Refusal, RequestFraming};
use crate::message::{Method, RequestHead};
use crate::proxy::io::Io;
use crate::proxy::message::Interim;
use crate::proxy::watch::Watch;
use crate::proxy::worker::Worker;
use crate::traffic::HttpTimeouts;

/// How far the body of the request under way has been read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum BodyState {
    /// To its end.
    Done,
    /// Not to its end yet.
    Open,
    /// It cannot be: the connection is of no use any more.
    Broken,
}

/// A client's connection. Request body and response use it in turn, within one task.
pub(super) struct Client {
    pub(super) io: RefCell<Io>,
    /// What was read and not used yet. Holds no memory while the connection idles.
    pub(super) inbox: RefCell<BytesMut>,
    pub(super) body: Cell<BodyState>,
    /// Interim answers on their way to the client.
    pub(super) interim: Interim,
    /// Octets of the body under way that have come.
    pub(super) received: Cell<u64>,
    /// Octets of the body that nobody wanted, when it is open and nobody reads it.
    pub(super) unread: Cell<u64>,
}

/// Why there is no head.
#[derive(Debug)]
pub(super) enum NoHead {
    /// The client left, or never came back: nothing is under way.
    Left,
    /// The client began a head and went away, or the connection broke.
    Broken,
    /// The head did not come in time.
    Slow,
    /// It is none that may be answered otherwise than with an error.
    Refused(Refusal),
    /// It is the preface of HTTP/2 (RFC 9113 section 3.4), all of it or its beginning.
    Http2,
}

/// Octets of requests sent ahead that are kept while one is answered.
const AHEAD: usize = 16 << 10;

/// How a connection of HTTP/2 begins. No method is called `PRI`.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n";

fn parse(
    octets: &[u8],
    rules: &HeadRules,
    head: &mut RequestHead,
) -> Result<Parsed<RequestFraming>, NoHead> {
    if octets.starts_with(b"PRI ") {
        let n = octets.len().min(PREFACE.len());
        if octets[..n] == PREFACE[..n] {
            return Err(NoHead::Http2);
        }
    }
    let parsed = http1::request(octets, rules, head).map_err(NoHead::Refused)?;
    if head.method == Method::Connect && parsed != Parsed::Partial {
        return Err(NoHead::Refused(Refusal::Connect));
    }
    Ok(parsed)
}

impl Client {
    pub(super) fn new(io: Io, ahead: BytesMut) -> Client {
        Client {
            io: RefCell::new(io),
            inbox: RefCell::new(ahead),
            body: Cell::new(BodyState::Done),
            interim: Interim::default(),
            received: Cell::new(0),
            unread: Cell::new(0),
        }
    }

    /// Waits for the next head, and reads it.
    pub(super) async fn read_head(
        &self,
        worker: &Worker,
        rules: &HeadRules,
        timeouts: &HttpTimeouts,
        watch: &Watch,
        head: &mut RequestHead,
    ) -> Result<RequestFraming, NoHead> {
        if self.inbox.borrow().is_empty() {
            *self.inbox.borrow_mut() = BytesMut::new();
            watch.set_idle(timeouts.idle);
        } else {
            watch.set(timeouts.head);
            if let Some(framing) = self.parse_inbox(rules, head)? {
                return Ok(framing);
            }
        }
        std::future::poll_fn(|cx| self.poll_head(cx, worker, rules, timeouts, watch, head)).await
    }

    fn parse_inbox(
        &self,
        rules: &HeadRules,
        head: &mut RequestHead,
    ) -> Result<Option<RequestFraming>, NoHead> {
        let mut inbox = self.inbox.borrow_mut();
        match parse(&inbox, rules, head)? {
            Parsed::Whole { octets, framing } => {
                bytes::Buf::advance(&mut *inbox, octets);
                Ok(Some(framing))
            }
            Parsed::Partial => Ok(None),
        }
    }

    fn poll_head(
        &self,
        cx: &mut Context<'_>,
        worker: &Worker,
        rules: &HeadRules,
        timeouts: &HttpTimeouts,
        watch: &Watch,
        head: &mut RequestHead,
    ) -> Poll<Result<RequestFraming, NoHead>> {
        loop {
            let begun = !self.inbox.borrow().is_empty();
            let step = worker.with_scratch(|scratch| {
                let read = self.io.borrow_mut().poll_read_into(cx, scratch);
                let n = match ready!(read) {
                    Ok(0) | Err(_) if !begun => return Poll::Ready(Err(NoHead::Left)),
                    Ok(0) | Err(_) => return Poll::Ready(Err(NoHead::Broken)),
                    Ok(n) => n,
                };
                let mut inbox = self.inbox.borrow_mut();
                if begun {
                    inbox.extend_from_slice(&scratch[..n]);
                    drop(inbox);
                    return Poll::Ready(self.parse_inbox(rules, head));
                }
                // As a rule the whole head is there, and nothing else: it is parsed where it lies.
                let parsed = parse(&scratch[..n], rules, head);
                if matches!(parsed, Err(NoHead::Http2)) {
                    inbox.extend_from_slice(&scratch[..n]);
                }
                Poll::Ready(match parsed? {
                    Parsed::Whole { octets, framing } => {
                        inbox.extend_from_slice(&scratch[octets..n]);
                        Ok(Some(framing))
                    }
                    Parsed::Partial => {
                        inbox.extend_from_slice(&scratch[..n]);
                        Ok(None)
                    }
                })
            });
            match step {
                Poll::Ready(Ok(Some(framing))) => return Poll::Ready(Ok(framing)),
                Poll::Ready(Ok(None)) => {
                    if !begun {
                        watch.set(timeouts.head);
                    }
                }
                Poll::Ready(Err(e)) => return Poll::Ready(Err(e)),
                Poll::Pending => {
                    ready!(watch.poll(cx));
                    let why = if begun { NoHead::Slow } else { NoHead::Left };
                    return Poll::Ready(Err(why));
                }
            }
        }
    }

    /// Reads what the client still sends into the inbox; 0 is the end.
    pub(super) fn poll_more(&self, cx: &mut Context<'_>, most: usize) -> Poll<io::Result<usize>> {
        let mut inbox = self.inbox.borrow_mut();
        self.io.borrow_mut().poll_read_more(cx, &mut inbox, most)
    }

    /// While an answer is waited for: sends interim ones, and looks whether the client still waits.
    /// Ready when it has gone; what it sends ahead is kept.
    pub(super) fn poll_gone(&self, cx: &mut Context<'_>, worker: &Worker) -> Poll<()> {
        let mut interim = self.interim.borrow_mut();
        while !interim.is_empty() {
            let mut io = self.io.borrow_mut();
            match Pin::new(&mut *io).poll_write(cx, &interim) {
                Poll::Ready(Ok(n)) => drop(interim.drain(..n)),
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Pending => break,
            }
            let _ = Pin::new(&mut *io).poll_flush(cx);
        }
        // Its body is read by whoever wants it; what comes behind is not asked for yet.
        if self.body.get() != BodyState::Done || self.inbox.borrow().len() >= AHEAD {
            return Poll::Pending;
        }
        worker.with_scratch(|scratch| {
            match ready!(self.io.borrow_mut().poll_read_into(cx, scratch)) {
                Ok(n) if n > 0 => {
                    self.inbox.borrow_mut().extend_from_slice(&scratch[..n]);
                    // Whether there is more is seen with the next look.
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
                _ => Poll::Ready(()),
            }
        })
    }
}
