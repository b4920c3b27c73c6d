//! Traces of requests (W3C Trace Context, OpenTelemetry): one span for the request as the client sees it,
//! and below it one for each try at a backend.
//!
//! What a request that is traced pays for is a few copies of what is gone later; what they mean in
//! OpenTelemetry's words is worked out by who exports them. A request that is not traced pays
//! for one look at whether it is.

mod told;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crate::message::{Known, Method, RequestHead, Scheme, Version};
use crate::telemetry::TraceParent;
use crate::telemetry::spans::Spans;
use crate::time::{Moment, Wall};
use crate::traffic::Upstream;
use crate::traffic::forwarded::{Client, Had, TraceContext};

use super::message::Peer;

/// Octets that are kept of a path, of a host and of a user agent, at most.
const LONGEST: usize = 256;

/// Octets of a `tracestate` that is kept, at most; longer ones are left out of spans whole.
const LONGEST_STATE: usize = 512;

/// Tries that are kept: what asks an authorisation service is one, too.
const TRIES: usize = 24;

/// Which requests are traced.
#[derive(Clone, Debug)]
pub struct Tracing {
    /// Where their spans go.
    pub spans: Arc<Spans>,
    /// Of the traces that begin here, this share is recorded: 0 (none) to 2³² (all).
    pub share: u64,
    /// Whether anybody's `traceparent` counts, or that of trusted proxies alone.
    pub anyones: bool,
}

impl Tracing {
    /// Looks after the trace context of a request, which has a good one afterwards. Its trace, where it is
    /// recorded: then backends are told of the span of this proxy.
    pub fn begin(
        &self,
        listener: TraceContext,
        client: Client,
        peer: &Peer,
        head: &mut RequestHead,
        (trace, id): (u128, u64),
    ) -> Option<Box<Trace>> {
        let fields = &mut head.fields;
        if !self.anyones && !client.trusted {
            fields.remove(Known::Traceparent);
            fields.remove(Known::Tracestate);
        }
        let mode = match listener {
            TraceContext::Start(_) => listener,
            TraceContext::Pass | TraceContext::Check => TraceContext::Start(self.share),
        };
        let (own, parent) = match mode.apply(fields, (trace, id)) {
            Had::Begun(own) => (own, None),
            Had::Context(came) => {
                let own = TraceParent {
                    parent: id.max(1),
                    ..came
                };
                (own, Some(came.parent))
            }
            Had::Nothing => return None,
        };
        if !own.sampled {
            return None;
        }
        if parent.is_some() {
            fields.set(Known::Traceparent, &own.text());
        }
        Some(Trace::new(own, parent, client, peer, head))
    }
}

/// A request that is traced.
#[derive(Debug)]
pub struct Trace {
    /// Its trace, and its own span.
    own: TraceParent,
    /// The span that it belongs to; `None`: the trace begins here.
    parent: Option<u64>,
    state: Box<[u8]>,
    method: Method,
    scheme: Scheme,
    version: Version,
    authority: Box<[u8]>,
    path: Box<[u8]>,
    agent: Box<[u8]>,
    source: SocketAddr,
    client: IpAddr,
    tries: Vec<Try>,
    ending: Option<Ending>,
}

/// What is known when the answer is over.
#[derive(Clone, Debug)]
pub struct Ending {
    /// The calendar.
    pub wall: Wall,
    /// When the head was there.
    pub began: Moment,
    /// From the request's head to the end of the answer.
    pub time: Duration,
    /// The status that the client got; `None`: it went away before.
    pub status: Option<u16>,
    /// Octets of the bodies of request and answer.
    pub octets: (u64, u64),
    /// The listener.
    pub listener: Box<str>,
    /// The route that took it.
    pub route: Option<Box<str>>,
    /// What became of it in the cache.
    pub cache: Option<&'static str>,
    /// Why the proxy could not pass it on, or how the answer broke off.
    pub error: Option<&'static str>,
}

/// What a try is at.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The upstream.
    pub upstream: &'a Upstream,
    /// The backend's name.
    pub backend: &'a str,
    /// Where the backend is.
    pub address: SocketAddr,
    /// Tries before it.
    pub resent: u32,
    /// When the backend was chosen.
    pub at: Moment,
}

/// One try at a backend.
#[derive(Debug)]
struct Try {
    id: u64,
    began: Moment,
    /// `None`: its answer ended with the client's.
    ended: Option<Moment>,
    upstream: Box<str>,
    backend: Box<str>,
    address: SocketAddr,
    tls: bool,
    http2: bool,
    path: Box<[u8]>,
    resent: u32,
    status: Option<u16>,
    error: Option<&'static str>,
}

/// The beginning of what a client sent.
fn cut(text: &[u8]) -> Box<[u8]> {
    text[..text.len().min(LONGEST)].into()
}

/// A method that a client made up is not kept longer than others.
fn short(method: &Method) -> Method {
    match method {
        Method::Other(text) => Method::Other(text[..text.len().min(64)].into()),
        known => known.clone(),
    }
}

impl Trace {
    fn new(
        own: TraceParent,
        parent: Option<u64>,
        client: Client,
        peer: &Peer,
        head: &RequestHead,
    ) -> Box<Trace> {
        let states: Vec<&[u8]> = head.fields.all(Known::Tracestate).collect();
        let state = states.join(&b',');
        let agent = head.fields.get(Known::UserAgent).unwrap_or_default();
        Box::new(Trace {
            own,
            parent,
            state: match state.len() {
                0..=LONGEST_STATE => state.into(),
                _ => Box::default(),
            },
            method: short(&head.method),
            scheme: head.scheme,
            version: head.version,
            authority: cut(&head.authority),
            path: cut(head.path()),
            agent: cut(agent),
            source: peer.source,
            client: client.address.ip(),
            tries: Vec::new(),
            ending: None,
        })
    }

    /// A backend is asked; it is told of this try, where it is told of the trace.
    pub fn begin_try(&mut self, asked: &Asked<'_>, id: u64, head: &mut RequestHead) {
        let id = id.max(1);
        // A route may say that its backends are not told.
        if head.fields.has(Known::Traceparent) {
            let told = TraceParent {
                parent: id,
                ..self.own
            };
            head.fields.set(Known::Traceparent, &told.text());
        }
        if let Some(before) = self.tries.last_mut() {
            before.ended.get_or_insert(asked.at);
        }
        if self.tries.len() == TRIES {
            return;
        }
        self.tries.push(Try {
            id,
            began: asked.at,
            ended: None,
            upstream: asked.upstream.name.clone(),
            backend: asked.backend.into(),
            address: asked.address,
            tls: asked.upstream.tls.is_some(),
            http2: asked.upstream.http2,
            path: cut(head.path()),
            resent: asked.resent,
            status: None,
            error: None,
        });
    }

    /// The backend answered with this status.
    pub fn answered(&mut self, status: u16) {
        if let Some(last) = self.tries.last_mut() {
            last.status = Some(status);
        }
    }

    /// It did not.
    pub fn not_answered(&mut self, why: &'static str, now: Moment) {
        if let Some(last) = self.tries.last_mut() {
            last.error = Some(why);
            last.ended = Some(now);
        }
    }

    /// The answer is over.
    pub fn end(&mut self, ending: Ending) {
        if let Some(last) = self.tries.last_mut()
            && last.ended.is_none()
            && last.status.is_none()
        {
            // Nobody waits for it any more.
            last.error = ending.error.or(Some("cancelled"));
        }
        self.ending = Some(ending);
    }
}

#[cfg(test)]
mod tests;
