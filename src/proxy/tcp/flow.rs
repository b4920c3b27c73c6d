//! What became of one connection of layer 4.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::proxy::message::Peer;
use crate::proxy::tier::Server;
use crate::proxy::worker::Worker;
use crate::time::Moment;

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
    /// All answers to the datagrams of its client came.
    Answered,
    /// It made room for another session of datagrams.
    Evicted,
    /// Its listener is no more.
    ListenerClosed,
}

impl Ended {
    /// All of them.
    pub const ALL: [Ended; 19] = [
        Ended::ClientClosed,
        Ended::BackendClosed,
        Ended::ClientReset,
        Ended::BackendReset,
        Ended::IdleTimeout,
        Ended::HalfCloseTimeout,
        Ended::TurnedAway,
        Ended::NoBackend,
        Ended::CircuitOpen,
        Ended::TooMany,
        Ended::QueueFull,
        Ended::QueueTimeout,
        Ended::NoSocket,
        Ended::ConnectFailed,
        Ended::ConnectTimeout,
        Ended::TakenOut,
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
            Ended::NoBackend => "no-backend",
            Ended::CircuitOpen => "circuit-open",
            Ended::TooMany => "too-many-connections",
            Ended::QueueFull => "queue-full",
            Ended::QueueTimeout => "queue-timeout",
            Ended::NoSocket => "no-socket",
            Ended::ConnectFailed => "connect-failed",
            Ended::ConnectTimeout => "connect-timeout",
            Ended::TakenOut => "taken-out",
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
                | Ended::Answered
        )
    }
}

/// One connection, from accept to end.
#[derive(Debug)]
pub struct Flow {
    /// The listener where it came in.
    pub listener: Box<str>,
    /// Whom it is for.
    pub client: SocketAddr,
    /// When it was accepted.
    pub began: Moment,
    /// The server name that its TLS asks for, where it was looked at.
    pub sni: Option<Box<str>>,
    /// The upstream that it was to go to.
    pub upstream: Option<Box<str>>,
    /// Where it went.
    pub server: Option<Arc<Server>>,
    /// Backends that were tried.
    pub tries: u32,
    /// From accept until a backend had it.
    pub connected: Option<Duration>,
    /// Octets from the client to the backend.
    pub octets_in: u64,
    /// Octets from the backend to the client.
    pub octets_out: u64,
    /// How it ended.
    pub ended: Ended,
}

impl Flow {
    /// One that begins.
    pub fn new(listener: &str, peer: &Peer, now: Moment) -> Flow {
        Flow {
            listener: listener.into(),
            client: peer.source,
            began: now,
            sni: None,
            upstream: None,
            server: None,
            tries: 0,
            connected: None,
            octets_in: 0,
            octets_out: 0,
            ended: Ended::default(),
        }
    }

    /// Tells what became of it. Exactly once, at its end.
    pub fn finish(self, _worker: &Worker) {
        if self.ended.is_failure() {
            let backend = self.server.as_ref().map(|s| &*s.name);
            let (client, listener, end) = (self.client, &*self.listener, self.ended.word());
            tracing::debug!(%client, listener, backend, tries = self.tries, "connection ended: {end}");
        }
    }
}
