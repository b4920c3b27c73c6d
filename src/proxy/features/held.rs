//! A body that holds something until it ends or is dropped.

use std::task::{Context, Poll};

use crate::proxy::body::{Body, BodyError, Frame, Source};

/// A body, and what lives as long as it.
pub(super) struct Held<T> {
    body: Body,
    #[expect(dead_code, reason = "held for its Drop")]
    what: T,
}

/// `body`, with `what` living as long as it.
pub(super) fn held<T: 'static>(body: Body, what: T) -> Body {
    let length = body.length();
    Body::stream(length, Held { body, what })
}

impl<T> Source for Held<T> {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        self.body.poll_frame(cx)
    }
}
