//! chitchat's transport over QUIC with mutual TLS.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;
use chitchat::ChitchatEnvelope;
use chitchat::ChitchatMessage;
use chitchat::transport::{RecvOutcome, SendOutcome, Socket, Transport};
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{Endpoint, EndpointConfig, Runtime, TokioRuntime, TransportConfig, VarInt};
use rustls::client::Resumption;
use rustls::server::NoServerSessionStorage;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::fleet::asking::Unanswered;
use crate::fleet::credentials::Credentials;

use super::ask::{AbortOnDrop, AnswerDesk};
use super::counters::{GossipCounters, GossipEvent};
use super::frame::frame;
use super::hop::Hop;
use super::link::{Links, State};
use super::rarely::Rarely;
use super::wire::Wire;

/// The protocol between members; another version would have another name.
pub const ALPN: &[u8] = b"tradewind-fleet/1";

/// Received messages waiting to be read; each has at most 64 KiB.
const INBOX: usize = 64;

/// Streams that a peer may have open at a time: messages on their way.
const STREAMS: u32 = 32;

/// Questions that a peer may ask at a time.
const QUESTIONS: u32 = 8;

/// Octets that a peer may send ahead of what is read.
const WINDOW: u32 = 1024 * 1024;

/// Pairs exchange something every five seconds on average where there are 30; one ping may be lost.
const KEEP_ALIVE: Duration = Duration::from_secs(9);
const IDLE: Duration = Duration::from_secs(20);

/// QUIC on one socket, for all lives of the gossip task.
#[derive(Clone)]
pub struct Quic {
    links: Arc<Links>,
    local: SocketAddr,
    runtime: Handle,
}

impl Quic {
    /// QUIC on `socket`, which serves and connects alike: whoever is connected to answers to the
    /// address that it listens on. Must be called within the runtime that carries it.
    ///
    /// # Errors
    /// When the system refuses, or the credentials lack what QUIC needs (TLS 1.3).
    pub(super) fn open(
        node: &str,
        cluster: &str,
        socket: UdpSocket,
        credentials: Arc<dyn Credentials>,
        counters: Arc<GossipCounters>,
        rarely: Arc<Rarely>,
        desk: Arc<AnswerDesk>,
    ) -> io::Result<Quic> {
        socket.set_nonblocking(true)?;
        let runtime = Arc::new(TokioRuntime);
        let wire = Wire {
            socket: runtime.wrap_udp_socket(socket)?,
            counters: counters.clone(),
            rarely: rarely.clone(),
        };
        let mut config = EndpointConfig::default();
        config
            .supported_versions(vec![1])
            // Datagrams with other bits than those of version 1 are garbage here.
            .grease_quic_bit(false);
        // Changes from now on are not missed.
        let mut changes = credentials.changes();
        changes.mark_unchanged();
        let (server, client) = settings(&*credentials)?;
        let endpoint =
            Endpoint::new_with_abstract_socket(config, Some(server), Arc::new(wire), runtime)?;
        let local = endpoint.local_addr()?;
        let links = Arc::new(Links {
            node: node.to_owned(),
            cluster: cluster.to_owned(),
            endpoint,
            credentials,
            counters,
            rarely,
            desk,
            state: Mutex::new(State {
                client,
                epoch: 0,
                inbox: None,
                queues: Default::default(),
                links: Default::default(),
                refused: Default::default(),
            }),
        });
        tokio::spawn(links.clone().accept());
        tokio::spawn(links.clone().tend());
        let follower = links.clone();
        tokio::spawn(async move {
            // An error means that the credentials will never change again.
            while changes.changed().await.is_ok() {
                follow(&follower);
            }
        });
        let runtime = Handle::current();
        Ok(Quic {
            links,
            local,
            runtime,
        })
    }

    /// Asks the member `node`, which listens at `to`. May be called within any runtime.
    ///
    /// # Errors
    /// Why there is no answer.
    pub(super) async fn ask(
        &self,
        to: SocketAddr,
        node: &str,
        question: &str,
    ) -> Result<Vec<u8>, Unanswered> {
        let (links, node) = (self.links.clone(), node.to_owned());
        let question = question.to_owned();
        // Connections live on the runtime that carries them.
        let asked = self
            .runtime
            .spawn(async move { links.ask(to, &node, &question).await });
        let stops = AbortOnDrop(asked);
        stops.ended().await
    }

    /// Says goodbye to all peers.
    pub(super) async fn close(&self) {
        self.links.close().await;
    }
}

/// New credentials: for new connections at once, for those that stand as they are renewed.
fn follow(links: &Links) {
    match settings(&*links.credentials) {
        Ok((server, client)) => {
            links.endpoint.set_server_config(Some(server));
            let mut state = links.state();
            state.client = client;
            state.epoch += 1;
            state.refused.clear();
        }
        Err(error) => {
            tracing::error!(%error, "new credentials of the fleet are not used");
        }
    }
}

