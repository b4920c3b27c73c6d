//! One exchange, step by step: the same for every version of HTTP.

use std::rc::Rc;
use std::sync::Arc;

use crate::message::RequestHead;
use crate::traffic::{Action, Caller};

use super::actions;
use super::answers::{self, Failure};
use super::cached::Way;
use super::features::{self, Leaving, Visit};
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
    mut request: Request,
    record: &mut Record,
) -> Response {
    let grpc = answers::is_grpc(&request.head);
    let listener = &tier.plan.listeners[peer.listener.index()];
    tell_client(&mut request.head, tier, peer);
    let mut visit = features::arrive(worker, listener, peer, &mut request.head, record);
    let answered = answer(worker, tier, peer, &mut request, &mut visit, record).await;
    let own = answered.is_err();
    let mut response = answered.unwrap_or_else(|failure| {
        record.failed(failure);
        let mut response = answers::failure(failure);
        if grpc {
            answers::into_grpc(&mut response);
        }
        response
    });
    let exchange = Leaving {
        worker,
        tier,
        peer,
        head: &request.head,
        upstream: record.upstream,
        server: record.server.as_deref(),
        own: own && !grpc,
    };
    features::leave(&exchange, &mut visit, &mut response);
    worker.reuse_request(request.head);
    response
}

async fn answer(
    worker: &Rc<Worker>,
    tier: &Arc<Tier>,
    peer: &Peer,
    request: &mut Request,
    visit: &mut Visit,
    record: &mut Record,
) -> Result<Response, Failure> {
    let listener = &tier.plan.listeners[peer.listener.index()];
    if let Some(elsewhere) = features::secure(listener, &request.head) {
        return elsewhere;
    }
    let caller = Caller {
        listener: peer.listener,
        client: visit.address().ip(),
    };
    let routes = &tier.plan.routes;
    let as_sent = actions::settle(&mut request.head.target, &routes.paths)?;
    let id = routes.find(&request.head, caller);
    record.route = id;
    visit.route = id;
    // Also of what no route takes: looking for doors counts as knocking.
    features::guard(worker, tier, listener, &request.head, visit)?;
    let id = id.ok_or(Failure::NoRoute)?;
    let route = &routes.list[id.index()];
    if let Some(rules) = route.waf.and_then(|waf| tier.plan.waf.get(waf)) {
        let inspected = waf::inspect(worker, rules, &route.name, caller.client, request);
        Box::pin(inspected).await?;
    }
    if let Some(auth) = visit.features(&tier.plan).and_then(|f| f.auth) {
        let asked = features::ask(worker, tier, peer, request, visit, record, auth);
        if let Some(refusal) = Box::pin(asked).await? {
            return Ok(refusal);
        }
    }
    if let Some(rewrite) = &route.rewrite {
        let target = &mut request.head.target;
        rewrite
            .apply(target, &routes.paths)
            .map_err(Failure::Path)?;
    }
    let upstream = match &route.action {
        Action::Forward(upstream) => *upstream,
        Action::Split(split) => split.pick(&request.head, caller.client, worker.random()),
        _ => return actions::own(route, &visit.facts(&tier.plan, peer, &request.head)),
    };
    if let (Some(target), None) = (as_sent, &route.rewrite) {
        request.head.target = target;
    }
    features::outgoing(worker, tier, peer, &mut request.head, visit);
    if let Some(to) = route.mirror.as_ref().filter(|m| m.takes(worker.random())) {
        mirror::mirror(worker, tier, to.upstream, peer, request);
    }
    let way = Way {
        worker,
        tier,
        peer,
        route,
        upstream,
    };
    way.answer(request, record).await
}

/// Tells the subject of the client's certificate, where its listener says so, to whatever looks at the
/// request: routes, rules, authorisations, backends. What clients send in such a field is removed, whatever
/// listener they come by, and also what a server may take for it.
fn tell_client(head: &mut RequestHead, tier: &Tier, peer: &Peer) {
    for name in &tier.reserved {
        head.fields.remove_named(name);
        head.fields.remove_lookalikes(|n| name.as_bytes() == n);
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
