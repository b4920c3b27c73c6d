//! A connection's octets, whatever protects them.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::message::http1::ChunkHead;
use crate::message::http1::chunked::{self, CHUNK_END};

use super::body::Frame;
use super::glance::Farewell;

/// A stream of octets in both directions.
pub trait Duplex: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Duplex for T {}

/// A connection.
pub enum Io {
    /// Plain TCP.
    Tcp(TcpStream),
    /// TLS, of a client or with a backend.
    Tls(Box<tokio_rustls::TlsStream<TcpStream>>),
    /// Anything else on top, such as octets read ahead.
    Other(Box<dyn Duplex>),
}

impl Io {
    /// Reads into `space`; 0 is the end.
    pub fn poll_read_into(
        &mut self,
        cx: &mut Context<'_>,
        space: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut buf = ReadBuf::new(space);
        ready!(Pin::new(self).poll_read(cx, &mut buf))?;
        Poll::Ready(Ok(buf.filled().len()))
    }

    /// Reads what there is, but about `most` octets at most, behind what `into` holds; 0 is the end.
    pub fn poll_read_more(
        &mut self,
        cx: &mut Context<'_>,
        into: &mut BytesMut,
        most: usize,
    ) -> Poll<io::Result<usize>> {
        into.reserve(most);
        std::pin::pin!(tokio::io::AsyncReadExt::read_buf(self, into)).poll(cx)
    }

    /// The connection of TCP beneath; `None` when that is out of sight.
    pub fn tcp(&self) -> Option<&TcpStream> {
        match self {
            Io::Tcp(tcp) => Some(tcp),
            Io::Tls(tls) => Some(tls.get_ref().0),
            Io::Other(_) => None,
        }
    }

    /// Whether something has happened since the last read: data, the end or an error. Costs no system
    /// call while nothing has. Of a connection that is neither TCP nor TLS it is not known: `false`.
    pub fn has_news(&self, cx: &mut Context<'_>) -> bool {
        match self {
            Io::Tcp(tcp) => tcp.poll_read_ready(cx).is_ready(),
            Io::Tls(tls) => tls.get_ref().0.poll_read_ready(cx).is_ready(),
            Io::Other(_) => false,
        }
    }
}

