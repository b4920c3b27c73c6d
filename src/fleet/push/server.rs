//! A DNS node's end: takes pushes and tells the members.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http_body_util::Either;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::CertificateDer;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::channel::{End, Outgoing, Reader, Writer, body};
use super::frame::{Frame, VERSION};
use super::inbox::Outcome;
use super::overheard::tls_error;
use super::register::{Refusal, Register, Slot};
use super::{ALPN, BEAT, LIFE, PATH, PATIENCE, SILENCE};
use crate::fleet::bus::{Key, StateBus};
use crate::fleet::credentials::{Credentials, Peer};
use crate::fleet::identity::{Reason, Refusals, Side};
use crate::time::{Clock, Moment};

/// Connections at once.
const CONNECTIONS: usize = 1024;

/// Frames that one connection may send in a second, over time; then it is read slower.
const RATE: u64 = 500;

/// Frames that it may send at once: a whole report and what changes meanwhile.
const BURST: u64 = 4096;

/// Keys that are told to nodes that push: orders, and news of nodes.
const DOWN: [&str; 2] = ["ov/", "m/"];

/// Time for what was written last to get out.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Who is at the other end.
struct Guest {
    peer: Result<Peer, String>,
    chain: Vec<CertificateDer<'static>>,
}

/// Longest life of a connection.
const LONGEST: Duration = Duration::from_secs(3600);

/// How far a connection has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Idle,
    Pushing,
    Over,
}

/// What taking pushes needs.
#[derive(Clone)]
pub struct IngestOptions {
    /// Who this node is.
    pub credentials: Arc<dyn Credentials>,
    /// Where refusals are counted.
    pub refusals: Arc<Refusals>,
    /// Where the members are told.
    pub bus: Arc<dyn StateBus>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// Takes pushes.
pub struct Ingest {
    options: IngestOptions,
    register: Register,
    frames: AtomicU64,
}

impl Ingest {
    /// Ready to [`Ingest::serve`].
    pub fn new(options: IngestOptions) -> Arc<Ingest> {
        Arc::new(Ingest {
            register: Register::new(options.clock.clone()),
            options,
            frames: AtomicU64::new(0),
        })
    }

    /// Nodes that push here now.
    pub fn connected(&self) -> usize {
        self.register.connected()
    }

    /// Frames taken so far.
    pub fn frames(&self) -> u64 {
        self.frames.load(Ordering::Relaxed)
    }

