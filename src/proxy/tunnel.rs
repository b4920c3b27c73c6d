//! Two connections joined: after the protocol was switched, octets go through as they are.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::AsyncWrite as _;

use super::io::Io;
use super::message::Upgraded;
use super::watch::Watch;

/// Octets that one read takes.
const READ: usize = 16 << 10;

/// One direction.
struct Half {
    buffer: BytesMut,
    ended: bool,
    shut: bool,
    octets: u64,
}

impl Half {
    fn new(buffer: BytesMut) -> Half {
        Half {
            buffer,
            ended: false,
            shut: false,
            octets: 0,
        }
    }

    /// Moves what can be moved; ready when nothing will come any more.
    fn poll(&mut self, cx: &mut Context<'_>, from: &mut Io, to: &mut Io) -> Poll<io::Result<()>> {
        loop {
            while !self.buffer.is_empty() {
                let n = ready!(Pin::new(&mut *to).poll_write(cx, &self.buffer))?;
                if n == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                bytes::Buf::advance(&mut self.buffer, n);
                self.octets += n as u64;
            }
            ready!(Pin::new(&mut *to).poll_flush(cx))?;
            if self.shut {
                return Poll::Ready(Ok(()));
            }
            if self.ended {
                ready!(Pin::new(&mut *to).poll_shutdown(cx))?;
                self.shut = true;
                continue;
            }
            // An idle tunnel holds no memory.
            let read = from.poll_read_more(cx, &mut self.buffer, READ);
            match read {
                Poll::Ready(n) => self.ended = n? == 0,
                Poll::Pending => {
                    self.buffer = BytesMut::new();
                    return Poll::Pending;
                }
            }
        }
    }
}

/// Passes octets on until both sides have ended, one breaks, or neither says anything for `idle`.
/// Says how many went to the backend and how many to the client.
pub async fn run(
    client: &RefCell<Io>,
    ahead: BytesMut,
    backend: Box<Upgraded>,
    watch: &Watch,
    idle: Duration,
) -> (u64, u64) {
    let backend = *backend;
    let mut up = Half::new(ahead);
    let mut down = Half::new(backend.ahead);
    let mut server = backend.io;
    watch.set(idle);
    // A tunnel may be silent for long: it is told when its backend's time to drain is over.
    let drained = async {
        match &backend.lease {
            Some(lease) => lease.server().cut_off().await,
            None => std::future::pending().await,
        }
    };
    let mut drained = std::pin::pin!(drained);
    poll_fn(|cx| {
        if drained.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let client = &mut *client.borrow_mut();
        let before = up.octets + down.octets;
        let upwards = up.poll(cx, client, &mut server);
        let downwards = down.poll(cx, &mut server, client);
        match (upwards, downwards) {
            (Poll::Ready(Err(_)), _) | (_, Poll::Ready(Err(_))) => return Poll::Ready(()),
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => return Poll::Ready(()),
            _ => {}
        }
        if up.octets + down.octets > before {
            watch.set(idle);
        }
        watch.poll(cx)
    })
    .await;
    watch.clear();
    (up.octets, down.octets)
}
