//! The server's side of a handshake.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::server::{Accepted, AcceptedAlert, Acceptor};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::timeout;
use tokio_rustls::StartHandshake;
use tokio_rustls::server::TlsStream;

use super::facts::Agreed;
use super::listener::{HandshakeCounters, ListenerTls};

/// Why there was no handshake.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The client connected and left without a word, as checks of a port do.
    #[error("the client left before the handshake")]
    Left,
    /// It was not done in time.
    #[error("the TLS handshake took too long")]
    Timeout,
    /// The client spoke HTTP without TLS; it was told so.
    #[error("the client spoke HTTP without TLS")]
    PlainHttp,
    /// No certificate is for the host that the client asked for, and the listener is strict.
    #[error("no certificate is for the host that the client asked for (`strict-sni`)")]
    UnknownHost,
    /// The rules of TLS, or of the listener.
    #[error("TLS: {0}")]
    Tls(rustls::Error),
    /// The connection.
    #[error("{0}")]
    Io(io::Error),
}

impl HandshakeError {
    /// One word for metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            HandshakeError::Left => "left",
            HandshakeError::Timeout => "timeout",
            HandshakeError::PlainHttp => "plain-http",
            HandshakeError::UnknownHost => "unknown-host",
            HandshakeError::Tls(_) => "tls",
            HandshakeError::Io(_) => "io",
        }
    }

    /// The runtime hands rustls's error on inside an I/O error.
    fn from_io(error: io::Error) -> HandshakeError {
        let inner = error.get_ref().and_then(|e| e.downcast_ref());
        match inner {
            Some(tls) => HandshakeError::Tls(rustls::Error::clone(tls)),
            None => HandshakeError::Io(error),
        }
    }
}

/// Shakes hands over `io` with what is in force on the listener, for `longest` or what the listener says
/// at most. Plain HTTP is answered with 400.
///
/// # Errors
/// [`HandshakeError`]; an alert was sent where the rules of TLS say so.
pub async fn accept<IO>(
    io: IO,
    tls: &ListenerTls,
    longest: Duration,
) -> Result<(TlsStream<IO>, Agreed), HandshakeError>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let in_force = tls.in_force();
    let longest = in_force.settings.handshake_timeout.unwrap_or(longest);
    let counters = &tls.counters;
    let shaking = async {
        let start = begin(io, in_force.settings.alpn.is_none()).await?;
        let strict = in_force.settings.strict_sni;
        start
            .into_stream(in_force.config.clone())
            .await
            .map_err(|e| match HandshakeError::from_io(e) {
                // What rustls says when the shelf has nothing.
                HandshakeError::Tls(rustls::Error::General(_)) if strict => {
                    HandshakeError::UnknownHost
                }
                other => other,
            })
    };
    let done = match timeout(longest, shaking).await {
        Ok(done) => done,
        Err(_) => Err(HandshakeError::Timeout),
    };
    match done {
        Ok(stream) => {
            let agreed = Agreed::of(stream.get_ref().1);
            HandshakeCounters::count(if agreed.resumed {
                &counters.resumed
            } else {
                &counters.full
            });
            Ok((stream, agreed))
        }
        Err(error) => {
            match error {
                HandshakeError::Left => {}
                HandshakeError::Timeout => HandshakeCounters::count(&counters.timed_out),
                HandshakeError::PlainHttp => HandshakeCounters::count(&counters.plain),
                _ => HandshakeCounters::count(&counters.failed),
            }
            Err(error)
        }
    }
}

/// What the first octets turned out to be.
enum First {
    Hello(Box<Accepted>),
    Plain,
    Bad(rustls::Error, AcceptedAlert),
}

