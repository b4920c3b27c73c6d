//! Writing a response to a client.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, ready};

use crate::message::http1::{BodyFraming, Persistence, write_response};
use crate::message::{Method, ResponseHead, Version};
use crate::proxy::body::{Body, BodyError, Frame};
use crate::proxy::io::{Outbox, ROOM};
use crate::proxy::watch::Watch;

use super::client::Client;

/// How a response is framed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Plan {
    /// How its body is told to end.
    pub(super) framing: BodyFraming,
    /// Whether the body is sent at all.
    pub(super) with_body: bool,
    /// Whether the connection goes on after it.
    pub(super) keep_alive: bool,
}

/// How the response to such a request is framed (RFC 9112 section 6).
pub(super) fn plan(
    method: &Method,
    version: Version,
    head: &ResponseHead,
    body: &Body,
    keep_alive: bool,
) -> Plan {
    let bodiless = matches!(head.status, 100..=199 | 204 | 304);
    let with_body = !bodiless && *method != Method::Head;
    let framing = match body.length() {
        // What a response to HEAD says of its length is what GET would have had.
        _ if bodiless => BodyFraming::None,
        _ if !with_body && head.fields.has(crate::message::Known::ContentLength) => {
            BodyFraming::None
        }
        Some(0) if *method == Method::Head => BodyFraming::None,
        Some(n) => BodyFraming::Length(n),
        None if version == Version::Http10 => BodyFraming::UntilClose,
        None => BodyFraming::Chunked,
    };
    let keep_alive = keep_alive && !(with_body && framing == BodyFraming::UntilClose);
    Plan {
        framing,
        with_body,
        keep_alive,
    }
}

/// Why a response did not get through whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum NotSent {
    /// The client went away, or took nothing in for too long.
    Client,
    /// What was to be sent ended early.
    Body(BodyError),
}

/// Octets of head and small parts that are gathered before they are written.
const GATHER: usize = 16 << 10;

/// Sends a response; says how many octets of body.
pub(super) async fn send(
    client: &Client,
    version: Version,
    head: &ResponseHead,
    body: &mut Body,
    plan: Plan,
    watch: &Watch,
    timeout: std::time::Duration,
) -> (u64, Result<(), NotSent>) {
    let mut out = Outbox::default();
    // Interim answers that are not out yet come first.
    out.text = client.interim.take();
    out.text.reserve(ROOM);
    let persistence = match (plan.keep_alive, version) {
        (true, Version::Http10) => Persistence::KeepAlive,
        (true, _) => Persistence::Implied,
        (false, _) => Persistence::Close,
    };
    write_response(head, plan.framing, persistence, &mut out.text);
    let mut sending = Sending {
        out,
        finished: !plan.with_body,
        broken: None,
        chunked: plan.framing == BodyFraming::Chunked,
        sent: 0,
    };
    watch.clear();
    let result = poll_fn(|cx| sending.poll(cx, client, body, watch, timeout)).await;
    watch.clear();
    (sending.sent, result)
}

struct Sending {
    out: Outbox,
    finished: bool,
    /// Why the body ended early: what came of it before goes out all the same.
    broken: Option<BodyError>,
    chunked: bool,
    sent: u64,
}

impl Sending {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        client: &Client,
        body: &mut Body,
        watch: &Watch,
        timeout: std::time::Duration,
    ) -> Poll<Result<(), NotSent>> {
        loop {
            let mut waits = false;
            while !self.finished && self.broken.is_none() && self.out.takes(GATHER) {
                match body.poll_frame(cx) {
                    Poll::Ready(Some(Ok(frame))) => {
                        if let Frame::Data(data) = &frame {
                            self.sent += data.len() as u64;
                        }
                        self.finished = self.out.put_frame(Some(frame), self.chunked);
                    }
                    Poll::Ready(None) => self.finished = self.out.put_frame(None, self.chunked),
                    Poll::Ready(Some(Err(e))) => self.broken = Some(e),
                    Poll::Pending => {
                        waits = true;
                        break;
                    }
                }
            }
            if !self.out.is_empty() {
                let before = self.out.left();
                match self.out.poll_write(cx, &mut client.io.borrow_mut()) {
                    Poll::Ready(Ok(())) => watch.clear(),
                    Poll::Ready(Err(_)) => return Poll::Ready(Err(NotSent::Client)),
                    Poll::Pending => {
                        // Slow is not silent: every octet that goes gives it time again.
                        if !watch.is_set() || self.out.left() < before {
                            watch.set(timeout);
                        }
                        ready!(watch.poll(cx));
                        return Poll::Ready(Err(NotSent::Client));
                    }
                }
            }
            if let Some(e) = self.broken {
                return Poll::Ready(Err(NotSent::Body(e)));
            }
            if self.finished {
                return Poll::Ready(Ok(()));
            }
            if waits {
                return Poll::Pending;
            }
        }
    }
}

/// Sends octets as they are.
pub(super) async fn send_text(client: &Client, text: &[u8], watch: &Watch) -> io::Result<()> {
    let mut out = Outbox::default();
    out.text.extend_from_slice(text);
    let written = poll_fn(|cx| out.poll_write(cx, &mut client.io.borrow_mut()));
    let timed_out = || Err(io::ErrorKind::TimedOut.into());
    watch.bound(written).await.unwrap_or_else(timed_out)
}
