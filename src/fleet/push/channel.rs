//! The two directions of one push: frames out through a bounded queue, frames in from a body.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use http_body_util::BodyExt;
use hyper::body::{Body, Bytes, Incoming};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::SILENCE;
use super::frame::{Decoder, Frame, FrameError};

/// Pieces of a body that may wait for the network.
const QUEUE: usize = 4;

/// Octets of a piece, one frame more or less.
const PIECE: usize = 32 * 1024;

/// A body of frames that are yet to come.
pub(super) struct Outgoing(mpsc::Receiver<Bytes>);

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<hyper::body::Frame<Bytes>, Infallible>>> {
        let piece = self.0.poll_recv(cx);
        piece.map(|p| p.map(|octets| Ok(hyper::body::Frame::data(octets))))
    }
}

/// The writing end of an [`Outgoing`]; dropping it ends the body.
pub(super) struct Writer(mpsc::Sender<Bytes>);

/// A writer and the body it fills.
pub(super) fn body() -> (Writer, Outgoing) {
    let (sender, receiver) = mpsc::channel(QUEUE);
    (Writer(sender), Outgoing(receiver))
}

/// Why a push ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum End {
    /// The other end closed it.
    #[error("the other end closed it")]
    Closed,
    /// Nothing came, or nothing could be sent, for so long that the other end must be gone.
    #[error("nothing was heard for {} s", SILENCE.as_secs())]
    Silence,
    /// The connection broke.
    #[error("{0}")]
    Broken(#[from] hyper::Error),
    /// What came are no frames.
    #[error("{0}")]
    Bad(#[from] FrameError),
}

impl Writer {
    /// Sends frames; waits while the other end does not take them.
    ///
    /// # Errors
    /// When the body is gone, or the other end takes nothing for too long.
    pub(super) async fn send(&self, frames: impl IntoIterator<Item = Frame>) -> Result<(), End> {
        let mut piece = Vec::new();
        for frame in frames {
            frame.write(&mut piece);
            if piece.len() >= PIECE {
                self.put(std::mem::take(&mut piece)).await?;
            }
        }
        match piece.is_empty() {
            true => Ok(()),
            false => self.put(piece).await,
        }
    }

    /// Sends octets as they are.
    pub(super) async fn put(&self, piece: Vec<u8>) -> Result<(), End> {
        let sent = timeout(SILENCE, self.0.send(piece.into())).await;
        sent.map_err(|_| End::Silence)?.map_err(|_| End::Closed)
    }
}

/// Reads frames of a body.
pub(super) struct Reader {
    body: Incoming,
    decoder: Decoder,
}

impl Reader {
    pub(super) fn new(body: Incoming) -> Reader {
        Reader {
            body,
            decoder: Decoder::default(),
        }
    }

    /// The next frame. May be dropped and called again.
    ///
    /// # Errors
    /// When there is none any more.
    pub(super) async fn next(&mut self) -> Result<Frame, End> {
        loop {
            if let Some(frame) = self.decoder.next_frame()? {
                return Ok(frame);
            }
            let piece = timeout(SILENCE, self.body.frame()).await;
            let piece = piece.map_err(|_| End::Silence)?.ok_or(End::Closed)??;
            if let Ok(octets) = piece.into_data() {
                self.decoder.feed(&octets);
            }
        }
    }
}
