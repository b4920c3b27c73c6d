//! The way of one connection: what stands before it, a backend, and octets in both directions.

use std::rc::Rc;
use std::sync::Arc;

use tokio::io::Interest;
use tokio::net::TcpStream;

use crate::ids::ListenerId;
use crate::proxy::connection::{self, Held};
use crate::proxy::io::Io;
use crate::proxy::message::Peer;
use crate::proxy::tier::Tier;
use crate::proxy::worker::Worker;
use crate::traffic::{Protocol, TcpTimeouts};

use super::enter::{Entered, enter};
use super::flow::{Ended, Flow};
use super::reach::{Reached, reach};
use super::refuse;
use super::relay::relay;
use super::sealed;

/// Two sides that were brought together.
struct Joined {
    client: Io,
    backend: Reached,
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
pub async fn serve(
    worker: Rc<Worker>,
    tier: Arc<Tier>,
    tcp: TcpStream,
    peer: Peer,
    mut held: Held,
) {
    let name = &tier.plan.listeners[peer.listener.index()].name;
    let mut flow = Flow::new(name, &peer, worker.now());
    flow.watch(&worker, &tier, &peer);
    // The plan is let go before octets move: a connection may outlive many.
    let joined = Box::pin(join(&worker, tier, tcp, (peer, &mut held), &mut flow)).await;
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
    (mut peer, held): (Peer, &mut Held),
    flow: &mut Flow,
) -> Result<Gone, Ended> {
    let listener = &tier.plan.listeners[peer.listener.index()];
    let Protocol::Tcp(rules) = &listener.protocol else {
        return Err(Ended::TurnedAway);
    };
    let entered = enter(worker, &tier, rules, tcp, (&mut peer, held), flow).await?;
    let (client, id) = match entered {
        Entered::Upstream(client, id) => (client, id),
        Entered::Listener(tcp, to) => return Ok(Gone::Handed(tier, tcp, peer, to)),
    };
    flow.upstream = Some(tier.plan.upstreams[id.index()].name.clone());
    let alpn = match &client {
        Io::Tls(tls) => tls.get_ref().1.alpn_protocol().map(Vec::from),
        _ => None,
    };
    let reaching = reach(worker, &tier, id, (&peer, alpn.as_deref()), flow);
    let reached = tokio::select! {
        biased;
        reached = reaching => reached,
        // Who has gone leaves its place in the queue to others.
        () = broken(&client) => Err(Ended::ClientReset),
    };
    let backend = match reached {
        Ok(reached) => reached,
        Err(ended) => {
            refuse::show(rules.refusal, &client);
            return Err(ended);
        }
    };
    Ok(Gone::Joined(Joined {
        client,
        backend,
        timeouts: rules.timeouts,
    }))
}

/// Waits until the client has broken off. That it has ended its direction says nothing: it may wait for an
/// answer.
async fn broken(client: &Io) {
    match client.tcp() {
        Some(tcp) => {
            let _ = tcp.ready(Interest::ERROR).await;
        }
        None => std::future::pending().await,
    }
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
    let server = permit.backend();
    let ended = match (joined.client, io) {
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
    };
    trial.end(flow, ended, || worker.now());
    // Counted for the upstream until here.
    drop(admitted);
    ended
}
