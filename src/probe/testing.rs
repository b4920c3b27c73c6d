//! What tests of probes need: a clock that runs and small servers that behave as told.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::health::{HttpCheck, HttpVersion, Monitor, MonitorKind, TcpCheck, TlsTrust};
use crate::probe::check::Shared;
use crate::probe::check::http::HttpProbe;
use crate::time::{Clock, Moment, Wall};

/// Longest that a test waits for anything.
pub(crate) const BOUND: Duration = Duration::from_secs(20);

/// The clock of the runtime, so that it stands still where a test pauses time.
pub(crate) struct RuntimeClock(tokio::time::Instant);

impl RuntimeClock {
    pub(crate) fn start() -> RuntimeClock {
        RuntimeClock(tokio::time::Instant::now())
    }
}

impl Clock for RuntimeClock {
    fn now(&self) -> Moment {
        Moment::ZERO + self.0.elapsed()
    }

    fn wall(&self) -> Wall {
        Wall::default()
    }
}

/// What a server does with each request.
#[derive(Clone)]
pub(crate) enum Does {
    /// Answers this to a request.
    Answers(Arc<dyn Fn(&str) -> String + Send + Sync>),
    /// Closes with a reset once it has read something.
    Resets,
    /// Reads and says nothing.
    StaysSilent,
    /// Sends a header that never ends, a byte at a time.
    Drips,
    /// Answers 200 before it has read anything, and ignores what comes.
    TalksFirst,
    /// Sends a body without end.
    NeverStops,
}

/// Answers `status` and `body` to everything.
pub(crate) fn answers(status: &'static str, body: &'static str) -> Does {
    answers_with(move |_| response(status, "", body))
}

pub(crate) fn answers_with(f: impl Fn(&str) -> String + Send + Sync + 'static) -> Does {
    Does::Answers(Arc::new(f))
}

/// A whole response; `headers` end each in CRLF.
pub(crate) fn response(status: &str, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\n{headers}\r\n{body}",
        body.len()
    )
}

/// A server on a port of its own at 127.0.0.1.
pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    seen: Arc<Seen>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    sent: AtomicUsize,
    requests: Mutex<Vec<String>>,
    names: Mutex<Vec<Option<String>>>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub(crate) async fn start(does: Does) -> Server {
        Server::start_with(does, None).await
    }

    pub(crate) async fn start_with(does: Does, tls: Option<TlsAcceptor>) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let seen = Arc::new(Seen::default());
        let task = tokio::spawn({
            let seen = seen.clone();
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    seen.connections.fetch_add(1, Ordering::SeqCst);
                    let (seen, does, tls) = (seen.clone(), does.clone(), tls.clone());
                    tokio::spawn(async move {
                        match tls {
                            Some(tls) => {
                                let Ok(stream) = tls.accept(stream).await else {
                                    return;
                                };
                                let name = stream.get_ref().1.server_name().map(str::to_owned);
                                seen.names.lock().unwrap().push(name);
                                talk(stream, &does, &seen).await;
                            }
                            None => {
                                if matches!(does, Does::Resets) {
                                    stream.set_zero_linger().unwrap();
                                }
                                talk(stream, &does, &seen).await;
                            }
                        }
                    });
                }
            }
        });
        Server { addr, seen, task }
    }

    /// Connections accepted.
    pub(crate) fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    /// Bytes of endless bodies handed to the network.
    pub(crate) fn sent(&self) -> usize {
        self.seen.sent.load(Ordering::SeqCst)
    }

    /// Requests received, whole.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.seen.requests.lock().unwrap().clone()
    }

    /// Names asked for in TLS handshakes that succeeded.
    pub(crate) fn names(&self) -> Vec<Option<String>> {
        self.seen.names.lock().unwrap().clone()
    }
}

