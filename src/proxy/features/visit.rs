//! A request from its arrival to its backend: who asks, what it must pass, what the backend is told.

use std::net::SocketAddr;

use crate::ids::{RateLimitId, RouteId};
use crate::limit::Taken;
use crate::message::http1::Refusal;
use crate::message::{Known, RequestHead, ResponseHead};
use crate::proxy::answers::Failure;
use crate::proxy::body::Body;
use crate::proxy::message::{Peer, Response};
use crate::proxy::record::Record;
use crate::proxy::tier::Tier;
use crate::proxy::worker::Worker;
use crate::traffic::fields::{Facts, Rendered, TlsView};
use crate::traffic::forwarded::{Client, Hop, request_id};
use crate::traffic::guards::{KeyFacts, retry_after};
use crate::traffic::{Features, Listener, Plan};

use super::guards::Permit;

/// Memory that texts are written into, kept by the worker from exchange to exchange.
#[derive(Debug, Default)]
pub struct Paper {
    /// One value at a time.
    pub text: Vec<u8>,
    /// The values of several.
    pub rendered: Rendered,
}

/// What is known of a request while it is in the proxy.
#[derive(Debug)]
pub struct Visit {
    /// Who asks.
    pub client: Client,
    /// The route that takes it.
    pub route: Option<RouteId>,
    /// Counts it on a route that bounds its requests.
    pub(super) permit: Option<Permit>,
    /// Rates whose state the client is told.
    pub(super) told: Vec<(RateLimitId, Taken)>,
}

/// Finds out who asks, and gives the request its id and its trace.
#[inline]
pub fn arrive(
    worker: &Worker,
    listener: &Listener,
    peer: &Peer,
    head: &mut RequestHead,
    record: &mut Record,
) -> Visit {
    let features = &listener.features;
    let client = features.reading.client(peer.source, &head.fields);
    if client.trusted {
        record.client = Some(client.address.ip());
    }
    if let Some(scheme) = client.scheme {
        head.scheme = scheme;
    }
    if features.request_id {
        let id = request_id(&mut head.fields, client.trusted, wide(worker));
        record.request_id = Some(id.into());
    }
    match worker.tracing() {
        Some(tracing) => {
            let random = (wide(worker), worker.random());
            record.trace = tracing.begin(features.trace, client, peer, head, random);
        }
        None => {
            let random = match features.trace.starts() {
                true => (wide(worker), worker.random()),
                false => (0, 0),
            };
            features.trace.apply(&mut head.fields, random);
        }
    }
    Visit {
        client,
        route: None,
        permit: None,
        told: Vec::new(),
    }
}

fn wide(worker: &Worker) -> u128 {
    u128::from(worker.random()) << 64 | u128::from(worker.random())
}

/// The answer to a request without TLS, where its listener sends such to where there is TLS.
///
/// # Errors
/// For a request that does not say its host.
#[inline]
pub fn secure(listener: &Listener, head: &RequestHead) -> Option<Result<Response, Failure>> {
    let redirect = listener.features.secure?;
    if head.scheme == crate::message::Scheme::Https {
        return None;
    }
    let mut location = Vec::new();
    if !redirect.location(head, &mut location) {
        return Some(Err(Failure::Refused(Refusal::Host)));
    }
    let mut answer = ResponseHead::new(redirect.status);
    answer.fields.push_known(Known::Location, &location);
    Some(Ok(Response::new(answer, Body::Empty)))
}

impl Visit {
    /// The address that asks.
    pub fn address(&self) -> SocketAddr {
        self.client.address
    }

    /// What the route does, if it does anything.
    pub fn features<'p>(&self, plan: &'p Plan) -> Option<&'p Features> {
        plan.routes.list[self.route?.index()].features.as_deref()
    }

    /// What is known, for variables.
    pub fn facts<'a>(&self, plan: &'a Plan, peer: &'a Peer, head: &'a RequestHead) -> Facts<'a> {
        let mut facts = Facts::new(head, self.client.address);
        let listener = plan.listeners.get(peer.listener.index());
        facts.listener = listener.map_or("", |l| &l.name);
        facts.port = peer.local.port();
        facts.node = &plan.node.name;
        facts.region = &plan.node.region;
        facts.request_id = head.fields.get(Known::XRequestId).unwrap_or_default();
        if let Some(route) = self.route {
            let route = &plan.routes.list[route.index()];
            facts.route = &route.name;
            facts.upstream = route
                .action
                .upstream()
                .map_or("", |u| &plan.upstreams[u.index()].name);
        }
        if let Some(tls) = &peer.tls {
            facts.tls = TlsView {
                version: tls.version,
                cipher: &tls.cipher,
                server_name: tls.sni.as_deref().unwrap_or_default(),
                client_subject: tls.client_subject.as_deref().unwrap_or_default(),
            };
        }
        facts
    }
}

/// Counts the request against the rates and the bound of its listener and route.
///
/// # Errors
/// When it is one too many.
#[inline]
pub fn guard(
    worker: &Worker,
    tier: &Tier,
    listener: &Listener,
    head: &RequestHead,
    visit: &mut Visit,
) -> Result<(), Failure> {
    let common = listener.features.common.as_deref();
    let own = visit.features(&tier.plan);
    for features in [common, own].into_iter().flatten() {
        if !features.rates.is_empty() {
            rates(worker, tier, listener, head, visit, &features.rates)?;
        }
    }
    if let Some(most) = own.and_then(|f| f.concurrent)
        && let Some(route) = visit.route
    {
        let permit = tier.guards.begin(route, most).ok_or(Failure::TooMany)?;
        visit.permit = Some(permit);
    }
    Ok(())
}

fn rates(
    worker: &Worker,
    tier: &Tier,
    listener: &Listener,
    head: &RequestHead,
    visit: &mut Visit,
    ids: &[RateLimitId],
) -> Result<(), Failure> {
    let now = worker.now();
    let facts = KeyFacts {
        head,
        client: visit.client.address.ip(),
        listener: &listener.name,
        route: visit
            .route
            .map_or("", |r| &tier.plan.routes.list[r.index()].name),
    };
    for id in ids {
        let Some(taken) = tier.guards.meter(&tier.plan, *id, &facts, now) else {
            continue;
        };
        let rule = &tier.plan.rate_limits[id.index()];
        if rule.tell {
            visit.told.push((*id, taken));
        }
        if !taken.granted {
            tracing::debug!(limit = &*rule.name, client = %facts.client, route = facts.route, refused = rule.enforce, "rate exceeded");
            if rule.enforce {
                return Err(Failure::RateLimited {
                    status: rule.status,
                    wait: u32::try_from(retry_after(taken.wait)).unwrap_or(u32::MAX),
                });
            }
        }
    }
    Ok(())
}

/// Makes the request what its backend shall see.
#[inline]
pub fn outgoing(worker: &Worker, tier: &Tier, peer: &Peer, head: &mut RequestHead, visit: &Visit) {
    let plan = &*tier.plan;
    let features = &plan.listeners[peer.listener.index()].features;
    let mut paper = worker.paper.borrow_mut();
    let Paper { text, rendered } = &mut *paper;
    let hop = Hop {
        client: visit.client,
        peer: peer.source,
        local: peer.local,
        node: &plan.node.name,
    };
    features.telling.write(head, &hop, text);
    let both = [features.common.as_deref(), visit.features(plan)];
    for changes in both.into_iter().flatten().map(|f| &f.request) {
        if !changes.is_empty() {
            changes.render(&visit.facts(plan, peer, head), rendered);
            changes.apply_to_request(head, rendered);
        }
    }
}
