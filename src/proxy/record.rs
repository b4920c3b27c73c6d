//! What is remembered of an exchange, for the log and the metrics.
//!
//! Each step of the exchange writes down what it knows; the front end ends the record once the last
//! octet is out. A record that is dropped before counts as an exchange whose client went away.

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::ids::{ListenerId, RouteId, UpstreamId};
use crate::message::RequestHead;
use crate::time::Moment;

use super::access_log::{Ending, Entry};
use super::answers::Failure;
use super::body::BodyError;
use super::message::Peer;
use super::stats::count;
use super::tally::Counted;
use super::tier::{Server, Tier};
use super::trace::{self, Trace};
use super::worker::Worker;

/// How the response ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// It went out whole.
    Whole,
    /// The client went away, or took nothing in.
    ClientGone,
    /// What was to be sent ended early.
    Cut(BodyError),
}

impl End {
    /// One word for the log; `None` when all is well.
    fn word(self) -> Option<&'static str> {
        match self {
            End::Whole => None,
            End::ClientGone => Some("client-gone"),
            End::Cut(BodyError::Cut) => Some("backend-cut"),
            End::Cut(BodyError::Malformed) => Some("backend-malformed"),
            End::Cut(BodyError::Timeout) => Some("backend-silent"),
            End::Cut(BodyError::TooLong) => Some("too-long"),
        }
    }
}

/// One exchange.
pub struct Record {
    worker: Rc<Worker>,
    tier: Arc<Tier>,
    listener: ListenerId,
    began: Moment,
    status: u16,
    octets_in: u64,
    failure: Option<Failure>,
    entry: Option<Box<Entry>>,
    over: bool,
    /// The client, when a trusted proxy said who it is.
    pub client: Option<IpAddr>,
    /// The route that took it.
    pub route: Option<RouteId>,
    /// The upstream that was to answer.
    pub upstream: Option<UpstreamId>,
    /// The server that answered, or was asked last.
    pub server: Option<Arc<Server>>,
    /// Times that servers were asked.
    pub tries: u32,
    /// Until the server was chosen.
    pub queue: Option<Duration>,
    /// For a new connection to it.
    pub connect: Option<Duration>,
    /// From the choice of the server to the head of its answer.
    pub first_byte: Option<Duration>,
    /// What became of it in the cache.
    pub cache: Option<&'static str>,
    /// The request's id.
    pub request_id: Option<Box<[u8]>>,
    /// Its spans, where it is traced.
    pub trace: Option<Box<Trace>>,
}

impl Record {
    /// Begins one, with the head read.
    pub fn begin(worker: &Rc<Worker>, tier: &Arc<Tier>, peer: &Peer, head: &RequestHead) -> Record {
        count(&worker.stats.requests);
        let listener = peer.listener;
        let entry = tier.logs.get(listener.index()).and_then(|log| {
            let log = log.as_ref()?;
            let name = &tier.plan.listeners[listener.index()].name;
            Some(Box::new(Entry::new(log.format, name, peer, head)))
        });
        Record {
            worker: worker.clone(),
            tier: tier.clone(),
            listener,
            began: worker.now(),
            status: 0,
            octets_in: 0,
            failure: None,
            entry,
            over: false,
            client: None,
            route: None,
            upstream: None,
            server: None,
            tries: 0,
            queue: None,
            connect: None,
            first_byte: None,
            cache: None,
            request_id: None,
            trace: None,
        }
    }

    /// Of a request that the proxy makes for itself: neither counted nor written down.
    pub fn beside(worker: &Rc<Worker>, tier: &Arc<Tier>, peer: &Peer) -> Record {
        Record {
            worker: worker.clone(),
            tier: tier.clone(),
            listener: peer.listener,
            began: worker.now(),
            status: 0,
            octets_in: 0,
            failure: None,
            entry: None,
            over: true,
            client: None,
            route: None,
            upstream: None,
            server: None,
            tries: 0,
            queue: None,
            connect: None,
            first_byte: None,
            cache: None,
            request_id: None,
            trace: None,
        }
    }

    /// When the head was there.
    pub fn began(&self) -> Moment {
        self.began
    }

    /// The proxy could not pass it on.
    pub fn failed(&mut self, why: Failure) {
        self.failure = Some(why);
    }

    /// Why the proxy could not pass it on.
    pub fn failure(&self) -> Option<Failure> {
        self.failure
    }

    /// The status that the client gets.
    pub fn status(&mut self, status: u16) {
        self.status = status;
    }

    /// Octets of the request's body that came.
    pub fn received(&mut self, octets: u64) {
        self.octets_in = octets;
    }

    /// The response is over.
    pub fn finish(mut self, octets: u64, end: End) {
        self.close(octets, end);
    }

