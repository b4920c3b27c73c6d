//! Bodies: what flows in parts through the proxy, whatever carries it.
//!
//! Everything of one exchange lives on one thread, so nothing here is `Send`.

use std::task::{Context, Poll};

use bytes::Bytes;

use crate::message::Fields;

/// One part of a body.
#[derive(Debug)]
pub enum Frame {
    /// Octets; not empty.
    Data(Bytes),
    /// Trailer fields (RFC 9110 section 6.5); the last part.
    Trailers(Box<Fields>),
}

/// Why a body ended early.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BodyError {
    /// The side that sends it went away, or reset it.
    #[error("the sender went away before the end")]
    Cut,
    /// What was sent breaks the rules of its framing.
    #[error("the framing is broken")]
    Malformed,
    /// The side that sends it was silent for too long.
    #[error("the sender was silent for too long")]
    Timeout,
    /// It is longer than allowed.
    #[error("longer than allowed")]
    TooLong,
}

/// A stream of parts.
pub trait Source {
    /// The next part; `None` after the last one. Not called again after `None` or an error.
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>>;
}

/// A body.
#[derive(Default)]
pub enum Body {
    /// None, or one of no octets.
    #[default]
    Empty,
    /// All of it.
    Whole(Bytes),
    /// In parts.
    Stream {
        /// Its octets, where they are known before.
        length: Option<u64>,
        /// Where they come from.
        source: Box<dyn Source>,
    },
}

impl Body {
    /// A body in parts.
    pub fn stream(length: Option<u64>, source: impl Source + 'static) -> Body {
        Body::Stream {
            length,
            source: Box::new(source),
        }
    }

    /// Its octets, where they are known before.
    pub fn length(&self) -> Option<u64> {
        match self {
            Body::Empty => Some(0),
            Body::Whole(bytes) => Some(bytes.len() as u64),
            Body::Stream { length, .. } => *length,
        }
    }

    /// The next part; `None` after the last one.
    pub fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        match self {
            Body::Empty => Poll::Ready(None),
            Body::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                *self = Body::Empty;
                Poll::Ready((!bytes.is_empty()).then_some(Ok(Frame::Data(bytes))))
            }
            Body::Stream { source, .. } => source.poll_frame(cx),
        }
    }

    /// The next part; `None` after the last one.
    pub async fn frame(&mut self) -> Option<Result<Frame, BodyError>> {
        std::future::poll_fn(|cx| self.poll_frame(cx)).await
    }

    /// All of it, when it has at most `most` octets; trailers are dropped.
    ///
    /// # Errors
    /// [`BodyError::TooLong`], or why it ended early.
    pub async fn collect(&mut self, most: usize) -> Result<Bytes, BodyError> {
        let mut all = Vec::new();
        while let Some(frame) = self.frame().await {
            match frame? {
                Frame::Data(bytes) if all.len() + bytes.len() > most => {
                    return Err(BodyError::TooLong);
                }
                Frame::Data(bytes) => all.extend_from_slice(&bytes),
                Frame::Trailers(_) => {}
            }
        }
        Ok(all.into())
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Body({:?})", self.length())
    }
}
