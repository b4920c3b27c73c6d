//! One exchange with a backend over HTTP/1.1.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use crate::message::http1::chunked::{Decoder, Step};
use crate::message::http1::{
    self, AnswerKind, BadAnswer, BodyFraming, HeadRules, Parsed, Persistence, ResponseFraming, hop,
};
use crate::message::{Method, RequestHead, ResponseHead};
use crate::proxy::body::{Body, BodyError, Frame, Source};
use crate::proxy::io::{Io, Outbox};
use crate::proxy::message::{Interim, Response, Upgraded};
use crate::proxy::tier::Server;
use crate::proxy::watch::Watch;
use crate::proxy::worker::Worker;
use crate::time::Moment;
use crate::traffic::UpstreamTimeouts;

use super::lease::Lease;
use super::pool::Line;
use super::{NotAnswered, Why};

/// Bounds of an answer's head.
const HEAD: HeadRules = HeadRules {
    head: 64 << 10,
    fields: 200,
    target: 0,
};

/// Interim answers (1xx) before the final one, at most.
const INTERIM: u32 = 16;

/// Octets that one read of a body takes.
const READ: usize = 64 << 10;

/// Octets of head and small parts that are gathered before they are written.
const GATHER: usize = 16 << 10;

/// What goes to the backend.
struct Upload {
    out: Outbox,
    body: Body,
    chunked: bool,
    finished: bool,
    /// Whether any octet of the body was used.
    begun: bool,
    /// Whether octets went out since somebody last asked.
    moved: bool,
}

impl Upload {
    /// Moves what can be moved. An error of the connection ends it quietly: the backend may have
    /// answered before it closed.
    fn poll(&mut self, cx: &mut Context<'_>, io: &mut Io) -> Poll<Result<(), BodyError>> {
        loop {
            let mut waits = false;
            while !self.finished && self.out.takes(GATHER) {
                match self.body.poll_frame(cx) {
                    Poll::Ready(Some(Ok(frame))) => {
                        self.begun |= matches!(frame, Frame::Data(_));
                        self.finished = self.out.put_frame(Some(frame), self.chunked);
                    }
                    Poll::Ready(None) => self.finished = self.out.put_frame(None, self.chunked),
                    Poll::Ready(Some(Err(e))) => {
                        self.begun = true;
                        return Poll::Ready(Err(e));
                    }
                    Poll::Pending => {
                        waits = true;
                        break;
                    }
                }
            }
            if !self.out.is_empty() {
                let before = self.out.left();
                let written = self.out.poll_write(cx, io);
                self.moved |= self.out.left() != before;
                if ready!(written).is_err() {
                    self.out = Outbox::default();
                    self.finished = true;
                    self.begun = true;
                    self.body = Body::Empty;
                }
            }
            if self.finished {
                return Poll::Ready(Ok(()));
            }
            if waits {
                return Poll::Pending;
            }
        }
    }

    /// Whether the backend has all there is, and it is the client that takes its time: that has a
    /// deadline of its own.
    fn starves(&self) -> bool {
        !self.finished && self.out.is_empty()
    }

    fn done(&self) -> bool {
        self.finished && self.out.is_empty()
    }
}

/// What an exchange with a backend needs.
pub struct Order<'a> {
    /// The worker.
    pub worker: &'a Rc<Worker>,
    /// The request's head, as it is to be sent.
    pub head: &'a RequestHead,
    /// The protocol that the client asks to go on with.
    pub upgrade: Option<&'a [u8]>,
    /// How long the backend may take.
    pub timeouts: &'a UpstreamTimeouts,
    /// When the whole exchange must be over.
    pub until: Option<Moment>,
    /// Where interim answers go.
    pub interim: Option<&'a Interim>,
}

impl Order<'_> {
    /// Sets a deadline so long after now, but not after the end of all.
    pub fn give(&self, watch: &Watch, time: Duration) {
        watch.set_until(time, self.until);
    }

    /// Whether the time for the whole exchange is over.
    pub fn is_late(&self) -> bool {
        let now = self.worker.watches.coarse();
        self.until.is_some_and(|until| until <= now)
    }
}