/// Reads the client's first message. `http`: plain HTTP is told apart and answered.
async fn begin<IO>(mut io: IO, http: bool) -> Result<StartHandshake<IO>, HandshakeError>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let mut acceptor = Acceptor::default();
    let mut first = None;
    let found =
        std::future::poll_fn(|cx| hello(&mut io, &mut acceptor, (&mut first, http), cx)).await?;
    match found {
        First::Hello(accepted) => Ok(StartHandshake::from_parts(*accepted, io)),
        First::Plain => {
            refuse_plain(&mut io).await;
            Err(HandshakeError::PlainHttp)
        }
        First::Bad(error, mut alert) => {
            let mut octets = Vec::new();
            // Into memory: cannot fail.
            let _ = alert.write_all(&mut octets);
            let _ = io.write_all(&octets).await;
            let _ = io.shutdown().await;
            Err(HandshakeError::Tls(error))
        }
    }
}

/// Reads until there is a whole `ClientHello`, or it is clear that there is none.
fn hello<IO: AsyncRead + Unpin>(
    io: &mut IO,
    acceptor: &mut Acceptor,
    (first, http): (&mut Option<u8>, bool),
    cx: &mut Context<'_>,
) -> Poll<Result<First, HandshakeError>> {
    loop {
        let mut reading = Reading {
            io,
            cx,
            first: &mut *first,
        };
        match acceptor.read_tls(&mut reading) {
            Ok(0) if first.is_none() => return Poll::Ready(Err(HandshakeError::Left)),
            Ok(0) => {
                let cut = io::ErrorKind::UnexpectedEof.into();
                return Poll::Ready(Err(HandshakeError::Io(cut)));
            }
            Ok(_) => {}
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
            // A port check that resets the connection.
            Err(_) if first.is_none() => return Poll::Ready(Err(HandshakeError::Left)),
            Err(e) => return Poll::Ready(Err(HandshakeError::Io(e))),
        }
        // A record of a handshake begins with 22; methods of HTTP begin with a capital.
        if http && first.is_some_and(|octet| octet.is_ascii_uppercase()) {
            return Poll::Ready(Ok(First::Plain));
        }
        match acceptor.accept() {
            Ok(Some(accepted)) => return Poll::Ready(Ok(First::Hello(Box::new(accepted)))),
            Ok(None) => {}
            Err((error, alert)) => return Poll::Ready(Ok(First::Bad(error, alert))),
        }
    }
}

/// Reads from the runtime's stream where a blocking one is wanted, and keeps the first octet.
struct Reading<'r, 'c, IO> {
    io: &'r mut IO,
    cx: &'r mut Context<'c>,
    first: &'r mut Option<u8>,
}

impl<IO: AsyncRead + Unpin> io::Read for Reading<'_, '_, IO> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut buf = ReadBuf::new(into);
        match Pin::new(&mut *self.io).poll_read(self.cx, &mut buf) {
            Poll::Ready(Ok(())) => {
                let filled = buf.filled();
                if self.first.is_none() {
                    *self.first = filled.first().copied();
                }
                Ok(filled.len())
            }
            Poll::Ready(Err(e)) => Err(e),
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

/// What a client is told that speaks HTTP without TLS.
const PLAIN: &str = "This port speaks HTTPS. Use https:// instead of http://.\n";

/// Octets that are still read of what the client is sending, so that the answer is not lost to a reset.
const LINGER: usize = 64 << 10;

/// Answers plain HTTP. The handshake's deadline bounds it all.
async fn refuse_plain<IO: AsyncRead + AsyncWrite + Unpin>(io: &mut IO) {
    let answer = format!(
        "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{PLAIN}",
        PLAIN.len()
    );
    if io.write_all(answer.as_bytes()).await.is_err() || io.shutdown().await.is_err() {
        return;
    }
    let mut waste = vec![0; 4 << 10];
    let mut read = 0;
    let drain = async {
        while read < LINGER {
            match io.read(&mut waste).await {
                Ok(n) if n > 0 => read += n,
                _ => break,
            }
        }
    };
    let _ = timeout(Duration::from_secs(1), drain).await;
}
