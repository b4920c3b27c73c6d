//! Between hyper's messages and ours.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body as _, Frame as HyperFrame, Incoming, SizeHint};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};

use crate::message::http1::chunked::keep_allowed_trailers;
use crate::message::http1::target;
use crate::message::{Fields, Known, Method, RequestHead, ResponseHead, Scheme, Version};
use crate::proxy::body::{Body, BodyError, Frame, Source};
use crate::proxy::watch::Watch;

/// Fields that HTTP/2 does not have (RFC 9113 section 8.2.2).
fn is_connection_field(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection" | "keep-alive" | "proxy-connection" | "transfer-encoding" | "upgrade"
    )
}

/// Puts hyper's fields behind ours.
pub fn take_fields(map: &HeaderMap, into: &mut Fields) {
    for (name, value) in map {
        if !is_connection_field(name) {
            into.push(name.as_str().as_bytes(), value.as_bytes());
        }
    }
}

/// As hyper's fields. One that hyper would not send is left out.
pub fn give_fields(fields: &Fields) -> HeaderMap {
    let mut map = HeaderMap::with_capacity(fields.len());
    for (name, value) in fields.iter() {
        let name = HeaderName::from_bytes(name);
        let value = HeaderValue::from_bytes(value);
        if let (Ok(name), Ok(value)) = (name, value)
            && !is_connection_field(&name)
        {
            map.append(name, value);
        }
    }
    map
}

/// Why a request of HTTP/2 is malformed (RFC 9113 section 8.3.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Malformed {
    /// Neither `:authority` nor `host`, or both and different, or several.
    Authority,
    /// No target that may be passed on.
    Target,
}

/// Takes the head of a request.
pub fn request_head(
    parts: &hyper::http::request::Parts,
    head: &mut RequestHead,
) -> Result<(), Malformed> {
    head.method = Method::new(parts.method.as_str().as_bytes());
    head.version = Version::Http2;
    head.scheme = Scheme::Http;
    let mut hosts = parts.headers.get_all(hyper::header::HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(Malformed::Authority);
    }
    let authority = parts.uri.authority().map(|a| a.as_str().as_bytes());
    let authority = match (authority, host.map(HeaderValue::as_bytes)) {
        (Some(a), Some(h)) if !a.eq_ignore_ascii_case(h) => return Err(Malformed::Authority),
        (Some(a), _) | (None, Some(a)) => a,
        (None, None) => return Err(Malformed::Authority),
    };
    let authority = target::authority(authority).ok_or(Malformed::Authority)?;
    head.authority
        .extend(authority.iter().map(u8::to_ascii_lowercase));
    let path = parts.uri.path_and_query().map_or("/", |p| p.as_str());
    let asterisk = path == "*" && head.method == Method::Options;
    // As strict as with HTTP/1.1: what is passed on may be read by anybody.
    let origin = path.starts_with('/') && target::is_path_and_query(path.as_bytes());
    if head.method == Method::Connect || !(asterisk || origin) {
        return Err(Malformed::Target);
    }
    head.target.extend_from_slice(path.as_bytes());
    let mut cookies: Vec<u8> = Vec::new();
    for (name, value) in &parts.headers {
        match name.as_str() {
            "host" => {}
            // Cut into crumbs for compression; elsewhere it is one field (RFC 9113 section 8.2.3).
            "cookie" => {
                if !cookies.is_empty() {
                    cookies.extend_from_slice(b"; ");
                }
                cookies.extend_from_slice(value.as_bytes());
            }
            "te" if value.as_bytes() != b"trailers" => {}
            _ if is_connection_field(name) => {}
            name => head.fields.push(name.as_bytes(), value.as_bytes()),
        }
    }
    if !cookies.is_empty() {
        head.fields.push_known(Known::Cookie, &cookies);
    }
    Ok(())
}

/// The head of a response, without its body.
pub fn response_head(head: &ResponseHead) -> hyper::Response<()> {
    let mut response = hyper::Response::new(());
    *response.status_mut() =
        hyper::StatusCode::from_u16(head.status).unwrap_or(hyper::StatusCode::BAD_GATEWAY);
    *response.headers_mut() = give_fields(&head.fields);
    response
}

/// A body that hyper reads.
pub struct Received {
    body: Incoming,
    allowed: u64,
    watch: Watch,
    timeout: std::time::Duration,
    /// Where it is told how many octets have come.
    octets: Option<Rc<Cell<u64>>>,
}

/// The body of a message that hyper reads: at most so many octets, and not slower than that. `octets`
/// is told how many have come.
pub fn received(
    body: Incoming,
    most: u64,
    watch: Watch,
    timeout: std::time::Duration,
    octets: Rc<Cell<u64>>,
) -> Body {
    match receive(body, most, watch, timeout) {
        None => Body::Empty,
        Some((length, mut received)) => {
            received.octets = Some(octets);
            Body::stream(length, received)
        }
    }
}

/// As [`received`]: its length, where it is known, and the stream; `None` when it is empty.
pub fn receive(
    body: Incoming,
    most: u64,
    watch: Watch,
    timeout: std::time::Duration,
) -> Option<(Option<u64>, Received)> {
    if body.is_end_stream() {
        return None;
    }
    let length = body.size_hint().exact();
    let received = Received {
        body,
        allowed: most,
        watch,
        timeout,
        octets: None,
    };
    Some((length, received))
}

