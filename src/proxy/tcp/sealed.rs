//! Moves octets between two connections of which at least one is encrypted here. As [`super::relay`] does
//! for bare ones, but always by copying: what is read was decrypted into memory anyway.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::proxy::io::Io;
use crate::proxy::tier::Server;
use crate::proxy::worker::Worker;
use crate::traffic::TcpTimeouts;

use super::ends::{Broken, Ends, Step};
use super::flow::{Ended, Flow};
use super::sides::Sides;

/// Reads of one direction before others have their turn.
const TURN: usize = 16;

/// One direction.
#[derive(Default)]
struct Direction {
    /// Taken from one side and not yet given to the other.
    held: Bytes,
    /// Given to TLS, and perhaps not yet by it to the connection.
    unflushed: bool,
    /// The side that it reads has ended.
    ended: bool,
    /// The other side was told so.
    shut: bool,
    octets: u64,
}

impl Direction {
    /// One turn.
    fn step(&mut self, cx: &mut Context<'_>, worker: &Worker, from: &mut Io, to: &mut Io) -> Step {
        Step {
            state: self.poll(cx, worker, from, to),
            ended: self.ended,
        }
    }

    /// Moves what can be moved; ready when nothing will come any more.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        worker: &Worker,
        from: &mut Io,
        to: &mut Io,
    ) -> Poll<Result<(), Broken>> {
        for _ in 0..TURN {
            ready!(self.give(cx, to)).map_err(|_| Broken::To)?;
            if self.ended {
                if !self.shut {
                    // Flushes, and says over TLS that this is the end (RFC 8446 section 6.1). Who has gone
                    // altogether needs no word.
                    let _ = ready!(Pin::new(&mut *to).poll_shutdown(cx));
                    self.shut = true;
                }
                return Poll::Ready(Ok(()));
            }
            match self.read(cx, worker, from, to) {
                Poll::Ready(read) => read?,
                Poll::Pending => {
                    if self.unflushed {
                        ready!(Pin::new(&mut *to).poll_flush(cx)).map_err(|_| Broken::To)?;
                        self.unflushed = false;
                    }
                    return Poll::Pending;
                }
            }
        }
        // Others have their turn.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Reads once, and writes what was read.
    fn read(
        &mut self,
        cx: &mut Context<'_>,
        worker: &Worker,
        from: &mut Io,
        to: &mut Io,
    ) -> Poll<Result<(), Broken>> {
        worker.with_scratch(|scratch| {
            let mut space = ReadBuf::new(scratch);
            let read = ready!(Pin::new(from).poll_read(cx, &mut space));
            // TLS that ends without saying so was cut off: an error here.
            read.map_err(|_| Broken::From)?;
            let octets = space.filled();
            if octets.is_empty() {
                self.ended = true;
                return Poll::Ready(Ok(()));
            }
            let written = match Pin::new(to).poll_write(cx, octets) {
                Poll::Ready(Ok(n)) => n,
                Poll::Ready(Err(_)) => return Poll::Ready(Err(Broken::To)),
                Poll::Pending => 0,
            };
            self.octets += written as u64;
            self.unflushed = true;
            if written < octets.len() {
                self.held = Bytes::copy_from_slice(&octets[written..]);
            }
            Poll::Ready(Ok(()))
        })
    }

    /// Gives the other side what is held.
    fn give(&mut self, cx: &mut Context<'_>, to: &mut Io) -> Poll<io::Result<()>> {
        while !self.held.is_empty() {
            let n = ready!(Pin::new(&mut *to).poll_write(cx, &self.held))?;
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.octets += n as u64;
            self.held.advance(n);
        }
        // What was held is let go, not only read to its end.
        self.held = Bytes::new();
        Poll::Ready(Ok(()))
    }
}

/// Passes octets on until both sides have ended, one breaks, or nothing moves for too long.
pub async fn relay(
    worker: &Worker,
    client: Io,
    backend: Io,
    server: &Server,
    timeouts: &TcpTimeouts,
    flow: &mut Flow,
) -> Ended {
    let mut ends = Ends::new(worker, server, timeouts);
    let mut sides = Sides::new(client, backend);
    let (client, backend) = (&mut sides.client, &mut sides.backend);
    let (mut up, mut down) = (Direction::default(), Direction::default());
    let ended = poll_fn(|cx| {
        let before = up.octets + down.octets;
        let upwards = up.step(cx, worker, client, backend);
        let downwards = down.step(cx, worker, backend, client);
        let moved = up.octets + down.octets > before;
        if let (true, Some(tcp)) = (moved, client.tcp()) {
            flow.moved(up.octets, down.octets, tcp);
        }
        let sides = [client.tcp(), backend.tcp()];
        ends.look(cx, &upwards, &downwards, moved, sides)
    })
    .await;
    (flow.octets_in, flow.octets_out) = (up.octets, down.octets);
    if let Some(tcp) = sides.client.tcp() {
        flow.look(tcp);
    }
    sides.is_whole = ended.is_clean();
    ended
}
