//! Connections to other members: one per address, used by both ends in both directions.
//!
//! Whoever has something to send and no connection makes one. When both ends do at once, the one that
//! the node with the lower name began stays. Connections are renewed when credentials change and
//! each hour: the old one is used until the new one stands. Both ends check who the other is, and say
//! why when they refuse it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quinn::{Connection, ConnectionError, Endpoint, Side, TransportErrorCode, VarInt};
use rustls::pki_types::CertificateDer;
use tokio::sync::mpsc;
use tokio::time::{Instant, interval, sleep, timeout};

use crate::fleet::credentials::{Credentials, Peer, SERVER_NAME};

use super::ask::AnswerDesk;
use super::counters::{GossipCounters, GossipEvent};
use super::frame::{FrameError, MAX_STREAM, unframe};
use super::rarely::Rarely;

/// Codes with which connections are closed.
mod code {
    use quinn::VarInt;

    /// The node stops.
    pub(super) const LEAVING: VarInt = VarInt::from_u32(0);
    /// Another connection is used.
    pub(super) const REPLACED: VarInt = VarInt::from_u32(1);
    /// The certificate is none of a member; the reason says why.
    pub(super) const REFUSED: VarInt = VarInt::from_u32(2);
}

/// TLS alert `no_application_protocol` (RFC 7301 section 3.2): another version of the protocol.
const NO_PROTOCOL: u8 = 120;

/// Until a connection must stand; QUIC sends again after one and three seconds, and a later attempt
/// would notice late that a path works again.
const HANDSHAKE: Duration = Duration::from_millis(2500);

/// Until a connection that comes in must stand: the other end decides when it gives up.
const INCOMING: Duration = Duration::from_secs(10);

/// Until a message must be handed over.
pub(super) const MESSAGE: Duration = Duration::from_secs(10);

/// A connection is renewed after this long, so that expired certificates do not live on in it.
const MAX_AGE: Duration = Duration::from_secs(3600);

/// An old connection that could not be renewed is closed after this long.
const OVERDUE: Duration = Duration::from_secs(30);

/// A connection that another replaced finishes what is on its way.
const DRAIN: Duration = Duration::from_secs(3);

/// After a refusal, until the next try.
const REFUSED_WAIT: Duration = Duration::from_secs(5);

/// Between two looks at the age of connections.
const TEND: Duration = Duration::from_secs(1);

/// A queue without messages for this long is given up.
const QUIET: Duration = Duration::from_secs(120);

/// Messages waiting for one peer. Gossip repeats itself: what does not fit is not missed.
const QUEUE: usize = 16;

/// Peers with a queue at one time.
const PEERS: usize = 512;

/// Connections at one time; from the half on, newcomers must show that they receive at their address.
const CONNECTIONS: usize = 1024;

/// Where received messages go: sender and content.
pub(super) type Inbox = mpsc::Sender<(SocketAddr, Vec<u8>)>;

/// All connections of this node.
pub(super) struct Links {
    pub(super) node: String,
    pub(super) cluster: String,
    pub(super) endpoint: Endpoint,
    pub(super) credentials: Arc<dyn Credentials>,
    pub(super) counters: Arc<GossipCounters>,
    pub(super) rarely: Arc<Rarely>,
    pub(super) desk: Arc<AnswerDesk>,
    pub(super) state: Mutex<State>,
}

/// What changes.
pub(super) struct State {
    /// For new connections.
    pub(super) client: quinn::ClientConfig,
    /// Counts up with new credentials.
    pub(super) epoch: u64,
    pub(super) inbox: Option<Inbox>,
    pub(super) queues: HashMap<SocketAddr, mpsc::Sender<Vec<u8>>>,
    pub(super) links: HashMap<SocketAddr, Link>,
    /// Who refused or was refused, until when.
    pub(super) refused: HashMap<SocketAddr, Instant>,
}

/// The connection in use to one address.
pub(super) struct Link {
    connection: Connection,
    epoch: u64,
    since: Instant,
    /// Since when it should be replaced.
    due: Option<Instant>,
    renewing: bool,
}

/// Why there is no connection.
pub(super) enum Failed {
    Refused,
    Unreachable,
}

