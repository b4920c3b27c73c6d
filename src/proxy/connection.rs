//! A client's connection from accept to end: what is spoken on it, and who speaks it.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::BytesMut;
use tokio::net::TcpStream;
use tokio::task::spawn_local;

use crate::ids::ListenerId;
use crate::limit::Counted;
use crate::traffic::Protocol;

use super::features::Turned;
use super::io::Io;
use super::message::Peer;
use super::stats::{count, discount};
use super::tier::Tier;
use super::worker::Worker;
use super::{door, h1, h2, tcp};

/// What one open connection of a listener counts as, for as long as it lives.
pub struct Held {
    worker: Rc<Worker>,
    listener: Arc<AtomicU32>,
    _source: Option<Counted>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.listener.fetch_sub(1, Ordering::Relaxed);
        discount(&self.worker.stats.open);
    }
}

/// Begins to serve an accepted connection, unless there are too many. `open` counts those of the
/// listener.
pub fn begin(
    worker: &Rc<Worker>,
    listener: &str,
    open: &Arc<AtomicU32>,
    tcp: TcpStream,
    source: SocketAddr,
) {
    let tier = worker.tier();
    let Some((at, plan)) = tier.listener(listener) else {
        return;
    };
    count(&worker.stats.connections);
    if open.fetch_add(1, Ordering::Relaxed) >= plan.limits.connections {
        open.fetch_sub(1, Ordering::Relaxed);
        count(&worker.stats.too_many);
        return tcp::refuse::turn_away(plan, tcp);
    }
    count(&worker.stats.open);
    let mut held = Held {
        worker: worker.clone(),
        listener: open.clone(),
        _source: None,
    };
    let listener = ListenerId::from_index(at);
    let admitted = tier
        .guards
        .admit(&tier.plan, listener, source.ip(), || worker.now());
    held._source = match admitted {
        Ok(counted) => counted,
        Err(why) => {
            count(match why {
                Turned::TooMany | Turned::TooOften => &worker.stats.crowded,
                Turned::Crowd => &worker.stats.flooded,
            });
            return tcp::refuse::turn_away(plan, tcp);
        }
    };
    let Ok(local) = tcp.local_addr() else {
        return;
    };
    // Small writes are whole messages here.
    let _ = tcp.set_nodelay(true);
    let peer = Peer {
        listener,
        source,
        local,
        tls: None,
        number: worker.number_connection(),
    };
    let worker = worker.clone();
    match &plan.protocol {
        Protocol::Http => {
            spawn_local(http(worker, tier, tcp, peer, held));
        }
        Protocol::Tcp(_) => {
            spawn_local(tcp::serve::serve(worker, tier, tcp, peer, held));
        }
        // Datagrams make no connections.
        Protocol::Udp(_) => {}
    }
}

/// Serves a connection of HTTP until it ends.
async fn http(worker: Rc<Worker>, tier: Arc<Tier>, tcp: TcpStream, mut peer: Peer, held: Held) {
    let at = peer.listener.index();
    let plan = &tier.plan.listeners[at];
    let tls = tier.listener_tls(at);
    let (io, http2) = if tls.is_some() || plan.proxy_protocol.is_some() {
        // Boxed, so that its room is free again before HTTP begins.
        let entering = door::enter(tcp, peer.source, peer.local, plan, tls.map(|t| &**t));
        let Some(entered) = Box::pin(entering).await else {
            count(&worker.stats.turned_away);
            return;
        };
        (peer.source, peer.local, peer.tls) = (entered.source, entered.local, entered.tls);
        (entered.io, entered.http2)
    } else {
        (Io::Tcp(tcp), false)
    };
    drop(tier);
    let number = peer.number;
    let handed = if http2 {
        Some((io, BytesMut::new()))
    } else {
        h1::serve(io, BytesMut::new(), peer.clone(), worker.clone()).await
    };
    if let Some((io, ahead)) = handed {
        // Boxed: the room it needs is not that of a connection which idles in HTTP/1.1.
        Box::pin(h2::serve(io, ahead, peer, worker.clone())).await;
    }
    worker.pool.forget(number);
    drop(held);
}
