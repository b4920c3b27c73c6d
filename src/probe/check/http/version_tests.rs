//! Which HTTP is spoken, against servers of a library that speaks both.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::health::{Failure, HttpCheck, HttpVersion, TlsTrust};
use crate::probe::testing::*;

/// What a server was asked.
#[derive(Clone, PartialEq, Debug)]
struct Asked {
    version: Version,
    authority: Option<String>,
    host: Option<String>,
    path: String,
    connection: bool,
}

/// A server that answers `ok`, over TLS with ALPN if told, and redirects `/old` to `/`.
struct Both {
    addr: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Both {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Both {
    async fn start(tls: Option<TlsAcceptor>) -> Both {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let log = asked.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (tls, log) = (tls.clone(), log.clone());
                tokio::spawn(async move {
                    let answer = service_fn(|r: Request<Incoming>| {
                        let header = |name| {
                            let value = r.headers().get(name)?;
                            Some(value.to_str().unwrap().to_owned())
                        };
                        log.lock().unwrap().push(Asked {
                            version: r.version(),
                            authority: r.uri().authority().map(ToString::to_string),
                            host: header("host"),
                            path: r.uri().path().to_owned(),
                            connection: header("connection").is_some(),
                        });
                        let mut response = Response::new(Full::new(Bytes::from_static(b"ok")));
                        if r.uri().path() == "/old" {
                            *response.status_mut() = hyper::StatusCode::FOUND;
                            let to = hyper::header::HeaderValue::from_static("/");
                            response.headers_mut().insert("location", to);
                        }
                        async { Ok::<_, hyper::Error>(response) }
                    });
                    let server = auto::Builder::new(TokioExecutor::new());
                    match tls {
                        None => drop(server.serve_connection(TokioIo::new(stream), answer).await),
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                drop(server.serve_connection(TokioIo::new(stream), answer).await);
                            }
                        }
                    }
                });
            }
        });
        Both { addr, asked, task }
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

async fn probe(check: &HttpCheck, addr: SocketAddr) -> Result<(), Failure> {
    let probe = http_probe(check, addr);
    let clock = RuntimeClock::start();
    tokio::time::timeout(BOUND, probe.run(None, &clock))
        .await
        .expect("must end")
        .map(drop)
}

fn check(version: HttpVersion, tls: Option<TlsTrust>) -> HttpCheck {
    HttpCheck {
        version,
        tls,
        expect_body: Some("ok".into()),
        ..http()
    }
}

#[tokio::test]
async fn in_cleartext_the_version_is_the_configured_one() {
    let server = Both::start(None).await;
    let table = [
        (HttpVersion::Http11, Version::HTTP_11),
        (HttpVersion::Auto, Version::HTTP_11),
        (HttpVersion::Http2, Version::HTTP_2),
    ];
    for (version, want) in table {
        assert_eq!(probe(&check(version, None), server.addr).await, Ok(()));
        assert_eq!(server.asked().pop().unwrap().version, want, "{version:?}");
    }
}

#[tokio::test]
async fn over_tls_the_version_is_agreed_on_by_alpn() {
    let both = certified(&["127.0.0.1"], false, &["h2", "http/1.1"]);
    let only_1 = certified(&["127.0.0.1"], false, &["http/1.1"]);
    let silent = certified(&["127.0.0.1"], false, &[]);
    let table = [
        (&both, HttpVersion::Http11, Ok(Version::HTTP_11)),
        (&both, HttpVersion::Http2, Ok(Version::HTTP_2)),
        (&both, HttpVersion::Auto, Ok(Version::HTTP_2)),
        (&only_1, HttpVersion::Auto, Ok(Version::HTTP_11)),
        // RFC 7301 section 3.2: the server ends the handshake.
        (&only_1, HttpVersion::Http2, Err("TLS failed: ")),
        (&silent, HttpVersion::Auto, Ok(Version::HTTP_11)),
        (
            &silent,
            HttpVersion::Http2,
            Err("HTTP failed: the server does not speak HTTP/2"),
        ),
    ];
    for ((config, ca), version, want) in table {
        let server = Both::start(Some(TlsAcceptor::from(Arc::new(config.clone())))).await;
        let trust = Some(trust(Some(ca)));
        let got = probe(&check(version, trust), server.addr).await;
        match want {
            Ok(want) => {
                assert_eq!(got, Ok(()), "{version:?}");
                assert_eq!(server.asked()[0].version, want, "{version:?}");
            }
            Err(part) => {
                let words = got.unwrap_err().to_string();
                assert!(words.starts_with(part), "{words}");
            }
        }
    }
}

#[tokio::test]
async fn http_2_has_an_authority_and_neither_host_nor_connection() {
    let server = Both::start(None).await;
    let two = HttpCheck {
        host: Some("www.gslb.example".into()),
        path: "/old".into(),
        follow_redirects: 1,
        ..check(HttpVersion::Http2, None)
    };
    assert_eq!(probe(&two, server.addr).await, Ok(()));
    let paths: Vec<_> = server.asked().iter().map(|a| a.path.clone()).collect();
    assert_eq!(paths, ["/old", "/"]);
    for asked in server.asked() {
        assert_eq!(asked.authority.as_deref(), Some("www.gslb.example"));
        assert!(asked.host.is_none() && !asked.connection, "{asked:?}");
    }
}

#[tokio::test]
async fn a_server_that_only_speaks_http_1_fails_a_check_over_http_2() {
    let server = Server::start(answers("200 OK", "ok")).await;
    let words = probe(&check(HttpVersion::Http2, None), server.addr)
        .await
        .unwrap_err()
        .to_string();
    assert!(words.starts_with("HTTP failed: "), "{words}");
}
