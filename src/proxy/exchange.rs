//! One exchange, step by step: the same for every version of HTTP.

use std::rc::Rc;
use std::sync::Arc;

use bytes::BytesMut;
use tokio::net::TcpStream;

use crate::ids::UpstreamId;
use crate::message::{Known, RequestHead};
use crate::traffic::{Action, Caller, Upstream};

use super::answers::{self, Failure};
use super::body::Body;
use super::io::Io;
use super::message::{Peer, Request, Response};
use super::record::Record;
use super::stats::count;
use super::tier::{Group, Server, Tier};
use super::upstream::h1::{self, Order};
use super::upstream::lease::Lease;
use super::upstream::pool::Line;
use super::upstream::{NotAnswered, Why};
use super::watch::Watch;
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
            Ok(line) => line,
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

/// A new connection to a backend.
async fn connect(
    worker: &Rc<Worker>,
    upstream: &Upstream,
    server: &Arc<Server>,
) -> Result<Line, Why> {
    count(&worker.stats.connects);
    let watch = Watch::new(&worker.watches);
    watch.set(upstream.timeouts.connect);
    let connected = watch.bound(TcpStream::connect(server.address)).await;
    let tcp = connected
        .ok_or(Why::ConnectTimeout)?
        .map_err(|_| Why::Refused)?;
    // Small writes are whole messages here.
    let _ = tcp.set_nodelay(true);
    Ok(Line {
        io: Io::Tcp(tcp),
        inbox: BytesMut::new(),
        used: false,
    })
}
