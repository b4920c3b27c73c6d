//! Connections to the admin API: over TLS or not, bounded in number and in the time they may take.
//!
//! Whoever connects and says nothing, or says it slowly, holds one place for a short time, and a source
//! holds half of the places at most.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::gate::Peer;
use super::gate::peer::Shown;
use crate::limit::{Connections, Counted, Prefixes};

/// After the last connection was accepted, until those that have not asked yet are closed: who has just
/// connected is about to ask.
const SETTLE: Duration = Duration::from_millis(250);

/// For a handshake of TLS.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// For the head of a request, from the end of the one before: also how long a connection may idle.
const HEAD: Duration = Duration::from_secs(20);

/// Octets of a head that are read; the guard refuses shorter ones in words.
const HEAD_OCTETS: usize = 64 << 10;

/// Header fields that are read.
const FIELDS: usize = 96;

/// For the other end to take what is sent.
const TAKE: Duration = Duration::from_secs(30);

/// After an error of accepting, such as too many open files.
const REST: Duration = Duration::from_millis(100);

/// How connections are taken.
#[derive(Clone, Debug)]
pub struct Door {
    /// TLS; `None`: without.
    pub tls: Option<Tls>,
    /// Open connections at most, at least 1.
    pub max_connections: u32,
}

/// The settings of TLS: new handshakes get the newest.
#[derive(Clone, Debug)]
pub struct Tls(Arc<ArcSwap<ServerConfig>>);

impl Tls {
    /// Starts with these.
    pub fn new(settings: ServerConfig) -> Tls {
        Tls(Arc::new(ArcSwap::from_pointee(settings)))
    }

    /// New handshakes get these.
    pub fn adopt(&self, settings: ServerConfig) {
        self.0.store(Arc::new(settings));
    }
}

/// What every connection needs.
struct Hall {
    router: Router,
    tls: Option<Tls>,
    places: Arc<Semaphore>,
    sources: Arc<Connections>,
    of_one: u32,
}

/// Serves until `shutdown` turns true: then accepts no more, since another process may accept there, and
/// ends when all that was asked is answered.
pub(super) async fn serve(
    listener: TcpListener,
    router: Router,
    door: Door,
    mut shutdown: watch::Receiver<bool>,
) {
    let hall = Arc::new(Hall {
        router,
        tls: door.tls,
        places: Arc::new(Semaphore::new(door.max_connections as usize)),
        sources: Connections::new(Prefixes::new(32, 64)),
        of_one: (door.max_connections / 2).max(1),
    });
    let (end, ends) = watch::channel(false);
    // Dropped with this future: whoever gives it up ends the connections.
    let mut open = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = until(&mut shutdown) => break,
            Some(_) = open.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, source)) => {
                if let Some(place) = hall.place(source.ip()) {
                    open.spawn(hall.clone().connection(stream, source, place, ends.clone()));
                }
            }
            Err(error) => {
                tracing::warn!(%error, "the admin API cannot accept a connection");
                tokio::time::sleep(REST).await;
            }
        }
    }
    drop(listener);
    tokio::time::sleep(SETTLE).await;
    end.send_replace(true);
    while open.join_next().await.is_some() {}
}

/// Waits until it turns true, or its sender is gone, which is the same as being told.
async fn until(told: &mut watch::Receiver<bool>) {
    drop(told.wait_for(|stop| *stop).await);
}

type Place = (OwnedSemaphorePermit, Counted);

impl Hall {
    /// A place for a connection, unless all are taken, or the source's share of them.
    fn place(&self, source: IpAddr) -> Option<Place> {
        let place = self.places.clone().try_acquire_owned().ok()?;
        Some((place, self.sources.open(source, self.of_one)?))
    }

    async fn connection(
        self: Arc<Self>,
        stream: TcpStream,
        source: SocketAddr,
        _place: Place,
        ends: watch::Receiver<bool>,
    ) {
        // Both fail only on a connection that is gone.
        drop(stream.set_nodelay(true));
        drop(SockRef::from(&stream).set_tcp_user_timeout(Some(TAKE)));
        let mut peer = Peer {
            address: source.ip().to_canonical(),
            secure: false,
            certificate: None,
        };
        let Some(tls) = &self.tls else {
            return self.http(stream, peer, ends).await;
        };
        let acceptor = TlsAcceptor::from(tls.0.load_full());
        // Who fails at the handshake is told by TLS itself.
        if let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
            peer.secure = true;
            let shown = stream.get_ref().1.peer_certificates();
            let shown = shown.and_then(|chain| Shown::read(chain.first()?));
            peer.certificate = shown.map(Arc::new);
            self.http(stream, peer, ends).await;
        }
    }

    async fn http<S>(&self, stream: S, peer: Peer, mut ends: watch::Receiver<bool>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let router = self.router.clone();
        let service = service_fn(move |mut request: hyper::Request<Incoming>| {
            request.extensions_mut().insert(peer.clone());
            TowerToHyperService::new(router.clone()).call(request)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD)
            .max_buf_size(HEAD_OCTETS)
            .max_headers(FIELDS)
            .serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        // How a connection ends is nobody's concern: what was refused is written down already.
        tokio::select! {
            _ = connection.as_mut() => return,
            () = until(&mut ends) => connection.as_mut().graceful_shutdown(),
        }
        drop(connection.await);
    }
}