impl Links {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a message if its peer can be reached; never waits.
    pub(super) fn send(self: &Arc<Self>, to: SocketAddr, stream: Vec<u8>) {
        let mut state = self.state();
        if state.queues.len() >= PEERS && !state.queues.contains_key(&to) {
            self.counters.count(GossipEvent::QueueFull);
            return;
        }
        let queue = state.queues.entry(to).or_insert_with(|| {
            let (queue, messages) = mpsc::channel(QUEUE);
            tokio::spawn(self.clone().carry(to, messages));
            queue
        });
        if queue.try_send(stream).is_err() {
            self.counters.count(GossipEvent::QueueFull);
        }
    }

    /// Hands the messages for one peer over, one after another.
    async fn carry(self: Arc<Self>, to: SocketAddr, mut messages: mpsc::Receiver<Vec<u8>>) {
        loop {
            let Ok(Some(stream)) = timeout(QUIET, messages.recv()).await else {
                let mut state = self.state();
                // One may have come between.
                if messages.is_empty() {
                    state.queues.remove(&to);
                    return;
                }
                continue;
            };
            let connection = match self.existing(to) {
                Some(connection) => Ok(connection),
                None => self.connect(to).await,
            };
            let sent = match &connection {
                Ok(connection) => timeout(MESSAGE, hand_over(connection, &stream)).await,
                Err(_) => Ok(false),
            };
            if sent == Ok(true) {
                self.counters.count(GossipEvent::Sent);
                self.counters.add(GossipEvent::OctetsOut, stream.len());
            } else {
                self.counters.count(GossipEvent::Unreachable);
                // What waited meanwhile is as old.
                while messages.try_recv().is_ok() {
                    self.counters.count(GossipEvent::Unreachable);
                }
            }
        }
    }

    pub(super) fn existing(&self, to: SocketAddr) -> Option<Connection> {
        let state = self.state();
        let link = state.links.get(&to)?;
        let usable = link.connection.close_reason().is_none();
        usable.then(|| link.connection.clone())
    }

    pub(super) async fn connect(self: &Arc<Self>, to: SocketAddr) -> Result<Connection, Failed> {
        let (client, epoch) = {
            let mut state = self.state();
            let now = Instant::now();
            state.refused.retain(|_, until| *until > now);
            if state.refused.contains_key(&to) {
                return Err(Failed::Refused);
            }
            (state.client.clone(), state.epoch)
        };
        let connecting = self
            .endpoint
            .connect_with(client, to, SERVER_NAME)
            .map_err(|_| Failed::Unreachable)?;
        match timeout(HANDSHAKE, connecting).await {
            Ok(Ok(connection)) => self.admit(connection, epoch).ok_or(Failed::Refused),
            Ok(Err(error)) => Err(self.failed(to, &error)),
            Err(_) => Err(Failed::Unreachable),
        }
    }

    /// Takes connections until the endpoint closes.
    pub(super) async fn accept(self: Arc<Self>) {
        while let Some(incoming) = self.endpoint.accept().await {
            let open = self.endpoint.open_connections();
            if open >= CONNECTIONS {
                incoming.ignore();
                continue;
            }
            if open >= CONNECTIONS / 2 && incoming.may_retry() {
                // Cannot fail: it may be retried.
                drop(incoming.retry());
                continue;
            }
            let links = self.clone();
            let (from, epoch) = (incoming.remote_address(), self.state().epoch);
            tokio::spawn(async move {
                let handshake = async { incoming.accept()?.await };
                match timeout(INCOMING, handshake).await {
                    Ok(Ok(connection)) => drop(links.admit(connection, epoch)),
                    Ok(Err(error)) => drop(links.failed(from, &error)),
                    // It went away in the middle.
                    Err(_) => {}
                }
            });
        }
    }

