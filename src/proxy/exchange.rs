//! One exchange, step by step: the same for every version of HTTP.

use std::rc::Rc;
use std::sync::Arc;

use tokio::task::spawn_local;

use crate::ids::UpstreamId;
use crate::message::{Known, Method, RequestHead};
use crate::traffic::{Action, Caller, Compression, Route, Upstream};

use super::answers::{self, Failure};
use super::body::Body;
use super::cache::{self, Looked, Ticket};
use super::compress;
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
    request: Request,
    record: &mut Record,
) -> Response {
    match answer(worker, tier, peer, request).await {
        Ok(response) => response,
        Err(failure) => {
            record.failed(failure);
            answers::failure(failure)
        }
    }
}

async fn answer(
    worker: &Rc<Worker>,
    tier: &Arc<Tier>,
    peer: &Peer,
    mut request: Request,
) -> Result<Response, Failure> {
    let caller = Caller {
        listener: peer.listener,
        client: peer.ip(),
    };
    let route = tier.plan.routes.find(&request.head, caller);
    let route = route.ok_or(Failure::NoRoute)?;
    let route = &tier.plan.routes.list[route.index()];
    let response = match &route.action {
        Action::Forward(upstream) => {
            let own = route.compression.as_ref();
            let compression = own.or_else(|| {
                let listener = &tier.plan.listeners[peer.listener.index()];
                listener.compression.as_ref()
            });
            if route.cache.is_some() || compression.is_some() {
                let place = Place {
                    worker,
                    tier,
                    peer,
                    route,
                    upstream: *upstream,
                    compression,
                };
                // Boxed: routes without a cache do not pay for its room.
                Box::pin(cached(&place, &mut request)).await
            } else {
                forwarded(&mut request.head, peer);
                forward(worker, tier, *upstream, &mut request).await
            }
        }
    };
    worker.reuse_request(request.head);
    response
}

/// Where a request is on its way.
struct Place<'a> {
    worker: &'a Rc<Worker>,
    tier: &'a Arc<Tier>,
    peer: &'a Peer,
    route: &'a Route,
    upstream: UpstreamId,
    compression: Option<&'a Compression>,
}

/// Has the cache answer, or a backend by way of it; compresses what is to be compressed.
async fn cached(at: &Place<'_>, request: &mut Request) -> Result<Response, Failure> {
    let coding = at.compression.and_then(|c| c.choose(&request.head.fields));
    let Some(cache) = at.route.cache else {
        let is_head = request.head.method == Method::Head;
        let mut response = at.forward(request).await?;
        if let Some(rules) = at.compression {
            compress::apply(rules, is_head, coding, &mut response);
        }
        return Ok(response);
    };
    let cache = at.tier.cache(cache);
    match cache::look(at.worker, cache, &at.route.name, coding, request).await {
        Looked::Answer(response) => Ok(response),
        Looked::Refresh(response, ticket) => {
            refresh(at, ticket);
            Ok(response)
        }
        Looked::Ask(ticket) => {
            ticket.prepare(&mut request.head);
            let result = at.forward(request).await;
            ticket.settle(at.worker, at.compression, result)
        }
    }
}

/// Fetches an object anew beside its exchange.
fn refresh(at: &Place<'_>, ticket: Ticket) {
    let (worker, tier, peer) = (at.worker.clone(), at.tier.clone(), at.peer.clone());
    let (upstream, compression) = (at.upstream, at.compression.cloned());
    let mut request = Request {
        head: Box::new(ticket.request().clone()),
        body: Body::Empty,
        upgrade: None,
    };
    spawn_local(async move {
        ticket.prepare(&mut request.head);
        forwarded(&mut request.head, &peer);
        let result = forward(&worker, &tier, upstream, &mut request).await;
        ticket
            .settle_alone(&worker, compression.as_ref(), result)
            .await;
    });
}

impl Place<'_> {
    async fn forward(&self, request: &mut Request) -> Result<Response, Failure> {
        forwarded(&mut request.head, self.peer);
        forward(self.worker, self.tier, self.upstream, request).await
    }
}

/// Tells the backend who asks.
fn forwarded(head: &mut RequestHead, peer: &Peer) {
    use std::io::Write;
    let mut text = [0_u8; 64];
    let mut left = &mut text[..];
    // An address is shorter than 64 octets.
    let _ = write!(left, "{}", peer.ip());
    let used = 64 - left.len();
    head.fields.push_known(Known::XForwardedFor, &text[..used]);
    let scheme = head.scheme.as_str();
    head.fields.set(Known::XForwardedProto, scheme.as_bytes());
}

/// Has a backend answer.
async fn forward(
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