impl Source for Received {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        loop {
            let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
                if !self.watch.is_set() {
                    self.watch.set(self.timeout);
                }
                ready!(self.watch.poll(cx));
                return Poll::Ready(Some(Err(BodyError::Timeout)));
            };
            self.watch.clear();
            let frame = match frame {
                None => return Poll::Ready(None),
                Some(Err(_)) => return Poll::Ready(Some(Err(BodyError::Cut))),
                Some(Ok(frame)) => frame,
            };
            match frame.into_data() {
                Ok(data) if data.is_empty() => {}
                Ok(data) => {
                    let Some(left) = self.allowed.checked_sub(data.len() as u64) else {
                        return Poll::Ready(Some(Err(BodyError::TooLong)));
                    };
                    self.allowed = left;
                    if let Some(octets) = &self.octets {
                        octets.set(octets.get() + data.len() as u64);
                    }
                    return Poll::Ready(Some(Ok(Frame::Data(data))));
                }
                Err(frame) => {
                    let mut fields = Fields::new();
                    if let Ok(map) = frame.into_trailers() {
                        take_fields(&map, &mut fields);
                    }
                    keep_allowed_trailers(&mut fields);
                    return Poll::Ready(Some(Ok(Frame::Trailers(Box::new(fields)))));
                }
            }
        }
    }
}

/// Octets of a body that hyper is given at once.
const PART: usize = 64 << 10;

/// A body that hyper sends, with something that is told how it ended.
pub struct Outgoing<E: Told> {
    body: Body,
    length: Option<u64>,
    ended: bool,
    /// Told once; dropped unheard when hyper drops the body before its end.
    end: Option<E>,
    sent: u64,
}

/// Told how a body ended.
pub trait Told {
    /// The other side was given octets; or, when not `given`, came back for more. In between the octets
    /// wait until it takes them in.
    fn waits(&self, given: bool);

    /// So many octets went out; whole, or cut short for a reason.
    fn told(self, octets: u64, end: Result<(), Option<BodyError>>);
}

impl<E: Told> Outgoing<E> {
    /// Sends `body` and tells `end`.
    pub fn new(body: Body, end: E) -> Outgoing<E> {
        let mut outgoing = Outgoing {
            length: body.length(),
            ended: matches!(body, Body::Empty),
            body,
            end: Some(end),
            sent: 0,
        };
        if outgoing.ended {
            outgoing.tell(Ok(()));
        }
        outgoing
    }
}

impl<E: Told> Outgoing<E> {
    /// The body, when nothing of it was sent.
    pub fn into_unsent(mut self) -> Option<Body> {
        let unsent = self.sent == 0 && self.end.is_some();
        // Nobody is told: it goes out another way.
        self.end = None;
        unsent.then(|| std::mem::take(&mut self.body))
    }
}

/// Ends the stream with RST_STREAM.
#[derive(Debug, thiserror::Error)]
#[error("the body ended early: {0}")]
pub struct CutShort(BodyError);

impl<E: Told + Unpin> hyper::body::Body for Outgoing<E> {
    type Data = Bytes;
    type Error = CutShort;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<HyperFrame<Bytes>, CutShort>>> {
        let this = &mut *self;
        if this.ended {
            return Poll::Ready(None);
        }
        if let Some(end) = &this.end {
            end.waits(false);
        }
        Poll::Ready(match ready!(this.poll_part(cx)) {
            Some(Ok(Frame::Data(data))) => {
                if let Some(end) = &this.end {
                    end.waits(true);
                }
                this.sent += data.len() as u64;
                // The last octets carry the end of the stream with them.
                if matches!(this.body, Body::Empty) {
                    this.ended = true;
                    this.tell(Ok(()));
                }
                Some(Ok(HyperFrame::data(data)))
            }
            Some(Ok(Frame::Trailers(fields))) => {
                this.ended = true;
                this.tell(Ok(()));
                Some(Ok(HyperFrame::trailers(give_fields(&fields))))
            }
            Some(Err(e)) => {
                this.ended = true;
                this.tell(Err(Some(e)));
                Some(Err(CutShort(e)))
            }
            None => {
                this.ended = true;
                this.tell(Ok(()));
                None
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }

    fn size_hint(&self) -> SizeHint {
        match self.length {
            Some(n) => SizeHint::with_exact(n.saturating_sub(self.sent)),
            None => SizeHint::default(),
        }
    }
}

impl<E: Told> Outgoing<E> {
    /// The next part. A large body that is all there goes out in parts too: only so much of it is
    /// called sent before the other side has taken it.
    fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        match &mut self.body {
            Body::Whole(bytes) if bytes.len() > PART => {
                Poll::Ready(Some(Ok(Frame::Data(bytes.split_to(PART)))))
            }
            body => body.poll_frame(cx),
        }
    }

    fn tell(&mut self, end: Result<(), Option<BodyError>>) {
        if let Some(told) = self.end.take() {
            told.told(self.sent, end);
        }
        // What it holds, a backend's connection say, is free at once.
        self.body = Body::Empty;
    }
}

impl<E: Told> Drop for Outgoing<E> {
    fn drop(&mut self) {
        self.tell(Err(None));
    }
}
