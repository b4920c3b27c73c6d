//! What becomes of a response before it is sent to the client.

use std::rc::Rc;

use crate::ids::UpstreamId;
use crate::message::{Known, RequestHead, ResponseHead, Scheme, Version};
use crate::proxy::answers::is_grpc;
use crate::proxy::body::Body;
use crate::proxy::message::{Peer, Response};
use crate::proxy::tier::{Server, Tier};
use crate::proxy::worker::Worker;
use crate::traffic::Features;
use crate::traffic::fields::Facts;
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

/// What is known when a response leaves.
pub struct Leaving<'a> {
    /// The worker.
    pub worker: &'a Rc<Worker>,
    /// The plan, and what runs.
    pub tier: &'a Tier,
    /// Who asked.
    pub peer: &'a Peer,
    /// What was asked.
    pub head: &'a RequestHead,
    /// The upstream that answered.
    pub upstream: Option<UpstreamId>,
    /// Who of it.
    pub server: Option<&'a Server>,
    /// Whether the proxy made the response, because something went wrong, and for somebody who reads.
    pub own: bool,
}

/// Finishes a response.
#[inline]
pub fn leave(leaving: &Leaving<'_>, visit: &mut Visit, response: &mut Response) {
    let plan = &*leaving.tier.plan;
    let listener = &plan.listeners[leaving.peer.listener.index()];
    let common = listener.features.common.as_deref();
    let route = visit.features(plan);
    if leaving.server.is_some() && listener.features.telling.via() {
        let upstream = leaving.upstream.map(|u| &plan.upstreams[u.index()]);
        let http2 = upstream.is_some_and(|u| u.http2);
        let version = if http2 {
            Version::Http2
        } else {
            Version::Http11
        };
        let text = &mut leaving.worker.paper.borrow_mut().text;
        let fields = &mut response.head.fields;
        let telling = listener.features.telling;
        telling.write_response(fields, version, &plan.node.name, text);
    }
    if leaving.own || common.is_some() || route.is_some() || !visit.told.is_empty() {
        leaving.finish(visit, response, [common, route]);
    }
}

impl Leaving<'_> {
    fn finish(&self, visit: &mut Visit, response: &mut Response, both: [Option<&Features>; 2]) {
        let plan = &*self.tier.plan;
        if response.upgrade.is_none() && response.head.status >= 400 {
            // What the route says wins over what the listener says.
            let named = both.iter().rev().flatten().find_map(|f| f.error_pages);
            self.page(
                visit,
                response,
                named.map(|id| &plan.error_pages[id.index()]),
            );
        }
        for (id, taken) in std::mem::take(&mut visit.told) {
            let rule = &plan.rate_limits[id.index()];
            write_rate_fields(rule, taken, &mut response.head.fields);
        }
        let mut paper = self.worker.paper.borrow_mut();
        let Paper { rendered, .. } = &mut *paper;
        for features in both.into_iter().flatten() {
            if !features.response.is_empty() {
                features
                    .response
                    .render(&self.facts(visit, &response.head), rendered);
                features
                    .response
                    .apply_to_response(&mut response.head, rendered);
            }
        }
        if self.head.scheme == Scheme::Https
            && let Some(hsts) = both.iter().rev().flatten().find_map(|f| f.hsts.as_ref())
        {
            let fields = &mut response.head.fields;
            fields.set(Known::StrictTransportSecurity, hsts.value());
        }
        if let Some(rate) = both.iter().flatten().find_map(|f| f.bandwidth) {
            let body = std::mem::take(&mut response.body);
            response.body = paced(body, rate, &self.worker.watches);
        }
        if let Some(permit) = visit.permit.take() {
            let body = std::mem::take(&mut response.body);
            response.body = held(body, permit);
        }
    }

    fn facts<'a>(&'a self, visit: &Visit, response: &'a ResponseHead) -> Facts<'a> {
        let mut facts = visit.facts(&self.tier.plan, self.peer, self.head);
        facts.response = Some(response);
        facts.status = response.status;
        if let Some(upstream) = self.upstream {
            facts.upstream = &self.tier.plan.upstreams[upstream.index()].name;
        }
        facts.backend = self.server.map_or("", |s| &s.name);
        facts
    }

    /// Gives an error its page.
    fn page(&self, visit: &Visit, response: &mut Response, pages: Option<&ErrorPages>) {
        let status = response.head.status;
        // Clients of gRPC read fields, not pages.
        if is_grpc(self.head) {
            return;
        }
        let wanted = pages.filter(|p| self.own || p.intercept);
        if let Some(page) = wanted.and_then(|p| p.find(status, &self.head.fields)) {
            let body = page.render(&self.facts(visit, &response.head));
            replace(&mut response.head, &mut response.body, &page.media, body);
        } else if self.own && self.head.fields.has(Known::Accept) {
            let (media, body) = pages::plain(status, &self.head.fields);
            replace(&mut response.head, &mut response.body, media, body);
        }
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
