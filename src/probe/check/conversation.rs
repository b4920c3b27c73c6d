//! One HTTP conversation over one connection, all of it inside the probe's own task.
//!
//! What the library wants to run beside the request (the connection itself, and a few futures of
//! HTTP/2) is driven by whoever waits for an answer here, and dropped with the conversation: a probe
//! that times out leaves nothing behind, however the server behaves.

use std::error::Error;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::client::conn::{http1, http2};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::health::Failure;

/// Bytes of a response's head at most, and of what is read at once.
const MAX_HEAD: usize = 64 * 1024;

/// Which HTTP is spoken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Speech {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2, which both sides agreed on already.
    Http2,
}

/// A connection on which one question is asked.
pub(super) struct Conversation {
    sender: Sender,
    beside: Beside,
}

enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

impl Conversation {
    /// Begins to speak over `stream`.
    pub(super) async fn open<S>(stream: S, speech: Speech) -> Result<Conversation, Failure>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut beside = Beside::default();
        let io = TokioIo::new(stream);
        let sender = match speech {
            Speech::Http1 => {
                let mut builder = http1::Builder::new();
                builder.max_buf_size(MAX_HEAD);
                let (sender, connection) = builder.handshake(io).await.map_err(failure)?;
                beside.add(Box::pin(async {
                    // Whoever waits for an answer is told as well.
                    let _ = connection.await;
                }));
                Sender::Http1(sender)
            }
            Speech::Http2 => {
                let mut builder = http2::Builder::new(beside.clone());
                builder.max_header_list_size(MAX_HEAD as u32);
                let opening = builder.handshake(io);
                let (sender, connection) = beside.drive(opening).await.map_err(failure)?;
                beside.add(Box::pin(async {
                    let _ = connection.await;
                }));
                Sender::Http2(sender)
            }
        };
        Ok(Conversation { sender, beside })
    }

    /// Which HTTP is spoken.
    pub(super) fn speech(&self) -> Speech {
        match self.sender {
            Sender::Http1(_) => Speech::Http1,
            Sender::Http2(_) => Speech::Http2,
        }
    }

    /// Asks; gives the head of the answer.
    pub(super) async fn ask(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, Failure> {
        let answer = match &mut self.sender {
            Sender::Http1(sender) => self.beside.drive(sender.send_request(request)).await,
            Sender::Http2(sender) => self.beside.drive(sender.send_request(request)).await,
        };
        answer.map_err(failure)
    }

    /// The next part of a body; `None` after the last.
    pub(super) async fn next_frame(
        &mut self,
        body: &mut Incoming,
    ) -> Option<Result<Frame<Bytes>, Failure>> {
        let frame = self.beside.drive(body.frame()).await?;
        Some(frame.map_err(failure))
    }
}

/// A failed exchange in words: the innermost cause, since the outer ones say no more than that
/// something failed.
fn failure(e: hyper::Error) -> Failure {
    let root = std::iter::successors(Some(&e as &dyn Error), |e| source(*e)).last();
    Failure::Http(root.map_or_else(|| e.to_string(), ToString::to_string))
}

/// An I/O error hides what it wraps from `source`, which gives the wrapped error's own source.
fn source<'a>(e: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match e
        .downcast_ref::<std::io::Error>()
        .and_then(std::io::Error::get_ref)
    {
        Some(inner) => Some(inner),
        None => e.source(),
    }
}

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What runs beside a request.
#[derive(Clone, Default)]
struct Beside(Arc<Mutex<Vec<Task>>>);

impl Beside {
    fn add(&self, task: Task) {
        self.lock().push(task);
    }

    /// A panic of a task cannot leave the list half written.
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Task>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for `wanted` and lets all tasks go on meanwhile.
    async fn drive<T>(&mut self, wanted: impl Future<Output = T>) -> T {
        let mut wanted = pin!(wanted);
        poll_fn(|cx| {
            if let Poll::Ready(out) = wanted.as_mut().poll(cx) {
                return Poll::Ready(out);
            }
            self.poll_all(cx);
            // What the tasks did may be what was waited for.
            wanted.as_mut().poll(cx)
        })
        .await
    }

    /// Polls every task once, and those that they start.
    fn poll_all(&self, cx: &mut Context<'_>) {
        let mut waiting: Vec<Task> = Vec::new();
        loop {
            let tasks = std::mem::take(&mut *self.lock());
            if tasks.is_empty() {
                break;
            }
            for mut task in tasks {
                if task.as_mut().poll(cx).is_pending() {
                    waiting.push(task);
                }
            }
        }
        *self.lock() = waiting;
    }
}

impl<F> hyper::rt::Executor<F> for Beside
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, task: F) {
        self.add(Box::pin(async {
            task.await;
        }));
    }
}
