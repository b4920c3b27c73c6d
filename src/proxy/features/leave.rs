//! What becomes of a response before it is sent to the client.

use crate::message::{Known, RequestHead, ResponseHead, Scheme, Version};
use crate::proxy::body::Body;
use crate::proxy::message::{Peer, Response};
use crate::proxy::tier::Tier;
use crate::proxy::worker::Worker;
use crate::traffic::Features;
use crate::traffic::guards::write_rate_fields;
use crate::traffic::pages::{self, ErrorPages};

use super::held::held;
use super::paced::paced;
use super::visit::{Paper, Visit};

/// Fields that speak of the body of a response.
const OF_BODY: [Known; 7] = [
    Known::AcceptRanges,
    Known::ContentEncoding,
    Known::ContentLength,
    Known::ContentRange,
    Known::ContentType,
    Known::ETag,
    Known::LastModified,
];

/// Finishes a response. `own`: the proxy made it, because something went wrong.
#[inline]
pub fn leave(
    worker: &Worker,
    tier: &Tier,
    peer: &Peer,
    head: &RequestHead,
    visit: &mut Visit,
    own: bool,
    response: &mut Response,
) {
    let Some(listener) = tier.plan.listeners.get(peer.listener.index()) else {
        return;
    };
    let common = listener.features.common.as_deref();
    let route = visit.features(&tier.plan);
    if !own && listener.features.telling.via() {
        let http2 = visit.route.is_some_and(|r| {
            let action = &tier.plan.routes.list[r.index()].action;
            action
                .upstream()
                .is_some_and(|u| tier.plan.upstreams[u.index()].http2)
        });
        let version = if http2 {
            Version::Http2
        } else {
            Version::Http11
        };
        let text = &mut worker.paper.borrow_mut().text;
        let (telling, fields) = (listener.features.telling, &mut response.head.fields);
        telling.write_response(fields, version, &tier.plan.node.name, text);
    }
    if own || common.is_some() || route.is_some() || !visit.told.is_empty() {
        rare(
            worker,
            tier,
            peer,
            head,
            visit,
            own,
            response,
            [common, route],
        );
    }
}

#[cold]
#[expect(clippy::too_many_arguments, reason = "the whole state of an exchange")]
fn rare(
    worker: &Worker,
    tier: &Tier,
    peer: &Peer,
    head: &RequestHead,
    visit: &mut Visit,
    own: bool,
    response: &mut Response,
    both: [Option<&Features>; 2],
) {
    let plan = &*tier.plan;
    if response.upgrade.is_none() && response.head.status >= 400 {
        // What the route says wins over what the listener says.
        let named = both.iter().rev().flatten().find_map(|f| f.error_pages);
        let pages = named.map(|id| &plan.error_pages[id.index()]);
        page(plan, peer, head, visit, own, response, pages);
    }
    for (id, taken) in std::mem::take(&mut visit.told) {
        write_rate_fields(
            &plan.rate_limits[id.index()],
            taken,
            &mut response.head.fields,
        );
    }
    let mut paper = worker.paper.borrow_mut();
    let Paper { rendered, .. } = &mut *paper;
    for features in both.into_iter().flatten() {
        if !features.response.is_empty() {
            let mut facts = visit.facts(plan, peer, head);
            facts.response = Some(&response.head);
            facts.status = response.head.status;
            features.response.render(&facts, rendered);
            features
                .response
                .apply_to_response(&mut response.head, rendered);
        }
    }
    if head.scheme == Scheme::Https
        && let Some(hsts) = both.iter().rev().flatten().find_map(|f| f.hsts.as_ref())
    {
        let fields = &mut response.head.fields;
        fields.set(Known::StrictTransportSecurity, hsts.value());
    }
    if let Some(rate) = both.iter().flatten().find_map(|f| f.bandwidth) {
        let body = std::mem::take(&mut response.body);
        response.body = paced(body, rate, &worker.watches);
    }
    if let Some(permit) = visit.permit.take() {
        let body = std::mem::take(&mut response.body);
        response.body = held(body, permit);
    }
}

/// Gives an error its page.
fn page(
    plan: &crate::traffic::Plan,
    peer: &Peer,
    head: &RequestHead,
    visit: &Visit,
    own: bool,
    response: &mut Response,
    pages: Option<&ErrorPages>,
) {
    let status = response.head.status;
    // Clients of gRPC read fields, not pages.
    let grpc = head.fields.get(Known::ContentType);
    if grpc.is_some_and(|t| t.starts_with(b"application/grpc")) {
        return;
    }
    let wanted = pages.filter(|p| own || p.intercept);
    if let Some(page) = wanted.and_then(|p| p.find(status, &head.fields)) {
        let mut facts = visit.facts(plan, peer, head);
        facts.status = status;
        facts.response = Some(&response.head);
        let body = page.render(&facts);
        replace(&mut response.head, &mut response.body, &page.media, body);
    } else if own && head.fields.has(Known::Accept) {
        let (media, body) = pages::plain(status, &head.fields);
        replace(&mut response.head, &mut response.body, media, body);
    }
}

fn replace(head: &mut ResponseHead, body: &mut Body, media: &str, text: Vec<u8>) {
    for field in OF_BODY {
        head.fields.remove(field);
    }
    head.fields.push_known(Known::ContentType, media.as_bytes());
    *body = if text.is_empty() {
        Body::Empty
    } else {
        Body::Whole(text.into())
    };
}
