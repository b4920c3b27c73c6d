//! What a traced request is in OpenTelemetry's words (semantic conventions of HTTP spans 1.23 and later).
//!
//! Queries of URLs stand in no span: they may hold secrets.

use std::net::IpAddr;

use crate::message::{Method, Version};
use crate::telemetry::spans::{Kind, Span, Spanned, Value};
use crate::time::Moment;

use super::{Ending, Trace, Try};

type Attributes = Vec<(&'static str, Value)>;

impl Spanned for Trace {
    fn count(&self) -> u64 {
        1 + self.tries.len() as u64
    }

    fn tell(&self, _: &mut dyn FnMut() -> u64, out: &mut Vec<Span>) {
        let Some(ending) = &self.ending else {
            return;
        };
        out.push(self.request(ending));
        let over = ending.began + ending.time;
        out.extend(self.tries.iter().map(|t| self.one_try(t, ending, over)));
    }
}

impl Trace {
    fn request(&self, ending: &Ending) -> Span {
        let mut attributes = Vec::with_capacity(24);
        method(&mut attributes, &self.method);
        attributes.push(("url.scheme", self.scheme.as_str().into()));
        attributes.push(("url.path", (*self.path).into()));
        let (host, port) = host_and_port(&self.authority);
        if !host.is_empty() {
            attributes.push(("server.address", host.into()));
        }
        if let Some(port) = port {
            attributes.push(("server.port", u64::from(port).into()));
        }
        let version = match self.version {
            Version::Http10 => "1.0",
            Version::Http11 => "1.1",
            Version::Http2 => "2",
        };
        attributes.push(("network.protocol.version", version.into()));
        attributes.push(("client.address", address(self.client)));
        attributes.push(("network.peer.address", address(self.source.ip())));
        attributes.push(("network.peer.port", u64::from(self.source.port()).into()));
        if !self.agent.is_empty() {
            attributes.push(("user_agent.original", (*self.agent).into()));
        }
        let (received, sent) = ending.octets;
        attributes.push(("http.request.body.size", received.into()));
        attributes.push(("http.response.body.size", sent.into()));
        attributes.push(("tradewind.listener", (*ending.listener).into()));
        if let Some(route) = &ending.route {
            attributes.push(("tradewind.route", (**route).into()));
        }
        if let Some(last) = self.tries.last() {
            attributes.push(("tradewind.upstream", (*last.upstream).into()));
            attributes.push(("tradewind.backend", (*last.backend).into()));
        }
        attributes.push(("tradewind.tries", (self.tries.len() as u64).into()));
        if let Some(cache) = ending.cache {
            attributes.push(("tradewind.cache", cache.into()));
        }
        if let Some(error) = ending.error {
            attributes.push(("tradewind.failure", error.into()));
        }
        // What a client does wrong is no failure of who was asked.
        let failed = ending.status.is_some_and(|s| s >= 500) || ending.error.is_some_and(is_ours);
        outcome(&mut attributes, ending.status, ending.error, failed);
        Span {
            trace: self.own.trace,
            id: self.own.parent,
            parent: self.parent,
            state: self.state(),
            name: match &ending.route {
                Some(route) => format!("{} {route}", word(&self.method)),
                None => word(&self.method).to_owned(),
            },
            kind: Kind::Server,
            began_ns: ending.wall.unix_ns(ending.began),
            took: ending.time,
            attributes,
            failed,
        }
    }

    fn one_try(&self, t: &Try, ending: &Ending, over: Moment) -> Span {
        let mut attributes = Vec::with_capacity(12);
        method(&mut attributes, &self.method);
        let scheme = if t.tls { "https" } else { "http" };
        let path = String::from_utf8_lossy(&t.path);
        let url = format!("{scheme}://{}{path}", t.address);
        attributes.push(("url.full", Value::Text(url)));
        attributes.push(("server.address", address(t.address.ip())));
        attributes.push(("server.port", u64::from(t.address.port()).into()));
        let version = if t.http2 { "2" } else { "1.1" };
        attributes.push(("network.protocol.version", version.into()));
        attributes.push(("tradewind.upstream", (*t.upstream).into()));
        attributes.push(("tradewind.backend", (*t.backend).into()));
        if t.resent > 0 {
            let resent = u64::from(t.resent);
            attributes.push(("http.request.resend_count", resent.into()));
        }
        // Of the try whose answer the client got: where that broke off, so did this.
        let error = t.error.or(match t.ended {
            None => ending.error,
            Some(_) => None,
        });
        let failed = t.status.is_some_and(|s| s >= 400) || error.is_some();
        outcome(&mut attributes, t.status, error, failed);
        Span {
            trace: self.own.trace,
            id: t.id,
            parent: Some(self.own.parent),
            state: self.state(),
            name: word(&self.method).to_owned(),
            kind: Kind::Client,
            began_ns: ending.wall.unix_ns(t.began),
            took: t.ended.unwrap_or(over).since(t.began),
            attributes,
            failed,
        }
    }

    fn state(&self) -> Box<str> {
        // It was read as printable ASCII.
        String::from_utf8_lossy(&self.state).into()
    }
}

/// Whether what went wrong is the proxy's or a backend's doing, not the client's.
fn is_ours(error: &str) -> bool {
    error.starts_with("backend-")
}

/// The status, and why it is a failure.
fn outcome(
    attributes: &mut Attributes,
    status: Option<u16>,
    error: Option<&'static str>,
    failed: bool,
) {
    if let Some(status) = status {
        attributes.push(("http.response.status_code", u64::from(status).into()));
    }
    match (error, status) {
        _ if !failed => {}
        (Some(error), _) => attributes.push(("error.type", error.into())),
        (None, Some(status)) => {
            attributes.push(("error.type", Value::Text(status.to_string())));
        }
        (None, None) => {}
    }
}

/// As a span is named: a client may make up methods without end.
fn word(method: &Method) -> &'static str {
    match method {
        Method::Get => "GET",
        Method::Head => "HEAD",
        Method::Post => "POST",
        Method::Put => "PUT",
        Method::Delete => "DELETE",
        Method::Connect => "CONNECT",
        Method::Options => "OPTIONS",
        Method::Trace => "TRACE",
        Method::Patch => "PATCH",
        Method::Other(_) => "HTTP",
    }
}

