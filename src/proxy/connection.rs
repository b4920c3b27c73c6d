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
use crate::traffic::proxy_protocol::{Beginning, ProxyProtocol};

use super::features::Turned;
use super::io::Io;
use super::layer4::Refused;
use super::layer4::refuse::refuse;
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
    /// Whether it was counted for its source: behind another proxy not before that has said who it is.
    counted: bool,
    handed: bool,
}

impl Held {
    /// Whether another listener handed the connection over, having read what stands before TLS.
    pub fn is_handed(&self) -> bool {
        self.handed
    }

    /// Counts the connection for its source, unless that was done when it was accepted; `false` when the
    /// source may have no more, which is told.
    pub fn count_for(&mut self, tier: &Tier, listener: ListenerId, source: SocketAddr) -> bool {
        if std::mem::replace(&mut self.counted, true) {
            return true;
        }
        let worker = &self.worker;
        let admitted = tier
            .guards
            .admit(&tier.plan, listener, source.ip(), || worker.now());
        let turned = match admitted {
            Ok(counted) => {
                self._source = counted;
                return true;
            }
            Err(turned) => turned,
        };
        let (counter, why) = match turned {
            Turned::TooOften => (&worker.stats.crowded, Refused::SourceRate),
            Turned::TooMany => (&worker.stats.crowded, Refused::SourceConnections),
            Turned::Crowd => (&worker.stats.flooded, Refused::TotalRate),
        };
        count(counter);
        refuse(worker, tier, listener.index(), source, why);
        false
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.listener.fetch_sub(1, Ordering::Relaxed);
        discount(&self.worker.stats.open);
    }
}

/// Where connections come in.
pub struct Intake {
    /// The listener's name, as it was when its socket was bound.
    pub listener: Rc<str>,
    /// Where that is.
    pub bound: Option<SocketAddr>,
    /// Counts the connections that are open.
    pub open: Arc<AtomicU32>,
}

/// Begins to serve an accepted connection, unless there are too many. `local` is where it came in.
pub fn begin(
    worker: &Rc<Worker>,
    intake: &Intake,
    tcp: TcpStream,
    source: SocketAddr,
    local: SocketAddr,
) {
    let tier = worker.tier();
    // The listener may have another name by now, of which this thread has yet to hear.
    let found = tier.listener(&intake.listener);
    let Some((at, plan)) = found.or_else(|| tier.listener_at(intake.bound?)) else {
        return;
    };
    count(&worker.stats.connections);
    let listener = ListenerId::from_index(at);
    let Some(held) = admit(worker, &tier, listener, &intake.open, (source, false)) else {
        return tcp::refuse::turn_away(plan, tcp);
    };
    let peer = Peer {
        listener,
        source,
        local,
        tls: None,
        number: worker.number_connection(),
    };
    dispatch(worker, tier, tcp, peer, held);
}

/// Goes on with a connection of another listener, of which nothing was taken but a PROXY header: from here
/// on it is one of the listener `to`, whose limits and TLS apply. The tier is the one under which it was
/// decided.
pub fn take_over(
    worker: &Rc<Worker>,
    tier: Arc<Tier>,
    to: ListenerId,
    tcp: TcpStream,
    mut peer: Peer,
) {
    let open = &tier.handed[to.index()];
    let Some(mut held) = admit(worker, &tier, to, open, (peer.source, true)) else {
        return tcp::refuse::turn_away(&tier.plan.listeners[to.index()], tcp);
    };
    held.handed = true;
    peer.listener = to;
    dispatch(worker, tier, tcp, peer, held);
}

/// Counts a connection at its listener, unless there are too many. `announced`: whether all is known of
/// whom it is for.
fn admit(
    worker: &Rc<Worker>,
    tier: &Tier,
    listener: ListenerId,
    open: &Arc<AtomicU32>,
    (source, announced): (SocketAddr, bool),
) -> Option<Held> {
    let plan = &tier.plan.listeners[listener.index()];
    if open.fetch_add(1, Ordering::Relaxed) >= plan.limits.connections {
        open.fetch_sub(1, Ordering::Relaxed);
        count(&worker.stats.too_many);
        refuse(
            worker,
            tier,
            listener.index(),
            source,
            Refused::MaxConnections,
        );
        return None;
    }
    count(&worker.stats.open);
    let mut held = Held {
        worker: worker.clone(),
        listener: open.clone(),
        _source: None,
        counted: false,
        handed: false,
    };
    // A proxy in front speaks for many: it is asked again once it has said whom it comes for.
    let speaks = |rules: &ProxyProtocol| rules.of(source.ip()) == Beginning::Header;
    if !announced && plan.proxy_protocol.as_deref().is_some_and(speaks) {
        return Some(held);
    }
    held.count_for(tier, listener, source).then_some(held)
}

/// Begins what is spoken at the peer's listener.
fn dispatch(worker: &Rc<Worker>, tier: Arc<Tier>, tcp: TcpStream, peer: Peer, held: Held) {
    let worker = worker.clone();
    match &tier.plan.listeners[peer.listener.index()].protocol {
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
async fn http(worker: Rc<Worker>, tier: Arc<Tier>, tcp: TcpStream, mut peer: Peer, mut held: Held) {
    let at = peer.listener.index();
    let plan = &tier.plan.listeners[at];
    let tls = tier.listener_tls(at);
    let handed = held.is_handed();
    let (io, http2) = if tls.is_some() || (plan.proxy_protocol.is_some() && !handed) {
        // Boxed, so that its room is free again before HTTP begins.
        let tls = tls.map(|t| &**t);
        let entering = door::enter(tcp, peer.source, peer.local, plan, tls, handed);
        let Some(entered) = Box::pin(entering).await else {
            count(&worker.stats.turned_away);
            return;
        };
        if !held.count_for(&tier, peer.listener, entered.source) {
            return;
        }
        (peer.source, peer.local, peer.tls) = (entered.source, entered.local, entered.tls);
        (entered.io, entered.http2)
    } else {
        (Io::Tcp(tcp), false)
    };
    let number = peer.number;
    let handed = if http2 {
        let listener = plan.name.clone();
        drop(tier);
        Some((io, BytesMut::new(), listener))
    } else {
        h1::serve(io, tier, peer.clone(), worker.clone()).await
    };
    if let Some((io, ahead, listener)) = handed {
        // Boxed: the room it needs is not that of a connection which idles in HTTP/1.1.
        Box::pin(h2::serve(io, ahead, listener, peer, worker.clone())).await;
    }
    worker.pool.forget(number);
    drop(held);
}
