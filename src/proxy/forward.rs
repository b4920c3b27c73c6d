//! Having a backend answer: choosing one, asking it, and asking another when that is safe.

use std::rc::Rc;
use std::sync::{Arc, PoisonError};

use crate::ids::UpstreamId;
use crate::traffic::Algorithm;

use super::answers::Failure;
use super::body::Body;
use super::chooser::Chooser;
use super::message::{Peer, Request, Response};
use super::pick::{Ask, Picked};
use super::record::Record;
use super::session::Bond;
use super::stats::count;
use super::tier::{Group, Tier};
use super::upstream::NotAnswered;
use super::upstream::connect::{Way, connect};
use super::upstream::h1::{self, Order};
use super::upstream::h2;
use super::upstream::lease::Lease;
use super::upstream::pool::Line;
use super::worker::Worker;

/// Has a backend of the upstream answer.
///
/// # Errors
/// Why none did.
pub async fn forward(
    worker: &Rc<Worker>,
    tier: &Arc<Tier>,
    id: UpstreamId,
    peer: &Peer,
    request: &mut Request,
    record: &mut Record,
) -> Result<Response, Failure> {
    record.upstream = Some(id);
    let (upstream, group) = tier.upstream(id);
    let chooser = &tier.choosers[id.index()];
    let client = record.client.unwrap_or_else(|| peer.ip());
    let sessions = chooser.sessions.as_ref();
    let now = worker.watches.coarse();
    let mut seat = Seat {
        bond: sessions.map_or_else(Bond::default, |s| s.claim(&request.head, client, now)),
        hash: chooser.picker.hash(&request.head, client),
        tried: Vec::new(),
    };
    if let Some(sessions) = sessions {
        sessions.send(&mut request.head);
    }
    let mut tries = 0;
    loop {
        tries += 1;
        let place = choose(worker, id, chooser, &mut seat, group)?;
        let server = group.servers[place].clone();
        record.tries = tries;
        record.server = Some(server.clone());
        let chosen = worker.now();
        record.queue = Some(chosen.since(record.began()));
        let body = std::mem::take(&mut request.body);
        let lease = Lease::new(server.clone());
        let way = Way {
            upstream,
            tls: group.tls.as_deref(),
            server: &server,
            peer,
        };
        match attempt(worker, &way, request, body, lease, tries > 1).await {
            Ok(mut response) => {
                let now = worker.now();
                record.first_byte = Some(now.since(chosen));
                if upstream.algorithm == Algorithm::LeastTime {
                    let mut ewma = server.ewma.lock().unwrap_or_else(PoisonError::into_inner);
                    ewma.add(now.since(chosen), now);
                }
                if let Some(sessions) = sessions {
                    let scheme = request.head.scheme;
                    sessions.answer(&seat.bond, &mut response.head, scheme, now);
                }
                return Ok(response);
            }
            Err(failed) => {
                let again = tries < 3 && !failed.sent;
                match failed.body {
                    Some(body) if again => request.body = body,
                    _ => return Err(failed.why.into()),
                }
                seat.tried.push(place);
            }
        }
    }
}

/// What the choices for one request depend on.
struct Seat {
    bond: Bond,
    hash: u64,
    /// Places of backends that failed it.
    tried: Vec<usize>,
}

/// The place of the backend that gets the request.
fn choose(
    worker: &Worker,
    id: UpstreamId,
    chooser: &Chooser,
    seat: &mut Seat,
    group: &Group,
) -> Result<usize, Failure> {
    let ask = Ask {
        now: worker.watches.coarse(),
        random: worker.random(),
        hash: seat.hash,
        tried: &seat.tried,
    };
    let bond = &mut seat.bond;
    let picked = worker.turns.with(id, &chooser.picker, |turns| {
        chooser.choose(bond, turns, &group.servers, &ask)
    });
    picked.map(Picked::place).map_err(|_| Failure::NoBackend)
}

async fn attempt(
    worker: &Rc<Worker>,
    way: &Way<'_>,
    request: &Request,
    body: Body,
    lease: Lease,
    fresh: bool,
) -> Result<Response, NotAnswered> {
    let total = way.upstream.timeouts.total;
    let order = Order {
        worker,
        head: &request.head,
        upgrade: request.upgrade.as_deref(),
        timeouts: &way.upstream.timeouts,
        until: total.map(|t| worker.watches.coarse() + t),
        interim: request.interim.as_ref(),
    };
    if way.upstream.http2 {
        return attempt_h2(&order, way, body, lease, fresh).await;
    }
    let now = worker.watches.coarse();
    let kept = if fresh {
        None
    } else if way.is_told() {
        worker.pool.take_owned(way.server.id, way.peer.number, now)
    } else {
        worker.pool.take(way.server.id, now)
    };
    let line = match kept {
        Some(line) => {
            count(&worker.stats.reuses);
            line
        }
        None => match connect(worker, way).await {
            Ok(io) => Line::new(io, if way.is_told() { way.peer.number } else { 0 }),
            Err(why) => {
                return Err(NotAnswered {
                    why,
                    sent: false,
                    body: Some(body),
                });
            }
        },
    };
    h1::send(&order, line, body, lease).await
}

async fn attempt_h2(
    order: &Order<'_>,
    way: &Way<'_>,
    body: Body,
    lease: Lease,
    fresh: bool,
) -> Result<Response, NotAnswered> {
    // A connection that begins with one client's address carries nobody else's requests.
    let shared = !way.is_told();
    let kept = if fresh || !shared {
        None
    } else {
        order.worker.shared.get(way.server.id)
    };
    let opened = match kept {
        Some(sender) => {
            count(&order.worker.stats.reuses);
            Ok(sender)
        }
        None => match connect(order.worker, way).await {
            Ok(io) => h2::open(order, way.server.id, io, shared).await,
            Err(why) => Err(why),
        },
    };
    match opened {
        Ok(sender) => h2::send(order, sender, body, lease).await,
        Err(why) => Err(NotAnswered {
            why,
            sent: false,
            body: Some(body),
        }),
    }
}
