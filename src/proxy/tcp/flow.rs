//! What became of one connection of layer 4.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;

use crate::proxy::access_log::{FlowLine, PathFacts};
use crate::proxy::glance::Glance;
use crate::proxy::layer4::FlowTally;
use crate::proxy::message::Peer;
use crate::proxy::tier::{Log, Server, Tier};
use crate::proxy::worker::Worker;
use crate::time::Moment;

/// Octets of a connection that lives are counted so often, while there are any.
const COUNTED_EVERY: Duration = Duration::from_secs(5);

/// How a connection ended (P1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Ended {
    /// The client ended first, and all went well.
    #[default]
    ClientClosed,
    /// The backend ended first, and all went well.
    BackendClosed,
    /// The client broke off.
    ClientReset,
    /// The backend broke off.
    BackendReset,
    /// No octet in either direction for too long.
    IdleTimeout,
    /// No octet for too long after one side had ended.
    HalfCloseTimeout,
    /// It did not come past the PROXY protocol or TLS.
    TurnedAway,
    /// What must stand at its start says nothing sound of whom it is for, or did not come.
    BadProxyHeader,
    /// Its TLS could not be shaken hands on, or not in time.
    TlsFailed,
    /// Its TLS began against the rules, or ended before it said where to go.
    BadHello,
    /// Its TLS did not say in time where to go.
    HelloTimeout,
    /// No rule is for what its TLS asks for, and others are refused.
    NoRule,
    /// Another listener took it over, and counts it from then on.
    HandedOver,
    /// No backend may be used.
    NoBackend,
    /// The circuit of the upstream is open.
    CircuitOpen,
    /// As many connections are under way at the upstream as may.
    TooMany,
    /// All backends are full, and as many wait as may.
    QueueFull,
    /// All backends were full for as long as a connection waits.
    QueueTimeout,
    /// This machine has no socket for a connection to a backend, or may not have it.
    NoSocket,
    /// No backend took the connection.
    ConnectFailed,
    /// No backend took the connection in time.
    ConnectTimeout,
    /// An operator took its backend out.
    TakenOut,
    /// The proxy ended first.
    Stopped,
    /// All answers to the datagrams of its client came.
    Answered,
    /// It made room for another session of datagrams.
    Evicted,
    /// Its listener is no more.
    ListenerClosed,
}

impl Ended {
    /// All of them.
    pub const ALL: [Ended; 26] = [
        Ended::ClientClosed,
        Ended::BackendClosed,
        Ended::ClientReset,
        Ended::BackendReset,
        Ended::IdleTimeout,
        Ended::HalfCloseTimeout,
        Ended::TurnedAway,
        Ended::BadProxyHeader,
        Ended::TlsFailed,
        Ended::BadHello,
        Ended::HelloTimeout,
        Ended::NoRule,
        Ended::HandedOver,
        Ended::NoBackend,
        Ended::CircuitOpen,
        Ended::TooMany,
        Ended::QueueFull,
        Ended::QueueTimeout,
        Ended::NoSocket,
        Ended::ConnectFailed,
        Ended::ConnectTimeout,
        Ended::TakenOut,
        Ended::Stopped,
        Ended::Answered,
        Ended::Evicted,
        Ended::ListenerClosed,
    ];

    /// One word for logs and metrics.
    pub const fn word(self) -> &'static str {
        match self {
            Ended::ClientClosed => "client-closed",
            Ended::BackendClosed => "backend-closed",
            Ended::ClientReset => "client-reset",
            Ended::BackendReset => "backend-reset",
            Ended::IdleTimeout => "idle-timeout",
            Ended::HalfCloseTimeout => "half-close-timeout",
            Ended::TurnedAway => "turned-away",
            Ended::BadProxyHeader => "bad-proxy-header",
            Ended::TlsFailed => "tls-failed",
            Ended::BadHello => "bad-hello",
            Ended::HelloTimeout => "hello-timeout",
            Ended::NoRule => "no-rule",
            Ended::HandedOver => "handed-over",
            Ended::NoBackend => "no-backend",
            Ended::CircuitOpen => "circuit-open",
            Ended::TooMany => "too-many-connections",
            Ended::QueueFull => "queue-full",
            Ended::QueueTimeout => "queue-timeout",
            Ended::NoSocket => "no-socket",
            Ended::ConnectFailed => "connect-failed",
            Ended::ConnectTimeout => "connect-timeout",
            Ended::TakenOut => "taken-out",
            Ended::Stopped => "proxy-stopped",
            Ended::Answered => "answered",
            Ended::Evicted => "evicted",
            Ended::ListenerClosed => "listener-closed",
        }
    }

    /// Whether the client did not get what it came for.
    pub const fn is_failure(self) -> bool {
        !matches!(
            self,
            Ended::ClientClosed
                | Ended::BackendClosed
                | Ended::ClientReset
                | Ended::IdleTimeout
                | Ended::HandedOver
                | Ended::Answered
        )
    }
}