/// Sends a request on a connection and reads the head of its answer. The body of the answer then
/// comes with the rest of the request's body going out beside it.
///
/// # Errors
/// When no answer came. A connection that was used before may have been closed by the backend in the
/// very moment: then `sent` is false when not an octet came back and the method is idempotent, so that
/// the request may be repeated.
pub async fn send(
    order: &Order<'_>,
    mut line: Line,
    body: Body,
    lease: Lease,
) -> Result<Response, NotAnswered> {
    let framing = match body.length() {
        Some(0)
            if matches!(
                order.head.method,
                Method::Post | Method::Put | Method::Patch
            ) =>
        {
            BodyFraming::Length(0)
        }
        Some(0) => BodyFraming::None,
        Some(n) => BodyFraming::Length(n),
        None => BodyFraming::Chunked,
    };
    let mut upload = Upload {
        out: Outbox::with_room(),
        finished: matches!(body, Body::Empty),
        body,
        chunked: framing == BodyFraming::Chunked,
        begun: false,
        moved: false,
    };
    let persistence = if order.upgrade.is_some() {
        Persistence::Upgrade
    } else {
        Persistence::Implied
    };
    http1::write_request(order.head, framing, persistence, &mut upload.out.text);
    let watch = Watch::new(&order.worker.watches);
    order.give(&watch, order.timeouts.idle);
    let mut head = order.worker.response_head();
    let reused = line.used;
    let read = {
        let mut reading = Reading {
            order,
            line: &mut line,
            upload: &mut upload,
            server: lease.server(),
            watch: &watch,
            head: &mut head,
            waiting: false,
            interim: 0,
            silent: true,
        };
        poll_fn(|cx| reading.poll(cx)).await
    };
    let framing = match read {
        Ok(framing) => framing,
        Err((why, silent)) => {
            order.worker.reuse_response(head);
            // That not an octet came back is no proof that nothing was done: what is not idempotent
            // is not repeated (RFC 9110 section 9.2.2).
            let stale = reused && silent && why == Why::Closed;
            let stale = stale && order.head.method.is_idempotent();
            let begun = upload.begun;
            return Err(NotAnswered {
                why,
                sent: !stale,
                body: (!begun).then_some(upload.body),
            });
        }
    };
    line.used = true;
    hop::strip_response(&mut head.fields, framing.kind == AnswerKind::Switching);
    if framing.kind == AnswerKind::Switching {
        let protocol = order.upgrade.unwrap_or_default().into();
        return Ok(Response {
            head,
            body: Body::Empty,
            upgrade: Some(Box::new(Upgraded {
                io: line.io,
                ahead: line.inbox,
                protocol,
                lease: Some(lease),
            })),
            close: false,
        });
    }
    let answer = Answer {
        worker: order.worker.clone(),
        keep: order.timeouts.keep,
        idle: order.timeouts.idle,
        until: order.until,
        keep_alive: framing.keep_alive,
        watch,
        waits: false,
        upload,
        line: Some(line),
        lease,
        framing: match framing.body {
            BodyFraming::None => Left::Octets(0),
            BodyFraming::Length(n) => Left::Octets(n),
            BodyFraming::Chunked => Left::Chunks(Box::default()),
            BodyFraming::UntilClose => Left::All,
        },
    };
    Ok(Response {
        head,
        body: answer.into_body(),
        upgrade: None,
        close: false,
    })
}

/// Waiting for the head of an answer.
struct Reading<'a, 'o> {
    order: &'a Order<'o>,
    line: &'a mut Line,
    upload: &'a mut Upload,
    server: &'a Server,
    watch: &'a Watch,
    head: &'a mut ResponseHead,
    /// All is sent; the backend has the word.
    waiting: bool,
    interim: u32,
    /// Not an octet has come.
    silent: bool,
}

