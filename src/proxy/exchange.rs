//! One exchange, step by step: the same for every version of HTTP.

use std::rc::Rc;
use std::sync::Arc;

use bytes::BytesMut;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::ids::UpstreamId;
use crate::message::{Known, RequestHead};
use crate::net::proxy_v2::Endpoints;
use crate::traffic::{Action, Caller, Upstream};

use super::answers::{self, Failure};
use super::body::Body;
use super::io::Io;
use super::message::{Peer, Request, Response};
use super::proxy_protocol;
use super::record::Record;
use super::stats::count;
use super::tier::{Group, Server, Tier};
use super::tls::UpstreamTls;
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
            tell_client(&mut request.head, tier, peer);
            forward(worker, tier, *upstream, peer, &mut request).await
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
    peer: &Peer,
    request: &mut Request,
) -> Result<Response, Failure> {
    let (upstream, group) = tier.upstream(id);
    let mut tries = 0;
    loop {
        tries += 1;
        let server = choose(worker, group).ok_or(Failure::NoBackend)?.clone();
        let body = std::mem::take(&mut request.body);
        let lease = Lease::new(server.clone());
        let way = Way {
            upstream,
            tls: group.tls.as_deref(),
            server: &server,
            peer,
        };
        match attempt(worker, &way, request, body, lease, tries > 1).await {
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

/// The way to a server.
struct Way<'a> {
    upstream: &'a Upstream,
    tls: Option<&'a UpstreamTls>,
    server: &'a Arc<Server>,
    /// Whom a connection is for, where its server is told.
    peer: &'a Peer,
}

async fn attempt(
    worker: &Rc<Worker>,
    way: &Way<'_>,
    request: &Request,
    body: Body,
    lease: Lease,
    fresh: bool,
) -> Result<Response, NotAnswered> {
    let order = Order {
        worker,
        head: &request.head,
        upgrade: request.upgrade.as_deref(),
        timeouts: &way.upstream.timeouts,
    };
    let kept = if fresh {
        None
    } else if way.upstream.proxy_protocol.is_some() {
        let now = worker.watches.coarse();
        worker.pool.take_owned(way.server.id, way.peer.number, now)
    } else {
        worker.pool.take(way.server.id, worker.watches.coarse())
    };
    let line = match kept {
        Some(line) => {
            count(&worker.stats.reuses);
            line
        }
        None => match connect(worker, way).await {
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
async fn connect(worker: &Rc<Worker>, way: &Way<'_>) -> Result<Line, Why> {
    count(&worker.stats.connects);
    let watch = Watch::new(&worker.watches);
    watch.set(way.upstream.timeouts.connect);
    let connected = watch.bound(TcpStream::connect(way.server.address)).await;
    let tcp = connected
        .ok_or(Why::ConnectTimeout)?
        .map_err(|_| Why::Refused)?;
    // Small writes are whole messages here.
    let _ = tcp.set_nodelay(true);
    let is_told = way.upstream.proxy_protocol.is_some();
    let io = if is_told || way.tls.is_some() {
        let secured = Box::pin(watch.bound(secure(tcp, way))).await;
        secured.ok_or(Why::ConnectTimeout)??
    } else {
        Io::Tcp(tcp)
    };
    Ok(Line {
        io,
        inbox: BytesMut::new(),
        used: false,
        owner: if is_told { way.peer.number } else { 0 },
    })
}

/// What stands before HTTP on a connection to a backend: the PROXY protocol, then TLS.
async fn secure(mut tcp: TcpStream, way: &Way<'_>) -> Result<Io, Why> {
    if let Some(version) = way.upstream.proxy_protocol {
        let said = Endpoints {
            source: way.peer.source,
            destination: way.peer.local,
        };
        let header = proxy_protocol::header(version, Some(&said), way.peer.tls.as_deref());
        tcp.write_all(&header).await.map_err(|_| Why::Closed)?;
    }
    let Some(tls) = way.tls else {
        return Ok(Io::Tcp(tcp));
    };
    let address = way.server.address;
    match tls.connect(tcp, address.ip()).await {
        Ok(stream) => Ok(Io::Tls(Box::new(stream.into()))),
        Err(error) => {
            let (upstream, server) = (&way.upstream.name, &way.server.name);
            tracing::debug!(%upstream, %server, %address, "no TLS handshake: {error}");
            Err(Why::Tls)
        }
    }
}

/// Tells the backend the subject of the client's certificate, where its listener says so. What clients
/// send in such a field is removed, whatever listener they come by.
fn tell_client(head: &mut RequestHead, tier: &Tier, peer: &Peer) {
    for name in &tier.reserved {
        head.fields.remove_named(name);
    }
    let listener = &tier.plan.listeners[peer.listener.index()];
    let Some(tls) = &listener.tls else {
        return;
    };
    if let Some(name) = tls.client.as_ref().and_then(|c| c.subject_header.as_ref())
        && let Some(subject) = peer.tls.as_ref().and_then(|t| t.client_subject.as_ref())
    {
        head.fields.set_named(name, subject.as_bytes());
    }
}
