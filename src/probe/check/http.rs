//! The HTTP(S) check (requirement H8).
//!
//! A probe sees what a new client sees: it never reuses a connection, takes no proxy from the
//! environment, resolves no name and reaches exactly the target's address, whatever `Host` and server
//! name say. It opens one connection, whose connect gives the round-trip time: the network's, without
//! TLS and the server's thinking. Each redirect that is followed opens one more.

mod answer;
mod redirect;
mod template;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper::Method;
use hyper::body::Incoming;
use hyper::header::{HOST, HeaderValue};
use hyper::{Request, Response, Uri};

use self::redirect::Place;
pub(super) use self::redirect::authority as authority_of;
pub use self::template::Template;
use super::conversation::{Conversation, Speech};
use super::expiry::SeenExpiry;
use super::socket::connect_tcp;
use crate::health::{Failure, HttpVersion};
use crate::time::Clock;

/// One target's HTTP check.
#[derive(Debug)]
pub struct HttpProbe {
    template: Result<Arc<Template>, Failure>,
    addr: SocketAddr,
    /// When the certificate that it showed last expires.
    pub(super) expiry: SeenExpiry,
}

/// What the next request says, which redirects change.
struct Question<'t> {
    method: Method,
    path: String,
    body: Option<&'t str>,
    /// Where the request seems to go; known from the first redirect on.
    place: Option<Place>,
}

impl HttpProbe {
    /// The check of the target `addr` by `template`, or the reason why nothing can be asked.
    pub fn new(template: Result<Arc<Template>, Failure>, addr: SocketAddr) -> HttpProbe {
        HttpProbe {
            template,
            addr,
            expiry: SeenExpiry::default(),
        }
    }

    /// Asks once, from the address `source` if one is given; gives the time to connect.
    ///
    /// # Errors
    /// When the target does not answer as the check expects.
    pub async fn run(
        &self,
        source: Option<IpAddr>,
        clock: &dyn Clock,
    ) -> Result<Duration, Failure> {
        let template = self.template.as_deref().map_err(Failure::clone)?;
        if let Some(tls) = &template.tls {
            // Before the clock runs, and before the target is bothered.
            tls.ready().await?;
        }
        let mut question = Question {
            method: template.method.clone(),
            path: template.path.clone(),
            body: template.body.as_deref(),
            place: None,
        };
        let (mut talk, rtt) = self.open(template, source, clock).await?;
        let mut redirects = 0;
        loop {
            let response = self.ask(template, &mut talk, &question).await?;
            let location = redirect::location(&response);
            let Some(location) = location.filter(|_| template.follow_redirects > 0) else {
                template.expectation.judge(&mut talk, response).await?;
                return Ok(rtt);
            };
            redirects += 1;
            if redirects > template.follow_redirects {
                return Err(Failure::Unexpected(format!(
                    "more than {} redirects; the last one to {location}",
                    template.follow_redirects
                )));
            }
            self.follow(template, &mut question, &response, &location)?;
            // The connection was asked to close after its answer.
            drop((response, talk));
            (talk, _) = self.open(template, source, clock).await?;
        }
    }

    /// Connects, with TLS where told, and agrees on the version.
    async fn open(
        &self,
        template: &Template,
        source: Option<IpAddr>,
        clock: &dyn Clock,
    ) -> Result<(Conversation, Duration), Failure> {
        let Some(tls) = &template.tls else {
            let speech = match template.version {
                HttpVersion::Http11 | HttpVersion::Auto => Speech::Http1,
                HttpVersion::Http2 => Speech::Http2,
            };
            let (stream, rtt) = connect_tcp(self.addr, source, clock).await?;
            return Ok((Conversation::open(stream, speech).await?, rtt));
        };
        let name = tls.name(template.host.as_deref(), self.addr.ip())?;
        let (stream, rtt) = connect_tcp(self.addr, source, clock).await?;
        let (stream, peer) = tls.handshake(stream, name).await?;
        self.expiry.saw(peer.not_after);
        let chose_2 = peer.alpn.as_deref() == Some(b"h2");
        let speech = match template.version {
            HttpVersion::Http2 if !chose_2 => {
                return Err(Failure::Http(
                    "the server does not speak HTTP/2: it did not choose `h2` in the TLS handshake"
                        .to_owned(),
                ));
            }
            _ if chose_2 => Speech::Http2,
            _ => Speech::Http1,
        };
        Ok((Conversation::open(stream, speech).await?, rtt))
    }

    async fn ask(
        &self,
        template: &Template,
        talk: &mut Conversation,
        question: &Question<'_>,
    ) -> Result<Response<Incoming>, Failure> {
        let broken = |what: String| Failure::Http(what);
        let own;
        let authority = match &template.authority {
            Some(authority) => authority,
            None => {
                let text = redirect::authority(self.addr, template.tls.is_some());
                own = HeaderValue::from_str(&text).map_err(|e| broken(e.to_string()))?;
                &own
            }
        };
        let mut request = Request::new(template.body_of(question.body));
        *request.method_mut() = question.method.clone();
        *request.headers_mut() = template.headers.clone();
        let uri = match talk.speech() {
            Speech::Http1 => {
                request.headers_mut().insert(HOST, authority.clone());
                template.close(request.headers_mut());
                Uri::try_from(&question.path)
            }
            // `:authority` stands for `Host` (RFC 9113 section 8.3.1), and there is no `Connection`
            // (section 8.2.2).
            Speech::Http2 => {
                *request.version_mut() = hyper::Version::HTTP_2;
                let scheme = if template.tls.is_some() {
                    "https"
                } else {
                    "http"
                };
                Uri::builder()
                    .scheme(scheme)
                    .authority(authority.as_bytes())
                    .path_and_query(&question.path)
                    .build()
                    .map_err(|e| broken(format!("cannot ask for `{}`: {e}", question.path)))
                    .map(Ok)?
            }
        };
        *request.uri_mut() = uri.map_err(|e| broken(format!("`{}`: {e}", question.path)))?;
        talk.ask(request).await
    }

    /// Turns `question` into what `location` asks for.
    fn follow(
        &self,
        template: &Template,
        question: &mut Question<'_>,
        response: &Response<Incoming>,
        location: &str,
    ) -> Result<(), Failure> {
        let tls = template.tls.is_some();
        let from = match question.place.take() {
            Some(place) => place,
            None => {
                let host = template.host.clone();
                let host = host.unwrap_or_else(|| redirect::authority(self.addr, tls).into());
                Place::first(tls, &host, &question.path)?
            }
        };
        let to = from.redirected(location)?;
        question.path = to.path();
        question.place = Some(to);
        if redirect::becomes_get(response.status(), &question.method) {
            question.method = Method::GET;
            question.body = None;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tls_tests;
#[cfg(test)]
mod version_tests;