impl Reading<'_, '_> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<ResponseFraming, (Why, bool)>> {
        if !self.upload.done() {
            if let Poll::Ready(Err(e)) = self.upload.poll(cx, &mut self.line.io) {
                return Poll::Ready(Err((Why::Body(e), self.silent)));
            }
            if std::mem::take(&mut self.upload.moved) {
                self.order.give(self.watch, self.order.timeouts.idle);
            }
        }
        if self.upload.done() && !self.waiting {
            self.waiting = true;
            self.order.give(self.watch, self.order.timeouts.first_byte);
        }
        loop {
            match self.poll_read(cx) {
                Poll::Ready(Ok(Some(framing))) => return Poll::Ready(Ok(framing)),
                Poll::Ready(Ok(None)) => {}
                Poll::Ready(Err(why)) => return Poll::Ready(Err((why, self.silent))),
                Poll::Pending => {
                    if self.server.is_cut() {
                        return Poll::Ready(Err((Why::TakenOut, self.silent)));
                    }
                    while self.watch.poll(cx).is_ready() {
                        if !self.upload.starves() || self.order.is_late() {
                            return Poll::Ready(Err((Why::Timeout, self.silent)));
                        }
                        self.order.give(self.watch, self.order.timeouts.idle);
                    }
                    return Poll::Pending;
                }
            }
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<ResponseFraming>, Why>> {
        let line = &mut *self.line;
        if line.inbox.is_empty() {
            let parsed = self.order.worker.with_scratch(|scratch| {
                let n = match ready!(line.io.poll_read_into(cx, scratch)) {
                    Ok(n) if n > 0 => n,
                    _ => return Poll::Ready(Err(Why::Closed)),
                };
                self.silent = false;
                let (used, framing) = parse(&scratch[..n], &self.order.head.method, self.head)?;
                line.inbox.extend_from_slice(&scratch[used..n]);
                Poll::Ready(Ok(framing))
            });
            return match ready!(parsed)? {
                Some(framing) => self.look(framing),
                None => Poll::Ready(Ok(None)),
            };
        }
        let (used, framing) = parse(&line.inbox, &self.order.head.method, self.head)?;
        bytes::Buf::advance(&mut line.inbox, used);
        if let Some(framing) = framing {
            return self.look(framing);
        }
        match ready!(line.io.poll_read_more(cx, &mut line.inbox, READ)) {
            Ok(n) if n > 0 => Poll::Ready(Ok(None)),
            _ => Poll::Ready(Err(Why::Closed)),
        }
    }

    fn look(&mut self, framing: ResponseFraming) -> Poll<Result<Option<ResponseFraming>, Why>> {
        match framing.kind {
            AnswerKind::Final => Poll::Ready(Ok(Some(framing))),
            // Nobody asked for it: what follows could be anything.
            AnswerKind::Switching if self.order.upgrade.is_none() => {
                Poll::Ready(Err(Why::Malformed))
            }
            AnswerKind::Switching => Poll::Ready(Ok(Some(framing))),
            AnswerKind::Interim => {
                self.interim += 1;
                if self.interim > INTERIM {
                    return Poll::Ready(Err(Why::Malformed));
                }
                // RFC 9110 section 15.2: passed on, unless it is we who asked for it. Of Expect the
                // backend is not told, so that a 100 is nobody's.
                if let Some(interim) = self.order.interim
                    && self.head.status != 100
                {
                    hop::strip_response(&mut self.head.fields, false);
                    http1::write_interim(self.head, &mut interim.borrow_mut());
                }
                Poll::Ready(Ok(None))
            }
        }
    }
}

fn parse(
    octets: &[u8],
    method: &Method,
    head: &mut ResponseHead,
) -> Result<(usize, Option<ResponseFraming>), Why> {
    match http1::response(octets, &HEAD, method, head) {
        Ok(Parsed::Whole { octets, framing }) => Ok((octets, Some(framing))),
        Ok(Parsed::Partial) => Ok((0, None)),
        Err(BadAnswer::HeadTooLarge | BadAnswer::TooManyFields) => Err(Why::TooLong),
        Err(_) => Err(Why::Malformed),
    }
}

/// How much of the body is still to come.
enum Left {
    Octets(u64),
    Chunks(Box<Decoder>),
    /// All until the backend closes.
    All,
}

/// The body of an answer, and beside it what still goes out of the request's.
struct Answer {
    worker: Rc<Worker>,
    keep: Duration,
    idle: Duration,
    until: Option<Moment>,
    keep_alive: bool,
    watch: Watch,
    /// Whether the next octets are waited for, and not just not asked for yet.
    waits: bool,
    upload: Upload,
    line: Option<Line>,
    /// Counts the request for as long as it is under way.
    lease: Lease,
    framing: Left,
}

impl Answer {
    /// As a body: all of it, when it has come with the head, as that of a small answer does.
    fn into_body(mut self) -> Body {
        if let Left::Octets(n) = self.framing
            && self.upload.done()
            && let Some(line) = &mut self.line
            && line.inbox.len() as u64 >= n
        {
            let body = match n {
                0 => Body::Empty,
                // Nothing behind it, as a rule: then it is handed on as it is.
                n if line.inbox.len() as u64 == n => {
                    Body::Whole(std::mem::take(&mut line.inbox).freeze())
                }
                n => {
                    let whole = Bytes::copy_from_slice(&line.inbox[..n as usize]);
                    bytes::Buf::advance(&mut line.inbox, n as usize);
                    Body::Whole(whole)
                }
            };
            self.release();
            return body;
        }
        let length = match self.framing {
            Left::Octets(n) => Some(n),
            _ => None,
        };
        Body::stream(length, self)
    }