    /// The tunnel is over: so many octets went to the backend and to the client.
    pub fn tunnelled(mut self, up: u64, down: u64) {
        self.status = 101;
        self.octets_in = up;
        self.close(down, End::Whole);
    }

    fn close(&mut self, octets_out: u64, end: End) {
        self.over = true;
        let time = self.worker.now().since(self.began);
        let broken = end.word();
        let counted = Counted {
            status: self.status,
            octets_in: self.octets_in,
            octets_out,
            failed: self.failure.is_some() || broken.is_some(),
            time,
        };
        let lane = self.worker.number;
        if let Some(tally) = self.tier.listener_tallies.get(self.listener.index()) {
            tally.count(lane, &counted);
        }
        if let Some(route) = self.route
            && let Some(tally) = self.tier.route_tallies.get(route.index())
        {
            tally.count(lane, &counted);
        }
        if let Some(server) = &self.server {
            server.tally.count(lane, &counted);
        }
        if let Some(trace) = self.trace.take() {
            self.tell_trace(trace, &counted, broken);
        }
        self.write_down(&counted, broken);
    }

    /// Leaves its spans to who exports them.
    fn tell_trace(&self, mut trace: Box<Trace>, counted: &Counted, broken: Option<&'static str>) {
        let Some(tracing) = self.worker.tracing() else {
            return;
        };
        let plan = &self.tier.plan;
        let listener = plan.listeners.get(self.listener.index());
        let route = self.route.and_then(|r| plan.routes.list.get(r.index()));
        trace.end(trace::Ending {
            wall: self.worker.wall(),
            began: self.began,
            time: counted.time,
            // Nobody got the number that logs have for those who went away.
            status: (self.status != 499 || self.failure.is_some()).then_some(self.status),
            octets: (counted.octets_in, counted.octets_out),
            listener: listener.map_or_else(Box::default, |l| l.name.clone()),
            route: route.map(|r| r.name.clone()),
            cache: self.cache,
            error: self.failure.map(Failure::word).or(broken),
        });
        tracing.spans.keep(trace);
    }

    fn write_down(&mut self, counted: &Counted, end: Option<&str>) {
        let Some(entry) = self.entry.take() else {
            self.warn(counted, end);
            return;
        };
        let Some(Some(log)) = self.tier.logs.get(self.listener.index()) else {
            return;
        };
        // Of what went well a sample is enough; what did not is always written.
        let well = !counted.failed && self.status < 500;
        if well && log.sample < 10_000 && self.worker.random() % 10_000 >= u64::from(log.sample) {
            return;
        }
        let plan = &self.tier.plan;
        let upstream = self.upstream.and_then(|u| plan.upstreams.get(u.index()));
        let route = self.route.and_then(|r| plan.routes.list.get(r.index()));
        let ending = Ending {
            client: self.client,
            unix_ms: self.worker.unix_ms(self.began),
            route: route.map(|r| &*r.name),
            upstream: upstream.map(|u| &*u.name),
            backend: self.server.as_ref().map(|s| &*s.name),
            status: self.status,
            octets_in: counted.octets_in,
            octets_out: counted.octets_out,
            tries: self.tries,
            queue: self.queue,
            connect: self.connect,
            first_byte: self.first_byte,
            total: counted.time,
            cache: self.cache,
            request_id: self.request_id.as_deref(),
            failure: self.failure.map(Failure::word),
            end,
        };
        log.writer.write(entry.end(&ending));
    }
}

impl Record {
    /// Says why a request failed where no access log does: one line a second, whatever goes wrong.
    fn warn(&self, counted: &Counted, end: Option<&str>) {
        let Some(why) = self.failure.map(Failure::word).or(end) else {
            return;
        };
        let is_ours = counted.status >= 500 || end.is_some_and(|e| e.starts_with("backend-"));
        if !is_ours || !self.worker.may_warn() {
            return;
        }
        let plan = &self.tier.plan;
        let listener = plan.listeners.get(self.listener.index());
        let upstream = self.upstream.and_then(|u| plan.upstreams.get(u.index()));
        let route = self.route.and_then(|r| plan.routes.list.get(r.index()));
        tracing::warn!(
            listener = listener.map_or("", |l| &l.name),
            route = route.map_or("", |r| &r.name),
            upstream = upstream.map_or("", |u| &u.name),
            backend = self.server.as_ref().map_or("", |s| &s.name),
            status = self.status,
            "request failed: {why}; an access log of the listener has every one"
        );
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if !self.over {
            if self.status == 0 {
                // Nobody got any; logs have a number for it since nginx gave it one.
                self.status = 499;
            }
            self.close(0, End::ClientGone);
        }
    }
}