fn method(attributes: &mut Attributes, method: &Method) {
    match method {
        Method::Other(text) => {
            attributes.push(("http.request.method", "_OTHER".into()));
            attributes.push(("http.request.method_original", (**text).into()));
        }
        known => attributes.push(("http.request.method", word(known).into())),
    }
}

fn address(ip: IpAddr) -> Value {
    Value::Text(ip.to_canonical().to_string())
}

/// What stands before the port, without brackets, and the port.
fn host_and_port(authority: &[u8]) -> (&[u8], Option<u16>) {
    let colon = authority.iter().rposition(|b| *b == b':');
    let colon = colon.filter(|at| !authority[*at..].contains(&b']'));
    let (host, port) = authority.split_at(colon.unwrap_or(authority.len()));
    let port = port
        .get(1..)
        .and_then(|p| std::str::from_utf8(p).ok()?.parse().ok());
    let inner = host.strip_prefix(b"[").and_then(|h| h.strip_suffix(b"]"));
    (inner.unwrap_or(host), port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports_are_told_apart() {
        let of = |text: &'static str| host_and_port(text.as_bytes());
        assert_eq!(of("www.example"), (&b"www.example"[..], None));
        assert_eq!(of("www.example:8080"), (&b"www.example"[..], Some(8080)));
        assert_eq!(of("[2001:db8::1]"), (&b"2001:db8::1"[..], None));
        assert_eq!(of("[2001:db8::1]:81"), (&b"2001:db8::1"[..], Some(81)));
        assert_eq!(of(""), (&b""[..], None));
        assert_eq!(of("x:"), (&b"x"[..], None));
    }
}
