//! DNS over HTTPS (RFC 8484): HTTP/2 and HTTP/1.1 on a connection whose TLS handshake is done.

mod exchange;
mod linger;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until, timeout};

use super::hall::{Hall, Lease, until_left};
use linger::Lingering;

/// Queries that one HTTP/2 connection may have under way (RFC 9113 section 5.1.2 recommends no less).
const STREAMS: u32 = 100;

/// Octets that an HTTP/2 client may send ahead: per stream the longest query, and twice that in all.
const STREAM_WINDOW: u32 = 65_535;
const CONNECTION_WINDOW: u32 = 2 * STREAM_WINDOW;

/// Octets of a request's head at most: a URI of [`exchange::URI`] and some header fields.
const HEAD: usize = 24 * 1024;

/// Header fields of an HTTP/1.1 request at most.
const FIELDS: usize = 64;

/// In a takeover, until connections are asked to end: who has just connected is about to ask.
const SETTLE: Duration = Duration::from_millis(250);

/// What the requests of one connection share.
struct Guest {
    hall: Arc<Hall>,
    lease: Arc<Lease>,
    peer: SocketAddr,
    path: Arc<str>,
    /// When the last request came or was answered.
    last: Mutex<Instant>,
    /// The client may not go on.
    refused: Notify,
}

impl Guest {
    fn touch(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// When the connection will have idled for too long.
    fn deadline(&self) -> Instant {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) + self.hall.limits.idle_timeout
    }
}

/// Serves one connection until the client leaves, idles for too long, or the server stops.
pub(super) async fn serve<S>(
    hall: &Arc<Hall>,
    lease: &Arc<Lease>,
    stream: S,
    (peer, path): (SocketAddr, Arc<str>),
    (mut stopped, mut left): (watch::Receiver<bool>, watch::Receiver<bool>),
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let guest = Arc::new(Guest {
        hall: hall.clone(),
        lease: lease.clone(),
        peer,
        path,
        last: Mutex::new(Instant::now()),
        refused: Notify::new(),
    });
    let service = service_fn(|request| {
        let guest = guest.clone();
        async move {
            guest.touch();
            let response = exchange::respond(&guest, request).await;
            guest.touch();
            Ok::<_, Infallible>(response)
        }
    });
    let mut http = Builder::new(TokioExecutor::new());
    http.http1()
        .timer(TokioTimer::new())
        .header_read_timeout(hall.limits.idle_timeout)
        .max_buf_size(HEAD)
        .max_headers(FIELDS);
    http.http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(HEAD as u32);
    let mut connection = pin!(http.serve_connection(TokioIo::new(Lingering::new(stream)), service));
    let mut ends: Option<Instant> = None;
    loop {
        tokio::select! {
            biased;
            _ = stopped.wait_for(|stop| *stop) => break,
            () = until_left(&mut left), if ends.is_none() => ends = Some(Instant::now() + SETTLE),
            () = sleep_until(ends.unwrap_or_else(Instant::now)), if ends.is_some() => break,
            () = guest.refused.notified() => break,
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::trace!(%peer, %error, "connection broken");
                }
                return;
            }
            () = sleep_until(guest.deadline()) => {
                if guest.deadline() <= Instant::now() {
                    break;
                }
            }
        }
    }
    // What is under way is still answered (GOAWAY in HTTP/2, `connection: close` in HTTP/1.1).
    connection.as_mut().graceful_shutdown();
    drop(timeout(hall.limits.write_timeout, connection).await);
}
