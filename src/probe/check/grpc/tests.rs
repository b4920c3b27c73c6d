//! The gRPC check against a server that speaks the bytes of the protocol.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use http_body_util::BodyExt;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::probe::check::Shared;
use crate::probe::testing::*;

/// What a server answers.
#[derive(Clone, Default)]
struct Says {
    status: u16,
    content_type: &'static str,
    message: &'static [u8],
    /// In the trailers; in the head when there is no message.
    grpc_status: Option<&'static str>,
    words: Option<&'static str>,
}

impl Says {
    /// `message`, behind its prefix, and an OK.
    fn message(message: &'static [u8]) -> Says {
        Says {
            status: 200,
            content_type: "application/grpc",
            message,
            grpc_status: Some("0"),
            words: None,
        }
    }

    /// Nothing but a status.
    fn status(grpc_status: &'static str, words: &'static str) -> Says {
        Says {
            grpc_status: Some(grpc_status),
            words: Some(words),
            ..Says::message(&[])
        }
    }

    fn response(&self) -> Response<BoxBody> {
        let mut ends = HeaderMap::new();
        let texts = [(STATUS, self.grpc_status), (MESSAGE, self.words)];
        for (name, text) in texts {
            ends.extend(text.map(|t| (name, HeaderValue::from_static(t))));
        }
        let mut response = Response::builder()
            .status(self.status)
            .header(CONTENT_TYPE, self.content_type);
        if self.message.is_empty() {
            response.headers_mut().unwrap().extend(ends);
            return response.body(Full::default().boxed()).unwrap();
        }
        let body = Full::new(Bytes::from_static(self.message));
        let body = body.with_trailers(std::future::ready(Some(Ok(ends))));
        response.body(body.boxed()).unwrap()
    }
}

type BoxBody = http_body_util::combinators::BoxBody<Bytes, std::convert::Infallible>;

/// What a server was asked.
#[derive(Clone, PartialEq, Debug)]
struct Asked {
    head: String,
    body: Vec<u8>,
}

