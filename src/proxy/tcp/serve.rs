//! The way of one connection: what stands before it, a backend, and octets in both directions.

use std::rc::Rc;
use std::sync::Arc;

use tokio::net::TcpStream;

use crate::health::backend::Fault;
use crate::ids::{ListenerId, UpstreamId};
use crate::proxy::backend::Permit;
use crate::proxy::backend::queue::Wanted;
use crate::proxy::connection::{self, Held};
use crate::proxy::io::Io;
use crate::proxy::message::Peer;
use crate::proxy::pick::{Ask, NoPick, Picked};
use crate::proxy::session::Bond;
use crate::proxy::tier::Tier;
use crate::proxy::upstream::Why;
use crate::proxy::upstream::connect::{Bare, Way, connect};
use crate::proxy::worker::Worker;
use crate::traffic::algorithm::hash_address;
use crate::traffic::{Protocol, TcpTimeouts};

use super::enter::{Entered, enter};
use super::flow::{Ended, Flow};
use super::relay::relay;
use super::sealed;

/// Backends that are tried for one connection, at most.
const TRIES: usize = 3;

/// Two sides that were brought together.
struct Joined {
    client: Io,
    backend: Io,
    permit: Permit,
    timeouts: TcpTimeouts,
}

/// What became of a connection on its way to a backend.
enum Gone {
    /// It has one.
    Joined(Joined),
    /// Another listener gets it.
    Handed(Arc<Tier>, TcpStream, Peer, ListenerId),
}

/// Serves an accepted connection until it ends.
pub async fn serve(worker: Rc<Worker>, tier: Arc<Tier>, tcp: TcpStream, peer: Peer, held: Held) {
    let name = &tier.plan.listeners[peer.listener.index()].name;
    let mut flow = Flow::new(name, &peer, worker.now());
    flow.watch(&worker, &tier, &peer);
    // The plan is let go before octets move: a connection may outlive many.
    let handed = held.is_handed();
    let joined = Box::pin(join(&worker, tier, tcp, (peer, handed), &mut flow)).await;
    let mut taken_over = None;
    flow.ended = match joined {
        Ok(Gone::Joined(joined)) => carry(&worker, joined, &mut flow).await,
        Ok(Gone::Handed(tier, tcp, peer, to)) => {
            taken_over = Some((tier, tcp, peer, to));
            Ended::HandedOver
        }
        Err(ended) => ended,
    };
    drop(held);
    flow.finish(&worker);
    if let Some((tier, tcp, peer, to)) = taken_over {
        connection::take_over(&worker, tier, to, tcp, peer);
    }
}

/// Brings the client together with a backend.
async fn join(
    worker: &Rc<Worker>,
    tier: Arc<Tier>,
    tcp: TcpStream,
    (mut peer, handed): (Peer, bool),
    flow: &mut Flow,
) -> Result<Gone, Ended> {
    let listener = &tier.plan.listeners[peer.listener.index()];
    let Protocol::Tcp(rules) = &listener.protocol else {
        return Err(Ended::TurnedAway);
    };
    let entered = enter(worker, &tier, rules, tcp, (&mut peer, handed), flow).await?;
    let (client, id) = match entered {
        Entered::Upstream(client, id) => (client, id),
        Entered::Listener(tcp, to) => return Ok(Gone::Handed(tier, tcp, peer, to)),
    };
    flow.upstream = Some(tier.plan.upstreams[id.index()].name.clone());
    let alpn = match &client {
        Io::Tls(tls) => tls.get_ref().1.alpn_protocol().map(Vec::from),
        _ => None,
    };
    let (permit, backend) = reach(worker, &tier, id, (&peer, alpn.as_deref()), flow).await?;
    Ok(Gone::Joined(Joined {
        client,
        backend,
        permit,
        timeouts: rules.timeouts,
    }))
}

/// Moves octets until both sides have ended.
async fn carry(worker: &Worker, joined: Joined, flow: &mut Flow) -> Ended {
    let timeouts = joined.timeouts;
    let server = joined.permit.backend();
    match (joined.client, joined.backend) {
        (Io::Tcp(client), Io::Tcp(backend)) => {
            relay(worker, client, backend, server, &timeouts, flow).await
        }
        // Boxed: the room it needs is not that of a connection without TLS.
        (client, backend) => {
            Box::pin(sealed::relay(
                worker, client, backend, server, &timeouts, flow,
            ))
            .await
        }
    }
}

/// A place at a backend, and a connection to it.
async fn reach(
    worker: &Rc<Worker>,
    tier: &Arc<Tier>,
    id: UpstreamId,
    (peer, alpn): (&Peer, Option<&[u8]>),
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
        let (permit, placed) = match at_once {
            Some(permit) => (permit, now),
            None => {
                let waited = group.state.wait(wanted, &group.servers).await;
                (waited.map_err(|_| Ended::QueueFull)?, worker.now())
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
            bare: Some(Bare {
                sni: flow.sni.as_deref(),
                alpn,
            }),
        };
        let why = match connect(worker, &way).await {
            Ok(io) => {
                flow.connected(placed, worker.now());
                return Ok((permit, io));
            }
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