/// One connection, from accept to end.
pub struct Flow {
    /// The listener where it came in.
    pub listener: Box<str>,
    /// Whom it is for.
    pub client: SocketAddr,
    /// When it was accepted.
    pub began: Moment,
    /// How long it had lasted in other processes before that.
    pub earlier: Duration,
    /// The server name that its TLS asks for, where it was looked at.
    pub sni: Option<Box<str>>,
    /// The upstream that it was to go to.
    pub upstream: Option<Box<str>>,
    /// Where it went.
    pub server: Option<Arc<Server>>,
    /// Backends that were tried.
    pub tries: u32,
    /// From accept until it had a place at the backend that it went to.
    pub queue: Option<Duration>,
    /// For the connection to that.
    pub connect: Option<Duration>,
    /// Octets from the client to the backend.
    pub octets_in: u64,
    /// Octets from the backend to the client.
    pub octets_out: u64,
    /// How it ended.
    pub ended: Ended,
    watched: Option<Box<Watched>>,
}

/// Where a flow is counted and written down.
struct Told {
    tally: Arc<FlowTally>,
    log: Option<Log>,
    /// `tcp` or `udp`.
    protocol: &'static str,
}

/// A flow that is counted from its beginning on.
struct Watched {
    worker: Rc<Worker>,
    told: Told,
    glance: Glance,
    path: Option<PathFacts>,
    /// Octets that are counted already.
    counted: (u64, u64),
    next_count: Moment,
}

impl Told {
    /// Of the listener at this place.
    fn of(tier: &Tier, at: usize) -> Option<Told> {
        Some(Told {
            tally: tier.flow_tallies.get(at)?.clone(),
            log: tier.logs.get(at).cloned().flatten(),
            protocol: tier.plan.listeners.get(at)?.protocol.as_str(),
        })
    }
}

impl Flow {
    /// One that begins.
    pub fn new(listener: &str, peer: &Peer, now: Moment) -> Flow {
        Flow {
            listener: listener.into(),
            client: peer.source,
            began: now,
            earlier: Duration::ZERO,
            sni: None,
            upstream: None,
            server: None,
            tries: 0,
            queue: None,
            connect: None,
            octets_in: 0,
            octets_out: 0,
            ended: Ended::Stopped,
            watched: None,
        }
    }

    /// From here on it is counted, and told when it is dropped.
    pub fn watch(&mut self, worker: &Rc<Worker>, tier: &Tier, peer: &Peer) {
        let Some(told) = Told::of(tier, peer.listener.index()) else {
            return;
        };
        told.tally.opened(worker.number);
        self.watched = Some(Box::new(Watched {
            worker: worker.clone(),
            told,
            glance: Glance::new(worker, tier, peer),
            path: None,
            counted: (0, 0),
            next_count: worker.watches.coarse() + COUNTED_EVERY,
        }));
    }

    /// A backend has it: `placed` is when there was a place for it, `now` when it was connected.
    pub fn connected(&mut self, placed: Moment, now: Moment) {
        let took = now.since(placed);
        self.queue = Some(placed.since(self.began));
        self.connect = Some(took);
        if let (Some(watched), Some(server)) = (&self.watched, &self.server) {
            let lane = watched.worker.number;
            server.flows.opened(lane);
            server.flows.connected(lane, took);
        }
    }

    /// So many octets have moved so far. Costs a comparison, as a rule.
    pub fn moved(&mut self, octets_in: u64, octets_out: u64, client: &TcpStream) {
        (self.octets_in, self.octets_out) = (octets_in, octets_out);
        let Some(mut watched) = self.watched.take() else {
            return;
        };
        let now = watched.worker.watches.coarse();
        if now >= watched.next_count {
            watched.next_count = now + COUNTED_EVERY;
            self.count(&watched.worker, &watched.told.tally, watched.counted);
            watched.counted = (octets_in, octets_out);
            if watched.glance.is_due(&watched.worker) {
                watched.look(client);
            }
        }
        self.watched = Some(watched);
    }

