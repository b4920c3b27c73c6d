//! The end of a process whose node goes on in another: it reads nothing that comes anew, serves on what
//! it has begun, tells what it still counts, and writes nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet, spawn_blocking};
use tokio::time::{Instant, sleep, timeout};

use super::bag::Bag;
use super::link::Link;
use super::message::{Message, SESSIONS_SINCE};
use super::old::Counts;
use super::sessions;
use crate::app::proxy::SharedCarrier;
use crate::server::udp::UdpServer;

/// For requests to the API that are under way, and for connections of DNS over QUIC to be closed.
const SOON: Duration = Duration::from_secs(2);

/// Connections that idle are left alone for so long: whoever asks in it gets an answer that says to come
/// anew, and no request meets a connection that is just being closed.
const GRACE: Duration = Duration::from_secs(3);

/// How often it is looked whether all is done.
const LOOK: Duration = Duration::from_millis(50);

/// How often the new process is told what this one counts.
const TELL: Duration = Duration::from_millis(500);

/// What is left.
pub struct Leave {
    /// The new process.
    pub link: Link,
    /// Turns true for what accepts connections.
    pub left: watch::Sender<bool>,
    /// DNS over UDP.
    pub udp: Vec<UdpServer>,
    /// What must have ended before the new process can begin with it: the API, which shows counters,
    /// and DNS over QUIC.
    pub alone: JoinSet<()>,
    /// Counts.
    pub counts: Counts,
    /// The view in force.
    pub generation: Box<dyn Fn() -> u64 + Send + Sync>,
    /// Gauges of DNS connections that are open.
    pub open: Vec<Arc<AtomicU64>>,
    /// The proxy.
    pub carrier: SharedCarrier,
    /// Ends when the process before this one has: what that one counts reaches the next through this.
    pub before: Option<JoinHandle<()>>,
    /// How long connections may take to end.
    pub longest: Duration,
    /// Whether the new process hears nothing any more.
    pub deaf: bool,
}

impl Leave {
    /// Leaves; returns when all has ended, or has taken too long.
    pub async fn run(mut self) {
        let pid = self.link.peer().pid;
        tracing::info!(
            to = pid,
            "the new process serves; this one finishes what it has begun"
        );
        self.left.send_replace(true);
        if let Some(carrier) = &self.carrier {
            carrier.proxy().retire();
        }
        self.give_sessions().await;
        self.udp.iter().for_each(UdpServer::tell_to_stop);
        let udp = std::mem::take(&mut self.udp);
        let stopped = spawn_blocking(move || udp.into_iter().for_each(UdpServer::stop));
        drop(stopped.await);
        let ended = async { while self.alone.join_next().await.is_some() {} };
        if timeout(SOON, ended).await.is_err() {
            self.alone.shutdown().await;
        }
        self.tell_counts(&mut String::new()).await;
        let generation = (self.generation)();
        if let Err(error) = self.link.say(&Message::Left { generation }).await {
            tracing::error!(%error, "the new process has ended while this one left: start the node");
        }
        self.drain().await;
    }

    /// Passes on the proxy's sessions of datagrams: first of all, since their clients wait.
    async fn give_sessions(&self) {
        if self.link.speaks < SESSIONS_SINCE {
            return;
        }
        if let Some(carrier) = &self.carrier {
            let (given, lost) = sessions::give(&self.link, carrier).await;
            if given + lost > 0 {
                tracing::info!(
                    given,
                    lost,
                    "sessions of datagrams go on in the new process"
                );
            }
        }
        // Who does not hear it waits for a while, and serves.
        drop(timeout(SOON, self.link.say(&Message::AllSessions)).await);
        if let Some(carrier) = &self.carrier {
            // Whom this process has bound since it gave its sockets.
            let mut bag = Bag::default();
            let copied = carrier.copy_remembered(&mut bag);
            if let Err(error) = copied {
                tracing::warn!(%error, "not all remembered sessions go over");
            }
            drop(timeout(SOON, self.link.give(&bag)).await);
        }
    }

    async fn drain(&mut self) {
        let begun = Instant::now();
        let end = begun + self.longest;
        let mut told = String::new();
        let mut tell = begun;
        let mut graceful = true;
        while self.under_way() > 0 || self.before.as_ref().is_some_and(|b| !b.is_finished()) {
            let now = Instant::now();
            if now >= end {
                tracing::warn!(
                    connections = self.under_way(),
                    "the drain timeout is over; these connections are cut"
                );
                break;
            }
            if graceful && now >= begun + GRACE {
                graceful = false;
                if let Some(carrier) = &self.carrier {
                    carrier.proxy().drain(true);
                }
            }
            if now >= tell {
                self.tell_counts(&mut told).await;
                tell = now + TELL;
            }
            sleep(LOOK).await;
        }
        self.tell_counts(&mut told).await;
    }

    fn under_way(&self) -> u64 {
        let open = self.open.iter().map(|gauge| gauge.load(Ordering::Relaxed));
        open.sum::<u64>() + self.carrier.as_ref().map_or(0, |c| c.open())
    }

    /// Tells what was counted, if it is not what was `told`.
    async fn tell_counts(&mut self, told: &mut String) {
        let counts = Arc::clone(&self.counts);
        let Ok(counts) = spawn_blocking(move || counts()).await else {
            return;
        };
        if counts == *told || self.deaf {
            return;
        }
        // Should it have died or hang, this process ends all the same.
        match timeout(SOON, self.link.tell_counts(&counts)).await {
            Ok(Ok(())) => *told = counts,
            _ => self.deaf = true,
        }
    }
}
