//! Exchanges with backends over HTTP/2: one connection per worker and backend, many streams.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use hashbrown::HashMap;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioIo, TokioTimer};

use crate::message::RequestHead;
use crate::proxy::body::{Body, BodyError, Frame, Source};
use crate::proxy::h2::translate::{self, Outgoing, Received, Told};
use crate::proxy::io::Io;
use crate::proxy::local::Local;
use crate::proxy::message::Response;
use crate::proxy::watch::Watch;
use crate::proxy::worker::Worker;

use super::h1::Order;
use super::lease::Lease;
use super::{NotAnswered, Why};

/// Octets that a backend may send ahead, per stream and per connection.
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 4 << 20;

/// Octets of an answer's head at most.
const HEAD: u32 = 64 << 10;

/// A connection that carries many requests.
type Sender = SendRequest<Outgoing<Uploaded>>;

/// Connections to backends that speak HTTP/2, by server. Each worker has its own.
#[derive(Default)]
pub struct Shared {
    senders: RefCell<HashMap<u64, Sender>>,
}

impl Shared {
    /// A connection to the server that is still open.
    pub fn get(&self, server: u64) -> Option<Sender> {
        let mut senders = self.senders.borrow_mut();
        let sender = senders.get(&server)?;
        if sender.is_closed() {
            senders.remove(&server);
            return None;
        }
        Some(sender.clone())
    }

    /// Forgets the connections that have ended, and lets go of those to servers that are `gone`: what
    /// is under way on them may finish.
    pub fn sweep(&self, gone: impl Fn(u64) -> bool) {
        let mut senders = self.senders.borrow_mut();
        senders.retain(|server, s| !s.is_closed() && !gone(*server));
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.senders.borrow().is_empty()
    }
}

/// Begins to speak HTTP/2 on a connection; `keep`s it for the requests to come.
///
/// # Errors
/// When the other side does not speak it.
pub async fn open(order: &Order<'_>, server: u64, io: Io, keep: bool) -> Result<Sender, Why> {
    let watch = Watch::new(&order.worker.watches);
    watch.set(order.timeouts.connect);
    let mut builder = Builder::new(Local);
    builder
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(HEAD)
        .keep_alive_interval(order.timeouts.keep)
        .keep_alive_timeout(order.timeouts.connect)
        .keep_alive_while_idle(true);
    let shaken = watch.bound(builder.handshake(TokioIo::new(io))).await;
    let (sender, connection) = shaken
        .ok_or(Why::ConnectTimeout)?
        .map_err(|_| Why::Malformed)?;
    tokio::task::spawn_local(async move {
        if let Err(error) = connection.await {
            tracing::trace!(%error, "HTTP/2 connection to a backend broken");
        }
    });
    if keep {
        let shared = &order.worker.shared;
        shared.senders.borrow_mut().insert(server, sender.clone());
    }
    Ok(sender)
}