struct Health {
    addr: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Health {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Health {
    async fn start(says: Says, tls: Option<TlsAcceptor>) -> Health {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let log = asked.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (says, log, tls) = (says.clone(), log.clone(), tls.clone());
                tokio::spawn(async move {
                    let answer = service_fn(move |request: Request<Incoming>| {
                        let (says, log) = (says.clone(), log.clone());
                        async move {
                            let (head, body) = request.into_parts();
                            let text = |name| head.headers.get(name).map(|v| v.to_str().unwrap());
                            let line = format!(
                                "{} {} te={:?} type={:?}",
                                head.method,
                                head.uri,
                                text("te"),
                                text("content-type")
                            );
                            let body = body.collect().await?.to_bytes().to_vec();
                            log.lock().unwrap().push(Asked { head: line, body });
                            Ok::<_, hyper::Error>(says.response())
                        }
                    });
                    let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
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
        Health { addr, asked, task }
    }
}

fn check(service: &str) -> GrpcCheck {
    GrpcCheck {
        service: service.into(),
        host: None,
        tls: None,
    }
}

async fn probe(check: &GrpcCheck, addr: SocketAddr) -> Result<(), Failure> {
    let tls = check.tls.as_ref();
    let tls = tls.map(|trust| Shared::default().tls(trust, &["h2"]));
    let probe = GrpcProbe::new(check, tls, addr);
    let clock = RuntimeClock::start();
    let run = tokio::time::timeout(BOUND, probe.run(None, &clock)).await;
    run.expect("must end").map(drop)
}

const SERVING: &[u8] = &[0, 0, 0, 0, 2, 8, 1];

#[tokio::test]
async fn only_serving_passes_and_the_request_is_that_of_the_protocol() {
    let server = Health::start(Says::message(SERVING), None).await;
    assert_eq!(probe(&check("shop.Orders"), server.addr).await, Ok(()));
    let want = Asked {
        head: format!(
            "POST http://{}/grpc.health.v1.Health/Check te=Some(\"trailers\") \
             type=Some(\"application/grpc\")",
            server.addr
        ),
        body: message::request("shop.Orders"),
    };
    assert_eq!(*server.asked.lock().unwrap(), [want]);
    let table: [(&'static [u8], &str); 3] = [
        (
            &[0, 0, 0, 0, 2, 8, 2],
            "the service is NOT_SERVING, expected SERVING",
        ),
        (&[0, 0, 0, 0, 0], "the service is UNKNOWN, expected SERVING"),
        (
            &[0, 0, 0, 0, 2, 8, 9],
            "the service is status 9, expected SERVING",
        ),
    ];
    for (message, words) in table {
        let server = Health::start(Says::message(message), None).await;
        let failure = probe(&check(""), server.addr).await.unwrap_err();
        assert_eq!(failure, Failure::Unexpected(words.to_owned()));
    }
}

#[tokio::test]
async fn a_question_that_the_server_does_not_know_is_no_opinion() {
    let table = [
        ("5", "unknown service", "does not know the service `shop`"),
        ("12", "", "does not have the service grpc.health.v1.Health"),
    ];
    for (status, said, part) in table {
        let server = Health::start(Says::status(status, said), None).await;
        let failure = probe(&check("shop"), server.addr).await.unwrap_err();
        let words = failure.to_string();
        assert!(matches!(failure, Failure::Unable(_)), "{words}");
        assert!(words.contains(part) && words.contains(said), "{words}");
    }
}

#[tokio::test]
async fn every_other_end_of_a_call_is_a_failure() {
    let table = [
        (
            Says::status("14", "going away"),
            "gRPC status UNAVAILABLE: going away",
        ),
        (Says::status("99", ""), "gRPC status 99"),
        (
            Says {
                grpc_status: None,
                ..Says::message(SERVING)
            },
            "HTTP failed: the answer ends without `grpc-status`",
        ),
        (
            Says {
                status: 503,
                ..Says::message(SERVING)
            },
            "status 503, expected 200 of gRPC",
        ),
        (
            Says {
                content_type: "text/html",
                ..Says::message(SERVING)
            },
            "the answer is no gRPC: its content type is not `application/grpc`",
        ),
        (
            Says::message(&[0; 5000]),
            "the answer is longer than 4096 bytes",
        ),
        (
            Says::message(&[0, 0, 0, 0, 9, 8]),
            "HTTP failed: the gRPC answer is cut short",
        ),
    ];
    for (says, words) in table {
        let server = Health::start(says, None).await;
        let failure = probe(&check(""), server.addr).await.unwrap_err();
        assert!(!matches!(failure, Failure::Unable(_)));
        assert_eq!(failure.to_string(), words);
    }
}

#[tokio::test]
async fn over_tls_the_server_must_speak_http_2() {
    let over_tls = |ca: &str| GrpcCheck {
        host: Some("orders.gslb.example:8443".into()),
        tls: Some(trust(Some(ca))),
        ..check("")
    };
    let (config, ca) = certified(&["orders.gslb.example"], false, &["h2"]);
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let server = Health::start(Says::message(SERVING), Some(acceptor)).await;
    assert_eq!(probe(&over_tls(&ca), server.addr).await, Ok(()));
    let head = server.asked.lock().unwrap()[0].head.clone();
    assert!(
        head.contains("https://orders.gslb.example:8443/grpc"),
        "{head}"
    );
    let s = secure(&["orders.gslb.example"], false).await;
    let words = probe(&over_tls(&s.ca), s.server.addr).await.unwrap_err();
    assert!(
        words.to_string().contains("does not speak HTTP/2"),
        "{words}"
    );
}

#[tokio::test]
async fn a_server_that_does_not_speak_http_2_fails() {
    let server = Server::start(answers("200 OK", "")).await;
    let failure = probe(&check(""), server.addr).await.unwrap_err();
    assert!(matches!(failure, Failure::Http(_)), "{failure:?}");
}
