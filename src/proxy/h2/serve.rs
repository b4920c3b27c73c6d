//! One client's HTTP/2 connection.

use std::cell::Cell;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use bytes::BytesMut;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};

use crate::ids::ListenerId;
use crate::message::http1::{Refusal, hop};
use crate::message::{Known, Scheme};
use crate::proxy::answers::{self, Failure};
use crate::proxy::body::BodyError;
use crate::proxy::exchange;
use crate::proxy::glance::Farewell;
use crate::proxy::io::{Ahead, Io};
use crate::proxy::local::Local;
use crate::proxy::message::{Peer, Request, Response};
use crate::proxy::record::{End, Record};
use crate::proxy::watch::Watch;
use crate::proxy::worker::Worker;

use super::busy::{Busy, Stream};
use super::translate::{self, Malformed, Outgoing, Told};

/// Octets that a client may send ahead, per stream and per connection.
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 1 << 20;

/// Octets of answers that are taken from backends before the client takes them, per stream.
const SEND_BUFFER: usize = 64 << 10;

/// Streams that a client may reset before we have begun with them (CVE-2023-44487, CVE-2025-8671).
const RESETS: usize = 64;

/// Serves a connection of the listener called `name` until it ends. `ahead` are octets that were read off
/// it already. The tier that `peer` is of may not be in force any more.
pub async fn serve(io: Io, ahead: BytesMut, name: Box<str>, mut peer: Peer, worker: Rc<Worker>) {
    let tier = worker.tier();
    let Some((at, listener)) = tier.listener(&name) else {
        return;
    };
    peer.listener = ListenerId::from_index(at);
    let name: Rc<str> = name.into();
    let idle = listener.timeouts.idle;
    let mut http = hyper::server::conn::http2::Builder::new(Local);
    http.timer(TokioTimer::new())
        .max_concurrent_streams(listener.limits.streams)
        .max_header_list_size(u32::try_from(listener.limits.head).unwrap_or(u32::MAX))
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(RESETS)
        .max_local_error_reset_streams(RESETS)
        .keep_alive_interval(idle)
        .keep_alive_timeout(listener.timeouts.head);
    let busy = Rc::new(Busy::new(&worker.watches, &listener.timeouts));
    let farewell = Farewell::new(&worker, &tier, &peer);
    drop(tier);
    let service = service_fn(|request: hyper::Request<Incoming>| {
        let (worker, peer, name) = (worker.clone(), peer.clone(), name.clone());
        let stream = Stream::new(&busy);
        async move { answer(worker, peer, &name, request, stream).await }
    });
    let io = TokioIo::new(Ahead::new(io, ahead).seen_off(farewell));
    let mut connection = pin!(http.serve_connection(io, service));
    let mut leaving = false;
    std::future::poll_fn(|cx| {
        loop {
            if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
                if let Err(error) = ended {
                    tracing::trace!(source = %peer.source, %error, "HTTP/2 connection broken");
                }
                return Poll::Ready(());
            }
            match busy.poll_stuck(cx) {
                Poll::Ready(true) if leaving => return Poll::Ready(()),
                Poll::Ready(true) => {
                    // A stream cannot be ended alone here. Others may go on elsewhere meanwhile.
                    leaving = true;
                    connection.as_mut().graceful_shutdown();
                    continue;
                }
                Poll::Ready(false) => continue,
                Poll::Pending => {}
            }
            if busy.streams() == 0 && busy.poll_idle(cx).is_ready() {
                if leaving {
                    return Poll::Ready(());
                }
                // GOAWAY; what comes in the meantime is still answered.
                leaving = true;
                connection.as_mut().graceful_shutdown();
                busy.leave(LEAVE);
                continue;
            }
            return Poll::Pending;
        }
    })
    .await;
}

/// How long a client that was told to go may take.
const LEAVE: std::time::Duration = std::time::Duration::from_secs(5);

/// Told how the answer ended.
struct Finish {
    record: Option<Record>,
    /// Octets of the request's body.
    octets: Rc<Cell<u64>>,
    stream: Stream,
}

impl Told for Finish {
    fn waits(&self, given: bool) {
        self.stream.waits(given);
    }

    fn told(mut self, octets: u64, end: Result<(), Option<BodyError>>) {
        let end = match end {
            Ok(()) => End::Whole,
            Err(None) => End::ClientGone,
            Err(Some(why)) => End::Cut(why),
        };
        if let Some(mut record) = self.record.take() {
            record.received(self.octets.get());
            record.finish(octets, end);
        }
    }
}

async fn answer(
    worker: Rc<Worker>,
    mut peer: Peer,
    name: &str,
    request: hyper::Request<Incoming>,
    stream: Stream,
) -> Result<hyper::Response<Outgoing<Finish>>, Dropped> {
    let mut tier = worker.tier();
    match tier.listener(name) {
        Some((at, _)) => peer.listener = ListenerId::from_index(at),
        None => {
            // The listener is gone; this request finds no route, as a new connection finds no port.
            tier = Arc::default();
        }
    }
    let (parts, incoming) = request.into_parts();
    let mut head = worker.request_head();
    let taken = translate::request_head(&parts, &mut head);
    if peer.tls.is_some() {
        head.scheme = Scheme::Https;
    }
    let mut record = Record::begin(&worker, &tier, &peer, &head);
    let octets = Rc::new(Cell::new(0));
    let is_head = head.method == crate::message::Method::Head;
    let listener = tier.plan.listeners.get(peer.listener.index());
    let response = match (taken, listener) {
        (Err(malformed), _) => {
            let failure = Failure::Refused(match malformed {
                Malformed::Authority => Refusal::Host,
                Malformed::Target => Refusal::Target,
            });
            record.failed(failure);
            answers::failure(failure)
        }
        (Ok(()), None) => {
            record.failed(Failure::NoRoute);
            answers::failure(Failure::NoRoute)
        }
        (Ok(()), Some(listener)) => {
            hop::strip_request(&mut head.fields, false);
            let watch = Watch::new(&worker.watches);
            let timeout = listener.timeouts.body;
            let body = translate::received(
                incoming,
                listener.limits.body,
                watch,
                timeout,
                octets.clone(),
            );
            let request = Request {
                head,
                body,
                upgrade: None,
                interim: None,
            };
            // Boxed: hyper moves this future several times before it runs.
            Box::pin(exchange::run(&worker, &tier, &peer, request, &mut record)).await
        }
    };
    let Response { mut head, body, .. } = response;
    record.status(head.status);
    if record.failure() == Some(Failure::Dropped) {
        record.finish(0, End::Whole);
        return Err(Dropped);
    }
    let body = if is_head || matches!(head.status, 204 | 304) {
        crate::proxy::body::Body::Empty
    } else {
        // Its own framing says how long it is.
        if body.length().is_none() {
            head.fields.remove(Known::ContentLength);
        }
        body
    };
    let translated = translate::response_head(&head);
    head.fields.clear();
    worker.reuse_response(head);
    let finish = Finish {
        record: Some(record),
        octets,
        stream,
    };
    Ok(translated.map(|()| Outgoing::new(body, finish)))
}

/// A route has the stream reset instead of an answer.
#[derive(Debug, thiserror::Error)]
#[error("a route drops the request")]
struct Dropped;
