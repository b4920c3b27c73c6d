//! Copies of requests for an upstream whose answers nobody sees.
//!
//! The request itself never waits for its copy: parts of its body are put in a bounded queue as they
//! pass, and a copy whose backend cannot keep up is broken off.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use tokio::task::spawn_local;

use crate::ids::UpstreamId;

use super::body::{Body, BodyError, Frame, Source};
use super::forward::forward;
use super::message::{Peer, Request};
use super::record::Record;
use super::stats::count;
use super::tier::Tier;
use super::watch::Watch;
use super::worker::Worker;

/// Copies under way on one worker.
const MOST: usize = 256;

/// Octets of a body that wait for the copy's backend.
const QUEUE: usize = 256 << 10;

/// How long a copy may take in all.
const TIME: Duration = Duration::from_secs(30);

/// Sends a copy of the request, as it stands, to the upstream. Nothing of it comes back.
pub fn mirror(
    worker: &Rc<Worker>,
    tier: &Arc<Tier>,
    upstream: UpstreamId,
    peer: &Peer,
    request: &mut Request,
) {
    // Of a tunnel there is no copy.
    if request.upgrade.is_some() {
        return;
    }
    let Some(ticket) = Ticket::take(worker) else {
        count(&worker.stats.mirrors_dropped);
        return;
    };
    count(&worker.stats.mirrors);
    let mut head = worker.request_head();
    (*head).clone_from(&request.head);
    let body = copy(&mut request.body);
    let mut copied = Request {
        head,
        body,
        upgrade: None,
        interim: None,
    };
    let (worker, tier, peer) = (worker.clone(), tier.clone(), peer.clone());
    spawn_local(async move {
        let _ticket = ticket;
        let watch = Watch::new(&worker.watches);
        watch.set(TIME);
        let mut record = Record::beside(&worker, &tier, &peer);
        let exchange = async {
            let answer = forward(&worker, &tier, upstream, &peer, &mut copied, &mut record).await;
            if let Ok(mut answer) = answer {
                // Read to its end, so that the connection can be used again.
                while let Some(Ok(_)) = answer.body.frame().await {}
            }
        };
        if watch.bound(exchange).await.is_none() {
            count(&worker.stats.mirrors_dropped);
        }
        worker.reuse_request(copied.head);
    });
}

/// One copy under way.
struct Ticket(Rc<Worker>);

impl Ticket {
    fn take(worker: &Rc<Worker>) -> Option<Ticket> {
        let under_way = worker.mirrors.get();
        (under_way < MOST).then(|| {
            worker.mirrors.set(under_way + 1);
            Ticket(worker.clone())
        })
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.0.mirrors.set(self.0.mirrors.get() - 1);
    }
}

/// Makes `body` one that tells a second one, which is returned, of its parts.
fn copy(body: &mut Body) -> Body {
    match body {
        Body::Empty => Body::Empty,
        Body::Whole(all) => Body::Whole(all.clone()),
        Body::Stream { length, .. } => {
            let length = *length;
            let queue = Rc::new(RefCell::new(Queue::default()));
            let original = std::mem::take(body);
            let told = queue.clone();
            let told = Told {
                original,
                left: length,
                queue: told,
            };
            *body = Body::stream(length, told);
            Body::stream(length, Copy(queue))
        }
    }
}

/// Parts that the copy has not taken yet.
#[derive(Default)]
struct Queue {
    parts: VecDeque<Bytes>,
    octets: usize,
    end: Option<Result<(), BodyError>>,
    trailers: Option<Box<crate::message::Fields>>,
    waker: Option<Waker>,
}

