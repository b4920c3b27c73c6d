//! The way of one connection: what stands before it, a backend, and octets in both directions.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use bytes::BytesMut;
use tokio::net::TcpStream;

use crate::health::backend::Fault;
use crate::ids::UpstreamId;
use crate::proxy::backend::Permit;
use crate::proxy::backend::queue::Wanted;
use crate::proxy::connection::Held;
use crate::proxy::door;
use crate::proxy::io::Io;
use crate::proxy::message::{Peer, Upgraded};
use crate::proxy::pick::{Ask, NoPick, Picked};
use crate::proxy::session::Bond;
use crate::proxy::stats::count;
use crate::proxy::tier::Tier;
use crate::proxy::tunnel;
use crate::proxy::upstream::Why;
use crate::proxy::upstream::connect::{Way, connect};
use crate::proxy::upstream::lease::Lease;
use crate::proxy::watch::Watch;
use crate::proxy::worker::Worker;
use crate::traffic::algorithm::hash_address;
use crate::traffic::{Protocol, Target, TcpTimeouts};

use super::flow::{Ended, Flow};
use super::relay::relay;

/// Backends that are tried for one connection, at most.
const TRIES: usize = 3;

/// Two sides that were brought together.
struct Joined {
    client: Io,
    backend: Io,
    permit: Permit,
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
    let (permit, backend) = reach(worker, &tier, id, &peer, flow).await?;
    flow.connected = Some(worker.watches.coarse().since(flow.began));
    Ok(Joined {
        client,
        backend,
        permit,
        timeouts: rules.timeouts,
    })
}

/// Moves octets until both sides have ended.
async fn carry(worker: &Worker, joined: Joined, flow: &mut Flow) -> Ended {
    let timeouts = joined.timeouts;
    match (joined.client, joined.backend) {
        (Io::Tcp(client), Io::Tcp(backend)) => {
            let server = joined.permit.backend();
            let done = relay(worker, client, backend, server, &timeouts).await;
            (flow.octets_in, flow.octets_out) = (done.octets_in, done.octets_out);
            done.ended
        }
        (client, io) => {
            let backend = Box::new(Upgraded {
                io,
                ahead: BytesMut::new(),
                protocol: Box::default(),
                lease: Some(Lease::new(joined.permit, None)),
            });
            let watch = Watch::new(&worker.watches);
            let client = RefCell::new(client);
            let moved = tunnel::run(&client, BytesMut::new(), backend, &watch, timeouts.idle);
            (flow.octets_in, flow.octets_out) = Box::pin(moved).await;
            Ended::ClientClosed
        }
    }
}

/// A place at a backend, and a connection to it.
async fn reach(
    worker: &Rc<Worker>,
    tier: &Arc<Tier>,
    id: UpstreamId,
    peer: &Peer,
    flow: &mut Flow,
) -> Result<(Permit, Io), Ended> {
    let (upstream, group) = tier.upstream(id);
    let chooser = &group.chooser;
    let mut tried = Vec::new();
    loop {
        let now = worker.now();
        let ask = Ask {
            now,
            random: worker.random(),
            hash: hash_address(peer.ip()),
            tried: &tried,
        };
        let picked = worker.turns.with(id, &chooser.picker, |turns| {
            chooser.choose(&mut Bond::default(), turns, &group.servers, &ask)
        });
        let (at_once, wanted) = match picked {
            Ok(picked) => {
                let server = &group.servers[picked.place()];
                let wanted = match picked {
                    Picked::Only(_) => Wanted::One(server.clone()),
                    Picked::Any(_) => Wanted::Any,
                };
                (Permit::take(server), wanted)
            }
            Err(NoPick::Full) => (None, Wanted::Any),
            Err(NoPick::Nobody | NoPick::SessionGone) => return Err(Ended::NoBackend),
        };
        let permit = match at_once {
            Some(permit) => permit,
            None => {
                let waited = group.state.wait(wanted, &group.servers).await;
                waited.map_err(|_| Ended::QueueFull)?
            }
        };
        let server = permit.backend().clone();
        server.begin(!tried.is_empty());
        flow.tries += 1;
        flow.server = Some(server.clone());
        let way = Way {
            until: None,
            upstream,
            tls: group.tls.as_deref(),
            server: &server,
            peer,
        };
        let why = match connect(worker, &way).await {
            Ok(io) => return Ok((permit, io)),
            Err(why) => why,
        };
        if why == Why::NoSocket {
            return Err(Ended::ConnectFailed);
        }
        server.failed(Fault::Connect, worker.now());
        tried.extend(group.place_of(&server));
        if flow.tries as usize >= TRIES.min(group.servers.len()) {
            return Err(match why {
                Why::ConnectTimeout => Ended::ConnectTimeout,
                _ => Ended::ConnectFailed,
            });
        }
    }
}
