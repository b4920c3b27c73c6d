//! A network of the imagination: delays, loss and partitions for tests and benchmarks, on the
//! runtime's clock, which they may pause.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;
use chitchat::ChitchatEnvelope;
use chitchat::transport::{RecvOutcome, SendOutcome, Socket, Transport};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::time::{Clock, Moment, Wall};

/// What happens to a message: lost, or there after so long.
pub type Fate = dyn Fn(SocketAddr, SocketAddr) -> Option<Duration> + Send + Sync;

/// Messages that a member takes before more are lost.
const QUEUE: usize = 512;

/// A network in memory. Clones are the same network.
#[derive(Clone)]
pub struct MemoryNet {
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    fate: Arc<Fate>,
    ports: HashMap<SocketAddr, mpsc::Sender<RecvOutcome>>,
}

impl MemoryNet {
    /// A network that treats messages so, by sender and receiver.
    pub fn new(
        fate: impl Fn(SocketAddr, SocketAddr) -> Option<Duration> + Send + Sync + 'static,
    ) -> MemoryNet {
        MemoryNet {
            inner: Arc::new(Mutex::new(Inner {
                fate: Arc::new(fate),
                ports: HashMap::new(),
            })),
        }
    }

    /// From now on messages are treated so.
    pub fn change(
        &self,
        fate: impl Fn(SocketAddr, SocketAddr) -> Option<Duration> + Send + Sync + 'static,
    ) {
        self.inner().fate = Arc::new(fate);
    }

    /// The member at an address ends as if its socket broke.
    pub fn break_socket(&self, address: SocketAddr) {
        self.inner().ports.remove(&address);
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Transport for MemoryNet {
    async fn open(&self, listen: SocketAddr) -> anyhow::Result<Box<dyn Socket>> {
        let (sender, inbox) = mpsc::channel(QUEUE);
        self.inner().ports.insert(listen, sender);
        Ok(Box::new(MemorySocket {
            net: self.clone(),
            local: listen,
            inbox,
        }))
    }
}

struct MemorySocket {
    net: MemoryNet,
    local: SocketAddr,
    inbox: mpsc::Receiver<RecvOutcome>,
}

#[async_trait]
impl Socket for MemorySocket {
    fn local_addr(&self) -> anyhow::Result<SocketAddr> {
        Ok(self.local)
    }

    async fn send(
        &mut self,
        to: SocketAddr,
        envelope: ChitchatEnvelope,
    ) -> anyhow::Result<SendOutcome> {
        let fate = self.net.inner().fate.clone();
        if let Some(delay) = fate(self.local, to) {
            let (net, from) = (self.net.clone(), self.local);
            tokio::spawn(async move {
                tokio::time::sleep(delay).await;
                let port = net.inner().ports.get(&to).cloned();
                if let Some(port) = port {
                    let message = RecvOutcome {
                        from_addr: from,
                        envelope,
                        num_bytes_received: 0,
                    };
                    // Lost when the receiver is gone or has too much to do.
                    drop(port.try_send(message));
                }
            });
        }
        Ok(SendOutcome { num_bytes_sent: 0 })
    }

    async fn recv(&mut self) -> anyhow::Result<RecvOutcome> {
        self.inbox.recv().await.context("the socket is broken")
    }
}

/// A clock that follows the runtime's, paused or not.
#[derive(Clone, Copy, Debug)]
pub struct RuntimeClock(Instant);

impl RuntimeClock {
    /// Starts counting.
    pub fn start() -> RuntimeClock {
        RuntimeClock(Instant::now())
    }
}

impl Clock for RuntimeClock {
    fn now(&self) -> Moment {
        Moment::ZERO + self.0.elapsed() + Duration::from_secs(1)
    }

    /// Starts at 2026-01-01T00:00:00Z.
    fn wall(&self) -> Wall {
        Wall::new(Moment::ZERO, Duration::from_secs(1_767_225_600))
    }
}