impl AsyncRead for Io {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Io::Tcp(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Io::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
            Io::Other(other) => Pin::new(other).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Io {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Io::Tcp(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Io::Tls(tls) => Pin::new(tls).poll_write(cx, buf),
            Io::Other(other) => Pin::new(other).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Io::Tcp(tcp) => Pin::new(tcp).poll_write_vectored(cx, bufs),
            Io::Tls(tls) => Pin::new(tls).poll_write_vectored(cx, bufs),
            Io::Other(other) => Pin::new(other).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Io::Tcp(tcp) => tcp.is_write_vectored(),
            Io::Tls(tls) => tls.is_write_vectored(),
            Io::Other(other) => other.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            // TCP holds nothing back.
            Io::Tcp(_) => Poll::Ready(Ok(())),
            Io::Tls(tls) => Pin::new(tls).poll_flush(cx),
            Io::Other(other) => Pin::new(other).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Io::Tcp(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Io::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
            Io::Other(other) => Pin::new(other).poll_shutdown(cx),
        }
    }
}

/// A connection of which some octets were read already.
pub struct Ahead {
    io: Io,
    ahead: BytesMut,
    farewell: Option<Farewell>,
}

impl Ahead {
    /// The connection, with what was read off it.
    pub fn new(io: Io, ahead: BytesMut) -> Ahead {
        Ahead {
            io,
            ahead,
            farewell: None,
        }
    }

    /// The same, looked at while it lives and at its end.
    pub fn seen_off(mut self, farewell: Farewell) -> Ahead {
        self.farewell = Some(farewell);
        self
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        if let Some(farewell) = self.farewell.take() {
            farewell.at_the_end(&self.io);
        }
    }
}

impl AsyncRead for Ahead {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.ahead.is_empty() {
            if let Some(farewell) = &mut this.farewell {
                farewell.on_the_way(&this.io);
            }
            return Pin::new(&mut this.io).poll_read(cx, buf);
        }
        let n = this.ahead.len().min(buf.remaining());
        buf.put_slice(&this.ahead[..n]);
        bytes::Buf::advance(&mut this.ahead, n);
        if this.ahead.is_empty() {
            this.ahead = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Ahead {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}

/// What is to be written: text of our own, then octets that are passed on, then text again.
#[derive(Default, Debug)]
pub struct Outbox {
    /// Heads, chunk heads and small bodies.
    pub text: Vec<u8>,
    /// Passed on without copying.
    data: Bytes,
    /// After the data.
    tail: &'static [u8],
    /// Octets of `text` that are written.
    written: usize,
}

/// Data up to this length is copied behind the text: one piece for the system call.
const SMALL: usize = 4096;

/// Room of a new outbox's text, in octets: for a head of the usual size, and still a piece that the
/// allocator hands out of its nearest store.
pub const ROOM: usize = 1024;

impl Outbox {
    /// An outbox with room for a head.
    pub fn with_room() -> Outbox {
        Outbox {
            text: Vec::with_capacity(ROOM),
            ..Outbox::default()
        }
    }

    /// Whether all is written.
    pub fn is_empty(&self) -> bool {
        self.written == self.text.len() && self.data.is_empty() && self.tail.is_empty()
    }

    /// Octets still to be written.
    pub fn left(&self) -> usize {
        self.text.len() - self.written + self.data.len() + self.tail.len()
    }

    /// Adds one part of a body as HTTP/1.1 frames it, or its end (`None`); says whether it was the last.
    /// Only while more may be added.
    pub fn put_frame(&mut self, frame: Option<Frame>, in_chunks: bool) -> bool {
        match frame {
            Some(Frame::Data(data)) => {
                if in_chunks {
                    let chunk = ChunkHead::new(data.len());
                    self.text.extend_from_slice(chunk.as_bytes());
                }
                self.put(data, if in_chunks { CHUNK_END } else { b"" });
                false
            }
            Some(Frame::Trailers(fields)) => {
                if in_chunks {
                    chunked::write_last(Some(&fields), &mut self.text);
                }
                true
            }
            None => {
                if in_chunks {
                    chunked::write_last(None, &mut self.text);
                }
                true
            }
        }
    }

    /// Whether more may be added: no data waits, and less than `gather` octets of text.
    pub fn takes(&self, gather: usize) -> bool {
        self.data.is_empty() && self.tail.is_empty() && self.text.len() < gather
    }

    /// Adds octets, and `tail` after them. Only after the data of an earlier call is written.
    pub fn put(&mut self, data: Bytes, tail: &'static [u8]) {
        debug_assert!(self.data.is_empty() && self.tail.is_empty());
        if data.len() <= SMALL {
            self.text.extend_from_slice(&data);
            self.text.extend_from_slice(tail);
        } else {
            self.data = data;
            self.tail = tail;
        }
    }

    /// Writes until all is written and flushed.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, io: &mut Io) -> Poll<io::Result<()>> {
        while !self.is_empty() {
            let text = &self.text[self.written..];
            let n = if self.data.is_empty() && self.tail.is_empty() {
                ready!(Pin::new(&mut *io).poll_write(cx, text))?
            } else {
                let parts = [text, &self.data, self.tail].map(io::IoSlice::new);
                // An empty first part would be all that a writer without vectors takes.
                let from = usize::from(text.is_empty());
                let from = from + usize::from(from == 1 && self.data.is_empty());
                ready!(Pin::new(&mut *io).poll_write_vectored(cx, &parts[from..]))?
            };
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(n);
        }
        self.text.clear();
        self.written = 0;
        Pin::new(io).poll_flush(cx)
    }

    fn advance(&mut self, n: usize) {
        let of_text = n.min(self.text.len() - self.written);
        self.written += of_text;
        let n = n - of_text;
        let of_data = n.min(self.data.len());
        bytes::Buf::advance(&mut self.data, of_data);
        self.tail = &self.tail[n - of_data..];
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn what_is_put_comes_out_in_order() {
        for size in [0, 10, SMALL + 1, 100_000] {
            let (near, mut far) = tokio::io::duplex(64);
            let data = Bytes::from(vec![b'x'; size]);
            let expected = [b"head:", &data[..], b"\r\n"].concat();
            let writing = async move {
                let mut io = Io::Other(Box::new(near));
                let mut out = Outbox::default();
                out.text.extend_from_slice(b"head:");
                out.put(data, b"\r\n");
                let written = std::future::poll_fn(|cx| out.poll_write(cx, &mut io)).await;
                written.unwrap();
                assert!(out.is_empty());
            };
            let reading = async move {
                let mut all = Vec::new();
                far.read_to_end(&mut all).await.unwrap();
                all
            };
            let ((), all) = tokio::join!(writing, reading);
            assert_eq!(all, expected, "{size}");
        }
    }
}
