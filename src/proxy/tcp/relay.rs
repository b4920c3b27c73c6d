//! Moves octets between two connections until both sides have ended.
//!
//! A direction begins by copying through memory that all connections of a worker share. When a read
//! fills it, there is a stream worth the trouble: from then on octets move within the kernel, through a
//! pipe that is borrowed while octets are in flight. What is silent holds neither.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

use crate::proxy::tier::Server;
use crate::proxy::worker::Worker;
use crate::traffic::TcpTimeouts;

use super::ends::{Broken, Ends, Step};
use super::flow::{Ended, Flow};
use super::pipes::Borrowed;
use super::sides::Sides;

/// Moves of one direction before others have their turn.
const TURN: usize = 16;

/// A spliced move smaller than this speaks for copying again.
const SMALL: usize = 16 << 10;

/// After so many small moves in a row a direction copies again.
const SMALLS: u8 = 4;

/// How a direction moves octets.
enum Way {
    /// Through the worker's memory.
    Copy,
    /// Within the kernel; so many moves in a row were small.
    Splice(u8),
}

/// Octets that were taken from one side and not yet given to the other.
enum Held {
    Nothing,
    Octets(Bytes),
    Piped(Borrowed, usize),
}

/// One direction.
struct Direction {
    way: Way,
    held: Held,
    /// The side that it reads has ended.
    ended: bool,
    /// The other side was told so.
    shut: bool,
    octets: u64,
}

impl Direction {
    fn new() -> Direction {
        Direction {
            way: Way::Copy,
            held: Held::Nothing,
            ended: false,
            shut: false,
            octets: 0,
        }
    }

    /// One turn. `is_last`: the other direction has ended.
    fn step(
        &mut self,
        cx: &mut Context<'_>,
        worker: &Worker,
        from: &mut TcpStream,
        to: &mut TcpStream,
        is_last: bool,
    ) -> Step {
        Step {
            state: self.poll(cx, worker, from, to, is_last),
            ended: self.ended,
        }
    }

    /// Moves what can be moved; ready when nothing will come any more.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        worker: &Worker,
        from: &mut TcpStream,
        to: &mut TcpStream,
        is_last: bool,
    ) -> Poll<Result<(), Broken>> {
        for _ in 0..TURN {
            ready!(self.give(cx, worker, to)).map_err(|_| Broken::To)?;
            if self.ended {
                if !self.shut {
                    self.shut = true;
                    // Both are closed at once when this was the last direction.
                    if is_last {
                        return Poll::Ready(Ok(()));
                    }
                    // Who has gone altogether needs no word.
                    let _ = Pin::new(&mut *to).poll_shutdown(cx);
                }
                return Poll::Ready(Ok(()));
            }
            match self.way {
                Way::Copy => ready!(self.copy(cx, worker, from, to))?,
                Way::Splice(_) => ready!(self.pipe(cx, worker, from)).map_err(|_| Broken::From)?,
            }
        }
        // Others have their turn.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Reads once, and writes what was read.
    fn copy(
        &mut self,
        cx: &mut Context<'_>,
        worker: &Worker,
        from: &mut TcpStream,
        to: &mut TcpStream,
    ) -> Poll<Result<(), Broken>> {
        worker.with_scratch(|scratch| {
            let mut space = ReadBuf::new(scratch);
            let read = ready!(Pin::new(from).poll_read(cx, &mut space));
            read.map_err(|_| Broken::From)?;
            let is_full = space.remaining() == 0;
            let octets = space.filled();
            if octets.is_empty() {
                self.ended = true;
                return Poll::Ready(Ok(()));
            }
            if is_full {
                self.way = Way::Splice(0);
            }
            let written = match Pin::new(to).poll_write(cx, octets) {
                Poll::Ready(Ok(n)) => n,
                Poll::Ready(Err(_)) => return Poll::Ready(Err(Broken::To)),
                Poll::Pending => 0,
            };
            self.octets += written as u64;
            if written < octets.len() {
                self.held = Held::Octets(Bytes::copy_from_slice(&octets[written..]));
            }
            Poll::Ready(Ok(()))
        })
    }

    /// Fills a pipe with what waits.
    fn pipe(
        &mut self,
        cx: &mut Context<'_>,
        worker: &Worker,
        from: &mut TcpStream,
    ) -> Poll<io::Result<()>> {
        ready!(from.poll_read_ready(cx))?;
        let Some(pipe) = worker.pipes.take() else {
            self.way = Way::Copy;
            return Poll::Ready(Ok(()));
        };
        let filled = from.try_io(Interest::READABLE, || pipe.fill(from, pipe.capacity()));
        match filled {
            Ok(0) => {
                self.ended = true;
                worker.pipes.give(pipe);
            }
            Ok(n) => {
                self.way = match self.way {
                    Way::Splice(smalls) if n < SMALL && smalls + 1 >= SMALLS => Way::Copy,
                    Way::Splice(smalls) if n < SMALL => Way::Splice(smalls + 1),
                    _ => Way::Splice(0),
                };
                self.held = Held::Piped(pipe, n);
            }
            Err(error) => {
                worker.pipes.give(pipe);
                if error.kind() != io::ErrorKind::WouldBlock {
                    return Poll::Ready(Err(error));
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Gives the other side what is held.
    fn give(
        &mut self,
        cx: &mut Context<'_>,
        worker: &Worker,
        to: &mut TcpStream,
    ) -> Poll<io::Result<()>> {
        loop {
            match &mut self.held {
                Held::Nothing => return Poll::Ready(Ok(())),
                Held::Octets(octets) => {
                    let n = ready!(Pin::new(&mut *to).poll_write(cx, octets))?;
                    self.octets += n as u64;
                    octets.advance(n);
                    if octets.is_empty() {
                        self.held = Held::Nothing;
                    }
                }
                Held::Piped(pipe, left) => {
                    ready!(to.poll_write_ready(cx))?;
                    match to.try_io(Interest::WRITABLE, || pipe.drain(to, *left, false)) {
                        Ok(n) => {
                            self.octets += n as u64;
                            *left -= n;
                        }
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                        Err(error) => return Poll::Ready(Err(error)),
                    }
                    if *left == 0
                        && let Held::Piped(pipe, _) =
                            std::mem::replace(&mut self.held, Held::Nothing)
                    {
                        worker.pipes.give(pipe);
                    }
                }
            }
        }
    }
}

/// Passes octets on until both sides have ended, one breaks, or nothing moves for too long.
pub async fn relay(
    worker: &Worker,
    client: TcpStream,
    backend: TcpStream,
    server: &Server,
    timeouts: &TcpTimeouts,
    flow: &mut Flow,
) -> Ended {
    let mut ends = Ends::new(worker, server, timeouts);
    let mut sides = Sides::new(client, backend);
    let (client, backend) = (&mut sides.client, &mut sides.backend);
    let (mut up, mut down) = (Direction::new(), Direction::new());
    let ended = poll_fn(|cx| {
        let before = up.octets + down.octets;
        let upwards = up.step(cx, worker, client, backend, down.shut);
        let downwards = down.step(cx, worker, backend, client, up.shut);
        let moved = up.octets + down.octets > before;
        if moved {
            flow.moved(up.octets, down.octets, client);
        }
        let sides = [Some(&*client), Some(&*backend)];
        ends.look(cx, &upwards, &downwards, moved, sides)
    })
    .await;
    (flow.octets_in, flow.octets_out) = (up.octets, down.octets);
    flow.look(&sides.client);
    sides.is_whole = ended.is_clean();
    ended
}