    /// Gives the connection back, when it can carry another request.
    fn release(&mut self) {
        let Some(mut line) = self.line.take() else {
            return;
        };
        if self.keep_alive && self.upload.done() && line.inbox.is_empty() {
            line.inbox = BytesMut::new();
            let until: Moment = self.worker.watches.coarse() + self.keep;
            let server = self.lease.server().id;
            self.worker.pool.put(server, line, until);
        }
    }

    /// The next part, out of what has been read.
    fn take(&mut self) -> Poll<Option<Result<Frame, BodyError>>> {
        let Some(line) = &mut self.line else {
            return Poll::Ready(None);
        };
        match &mut self.framing {
            Left::Octets(0) => {
                self.release();
                Poll::Ready(None)
            }
            _ if line.inbox.is_empty() => Poll::Pending,
            Left::Octets(left) => {
                let n = usize::try_from(*left)
                    .unwrap_or(usize::MAX)
                    .min(line.inbox.len());
                *left -= n as u64;
                let data = line.inbox.split_to(n).freeze();
                if *left == 0 {
                    self.release();
                }
                Poll::Ready(Some(Ok(Frame::Data(data))))
            }
            Left::All => Poll::Ready(Some(Ok(Frame::Data(line.inbox.split().freeze())))),
            Left::Chunks(decoder) => match decoder.decode(&line.inbox) {
                Ok(Step::Data(range)) => {
                    let mut data = line.inbox.split_to(range.end);
                    bytes::Buf::advance(&mut data, range.start);
                    Poll::Ready(Some(Ok(Frame::Data(data.freeze()))))
                }
                Ok(Step::NeedMore) => {
                    line.inbox.clear();
                    Poll::Pending
                }
                Ok(Step::End(used)) => {
                    bytes::Buf::advance(&mut line.inbox, used);
                    let trailers = decoder.take_trailers();
                    self.release();
                    Poll::Ready(trailers.map(|fields| Ok(Frame::Trailers(fields))))
                }
                Err(_) => self.fail(BodyError::Malformed),
            },
        }
    }

    fn fail(&mut self, why: BodyError) -> Poll<Option<Result<Frame, BodyError>>> {
        self.line = None;
        self.lease.broke(self.worker.watches.coarse());
        Poll::Ready(Some(Err(why)))
    }
}

impl Source for Answer {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        if !self.upload.done()
            && let Some(line) = &mut self.line
        {
            if let Poll::Ready(Err(_)) = self.upload.poll(cx, &mut line.io) {
                // The client failed; the answer may still be whole.
                self.upload.body = Body::Empty;
                self.upload.finished = true;
                self.keep_alive = false;
            }
            if std::mem::take(&mut self.upload.moved) {
                self.watch.set_until(self.idle, self.until);
            }
        }
        loop {
            if let Poll::Ready(frame) = self.take() {
                return Poll::Ready(frame);
            }
            if self.lease.server().is_cut() {
                // Its time to drain is over: our doing, and none of its faults.
                self.line = None;
                return Poll::Ready(Some(Err(BodyError::Cut)));
            }
            let Some(line) = &mut self.line else {
                return Poll::Ready(None);
            };
            match line.io.poll_read_more(cx, &mut line.inbox, READ) {
                Poll::Ready(Ok(n)) if n > 0 => self.waits = false,
                Poll::Ready(Ok(_)) if matches!(self.framing, Left::All) => {
                    self.line = None;
                    return Poll::Ready(None);
                }
                Poll::Ready(_) => return self.fail(BodyError::Cut),
                Poll::Pending => {
                    // The time that the client took for what came before is not the backend's.
                    if !std::mem::replace(&mut self.waits, true) {
                        self.watch.set_until(self.idle, self.until);
                    }
                    ready!(self.watch.poll(cx));
                    let now = self.worker.watches.coarse();
                    let late = self.until.is_some_and(|until| until <= now);
                    if !self.upload.starves() || late {
                        return self.fail(BodyError::Timeout);
                    }
                    // It waits for the rest of what the client sends.
                    self.watch.set_until(self.idle, self.until);
                }
            }
        }
    }
}