    /// Checks who it is, remembers the connection and reads from it. `None` when it is refused.
    fn admit(self: &Arc<Self>, connection: Connection, epoch: u64) -> Option<Connection> {
        let from = connection.remote_address();
        let peer = match self.peer_of(&connection) {
            Ok(peer) => peer,
            Err(why) => {
                connection.close(code::REFUSED, why.as_bytes());
                self.counters.count(GossipEvent::RefusedPeer);
                self.hold_off(from);
                self.warn("refused", from, &why, "a node is refused");
                return None;
            }
        };
        let chosen = self.settle(&connection, &peer, epoch);
        tokio::spawn(self.clone().answer_all(connection.clone(), peer.clone()));
        tokio::spawn(self.clone().read(connection, peer));
        Some(chosen)
    }

    /// Who is at the other end, by the certificate that it showed.
    pub(super) fn peer_of(&self, connection: &Connection) -> Result<Peer, String> {
        let chain = connection
            .peer_identity()
            .and_then(|chain| chain.downcast::<Vec<CertificateDer<'static>>>().ok());
        match chain {
            Some(chain) => self.credentials.peer(&chain),
            None => Err("it shows no certificate".to_owned()),
        }
    }

    /// Which of two connections with the same peer is used from now on.
    fn settle(&self, new: &Connection, peer: &Peer, epoch: u64) -> Connection {
        let to = new.remote_address();
        let link = Link {
            connection: new.clone(),
            epoch,
            since: Instant::now(),
            due: None,
            renewing: false,
        };
        let mut state = self.state();
        let Some(old) = state.links.get(&to) else {
            state.links.insert(to, link);
            return new.clone();
        };
        // Began by the node with the lower name: both ends decide alike.
        let ours_first = *self.node < *peer.node;
        let preferred = |c: &Connection| (c.side() == Side::Client) == ours_first;
        let usable = old.connection.close_reason().is_none();
        let at_once = old.epoch == epoch && old.since.elapsed() < DRAIN;
        let keep = usable && at_once && preferred(&old.connection) && !preferred(new);
        let (chosen, other) = if keep {
            (old.connection.clone(), new.clone())
        } else {
            let other = old.connection.clone();
            state.links.insert(to, link);
            (new.clone(), other)
        };
        drop(state);
        tokio::spawn(async move {
            sleep(DRAIN).await;
            other.close(code::REPLACED, b"another connection is used");
        });
        chosen
    }

    /// Takes messages until the connection ends.
    async fn read(self: Arc<Self>, connection: Connection, peer: Peer) {
        let from = connection.remote_address();
        let ended = loop {
            match connection.accept_uni().await {
                Ok(mut stream) => {
                    let (links, peer) = (self.clone(), peer.clone());
                    // A slow stream holds up no other; there are only so many at a time.
                    tokio::spawn(async move {
                        match timeout(MESSAGE, stream.read_to_end(MAX_STREAM)).await {
                            Ok(Ok(stream)) => links.receive(from, &peer, &stream),
                            Ok(Err(quinn::ReadToEndError::TooLong)) => {
                                let _ = stream.stop(VarInt::from_u32(0));
                                links.bad(GossipEvent::BadFrame, &peer, "the stream is too long");
                            }
                            Ok(Err(quinn::ReadToEndError::Read(quinn::ReadError::Reset(_)))) => {
                                links.bad(GossipEvent::BadFrame, &peer, "the stream was cut off");
                            }
                            // The connection ended, which is told elsewhere, or stalls.
                            Ok(Err(_)) | Err(_) => {}
                        }
                    });
                }
                Err(ended) => break ended,
            }
        };
        let mut state = self.state();
        if let Some(link) = state.links.get(&from)
            && link.connection.stable_id() == connection.stable_id()
        {
            state.links.remove(&from);
        }
        drop(state);
        self.failed(from, &ended);
    }

    fn receive(&self, from: SocketAddr, peer: &Peer, stream: &[u8]) {
        self.counters.count(GossipEvent::Received);
        self.counters.add(GossipEvent::OctetsIn, stream.len());
        match unframe(&self.cluster, stream) {
            Ok(message) => {
                let inbox = self.state().inbox.clone();
                let taken = inbox.is_some_and(|i| i.try_send((from, message.to_vec())).is_ok());
                if !taken {
                    self.counters.count(GossipEvent::QueueFull);
                }
            }
            Err(error) => {
                let event = match error {
                    FrameError::Version(_) => GossipEvent::BadVersion,
                    FrameError::OtherCluster => GossipEvent::OtherCluster,
                    _ => GossipEvent::BadFrame,
                };
                self.bad(event, peer, &error.to_string());
            }
        }
    }

    pub(super) fn bad(&self, event: GossipEvent, peer: &Peer, why: &str) {
        self.counters.count(event);
        if let Some(times) = self.rarely.due(&format!("bad {}", peer.node)) {
            tracing::warn!(node = %peer.node, why, times, "a message of a member is not taken");
        }
    }

    /// Counts and tells why a connection ended, when somebody refused somebody.
    fn failed(&self, peer: SocketAddr, error: &ConnectionError) -> Failed {
        match error {
            ConnectionError::TransportError(e) if is_tls(e.code) => {
                let event = match e.code == TransportErrorCode::crypto(NO_PROTOCOL) {
                    true => GossipEvent::BadVersion,
                    false => GossipEvent::RefusedTls,
                };
                self.counters.count(event);
                self.warn("refused", peer, &e.to_string(), "a node is refused");
            }
            ConnectionError::ConnectionClosed(close) if is_tls(close.error_code) => {
                self.counters.count(GossipEvent::RefusedUs);
                self.warn("by", peer, &close.to_string(), "a node refuses this one");
            }
            ConnectionError::ApplicationClosed(close) if close.error_code == code::REFUSED => {
                self.counters.count(GossipEvent::RefusedUs);
                let why = String::from_utf8_lossy(&close.reason);
                self.warn("by", peer, &why, "a node refuses this one");
            }
            _ => return Failed::Unreachable,
        }
        self.hold_off(peer);
        Failed::Refused
    }

    fn hold_off(&self, peer: SocketAddr) {
        let mut state = self.state();
        if state.refused.len() < PEERS {
            state.refused.insert(peer, Instant::now() + REFUSED_WAIT);
        }
    }

    fn warn(&self, kind: &str, peer: SocketAddr, why: &str, what: &str) {
        // Ports are the peer's to choose.
        if let Some(times) = self.rarely.due(&format!("{kind} {}", peer.ip())) {
            tracing::warn!(%peer, why, times, "{what}");
        }
    }

    /// Renews what is old until the endpoint is gone.
    pub(super) async fn tend(self: Arc<Self>) {
        let mut look = interval(TEND);
        loop {
            look.tick().await;
            let mut state = self.state();
            let epoch = state.epoch;
            for (&to, link) in &mut state.links {
                if link.epoch == epoch && link.since.elapsed() < MAX_AGE {
                    continue;
                }
                let due = *link.due.get_or_insert_with(Instant::now);
                if due.elapsed() >= OVERDUE {
                    let why = "it could not be renewed with present credentials";
                    link.connection.close(code::REPLACED, why.as_bytes());
                } else if !link.renewing {
                    link.renewing = true;
                    tokio::spawn(self.clone().renew(to));
                }
            }
        }
    }

    async fn renew(self: Arc<Self>, to: SocketAddr) {
        let renewed = self.connect(to).await;
        let mut state = self.state();
        let Some(link) = state.links.get_mut(&to) else {
            return;
        };
        link.renewing = false;
        // What refuses a new connection gets no more over the old one.
        if matches!(renewed, Err(Failed::Refused)) && link.due.is_some() {
            link.connection
                .close(code::REFUSED, b"refused when the connection was renewed");
        }
    }

    /// Says goodbye.
    pub(super) async fn close(&self) {
        self.endpoint.close(code::LEAVING, b"the node stops");
        // Who does not hear it finds out by silence.
        drop(timeout(Duration::from_secs(1), self.endpoint.wait_idle()).await);
    }
}

fn is_tls(code: TransportErrorCode) -> bool {
    // RFC 9001 section 4.8: 0x0100 and the alert.
    (0x0100..0x0200).contains(&u64::from(code))
}

/// One message on a stream of its own. `false` when the connection is gone.
async fn hand_over(connection: &Connection, stream: &[u8]) -> bool {
    let Ok(mut to) = connection.open_uni().await else {
        return false;
    };
    to.write_all(stream).await.is_ok() && to.finish().is_ok()
}