    /// Serves a listener until told to stop.
    pub async fn serve(self: Arc<Self>, listener: TcpListener, mut stopped: watch::Receiver<bool>) {
        let room = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            let accepted = tokio::select! {
                _ = stopped.wait_for(|stop| *stop) => return,
                accepted = listener.accept() => accepted,
            };
            let (stream, from) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Such as too many open files: it passes, and must not fill the log meanwhile.
                    tracing::warn!(%error, "push: cannot take a connection");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    continue;
                }
            };
            let Ok(place) = room.clone().try_acquire_owned() else {
                let text = format!("{CONNECTIONS} connections are open already");
                let who = from.ip().to_string();
                let refusals = &self.options.refusals;
                refusals.refuse(Side::Here, Reason::Malformed, &who, &text);
                continue;
            };
            let (this, mut stopped) = (self.clone(), stopped.clone());
            tokio::spawn(async move {
                tokio::select! {
                    () = this.connection(stream, from.ip().to_string()) => {}
                    _ = stopped.wait_for(|stop| *stop) => {}
                }
                drop(place);
            });
        }
    }

    async fn connection(self: Arc<Self>, stream: TcpStream, from: String) {
        let _ = stream.set_nodelay(true);
        let mut settings = (*self.options.credentials.server()).clone();
        settings.alpn_protocols = vec![ALPN.to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(settings));
        let tls = match timeout(PATIENCE, acceptor.accept(stream)).await {
            Ok(Ok(tls)) => tls,
            Ok(Err(e)) => {
                if let Some(error) = tls_error(&e) {
                    self.options.refusals.tls(&from, error);
                }
                return;
            }
            Err(_) => return,
        };
        let chain = tls.get_ref().1.peer_certificates().unwrap_or_default();
        // A node that is refused is told why, over HTTP.
        let peer = Arc::new(Guest {
            peer: self.options.credentials.peer(chain),
            chain: chain.iter().map(|c| c.clone().into_owned()).collect(),
        });
        let stage = Arc::new(watch::Sender::new(Stage::Idle));
        let mut seen = stage.subscribe();
        let service = service_fn(|request| {
            let (this, peer, stage) = (self.clone(), peer.clone(), stage.clone());
            async move { Ok::<_, Infallible>(this.answer(request, &peer, &stage).await) }
        });
        let mut http = http2::Builder::new(TokioExecutor::new());
        // One long request; a window of one report is all that may wait in memory.
        http.max_concurrent_streams(2)
            .initial_stream_window_size(256 * 1024)
            .initial_connection_window_size(256 * 1024);
        let serving = http.serve_connection(TokioIo::new(tls), service);
        tokio::pin!(serving);
        // One that never asks for a push is no node of ours; one whose push has ended has no other.
        let over = async {
            let _ = timeout(SILENCE, seen.wait_for(|s| *s != Stage::Idle)).await;
            if *seen.borrow() == Stage::Pushing {
                let _ = seen.wait_for(|s| *s == Stage::Over).await;
            }
            // The last words get out.
            tokio::time::sleep(LAST_WORDS).await;
        };
        tokio::select! {
            // How it ends is seen by those who use it.
            _ = &mut serving => {}
            () = over => {}
        }
    }

    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        guest: &Arc<Guest>,
        stage: &Arc<watch::Sender<Stage>>,
    ) -> Response<Either<Outgoing, Full<Bytes>>> {
        let is_first = stage.send_if_modified(|s| match s {
            Stage::Idle => {
                *s = Stage::Pushing;
                true
            }
            _ => false,
        });
        if !is_first {
            return refusal(StatusCode::CONFLICT, "one push a connection", None);
        }
        match self.admit(request, &guest.peer).await {
            Ok((reader, slot, peer)) => {
                let (writer, outgoing) = body();
                let (stage, guest) = (stage.clone(), guest.clone());
                tokio::spawn(async move {
                    self.take(reader, writer, slot, &peer, &guest.chain).await;
                    stage.send_replace(Stage::Over);
                });
                Response::new(Either::Left(outgoing))
            }
            Err(refused) => {
                stage.send_replace(Stage::Over);
                *refused
            }
        }
    }

    /// Looks who comes, and with what.
    async fn admit(
        &self,
        request: Request<Incoming>,
        peer: &Result<Peer, String>,
    ) -> Result<(Reader, Slot, Peer), Box<Response<Either<Outgoing, Full<Bytes>>>>> {
        let refusal = |status, text: &str, known| Err(Box::new(refusal(status, text, known)));
        if request.uri().path() != PATH || request.method() != Method::POST {
            return refusal(StatusCode::NOT_FOUND, "only pushes are taken here", None);
        }
        let peer = match peer {
            Ok(peer) => peer.clone(),
            Err(text) => return refusal(StatusCode::FORBIDDEN, text, None),
        };
        let mut reader = Reader::new(request.into_body());
        let generation = match timeout(PATIENCE, reader.next()).await {
            Ok(Ok(Frame::Hello {
                version: VERSION,
                generation,
            })) => generation,
            Ok(Ok(Frame::Hello { version, .. })) => {
                let text = format!(
                    "node `{}` speaks version {version} of the push format, this node {VERSION}; \
                     bring both to one release",
                    peer.node
                );
                self.refuse(Reason::UnknownVersion, &peer, &text);
                return refusal(StatusCode::HTTP_VERSION_NOT_SUPPORTED, &text, None);
            }
            _ => {
                let text = "the push does not begin with a hello";
                self.refuse(Reason::Malformed, &peer, text);
                return refusal(StatusCode::BAD_REQUEST, text, None);
            }
        };
        let slot = match self.register.admit(&peer, generation) {
            Ok(slot) => slot,
            Err(Refusal { text, known }) => {
                self.refuse(Reason::DuplicateName, &peer, &text);
                return refusal(StatusCode::CONFLICT, &text, known);
            }
        };
        tracing::info!(node = &*peer.node, generation, "push: connected");
        Ok((reader, slot, peer))
    }

    /// Takes one push to its end.
    async fn take(
        &self,
        reader: Reader,
        writer: Writer,
        slot: Slot,
        peer: &Peer,
        chain: &[CertificateDer<'_>],
    ) {
        let ended = tokio::select! {
            ended = self.read(reader, &writer, &slot, peer) => ended,
            ended = self.write(&writer, peer) => ended,
            () = slot.replaced() => Ok(()),
            () = self.unwelcome(chain) => Ok(()),
        };
        match ended {
            Err(End::Bad(e)) => {
                let text = format!("node `{}` pushed {e}", peer.node);
                self.refuse(Reason::Malformed, peer, &text);
            }
            Err(e) => tracing::info!(node = &*peer.node, "push: {e}"),
            Ok(()) => {}
        }
    }

    /// Returns when the node is no longer let in: the configuration or the authorities have changed. Or when
    /// so much time has passed that its certificate may have expired: it comes back at once then, and says
    /// everything again.
    async fn unwelcome(&self, chain: &[CertificateDer<'_>]) {
        let mut changes = self.options.credentials.changes();
        let longest = tokio::time::sleep(LONGEST);
        tokio::pin!(longest);
        loop {
            tokio::select! {
                Ok(()) = changes.changed() => {
                    if self.options.credentials.peer(chain).is_err() {
                        return;
                    }
                }
                () = &mut longest => return,
            }
        }
    }

    async fn read(
        &self,
        mut reader: Reader,
        writer: &Writer,
        slot: &Slot,
        peer: &Peer,
    ) -> Result<(), End> {
        let mut allowance = Allowance::new(self.options.clock.now());
        loop {
            let frame = reader.next().await?;
            self.frames.fetch_add(1, Ordering::Relaxed);
            let now = self.options.clock.now();
            match slot.take(frame, |keys| self.tell(keys)) {
                Outcome::Tell(_) => {}
                Outcome::Skip(reason, text) => {
                    self.refuse(reason, peer, &text);
                    let text = text.as_str().into();
                    writer.send([Frame::Notice { text }]).await?;
                }
                Outcome::End(reason, text) => {
                    self.refuse(reason, peer, &text);
                    let text = text.as_str().into();
                    return writer.send([Frame::Notice { text }]).await;
                }
            }
            if let Some(wait) = allowance.spend(now) {
                tokio::time::sleep(wait).await;
            }
        }
    }

    fn tell(&self, keys: &[(Key, String)]) {
        for (key, value) in keys {
            if let Err(error) = self.options.bus.publish(key, value) {
                tracing::error!(%error, "push: the members cannot be told");
            }
        }
    }

    /// Tells the node what concerns it, and that this end is there.
    async fn write(&self, writer: &Writer, peer: &Peer) -> Result<(), End> {
        let [mut orders, mut news] = DOWN.map(|prefix| self.options.bus.subscribe(prefix));
        let mut beat = tokio::time::interval(BEAT);
        loop {
            let change = tokio::select! {
                change = orders.recv() => change.ok_or(End::Closed)?,
                change = news.recv() => change.ok_or(End::Closed)?,
                _ = beat.tick() => {
                    writer.send([Frame::Beat { seq: 0 }]).await?;
                    continue;
                }
            };
            if change.owner != peer.node {
                let told = Frame::Told {
                    owner: change.owner,
                    generation: change.generation,
                    key: change.key,
                    value: change.value,
                };
                writer.send([told]).await?;
            }
        }
    }

    fn refuse(&self, reason: Reason, peer: &Peer, text: &str) {
        let refusals = &self.options.refusals;
        refusals.refuse(Side::Here, reason, &peer.node, text);
    }
}

fn refusal(
    status: StatusCode,
    text: &str,
    known: Option<u64>,
) -> Response<Either<Outgoing, Full<Bytes>>> {
    let mut response = Response::new(Either::Right(Full::from(text.to_owned())));
    *response.status_mut() = status;
    if let Some(known) = known {
        response.headers_mut().insert(LIFE, known.into());
    }
    response
}

/// Frames that a connection may still send.
struct Allowance {
    left: u64,
    at: Moment,
}

impl Allowance {
    fn new(now: Moment) -> Allowance {
        Allowance {
            left: BURST,
            at: now,
        }
    }

    /// Takes one; how long to wait when there is none.
    fn spend(&mut self, now: Moment) -> Option<Duration> {
        let earned = now.since(self.at).as_millis() as u64 * RATE / 1000;
        if earned > 0 {
            self.left = (self.left + earned).min(BURST);
            self.at = now;
        }
        if self.left > 0 {
            self.left -= 1;
            return None;
        }
        Some(Duration::from_millis(100))
    }
}
