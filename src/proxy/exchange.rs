//! One exchange, step by step: the same for every version of HTTP.

use std::rc::Rc;
use std::sync::Arc;

use crate::ids::UpstreamId;
use crate::traffic::{Action, Caller, Upstream};

use super::answers::{self, Failure};
use super::body::Body;
use super::features::{self, Visit};
use super::message::{Peer, Request, Response};
use super::record::Record;
use super::stats::count;
use super::tier::{Group, Server, Tier};
use super::upstream::NotAnswered;
use super::upstream::connect::connect;
use super::upstream::h1::{self, Order};
use super::upstream::h2;
use super::upstream::lease::Lease;
use super::upstream::pool::Line;
use super::worker::Worker;

/// Answers a request. Never fails: what goes wrong is an answer too, and `record` says what it was.
pub async fn run(
    worker: &Rc<Worker>,
    tier: &Arc<Tier>,
    peer: &Peer,
    mut request: Request,
    record: &mut Record,
) -> Response {
    let listener = &tier.plan.listeners[peer.listener.index()];
    let mut visit = features::arrive(worker, listener, peer, &mut request.head);
    let answered = answer(worker, tier, peer, &mut request, &mut visit).await;
    let own = answered.is_err();
    let mut response = answered.unwrap_or_else(|failure| {
        record.failed(failure);
        answers::failure(failure)
    });
    features::leave(
        worker,
        tier,
        peer,
        &request.head,
        &mut visit,
        own,
        &mut response,
    );
    worker.reuse_request(request.head);
    response
}

async fn answer(
    worker: &Rc<Worker>,
    tier: &Arc<Tier>,
    peer: &Peer,
    request: &mut Request,
    visit: &mut Visit,
) -> Result<Response, Failure> {
    let listener = &tier.plan.listeners[peer.listener.index()];
    if let Some(elsewhere) = features::secure(listener, &request.head) {
        return elsewhere;
    }
    let caller = Caller {
        listener: peer.listener,
        client: visit.address().ip(),
    };
    let route = tier.plan.routes.find(&request.head, caller);
    let route = route.ok_or(Failure::NoRoute)?;
    visit.route = Some(route);
    features::guard(worker, tier, listener, &request.head, visit)?;
    if let Some(auth) = visit.features(&tier.plan).and_then(|f| f.auth)
        && let Some(refusal) = features::ask(worker, tier, peer, request, visit, auth).await?
    {
        return Ok(refusal);
    }
    match &tier.plan.routes.list[route.index()].action {
        Action::Forward(upstream) => {
            features::outgoing(worker, tier, peer, &mut request.head, visit);
            forward(worker, tier, *upstream, request).await
        }
    }
}

/// Has a backend answer.
pub(super) async fn forward(
    worker: &Rc<Worker>,
    tier: &Arc<Tier>,
    id: UpstreamId,
    request: &mut Request,
) -> Result<Response, Failure> {
    let (upstream, group) = tier.upstream(id);
    let mut tries = 0;
    loop {
        tries += 1;
        let server = choose(worker, group).ok_or(Failure::NoBackend)?.clone();
        let body = std::mem::take(&mut request.body);
        let lease = Lease::new(server.clone());
        match attempt(worker, upstream, &server, request, body, lease, tries > 1).await {
            Ok(response) => return Ok(response),
            Err(failed) => {
                let again = tries < 3 && !failed.sent;
                match failed.body {
                    Some(body) if again => request.body = body,
                    _ => return Err(failed.why.into()),
                }
            }
        }
    }
}

fn choose<'t>(worker: &Worker, group: &'t Group) -> Option<&'t Arc<Server>> {
    let at = worker.random() as usize % group.servers.len().max(1);
    group.servers.get(at)
}

async fn attempt(
    worker: &Rc<Worker>,
    upstream: &Upstream,
    server: &Arc<Server>,
    request: &Request,
    body: Body,
    lease: Lease,
    fresh: bool,
) -> Result<Response, NotAnswered> {
    let order = Order {
        worker,
        head: &request.head,
        upgrade: request.upgrade.as_deref(),
        timeouts: &upstream.timeouts,
    };
    if upstream.http2 {
        return attempt_h2(&order, upstream, server, body, lease, fresh).await;
    }
    let kept = if fresh {
        None
    } else {
        worker.pool.take(server.id, worker.watches.coarse())
    };
    let line = match kept {
        Some(line) => {
            count(&worker.stats.reuses);
            line
        }
        None => match connect(worker, upstream, server).await {
            Ok(io) => Line::new(io),
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
    upstream: &Upstream,
    server: &Arc<Server>,
    body: Body,
    lease: Lease,
    fresh: bool,
) -> Result<Response, NotAnswered> {
    let kept = if fresh {
        None
    } else {
        order.worker.shared.get(server.id)
    };
    let opened = match kept {
        Some(sender) => {
            count(&order.worker.stats.reuses);
            Ok(sender)
        }
        None => match connect(order.worker, upstream, server).await {
            Ok(io) => h2::open(order, server.id, io).await,
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
