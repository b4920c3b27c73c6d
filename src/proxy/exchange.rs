//! One exchange, step by step: the same for every version of HTTP.

use std::rc::Rc;
use std::sync::Arc;

use crate::ids::UpstreamId;
use crate::message::{Known, RequestHead};
use crate::traffic::{Action, Caller, Upstream};

use super::answers::{self, Failure};
use super::body::Body;
use super::message::{Peer, Request, Response, Told};
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
            forwarded(&mut request.head, peer);
            tell_client(&mut request.head, tier, peer);
            if tier.upstream(*upstream).0.proxy_protocol.is_some() {
                request.told = Some(Box::new(Told::of(peer)));
            }
            forward(worker, tier, *upstream, &mut request).await
        }
    };
    worker.reuse_request(request.head);
    response
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

/// Tells the backend the subject of the client's certificate, where its listener says so. What clients
/// send in such a field is removed, whatever listener they come by.
fn tell_client(head: &mut RequestHead, tier: &Tier, peer: &Peer) {
    for name in &tier.reserved {
        head.fields.remove_named(name);
    }
    let Some(tls) = &tier.plan.listeners[peer.listener.index()].tls else {
        return;
    };
    if let Some(name) = tls.client.as_ref().and_then(|c| c.subject_header.as_ref())
        && let Some(subject) = peer.tls.as_ref().and_then(|t| t.client_subject.as_ref())
    {
        head.fields.set_named(name, subject.as_bytes());
    }
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
        let told = request.told.as_deref();
        return attempt_h2(&order, upstream, server, (told, fresh), body, lease).await;
    }
    let told = request.told.as_deref();
    let owner = told.map_or(0, |t| t.owner);
    let kept = if fresh {
        None
    } else {
        worker.pool.take(server.id, owner, worker.watches.coarse())
    };
    let line = match kept {
        Some(line) => {
            count(&worker.stats.reuses);
            line
        }
        None => match connect(worker, upstream, server, told).await {
            Ok(io) => Line::new(io, owner),
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
    (told, fresh): (Option<&Told>, bool),
    body: Body,
    lease: Lease,
) -> Result<Response, NotAnswered> {
    let place = (server.id, told.map_or(0, |t| t.owner));
    let kept = if fresh {
        None
    } else {
        order.worker.shared.get(place)
    };
    let opened = match kept {
        Some(sender) => {
            count(&order.worker.stats.reuses);
            Ok(sender)
        }
        None => match connect(order.worker, upstream, server, told).await {
            Ok(io) => h2::open(order, place, io).await,
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