async fn talk(mut stream: impl AsyncRead + AsyncWrite + Unpin, does: &Does, seen: &Seen) {
    if matches!(does, Does::TalksFirst) {
        drop(
            stream
                .write_all(response("200 OK", "", "ok").as_bytes())
                .await,
        );
        // Until the other side has gone, so that it gets the answer and no reset.
        drop(tokio::io::copy(&mut stream, &mut tokio::io::sink()).await);
        return;
    }
    let Some(request) = read_request(&mut stream).await else {
        return;
    };
    seen.requests.lock().unwrap().push(request.clone());
    let sent = match does {
        Does::Answers(f) => stream.write_all(f(&request).as_bytes()).await,
        // Without a shutdown, closing with no linger is a reset.
        Does::Resets | Does::TalksFirst => return,
        Does::StaysSilent => std::future::pending().await,
        Does::Drips => {
            let mut sent = stream.write_all(b"HTTP/1.1 200 OK\r\nX-Slow: ").await;
            while sent.is_ok() {
                tokio::time::sleep(Duration::from_millis(10)).await;
                sent = stream.write_all(b"x").await;
            }
            sent
        }
        Does::NeverStops => {
            let mut sent = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
            while sent.is_ok() {
                sent = stream.write_all(&[b'x'; 8192]).await;
                seen.sent.fetch_add(8192, Ordering::SeqCst);
            }
            sent
        }
    };
    // The probe may well be gone by now.
    drop(sent);
    drop(stream.shutdown().await);
}

async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|l| {
                    l.to_ascii_lowercase()
                        .strip_prefix("content-length: ")?
                        .parse()
                        .ok()
                })
                .unwrap_or(0);
            if body.len() >= length {
                return Some(text.into_owned());
            }
        }
        let mut chunk = [0; 1024];
        match stream.read(&mut chunk).await {
            Ok(n) if n > 0 => bytes.extend_from_slice(&chunk[..n]),
            _ => return None,
        }
    }
}

/// A server with a certificate for `names` from an authority of its own.
pub(crate) struct Secure {
    pub(crate) server: Server,
    pub(crate) ca: String,
}

pub(crate) async fn secure(names: &[&str], expired: bool) -> Secure {
    secure_with(names, expired, &[], answers("200 OK", "ok")).await
}

/// A server that does `does` over TLS and speaks the protocols `alpn`.
pub(crate) async fn secure_with(
    names: &[&str],
    expired: bool,
    alpn: &[&str],
    does: Does,
) -> Secure {
    let (config, ca) = certified(names, expired, alpn);
    let acceptor = TlsAcceptor::from(Arc::new(config));
    Secure {
        server: Server::start_with(does, Some(acceptor)).await,
        ca,
    }
}

/// The server's side of TLS with a certificate for `names`, and the authority that signed it.
pub(crate) fn certified(names: &[&str], expired: bool, alpn: &[&str]) -> (ServerConfig, String) {
    let mut params = CertificateParams::new([]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();

    let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    if expired {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
    }
    let key = KeyPair::generate().unwrap();
    let cert = params.signed_by(&key, &ca).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let mut config =
        ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
    config.alpn_protocols = alpn.iter().map(|p| p.as_bytes().to_vec()).collect();
    (config, ca.pem())
}

/// An address where nobody listens.
pub(crate) async fn closed() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
}

/// GET / expecting 200-299, following no redirects.
pub(crate) fn http() -> HttpCheck {
    HttpCheck {
        tls: None,
        version: HttpVersion::Http11,
        host: None,
        method: "GET".into(),
        path: "/".into(),
        headers: Vec::new(),
        body: None,
        expect_status: vec![(200, 299)],
        expect_body: None,
        expect_body_regex: None,
        follow_redirects: 0,
        max_body: 65_536,
    }
}

/// The check `check` of the target `addr`, made ready.
pub(crate) fn http_probe(check: &HttpCheck, addr: SocketAddr) -> HttpProbe {
    HttpProbe::new(Shared::default().template(check), addr)
}

/// Trust in the authority `ca` besides the system's.
pub(crate) fn trust(ca: Option<&str>) -> TlsTrust {
    TlsTrust {
        verify: true,
        ca_pem: ca.map(Into::into),
        server_name: None,
        warn_days: 14,
    }
}

/// A TCP monitor with this interval and a timeout of half of it.
pub(crate) fn monitor(interval: Duration) -> Monitor {
    Monitor {
        name: "m".into(),
        kind: MonitorKind::Tcp(TcpCheck::default()),
        interval,
        timeout: interval / 2,
        rise: 2,
        fall: 2,
        jitter_percent: 10,
        port: None,
        source: Vec::new(),
        family: None,
        retries: 0,
    }
}
