//! The task of one socket: what clients send, what backends answer, what has become old; in turns.

use std::future::poll_fn;
use std::io;
use std::os::fd::AsFd as _;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::task::Poll;
use std::time::Duration;

use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::proxy::watch::Watch;
use crate::proxy::worker::Worker;
use crate::sys::datagrams::BATCH;
use crate::sys::report_destination;

use super::buffers::Pair;
use super::handed::{Asked, Batch, Handed};
use super::relay::Relay;

/// How often old sessions are looked for.
const SWEEP: Duration = Duration::from_millis(250);

/// Pause after the system refused to give datagrams.
const ERROR_PAUSE: Duration = Duration::from_millis(50);

/// A socket with what it begins with.
pub struct Served {
    /// Bound.
    pub socket: UdpSocket,
    /// Counts the sessions that a draining proxy waits for.
    pub open: Arc<AtomicU32>,
    /// Sessions of the process before.
    pub sessions: Vec<Handed>,
    /// Who asks for its sessions.
    pub asked: UnboundedReceiver<Asked>,
}

/// Serves the datagrams of one socket.
pub async fn serve(worker: Rc<Worker>, listener: Rc<str>, served: Served) {
    if let Err(error) = run(worker, listener.clone(), served).await {
        tracing::error!(%listener, %error, "cannot take datagrams");
    }
}

/// Who has something to do.
struct Woken {
    asked: Option<Asked>,
    clients: bool,
    backends: bool,
    sweep: bool,
}

async fn run(worker: Rc<Worker>, listener: Rc<str>, served: Served) -> io::Result<()> {
    let Served {
        socket,
        open,
        sessions,
        mut asked,
    } = served;
    let address = socket.local_addr()?;
    if address.ip().is_unspecified() {
        // Answers leave from the address that was asked.
        let plain = std::net::UdpSocket::from(socket.as_fd().try_clone_to_owned()?);
        report_destination(&plain, address.is_ipv6())?;
    }
    let mut relay = Relay::new(worker.clone(), listener.clone(), address, open)?;
    relay.adopt(sessions);
    let watch = Watch::new(&worker.watches);
    watch.set(SWEEP);
    loop {
        let woken = poll_fn(|cx| {
            let woken = Woken {
                // Nobody who could ask: then it is nobody.
                asked: match asked.poll_recv(cx) {
                    Poll::Ready(asked) => asked,
                    Poll::Pending => None,
                },
                clients: !worker.retired() && socket.poll_recv_ready(cx).is_ready(),
                backends: relay.poll_backends(cx).is_ready(),
                sweep: watch.poll(cx).is_ready(),
            };
            if woken.asked.is_some() || woken.clients || woken.backends || woken.sweep {
                Poll::Ready(woken)
            } else {
                Poll::Pending
            }
        })
        .await;
        let mut more = false;
        if let Some(Asked {
            place,
            nth,
            most,
            to,
        }) = woken.asked
        {
            let sessions = relay.hand_over(most);
            let batch = Batch {
                place,
                nth,
                sessions,
            };
            if let Err(unsent) = to.send(batch) {
                relay.lost(unsent.0.sessions.len());
            }
        }
        if woken.clients {
            match from_clients(&worker, &mut relay, &socket) {
                Ok(full) => more |= full,
                Err(error) => {
                    if worker.may_warn() {
                        tracing::warn!(%listener, %error, "cannot take a datagram");
                    }
                    tokio::time::sleep(ERROR_PAUSE).await;
                }
            }
        }
        if woken.backends {
            let pass = |pair: &mut Pair| relay.from_backends(socket.as_fd(), pair);
            more |= worker.datagrams.with(pass)?;
        }
        if woken.sweep {
            while relay.sweep() {
                tokio::task::yield_now().await;
            }
            watch.set(SWEEP);
        }
        if more {
            // Other listeners of this worker have their turn, however much comes in here.
            tokio::task::yield_now().await;
        }
    }
}

/// A batch of what clients sent; says whether there may be more.
fn from_clients(worker: &Worker, relay: &mut Relay, socket: &UdpSocket) -> io::Result<bool> {
    let taken = socket.try_io(Interest::READABLE, || {
        let got = worker
            .datagrams
            .with(|pair| relay.from_clients(socket.as_fd(), pair))?;
        // A batch that is not full has emptied the socket, so the next word of it is news.
        if got < BATCH {
            Err(io::ErrorKind::WouldBlock.into())
        } else {
            Ok(())
        }
    });
    match taken {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error),
    }
}