impl Queue {
    fn end(&mut self, end: Result<(), BodyError>) {
        if self.end.is_none() {
            if end.is_err() {
                self.parts.clear();
            }
            self.end = Some(end);
            self.wake();
        }
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

/// The original, which tells of its parts.
struct Told {
    original: Body,
    /// Octets that are still to come, where that is known: then nobody may ask for the end.
    left: Option<u64>,
    queue: Rc<RefCell<Queue>>,
}

impl Source for Told {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        let polled = self.original.poll_frame(cx);
        let mut queue = self.queue.borrow_mut();
        match &polled {
            Poll::Ready(Some(Ok(Frame::Data(data)))) if queue.end.is_none() => {
                if queue.octets + data.len() > QUEUE {
                    // It cannot keep up.
                    queue.end(Err(BodyError::Cut));
                } else {
                    queue.octets += data.len();
                    queue.parts.push_back(data.clone());
                    queue.wake();
                    self.left = self.left.map(|n| n.saturating_sub(data.len() as u64));
                    if self.left == Some(0) {
                        queue.end(Ok(()));
                    }
                }
            }
            Poll::Ready(Some(Ok(Frame::Trailers(fields)))) => {
                queue.trailers = Some(fields.clone());
                queue.end(Ok(()));
            }
            Poll::Ready(Some(Err(e))) => queue.end(Err(*e)),
            Poll::Ready(None) => queue.end(Ok(())),
            _ => {}
        }
        drop(queue);
        polled
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        // Dropped before its end: nobody wants the rest.
        self.queue.borrow_mut().end(Err(BodyError::Cut));
    }
}

/// The copy.
struct Copy(Rc<RefCell<Queue>>);

impl Source for Copy {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        let mut queue = self.0.borrow_mut();
        if let Some(part) = queue.parts.pop_front() {
            queue.octets -= part.len();
            return Poll::Ready(Some(Ok(Frame::Data(part))));
        }
        match queue.end {
            Some(Err(e)) => Poll::Ready(Some(Err(e))),
            Some(Ok(())) => {
                let trailers = queue.trailers.take();
                Poll::Ready(trailers.map(|fields| Ok(Frame::Trailers(fields))))
            }
            None => {
                queue.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        // Nothing is kept for a copy that is over.
        self.0.borrow_mut().end(Err(BodyError::Cut));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Parts(VecDeque<Bytes>);

    impl Source for Parts {
        fn poll_frame(&mut self, _: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
            Poll::Ready(self.0.pop_front().map(|part| Ok(Frame::Data(part))))
        }
    }

    fn body(parts: usize, octets: usize) -> Body {
        let part = Bytes::from(vec![b'x'; octets]);
        Body::stream(None, Parts(vec![part; parts].into()))
    }

    #[tokio::test]
    async fn a_copy_has_the_same_parts() {
        let mut original = body(3, 100);
        let mut copied = copy(&mut original);
        assert_eq!(original.collect(1000).await.unwrap().len(), 300);
        assert_eq!(copied.collect(1000).await.unwrap().len(), 300);
    }

    #[tokio::test]
    async fn a_copy_that_does_not_keep_up_is_broken_off_and_its_original_is_not() {
        let mut original = body(100, 64 << 10);
        let mut copied = copy(&mut original);
        assert_eq!(original.collect(10 << 20).await.unwrap().len(), 100 << 16);
        assert_eq!(copied.collect(10 << 20).await, Err(BodyError::Cut));
        let mut original = body(100, 64 << 10);
        drop(copy(&mut original));
        assert_eq!(original.collect(10 << 20).await.unwrap().len(), 100 << 16);
    }

    #[tokio::test]
    async fn a_body_of_known_length_is_whole_without_its_end_being_asked_for() {
        let mut original =
            Body::stream(Some(10), Parts([Bytes::from_static(b"0123456789")].into()));
        let mut copied = copy(&mut original);
        assert!(original.frame().await.is_some());
        drop(original);
        assert_eq!(copied.collect(100).await.unwrap().len(), 10);
    }

    #[tokio::test]
    async fn an_original_that_ends_early_ends_its_copy() {
        let mut original = body(3, 10);
        let mut copied = copy(&mut original);
        assert!(original.frame().await.is_some());
        drop(original);
        assert_eq!(copied.collect(100).await, Err(BodyError::Cut));
    }
}
