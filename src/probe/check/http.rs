//! The HTTP(S) check (requirement H8).
//!
//! A probe sees what a new client sees: it never reuses a connection, takes no proxy from the
//! environment, resolves no name and reaches exactly the target's address, whatever `Host` and server
//! name say. It speaks HTTP/1.1.
//!
//! The library that carries the request does not tell how long its connect took, so the probe first
//! opens a connection of its own to measure that, and closes it at once: a target sees two connections
//! per probe. That keeps the round-trip time the network's, without TLS and the server's thinking,
//! and names a refused connection by its own error.

mod answer;
mod client;
mod redirect;

use std::net::SocketAddr;
use std::time::Duration;

use reqwest::header::{CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use reqwest::{Client, Method, Url};
use tokio::sync::OnceCell;

use self::answer::Expectation;
use self::redirect::Place;
use super::tcp;
use crate::health::{Failure, HttpCheck};
use crate::time::Clock;

/// Sent unless the monitor's headers name another.
const AGENT: &str = concat!("tradewind-probe/", env!("CARGO_PKG_VERSION"));

/// One target's HTTP check.
#[derive(Debug)]
pub struct HttpProbe {
    check: HttpCheck,
    addr: SocketAddr,
    /// What does not change between runs; the reason why nothing can be asked otherwise.
    fixed: Result<Fixed, Failure>,
    /// Built on first use: reading the system's trust anchors takes a while.
    client: OnceCell<Client>,
}

#[derive(Debug)]
struct Fixed {
    method: Method,
    headers: HeaderMap,
    expectation: Expectation,
    /// Where the request seems to go: what `Host` says.
    place: Place,
    /// What stands for the target in the URL: its address, or the name that TLS verifies.
    url_host: String,
}

impl HttpProbe {
    /// The check `check` of the target `addr`.
    pub fn new(check: &HttpCheck, addr: SocketAddr) -> HttpProbe {
        HttpProbe {
            check: check.clone(),
            addr,
            fixed: fix(check, addr),
            client: OnceCell::new(),
        }
    }

    /// Asks once; gives the time to connect.
    ///
    /// # Errors
    /// When the target does not answer as the check expects.
    pub async fn run(&self, clock: &dyn Clock) -> Result<Duration, Failure> {
        let fixed = self.fixed.as_ref().map_err(Failure::clone)?;
        let client = self
            .client
            .get_or_try_init(|| client::build(&self.check, &fixed.url_host, self.addr))
            .await?;
        let rtt = tcp::connect(self.addr, clock).await?;

        let mut method = fixed.method.clone();
        let mut body = self.check.body.as_deref();
        let mut place = fixed.place.clone();
        let mut redirects = 0;
        loop {
            let url = self.url(fixed, &place)?;
            let mut request = client
                .request(method.clone(), url)
                .headers(fixed.headers.clone());
            if let Some(body) = body {
                request = request.body(body.to_owned());
            }
            let response = request.send().await.map_err(client::failure)?;
            let location = redirect::location(&response);
            let Some(location) = location.filter(|_| self.check.follow_redirects > 0) else {
                fixed.expectation.judge(response).await?;
                return Ok(rtt);
            };
            redirects += 1;
            if redirects > self.check.follow_redirects {
                return Err(Failure::Unexpected(format!(
                    "more than {} redirects; the last one to {location}",
                    self.check.follow_redirects
                )));
            }
            place = place.redirected(&location)?;
            if redirect::becomes_get(response.status(), &method) {
                method = Method::GET;
                body = None;
            }
        }
    }

    /// The URL that makes the library connect to the target and ask for what `place` says.
    fn url(&self, fixed: &Fixed, place: &Place) -> Result<Url, Failure> {
        let scheme = if self.check.tls { "https" } else { "http" };
        let text = format!(
            "{scheme}://{}:{}{}",
            fixed.url_host,
            self.addr.port(),
            place.path()
        );
        Url::parse(&text).map_err(|e| Failure::Http(format!("`{text}` is no URL: {e}")))
    }
}

/// Works out once what every run needs. A check that cannot be run fails with the reason.
fn fix(check: &HttpCheck, addr: SocketAddr) -> Result<Fixed, Failure> {
    let wrong = |what: String| Failure::Http(what);
    let method = Method::from_bytes(check.method.as_bytes())
        .map_err(|_| wrong(format!("`{}` is no request method", check.method)))?;
    let mut headers = HeaderMap::new();
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    let host = check
        .host
        .as_deref()
        .map_or_else(|| redirect::authority(addr, check.tls), str::to_owned);
    let mut put = |name: &str, value: &str, first: bool| -> Result<(), Failure> {
        let key = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| wrong(format!("`{name}` is no header name")))?;
        let text = HeaderValue::from_str(value).map_err(|_| {
            wrong(format!(
                "header `{name}` has characters that no header may have"
            ))
        })?;
        if first {
            headers.insert(key, text);
        } else {
            headers.append(key, text);
        }
        Ok(())
    };
    let mut named = std::collections::HashSet::new();
    put(HOST.as_str(), &host, true)?;
    for (name, value) in &check.headers {
        // The first of a name takes the place of our own; more of it are added.
        put(name, value, named.insert(name.to_ascii_lowercase()))?;
    }
    put(CONNECTION.as_str(), "close", true)?;
    Ok(Fixed {
        method,
        headers,
        expectation: Expectation::of(check)?,
        place: Place::first(check.tls, &host, &check.path)?,
        url_host: client::url_host(check, addr)?,
    })
}
