//! The gRPC check: `grpc.health.v1.Health/Check` over HTTP/2.
//!
//! A server that does not know the health protocol, or not the service, was asked the wrong question:
//! that is an error of the configuration, and says nothing about the server's health.

mod message;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, TE, USER_AGENT};
use hyper::{Method, Request, Response, StatusCode, Uri};

use self::message::Status;
use super::conversation::{Conversation, Speech};
use super::expiry::SeenExpiry;
use super::http::authority_of;
use super::secure::TlsClient;
use super::socket::connect_tcp;
use crate::health::{Failure, GrpcCheck};
use crate::time::Clock;

/// The method, as a path.
const CHECK: &str = "/grpc.health.v1.Health/Check";
/// Answer bytes read at most; one of a few bytes is expected.
const MAX_ANSWER: usize = 4096;
const AGENT: &str = concat!("tradewind-probe/", env!("CARGO_PKG_VERSION"));
const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// One target's gRPC check.
#[derive(Debug)]
pub struct GrpcProbe {
    service: Box<str>,
    host: Option<Box<str>>,
    tls: Option<Arc<TlsClient>>,
    addr: SocketAddr,
    /// When the certificate that it showed last expires.
    pub(super) expiry: SeenExpiry,
}

impl GrpcProbe {
    /// The check `check` of the target `addr`; `tls` is its side of TLS, where it has one.
    pub fn new(check: &GrpcCheck, tls: Option<Arc<TlsClient>>, addr: SocketAddr) -> GrpcProbe {
        GrpcProbe {
            service: check.service.clone(),
            host: check.host.clone(),
            tls,
            addr,
            expiry: SeenExpiry::default(),
        }
    }

    /// Asks once, from the address `source` if one is given; gives the time to connect.
    ///
    /// # Errors
    /// When the service does not serve; [`Failure::Unable`] when it cannot be asked that way.
    pub async fn run(
        &self,
        source: Option<IpAddr>,
        clock: &dyn Clock,
    ) -> Result<Duration, Failure> {
        let request = self.request()?;
        let (mut talk, rtt) = self.open(source, clock).await?;
        let response = talk.ask(request).await?;
        if response.status() != StatusCode::OK {
            return Err(Failure::Unexpected(format!(
                "status {}, expected 200 of gRPC",
                response.status().as_u16()
            )));
        }
        let (head, body) = read(&mut talk, response).await?;
        judge(&head, &body, &self.service)?;
        Ok(rtt)
    }

    async fn open(
        &self,
        source: Option<IpAddr>,
        clock: &dyn Clock,
    ) -> Result<(Conversation, Duration), Failure> {
        let Some(tls) = &self.tls else {
            let (stream, rtt) = connect_tcp(self.addr, source, clock).await?;
            return Ok((Conversation::open(stream, Speech::Http2).await?, rtt));
        };
        tls.ready().await?;
        let name = tls.name(self.host.as_deref(), self.addr.ip())?;
        let (stream, rtt) = connect_tcp(self.addr, source, clock).await?;
        let (stream, peer) = tls.handshake(stream, name).await?;
        self.expiry.saw(peer.not_after);
        if peer.alpn.as_deref() != Some(b"h2") {
            return Err(Failure::Http(
                "the server does not speak HTTP/2: it did not choose `h2` in the TLS handshake"
                    .to_owned(),
            ));
        }
        Ok((Conversation::open(stream, Speech::Http2).await?, rtt))
    }

    fn request(&self) -> Result<Request<Full<Bytes>>, Failure> {
        let wrong = |e: hyper::http::Error| Failure::Http(format!("cannot ask: {e}"));
        let tls = self.tls.is_some();
        let own;
        let authority = match &self.host {
            Some(host) => host.as_ref(),
            None => {
                own = authority_of(self.addr, tls);
                &own
            }
        };
        let uri = Uri::builder()
            .scheme(if tls { "https" } else { "http" })
            .authority(authority)
            .path_and_query(CHECK)
            .build()
            .map_err(wrong)?;
        Request::builder()
            .method(Method::POST)
            .uri(uri)
            .version(hyper::Version::HTTP_2)
            .header(CONTENT_TYPE, "application/grpc")
            .header(TE, "trailers")
            .header(USER_AGENT, AGENT)
            .body(Full::new(message::request(&self.service).into()))
            .map_err(wrong)
    }
}

/// The metadata that says how the call ended (trailers, or the head where there is nothing else), and
/// the messages.
async fn read(
    talk: &mut Conversation,
    response: Response<Incoming>,
) -> Result<(HeaderMap, Vec<u8>), Failure> {
    let (head, mut rest) = response.into_parts();
    let grpc = head.headers.get(CONTENT_TYPE);
    if !grpc.is_some_and(|t| t.as_bytes().starts_with(b"application/grpc")) {
        return Err(Failure::Unexpected(
            "the answer is no gRPC: its content type is not `application/grpc`".to_owned(),
        ));
    }
    let mut metadata = head.headers;
    let mut body = Vec::new();
    while let Some(frame) = talk.next_frame(&mut rest).await {
        match frame?.into_data() {
            Ok(data) => {
                if body.len() + data.len() > MAX_ANSWER {
                    return Err(Failure::Unexpected(format!(
                        "the answer is longer than {MAX_ANSWER} bytes"
                    )));
                }
                body.extend_from_slice(&data);
            }
            Err(frame) => {
                if let Ok(trailers) = frame.into_trailers() {
                    metadata.extend(trailers);
                }
            }
        }
    }
    Ok((metadata, body))
}

fn judge(metadata: &HeaderMap, body: &[u8], service: &str) -> Result<(), Failure> {
    let text = |v: &HeaderValue| String::from_utf8_lossy(v.as_bytes()).into_owned();
    let Some(status) = metadata.get(STATUS).map(text) else {
        return Err(Failure::Http(
            "the answer ends without `grpc-status`".to_owned(),
        ));
    };
    let said = match metadata.get(MESSAGE).map(text) {
        Some(words) if !words.is_empty() => format!(": {words}"),
        _ => String::new(),
    };
    match status.as_str() {
        "0" => {}
        "5" => {
            return Err(Failure::Unable(format!(
                "the server does not know the service `{service}` (gRPC status NOT_FOUND){said}; \
                 set `grpc.service` of the monitor to a name that the server's health service knows"
            )));
        }
        "12" => {
            return Err(Failure::Unable(format!(
                "the server does not have the service grpc.health.v1.Health (gRPC status \
                 UNIMPLEMENTED){said}; register it in the server, or use another kind of monitor"
            )));
        }
        other => {
            let name = message::status_name(other);
            return Err(Failure::Unexpected(format!("gRPC status {name}{said}")));
        }
    }
    match message::response(body).map_err(|e| Failure::Http(e.to_owned()))? {
        Status::Serving => Ok(()),
        other => Err(Failure::Unexpected(format!(
            "the service is {}, expected SERVING",
            other.name()
        ))),
    }
}

#[cfg(test)]
mod tests;