fn settings(
    credentials: &dyn Credentials,
) -> io::Result<(quinn::ServerConfig, quinn::ClientConfig)> {
    let mut server = (*credentials.server()).clone();
    server.alpn_protocols = vec![ALPN.to_vec()];
    // A resumed session would not look at the certificate again, nor at its expiry.
    server.session_storage = Arc::new(NoServerSessionStorage {});
    server.send_tls13_tickets = 0;
    // RFC 9001 section 9.2: early data can be replayed.
    server.max_early_data_size = 0;
    let mut client = (*credentials.client()).clone();
    client.alpn_protocols = vec![ALPN.to_vec()];
    client.resumption = Resumption::disabled();
    client.enable_early_data = false;
    let server = QuicServerConfig::try_from(server).map_err(io::Error::other)?;
    let client = QuicClientConfig::try_from(client).map_err(io::Error::other)?;
    let mut server = quinn::ServerConfig::with_crypto(Arc::new(server));
    let mut client = quinn::ClientConfig::new(Arc::new(client));
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(QUESTIONS))
        .max_concurrent_uni_streams(VarInt::from_u32(STREAMS))
        .stream_receive_window(VarInt::from_u32(WINDOW / 8))
        .receive_window(VarInt::from_u32(WINDOW))
        .send_window(WINDOW.into())
        .datagram_receive_buffer_size(None)
        .keep_alive_interval(Some(KEEP_ALIVE))
        .max_idle_timeout(IDLE.try_into().ok());
    let transport = Arc::new(transport);
    server.transport_config(transport.clone());
    // A peer that moves to another address could not be reached there.
    server.migration(false);
    client.transport_config(transport);
    Ok((server, client))
}

#[async_trait]
impl Transport for Quic {
    async fn open(&self, _listen: SocketAddr) -> anyhow::Result<Box<dyn Socket>> {
        let (sender, raw) = mpsc::channel(INBOX);
        let (messages, inbox) = mpsc::channel(INBOX);
        let reader = tokio::spawn(read(self.links.clone(), Hop::open().await?, raw, messages));
        self.links.state().inbox = Some(sender);
        Ok(Box::new(QuicSocket {
            links: self.links.clone(),
            local: self.local,
            hop: Hop::open().await?,
            inbox: Mutex::new(inbox),
            reader,
        }))
    }
}

/// Reads messages until the socket is gone. A panic of chitchat's codec ends it, and with it this
/// life of the gossip task.
async fn read(
    links: Arc<Links>,
    mut hop: Hop,
    mut raw: mpsc::Receiver<(SocketAddr, Vec<u8>)>,
    messages: mpsc::Sender<RecvOutcome>,
) {
    while let Some((from_addr, octets)) = raw.recv().await {
        let envelope = match hop.decode(&octets).await {
            Ok(Some(envelope)) => envelope,
            Ok(None) => {
                links.counters.count(GossipEvent::BadMessage);
                if let Some(times) = links.rarely.due(&format!("content {}", from_addr.ip())) {
                    tracing::warn!(from = %from_addr, times, "a message of a member is broken");
                }
                continue;
            }
            Err(error) => {
                tracing::warn!(%error, "a message of a member is lost within this node");
                // What is still on its way in the old pair would be taken for the next message.
                match Hop::open().await {
                    Ok(fresh) => hop = fresh,
                    Err(_) => return,
                }
                continue;
            }
        };
        let message = RecvOutcome {
            from_addr,
            envelope,
            num_bytes_received: octets.len(),
        };
        if messages.send(message).await.is_err() {
            return;
        }
    }
}

struct QuicSocket {
    links: Arc<Links>,
    local: SocketAddr,
    hop: Hop,
    /// Behind a lock only because a socket must be shareable; there is one user.
    inbox: Mutex<mpsc::Receiver<RecvOutcome>>,
    reader: JoinHandle<()>,
}

impl Drop for QuicSocket {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

#[async_trait]
impl Socket for QuicSocket {
    fn local_addr(&self) -> anyhow::Result<SocketAddr> {
        Ok(self.local)
    }

    async fn send(
        &mut self,
        to: SocketAddr,
        envelope: ChitchatEnvelope,
    ) -> anyhow::Result<SendOutcome> {
        if matches!(envelope.message, ChitchatMessage::Syn { .. }) {
            self.links.counters.count(GossipEvent::Exchange);
        }
        let octets = self.hop.encode(envelope).await?;
        let stream = frame(&self.links.cluster, octets);
        let num_bytes_sent = stream.len();
        self.links.send(to, stream);
        Ok(SendOutcome { num_bytes_sent })
    }

    // Safe to cancel: what is not taken stays in the channel.
    async fn recv(&mut self) -> anyhow::Result<RecvOutcome> {
        let inbox = self.inbox.get_mut().unwrap_or_else(PoisonError::into_inner);
        inbox.recv().await.context("messages are no longer read")
    }
}
