//! A body that is sent at so many octets per second.

use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;

use crate::limit::Pace;
use crate::proxy::body::{Body, BodyError, Frame, Source};
use crate::proxy::watch::{Watch, Watches};

struct Paced {
    body: Body,
    pace: Pace,
    watches: Rc<Watches>,
    watch: Watch,
    /// What came, and may not go yet.
    left: Bytes,
}

/// `body` at `per_second` octets per second. What comes faster waits where it is: the backend is not
/// read ahead of the client.
pub(super) fn paced(body: Body, per_second: u64, watches: &Rc<Watches>) -> Body {
    let length = body.length();
    let source = Paced {
        body,
        pace: Pace::new(per_second),
        watches: watches.clone(),
        watch: Watch::new(watches),
        left: Bytes::new(),
    };
    Body::stream(length, source)
}

impl Source for Paced {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        while self.left.is_empty() {
            match ready!(self.body.poll_frame(cx)) {
                Some(Ok(Frame::Data(data))) => self.left = data,
                other => return Poll::Ready(other),
            }
        }
        loop {
            if self.watch.is_set() {
                ready!(self.watch.poll(cx));
                self.watch.clear();
            }
            let now = self.watches.now();
            let wait = self.pace.wait(now);
            if wait.is_zero() {
                let octets = self.pace.piece().min(self.left.len());
                self.pace.sent(octets, now);
                let part = self.left.split_to(octets);
                return Poll::Ready(Some(Ok(Frame::Data(part))));
            }
            self.watch.set(wait);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::task::Waker;
    use std::time::Duration;

    use super::*;
    use crate::time::SimClock;

    #[test]
    fn a_whole_body_goes_out_in_pieces_over_its_time() {
        let clock = Arc::new(SimClock::default());
        clock.advance(Duration::from_secs(1));
        let watches = Watches::new(clock.clone());
        let octets = 50_000;
        let mut body = paced(Body::Whole(vec![7; octets].into()), 10_000, &watches);
        assert_eq!(body.length(), Some(octets as u64));
        let mut cx = Context::from_waker(Waker::noop());
        let (mut got, mut ticks) = (0, 0);
        while got < octets {
            match body.poll_frame(&mut cx) {
                Poll::Ready(Some(Ok(Frame::Data(data)))) => {
                    assert!(data.len() <= 1024, "a tenth of a second's worth");
                    got += data.len();
                }
                Poll::Ready(other) => panic!("{other:?} after {got}"),
                Poll::Pending => {
                    clock.advance(Duration::from_millis(50));
                    watches.tick();
                    ticks += 1;
                }
            }
        }
        assert!(matches!(body.poll_frame(&mut cx), Poll::Ready(None)));
        // 5 seconds less what may go at once.
        assert!((92..=101).contains(&ticks), "{ticks} ticks of 50 ms");
    }
}
