//! One exchange, step by step: the same for every version of HTTP.

use std::rc::Rc;
use std::sync::Arc;

use crate::message::{Known, RequestHead};
use crate::traffic::{Action, Caller};

use super::actions;
use super::answers::{self, Failure};
use super::forward::forward;
use super::message::{Peer, Request, Response};
use super::mirror;
use super::record::Record;
use super::tier::Tier;
use super::waf;
use super::worker::Worker;

/// Answers a request. Never fails: what goes wrong is an answer too, and `record` says what it was.
pub async fn run(
    worker: &Rc<Worker>,
    tier: &Arc<Tier>,
    peer: &Peer,
    request: Request,
    record: &mut Record,
) -> Response {
    let grpc = answers::is_grpc(&request.head);
    match answer(worker, tier, peer, request, record).await {
        Ok(response) => response,
        Err(failure) => {
            record.failed(failure);
            let mut response = answers::failure(failure);
            if grpc {
                answers::into_grpc(&mut response);
            }
            response
        }
    }
}

async fn answer(
    worker: &Rc<Worker>,
    tier: &Arc<Tier>,
    peer: &Peer,
    mut request: Request,
    record: &mut Record,
) -> Result<Response, Failure> {
    let caller = Caller {
        listener: peer.listener,
        client: peer.ip(),
    };
    let routes = &tier.plan.routes;
    let as_sent = actions::settle(&mut request.head.target, &routes.paths)?;
    let route = routes.find(&request.head, caller);
    record.route = route;
    let route = route.ok_or(Failure::NoRoute)?;
    let route = &routes.list[route.index()];
    if let Some(rules) = route.waf.and_then(|waf| tier.plan.waf.get(waf)) {
        waf::inspect(worker, rules, &route.name, caller.client, &mut request).await?;
    }
    if let Some(rewrite) = &route.rewrite {
        let target = &mut request.head.target;
        rewrite.apply(target, &routes.paths).map_err(Failure::Path)?;
    }
    let upstream = match &route.action {
        Action::Forward(upstream) => *upstream,
        Action::Split(split) => split.pick(&request.head, caller.client, worker.random()),
        _ => {
            let response = actions::own(tier, route, peer, &request.head);
            worker.reuse_request(request.head);
            return response;
        }
    };
    if let (Some(target), None) = (as_sent, &route.rewrite) {
        request.head.target = target;
    }
    forwarded(&mut request.head, peer);
    tell_client(&mut request.head, tier, peer);
    if let Some(to) = route.mirror.as_ref().filter(|m| m.takes(worker.random())) {
        mirror::mirror(worker, tier, to.upstream, peer, &mut request);
    }
    let response = forward(worker, tier, upstream, peer, &mut request, record).await;
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
