//! The way of one connection: what stands before it, a backend, and octets in both directions.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use bytes::BytesMut;
use tokio::net::TcpStream;

use crate::proxy::connection::Held;
use crate::proxy::door;
use crate::proxy::io::Io;
use crate::proxy::message::{Peer, Upgraded};
use crate::proxy::stats::count;
use crate::proxy::tier::Tier;
use crate::proxy::tunnel;
use crate::proxy::upstream::lease::Lease;
use crate::proxy::watch::Watch;
use crate::proxy::worker::Worker;
use crate::traffic::{Protocol, Target, TcpTimeouts};

use super::flow::{Ended, Flow};
use super::reach::{Reached, reach};
use super::refuse;
use super::relay::relay;

/// Two sides that were brought together.
struct Joined {
    client: Io,
    backend: Reached,
    timeouts: TcpTimeouts,
}

/// Serves an accepted connection until it ends.
pub async fn serve(worker: Rc<Worker>, tier: Arc<Tier>, tcp: TcpStream, peer: Peer, held: Held) {
    let name = &tier.plan.listeners[peer.listener.index()].name;
    let mut flow = Flow::new(name, &peer, worker.watches.coarse());
    // The plan is let go before octets move: a connection may outlive many.
    flow.ended = match Box::pin(join(&worker, tier, tcp, peer, &mut flow)).await {
        Ok(joined) => carry(&worker, joined, &mut flow).await,
        Err(ended) => ended,
    };
    drop(held);
    flow.finish(&worker);
}

/// Brings the client together with a backend.
async fn join(
    worker: &Rc<Worker>,
    tier: Arc<Tier>,
    tcp: TcpStream,
    mut peer: Peer,
    flow: &mut Flow,
) -> Result<Joined, Ended> {
    let at = peer.listener.index();
    let listener = &tier.plan.listeners[at];
    let Protocol::Tcp(rules) = &listener.protocol else {
        return Err(Ended::TurnedAway);
    };
    let tls = tier.listener_tls(at);
    let client = if tls.is_some() || listener.proxy_protocol.is_some() {
        let entering = door::enter(tcp, peer.source, peer.local, listener, tls.map(|t| &**t));
        let Some(entered) = entering.await else {
            count(&worker.stats.turned_away);
            return Err(Ended::TurnedAway);
        };
        (peer.source, peer.local, peer.tls) = (entered.source, entered.local, entered.tls);
        flow.client = peer.source;
        entered.io
    } else {
        Io::Tcp(tcp)
    };
    let id = match rules.target {
        Target::Upstream(id) => id,
        Target::Listener(_) | Target::Close => return Err(Ended::TurnedAway),
    };
    flow.upstream = Some(tier.plan.upstreams[id.index()].name.clone());
    let backend = match reach(worker, &tier, id, &peer, flow).await {
        Ok(reached) => reached,
        Err(ended) => {
            refuse::show(rules.refusal, &client);
            return Err(ended);
        }
    };
    flow.connected = Some(worker.watches.coarse().since(flow.began));
    Ok(Joined {
        client,
        backend,
        timeouts: rules.timeouts,
    })
}

/// Moves octets until both sides have ended.
async fn carry(worker: &Worker, joined: Joined, flow: &mut Flow) -> Ended {
    let timeouts = joined.timeouts;
    let Reached {
        io,
        permit,
        admitted,
        trial,
    } = joined.backend;
    match (joined.client, io) {
        (Io::Tcp(client), Io::Tcp(backend)) => {
            let server = permit.backend();
            let done = relay(worker, client, backend, server, &timeouts).await;
            (flow.octets_in, flow.octets_out) = (done.octets_in, done.octets_out);
            trial.end(flow, done.ended, || worker.now());
            drop(admitted);
            done.ended
        }
        (client, io) => {
            let backend = Box::new(Upgraded {
                io,
                ahead: BytesMut::new(),
                protocol: Box::default(),
                lease: Some(Lease::new(permit, admitted)),
            });
            let watch = Watch::new(&worker.watches);
            let client = RefCell::new(client);
            let moved = tunnel::run(&client, BytesMut::new(), backend, &watch, timeouts.idle);
            (flow.octets_in, flow.octets_out) = Box::pin(moved).await;
            // Which side ended first is not known here: only what came tells of the backend.
            trial.end(flow, Ended::ClientClosed, || worker.now());
            Ended::ClientClosed
        }
    }
}
