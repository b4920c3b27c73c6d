//! One client's HTTP/2 connection.

use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;

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
use crate::proxy::io::{Ahead, Io};
use crate::proxy::local::Local;
use crate::proxy::message::{Peer, Request, Response};
use crate::proxy::record::{End, Record};
use crate::proxy::watch::Watch;
use crate::proxy::worker::Worker;

use super::translate::{self, Malformed, Outgoing, Told};

/// Octets that a client may send ahead, per stream and per connection.
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 1 << 20;

/// Octets of answers that are taken from backends before the client takes them, per stream.
const SEND_BUFFER: usize = 64 << 10;

/// Streams that a client may reset before we have begun with them (CVE-2023-44487, CVE-2025-8671).
const RESETS: usize = 64;

/// Serves a connection until it ends. `ahead` are octets that were read off it already.
pub async fn serve(io: Io, ahead: BytesMut, peer: Peer, worker: Rc<Worker>) {
    let tier = worker.tier();
    let Some(listener) = tier.plan.listeners.get(peer.listener.index()) else {
        return;
    };
    let name: Rc<str> = (*listener.name).into();
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
    drop(tier);
    let busy = Rc::new(Busy {
        streams: std::cell::Cell::new(0),
        watch: Watch::new(&worker.watches),
        idle,
    });
    busy.watch.set_idle(idle);
    let service = service_fn(|request: hyper::Request<Incoming>| {
        let (worker, peer, name) = (worker.clone(), peer.clone(), name.clone());
        let stream = Stream::new(&busy);
        async move { answer(worker, peer, &name, request, stream).await }
    });
    let io = TokioIo::new(Ahead::new(io, ahead));
    let mut connection = pin!(http.serve_connection(io, service));
    let mut leaving = false;
    std::future::poll_fn(|cx| {
        loop {
            if let std::task::Poll::Ready(ended) = connection.as_mut().poll(cx) {
                if let Err(error) = ended {
                    tracing::trace!(source = %peer.source, %error, "HTTP/2 connection broken");
                }
                return std::task::Poll::Ready(());
            }
            if busy.streams.get() == 0 && busy.watch.poll(cx).is_ready() {
                if leaving {
                    return std::task::Poll::Ready(());
                }
                // GOAWAY; what comes in the meantime is still answered.
                leaving = true;
                connection.as_mut().graceful_shutdown();
                busy.watch.set(LEAVE);
                continue;
            }
            return std::task::Poll::Pending;
        }
    })
    .await;
}

/// How long a client that was told to go may take.
const LEAVE: std::time::Duration = std::time::Duration::from_secs(5);

/// What the streams of one connection share.
struct Busy {
    streams: std::cell::Cell<u32>,
    watch: Watch,
    idle: std::time::Duration,
}

/// One stream, for as long as its answer lives.
struct Stream(Rc<Busy>);

impl Stream {
    fn new(busy: &Rc<Busy>) -> Stream {
        busy.streams.set(busy.streams.get() + 1);
        busy.watch.clear();
        Stream(busy.clone())
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let left = self.0.streams.get() - 1;
        self.0.streams.set(left);
        if left == 0 {
            self.0.watch.set_idle(self.0.idle);
        }
    }
}

/// Told how the answer ended.
struct Finish {
    record: Option<Record>,
    #[expect(dead_code, reason = "held for its Drop")]
    stream: Stream,
}

impl Told for Finish {
    fn told(mut self, octets: u64, end: Result<(), Option<BodyError>>) {
        let end = match end {
            Ok(()) => End::Whole,
            Err(None) => End::ClientGone,
            Err(Some(why)) => End::Cut(why),
        };
        if let Some(record) = self.record.take() {
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
            let body = translate::received(incoming, listener.limits.body, watch, timeout);
            let request = Request {
                head,
                body,
                upgrade: None,
            };
            exchange::run(&worker, &tier, &peer, request, &mut record).await
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
        stream,
    };
    Ok(translated.map(|()| Outgoing::new(body, finish)))
}

/// A route has the stream reset instead of an answer.
#[derive(Debug, thiserror::Error)]
#[error("a route drops the request")]
struct Dropped;