/// Sends a request as one stream, and waits for the head of its answer.
///
/// # Errors
/// When no answer came.
pub async fn send(
    order: &Order<'_>,
    mut sender: Sender,
    body: Body,
    lease: Lease,
) -> Result<Response, NotAnswered> {
    let failed = |why, sent, body| NotAnswered { why, sent, body };
    let Ok(head) = translated(order.head, &lease.server().address.to_string()) else {
        return Err(failed(Why::Malformed, false, Some(body)));
    };
    if sender.ready().await.is_err() {
        return Err(failed(Why::Closed, false, Some(body)));
    }
    let uploaded = Rc::new(Upload::default());
    let request = head.map(|()| Outgoing::new(body, Uploaded(uploaded.clone())));
    let watch = Watch::new(&order.worker.watches);
    let mut sending = pin!(sender.try_send_request(request));
    order.give(&watch, order.timeouts.idle);
    let (mut all_sent, mut seen) = (false, 0);
    let answered = poll_fn(|cx| {
        if let Poll::Ready(answered) = sending.as_mut().poll(cx) {
            return Poll::Ready(Some(answered.map_err(Some)));
        }
        // Only once all is sent the backend has the word.
        if !all_sent && uploaded.poll(cx).is_ready() {
            all_sent = true;
            order.give(&watch, order.timeouts.first_byte);
        }
        if lease.server().is_cut() {
            return Poll::Ready(Some(Err(None)));
        }
        loop {
            ready!(watch.poll(cx));
            if all_sent || order.is_late() || uploaded.is_stuck_at(seen) {
                return Poll::Ready(None);
            }
            // It is the client that takes its time.
            seen = uploaded.moves.get();
            order.give(&watch, order.timeouts.idle);
        }
    })
    .await;
    let response = match answered {
        None => return Err(failed(Why::Timeout, true, None)),
        Some(Ok(response)) => response,
        Some(Err(None)) => return Err(failed(Why::TakenOut, true, None)),
        Some(Err(Some(mut e))) => {
            if let Some(why) = uploaded.failed.get() {
                return Err(failed(Why::Body(why), true, None));
            }
            // Given back: it never left.
            let back = e.take_message();
            let sent = back.is_none();
            let body = back.and_then(|request| request.into_body().into_unsent());
            return Err(failed(Why::Closed, sent, body));
        }
    };
    let (parts, incoming) = response.into_parts();
    let mut head = order.worker.response_head();
    head.status = parts.status.as_u16();
    translate::take_fields(&parts.headers, &mut head.fields);
    watch.clear();
    let body = match translate::receive(incoming, u64::MAX, watch, order.timeouts.idle) {
        None => Body::Empty,
        Some((length, received)) => {
            let worker = order.worker.clone();
            let answer = Answer {
                received,
                lease,
                worker,
            };
            Body::stream(length, answer)
        }
    };
    Ok(Response {
        head,
        body,
        upgrade: None,
        close: false,
    })
}

fn translated(head: &RequestHead, address: &str) -> Result<hyper::Request<()>, hyper::http::Error> {
    let authority = match &head.authority[..] {
        [] => address.as_bytes(),
        authority => authority,
    };
    let target: &[u8] = match &head.target[..] {
        b"*" => b"/",
        target => target,
    };
    let uri = [head.scheme.as_str().as_bytes(), b"://", authority, target].concat();
    let mut request = hyper::Request::builder()
        .method(head.method.as_bytes())
        .uri(uri)
        .version(hyper::Version::HTTP_2)
        .body(())?;
    *request.headers_mut() = translate::give_fields(&head.fields);
    Ok(request)
}

/// How far a request's body has gone out.
#[derive(Default)]
struct Upload {
    over: Cell<bool>,
    /// Octets wait until the backend takes them in.
    waiting: Cell<bool>,
    /// How often octets went to the backend.
    moves: Cell<u64>,
    failed: Cell<Option<BodyError>>,
    waker: RefCell<Option<Waker>>,
}

impl Upload {
    /// Whether the same octets wait that waited when there had been so many moves.
    fn is_stuck_at(&self, moves: u64) -> bool {
        self.waiting.get() && self.moves.get() == moves
    }

    fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.over.get() {
            return Poll::Ready(());
        }
        *self.waker.borrow_mut() = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// Told when a request's body is out.
pub struct Uploaded(Rc<Upload>);

impl Told for Uploaded {
    fn waits(&self, given: bool) {
        self.0.waiting.set(given);
        self.0.moves.set(self.0.moves.get() + u64::from(given));
    }

    fn told(self, _octets: u64, end: Result<(), Option<BodyError>>) {
        self.0.over.set(true);
        if let Err(Some(why)) = end {
            self.0.failed.set(Some(why));
        }
        if let Some(waker) = self.0.waker.take() {
            waker.wake();
        }
    }
}

/// The body of an answer.
struct Answer {
    received: Received,
    /// Counts the request for as long as it is under way.
    lease: Lease,
    worker: Rc<Worker>,
}

impl Source for Answer {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        if self.lease.server().is_cut() {
            // Its time to drain is over: our doing, and none of its faults.
            return Poll::Ready(Some(Err(BodyError::Cut)));
        }
        let frame = self.received.poll_frame(cx);
        if let Poll::Ready(Some(Err(_))) = &frame {
            self.lease.broke(self.worker.watches.coarse());
        }
        frame
    }
}