    /// Looks at the client's connection for the last time.
    pub fn look(&mut self, client: &TcpStream) {
        if let Some(watched) = &mut self.watched {
            watched.look(client);
        }
    }

    /// Tells what became of it, of one that nobody watched: as a whole, now.
    pub fn finish(self, worker: &Worker) {
        if self.watched.is_some() {
            // Dropping it tells.
            return;
        }
        let tier = worker.tier();
        let found = tier.listener(&self.listener);
        let Some(told) = found.and_then(|(at, _)| Told::of(&tier, at)) else {
            return;
        };
        told.tally.opened(worker.number);
        if let Some(server) = &self.server {
            server.flows.opened(worker.number);
        }
        self.tell(worker, &told, (0, 0), None);
    }

    /// Counts the end, and writes it down.
    fn tell(&self, worker: &Worker, told: &Told, counted: (u64, u64), path: Option<PathFacts>) {
        let lane = worker.number;
        let lasted = self.earlier + worker.now().since(self.began);
        // A datagram needs no connection to have a backend.
        let has_backend = self.connect.is_some() || told.protocol == "udp";
        let served = self.server.as_deref().filter(|_| has_backend);
        self.count(worker, &told.tally, counted);
        told.tally.closed(lane, lasted);
        told.tally.ended(lane, self.ended);
        if let Some(server) = served {
            server.flows.closed(lane, lasted);
        }
        if let Some(server) = &self.server {
            server.flows.ended(lane, self.ended);
        }
        if let Some(log) = &told.log {
            self.write_down(worker, told, log, lasted, path);
        }
        if self.ended.is_failure() {
            let backend = self.server.as_ref().map(|s| &*s.name);
            let (client, listener, end) = (self.client, &*self.listener, self.ended.word());
            tracing::debug!(%client, listener, backend, tries = self.tries, "connection ended: {end}");
        }
    }

    /// Counts the octets beyond those that are `counted`.
    fn count(&self, worker: &Worker, tally: &FlowTally, counted: (u64, u64)) {
        let new_in = self.octets_in.saturating_sub(counted.0);
        let new_out = self.octets_out.saturating_sub(counted.1);
        if new_in == 0 && new_out == 0 {
            return;
        }
        tally.moved(worker.number, new_in, new_out);
        if let Some(server) = &self.server {
            server.flows.moved(worker.number, new_in, new_out);
        }
    }

    /// Writes it down, unless it is not of the sample.
    fn write_down(
        &self,
        worker: &Worker,
        told: &Told,
        log: &Log,
        lasted: Duration,
        path: Option<PathFacts>,
    ) {
        // Of what went well a sample is enough; what did not is always written.
        let is_written = log.sample >= 10_000
            || self.ended.is_failure()
            || worker.random() % 10_000 < u64::from(log.sample);
        if !is_written {
            return;
        }
        let earlier = u64::try_from(self.earlier.as_millis()).unwrap_or(u64::MAX);
        let line = FlowLine {
            unix_ms: worker.unix_ms(self.began).saturating_sub(earlier),
            listener: &self.listener,
            protocol: told.protocol,
            client: self.client.ip().to_canonical(),
            port: self.client.port(),
            sni: self.sni.as_deref(),
            upstream: self.upstream.as_deref(),
            backend: self.server.as_ref().map(|s| &*s.name),
            tries: self.tries,
            queue: self.queue,
            connect: self.connect,
            total: lasted,
            octets_in: self.octets_in,
            octets_out: self.octets_out,
            end: self.ended.word(),
            path,
        };
        log.writer.write(line.json());
    }
}

impl Watched {
    fn look(&mut self, client: &TcpStream) {
        if let Some(info) = self.glance.look(&self.worker, client) {
            self.path = Some(PathFacts {
                rtt: info.rtt,
                min_rtt: info.min_rtt,
                retransmits: info.retransmits,
            });
        }
    }
}

impl Drop for Flow {
    /// Also of one that is cut when the proxy ends: every connection is told of (P1).
    fn drop(&mut self) {
        if let Some(watched) = self.watched.take() {
            let Watched {
                worker,
                told,
                counted,
                path,
                ..
            } = *watched;
            self.tell(&worker, &told, counted, path);
        }
    }
}
