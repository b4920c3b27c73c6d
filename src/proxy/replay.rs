//! A request's body that can be sent again: its parts are kept as they pass, up to a size.

use std::cell::RefCell;
use std::rc::Rc;
use std::task::{Context, Poll};

use crate::traffic::retry::BodySent;

use super::body::{Body, BodyError, Frame, Source};

/// A body that several tries send, one after the other.
pub struct Replay(Rc<RefCell<Kept>>);

struct Kept {
    /// What was taken from the client, while all of it is kept.
    frames: Vec<Frame>,
    octets: usize,
    most: usize,
    /// More was taken than is kept.
    over: bool,
    length: Option<u64>,
    /// What is still to come; `None` at the end.
    rest: Option<Body>,
    failed: Option<BodyError>,
}

impl Replay {
    /// Keeps up to `most` octets of `body`.
    pub fn new(body: Body, most: usize) -> Replay {
        Replay(Rc::new(RefCell::new(Kept {
            frames: Vec::new(),
            octets: 0,
            most,
            over: false,
            length: body.length(),
            rest: Some(body),
            failed: None,
        })))
    }

    /// The body from its start. Only the last one that was taken may be read.
    pub fn again(&self) -> Body {
        let length = self.0.borrow().length;
        Body::stream(
            length,
            Again {
                kept: self.0.clone(),
                at: 0,
            },
        )
    }

    /// Whether it can be sent once more.
    pub fn sent(&self) -> BodySent {
        let kept = self.0.borrow();
        if kept.over || kept.failed.is_some() {
            BodySent::Gone
        } else if kept.frames.is_empty() && kept.rest.is_some() {
            BodySent::Untouched
        } else {
            BodySent::Kept
        }
    }
}

/// One reading of it.
struct Again {
    kept: Rc<RefCell<Kept>>,
    at: usize,
}

fn copy(frame: &Frame) -> Frame {
    match frame {
        Frame::Data(bytes) => Frame::Data(bytes.clone()),
        Frame::Trailers(fields) => Frame::Trailers(fields.clone()),
    }
}

impl Source for Again {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        let kept = &mut *self.kept.borrow_mut();
        if let Some(frame) = kept.frames.get(self.at) {
            self.at += 1;
            return Poll::Ready(Some(Ok(copy(frame))));
        }
        if let Some(failed) = kept.failed {
            return Poll::Ready(Some(Err(failed)));
        }
        let Some(rest) = &mut kept.rest else {
            return Poll::Ready(None);
        };
        let Poll::Ready(next) = rest.poll_frame(cx) else {
            return Poll::Pending;
        };
        match &next {
            None => kept.rest = None,
            Some(Err(failed)) => kept.failed = Some(*failed),
            Some(Ok(frame)) => {
                kept.octets += match frame {
                    Frame::Data(bytes) => bytes.len(),
                    Frame::Trailers(_) => 0,
                };
                if kept.over || kept.octets > kept.most {
                    // What is kept in part is of no use.
                    kept.over = true;
                    kept.frames = Vec::new();
                    self.at = 0;
                } else {
                    kept.frames.push(copy(frame));
                    self.at += 1;
                }
            }
        }
        Poll::Ready(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use std::collections::VecDeque;

    struct Parts(VecDeque<Result<Frame, BodyError>>);

    impl Source for Parts {
        fn poll_frame(&mut self, _: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
            Poll::Ready(self.0.pop_front())
        }
    }

    fn body(parts: &[&'static str]) -> Body {
        let frame = |p: &&'static str| Ok(Frame::Data(Bytes::from_static(p.as_bytes())));
        Body::stream(None, Parts(parts.iter().map(frame).collect()))
    }

    async fn read(body: &mut Body, parts: usize) -> String {
        let mut text = String::new();
        for _ in 0..parts {
            if let Some(Ok(Frame::Data(bytes))) = body.frame().await {
                text.push_str(std::str::from_utf8(&bytes).unwrap());
            }
        }
        text
    }

    #[tokio::test]
    async fn p1_a_body_within_the_bound_is_sent_again_from_its_start() {
        let replay = Replay::new(body(&["ab", "cd", "ef"]), 6);
        assert_eq!(replay.sent(), BodySent::Untouched);
        assert_eq!(read(&mut replay.again(), 2).await, "abcd");
        assert_eq!(replay.sent(), BodySent::Kept);
        assert_eq!(read(&mut replay.again(), 1).await, "ab");
        let mut last = replay.again();
        assert_eq!(read(&mut last, 3).await, "abcdef");
        assert!(last.frame().await.is_none());
        assert_eq!(replay.sent(), BodySent::Kept);
    }

    #[tokio::test]
    async fn p1_a_body_beyond_the_bound_is_gone() {
        let replay = Replay::new(body(&["ab", "cd", "ef"]), 5);
        let mut first = replay.again();
        assert_eq!(read(&mut first, 3).await, "abcdef", "all of it passes");
        assert_eq!(replay.sent(), BodySent::Gone);
    }

    #[tokio::test]
    async fn p1_a_body_that_broke_is_gone() {
        let parts = Parts(VecDeque::from([Err(BodyError::Cut)]));
        let replay = Replay::new(Body::stream(None, parts), 100);
        assert!(replay.again().frame().await.unwrap().is_err());
        assert_eq!(replay.sent(), BodySent::Gone);
    }
}
