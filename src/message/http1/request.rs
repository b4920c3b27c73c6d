//! Heads of requests (RFC 9112 sections 3, 5 and 6).

use httparse::{Error, Header, Status};

use super::framing::{self, BodyFraming, HeadRules, Parsed};
use super::target::{self, Form};
use crate::message::{Fields, Known, Method, RequestHead, Version};

/// The longest method, in octets; the longest registered one has 17.
const MAX_METHOD: usize = 32;
/// Empty lines that are forgiven before a request (RFC 9112 section 2.2 asks for one at least).
const EMPTY_LINES: usize = 2;

/// What a request's head says about what follows it, and about the connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RequestFraming {
    /// How the end of the body is found; never [`BodyFraming::UntilClose`].
    pub body: BodyFraming,
    /// Whether the client will send another request on this connection.
    pub keep_alive: bool,
    /// Whether the client asks for another protocol (RFC 9110 section 7.8); the `upgrade` field says
    /// for which.
    pub upgrade: bool,
    /// Whether the client waits for 100 before it sends the body (RFC 9110 section 10.1.1).
    pub expect_continue: bool,
}

/// Why a request is refused. The connection must be closed: where the next request starts is not known.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refusal {
    /// The request line is not method, target and version with single spaces between.
    #[error("malformed request line")]
    RequestLine,
    /// The target is in none of the forms of RFC 9112 section 3.2, or holds octets that no URI has.
    #[error("malformed target")]
    Target,
    /// The target is longer than allowed.
    #[error("target longer than allowed")]
    TargetTooLong,
    /// A version that is not HTTP/1.0 or HTTP/1.1.
    #[error("version not supported")]
    Version,
    /// The method is longer than any that is in use.
    #[error("method longer than any in use")]
    MethodTooLong,
    /// A line ends with CR or LF alone.
    #[error("CR or LF alone")]
    LineEnd,
    /// A field's name is not a token: white space before the colon, a folded line.
    #[error("malformed field name or folded line")]
    FieldName,
    /// A field's value holds NUL or another control character.
    #[error("control character in a field value")]
    FieldValue,
    /// The head is larger than allowed.
    #[error("head larger than allowed")]
    HeadTooLarge,
    /// More fields than allowed.
    #[error("more fields than allowed")]
    TooManyFields,
    /// `Content-Length` and `Transfer-Encoding` in one request.
    #[error("Content-Length beside Transfer-Encoding")]
    BothLengths,
    /// Several `Content-Length`, or one that is not a number.
    #[error("several or malformed Content-Length")]
    ContentLength,
    /// `Transfer-Encoding` does not end with one `chunked`.
    #[error("Transfer-Encoding does not end with one chunked")]
    TransferEncoding,
    /// `Transfer-Encoding` in HTTP/1.0, which has none.
    #[error("Transfer-Encoding in HTTP/1.0")]
    TransferEncodingInHttp10,
    /// A transfer coding other than `chunked`.
    #[error("transfer coding not implemented")]
    UnknownCoding,
    /// A body where the method has none (CONNECT, TRACE).
    #[error("a body where the method has none")]
    BodyNotAllowed,
    /// CONNECT, which asks for a tunnel that a reverse proxy does not offer.
    #[error("CONNECT is not offered")]
    Connect,
    /// HTTP/1.1 without `Host`.
    #[error("no Host")]
    NoHost,
    /// Several `Host`.
    #[error("several Host")]
    SeveralHosts,
    /// `Host` is not a host with or without port.
    #[error("malformed Host")]
    Host,
    /// The target names another host than `Host` does.
    #[error("Host differs from the target's")]
    HostDiffers,
    /// `Expect` asks for something other than `100-continue`.
    #[error("unknown expectation")]
    Expectation,
}

impl Refusal {
    /// One word for the log.
    pub const fn word(self) -> &'static str {
        match self {
            Refusal::RequestLine => "malformed-request-line",
            Refusal::Target => "malformed-target",
            Refusal::TargetTooLong => "target-too-long",
            Refusal::Version => "version-not-supported",
            Refusal::MethodTooLong => "method-too-long",
            Refusal::LineEnd => "bare-line-end",
            Refusal::FieldName => "malformed-field-name",
            Refusal::FieldValue => "control-in-field-value",
            Refusal::HeadTooLarge => "head-too-large",
            Refusal::TooManyFields => "too-many-fields",
            Refusal::BothLengths => "both-lengths",
            Refusal::ContentLength => "malformed-content-length",
            Refusal::TransferEncoding => "malformed-transfer-encoding",
            Refusal::TransferEncodingInHttp10 => "transfer-encoding-in-http10",
            Refusal::UnknownCoding => "unknown-coding",
            Refusal::BodyNotAllowed => "body-not-allowed",
            Refusal::Connect => "connect-not-offered",
            Refusal::NoHost => "no-host",
            Refusal::SeveralHosts => "several-hosts",
            Refusal::Host => "malformed-host",
            Refusal::HostDiffers => "host-differs",
            Refusal::Expectation => "unknown-expectation",
        }
    }

    /// The status that tells the client.
    pub const fn status(self) -> u16 {
        match self {
            Refusal::TargetTooLong => 414,
            Refusal::HeadTooLarge | Refusal::TooManyFields => 431,
            Refusal::Expectation => 417,
            Refusal::UnknownCoding | Refusal::MethodTooLong | Refusal::Connect => 501,
            Refusal::Version => 505,
            _ => 400,
        }
    }
}

/// Reads the head of a request from all octets of it that have come so far.
///
/// `head` is cleared first and then holds the request when the result is [`Parsed::Whole`]; its scheme
/// is left alone, since that is a property of the connection. `host` is not among its fields. Of CONNECT
/// the target is empty.
///
/// # Errors
/// Why the request is refused; more octets would not change that.
pub fn request(
    octets: &[u8],
    rules: &HeadRules,
    head: &mut RequestHead,
) -> Result<Parsed<RequestFraming>, Refusal> {
    head.clear();
    let Some(skipped) = empty_lines(octets)? else {
        return Ok(Parsed::Partial);
    };
    let rest = &octets[skipped..];
    framing::with_room(rules, |room| {
        let mut parts = httparse::Request::new(&mut []);
        match parts.parse_with_uninit_headers(rest, room) {
            Ok(Status::Complete(n)) => {
                let framing = whole(&rest[..n], &parts, rules, head)?;
                Ok(Parsed::Whole {
                    octets: skipped + n,
                    framing,
                })
            }
            Ok(Status::Partial) => partial(rest, rules),
            Err(error) => Err(refusal(error, rest, rules)),
        }
    })
}

/// Octets of the empty lines before a request; `None` when more is needed to say.
fn empty_lines(octets: &[u8]) -> Result<Option<usize>, Refusal> {
    let mut at = 0;
    loop {
        match octets[at..] {
            [] | [b'\r'] => return Ok(None),
            [b'\r', b'\n', ..] if at < 2 * EMPTY_LINES => at += 2,
            [b'\r' | b'\n', ..] => return Err(Refusal::LineEnd),
            _ => return Ok(Some(at)),
        }
    }
}

/// A head that is not complete may already be too large.
fn partial(rest: &[u8], rules: &HeadRules) -> Result<Parsed<RequestFraming>, Refusal> {
    line_bounds(rest, rules)?;
    if rest.len() >= rules.head {
        return Err(Refusal::HeadTooLarge);
    }
    Ok(Parsed::Partial)
}

/// Bounds of the parts of the request line that have come and are what they should be: so that it makes
/// no difference whether more had come before this was asked.
fn line_bounds(rest: &[u8], rules: &HeadRules) -> Result<(), Refusal> {
    let token = |b: &&u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b);
    let method = rest.iter().take(MAX_METHOD + 1).take_while(token).count();
    if method > MAX_METHOD {
        return Err(Refusal::MethodTooLong);
    }
    let target = match rest.get(method..) {
        Some([b' ', target @ ..]) if target.len() > rules.target => &target[..=rules.target],
        _ => return Ok(()),
    };
    if target.iter().all(|b| *b > b' ' && *b != 0x7f) {
        return Err(Refusal::TargetTooLong);
    }
    Ok(())
}

/// The refusal behind an error of the parser.
fn refusal(error: Error, rest: &[u8], rules: &HeadRules) -> Refusal {
    if let Err(refusal) = line_bounds(rest, rules) {
        return refusal;
    }
    match error {
        Error::HeaderName => Refusal::FieldName,
        Error::HeaderValue => Refusal::FieldValue,
        Error::NewLine => Refusal::LineEnd,
        Error::TooManyHeaders => Refusal::TooManyFields,
        Error::Version => version_refusal(rest),
        Error::Token | Error::Status => Refusal::RequestLine,
    }
}

/// Tells another version from what is no version at all.
fn version_refusal(rest: &[u8]) -> Refusal {
    let third = rest.splitn(3, |b| *b == b' ').nth(2);
    match third.and_then(|v| v.strip_prefix(b"HTTP/")) {
        Some([b'0' | b'2'..=b'9', ..] | [b'1', b'.', b'0'..=b'9', ..]) => Refusal::Version,
        _ => Refusal::RequestLine,
    }
}

fn whole(
    octets: &[u8],
    parts: &httparse::Request<'_, '_>,
    rules: &HeadRules,
    head: &mut RequestHead,
) -> Result<RequestFraming, Refusal> {
    let (method, target) = match (parts.method, parts.path) {
        (Some(method), Some(target)) => (method.as_bytes(), target.as_bytes()),
        _ => return Err(Refusal::RequestLine),
    };
    if method.len() > MAX_METHOD {
        return Err(Refusal::MethodTooLong);
    }
    if target.len() > rules.target {
        return Err(Refusal::TargetTooLong);
    }
    if octets.len() > rules.head {
        return Err(Refusal::HeadTooLarge);
    }
    if framing::has_bare_lf(octets) {
        return Err(Refusal::LineEnd);
    }
    head.method = Method::new(method);
    head.version = match parts.version {
        Some(0) => Version::Http10,
        _ => Version::Http11,
    };
    let host = push_fields(parts.headers, &mut head.fields)?;
    place(target, host, head)?;
    let framing = frame(head)?;
    // It is answered here. An HTTP/1.0 client cannot mean it (RFC 9110 section 10.1.1), and the next
    // recipient, which is spoken to in HTTP/1.1, would heed it.
    head.fields.remove(Known::Expect);
    Ok(framing)
}

/// Puts the fields in their place; the value of `Host` is given back.
fn push_fields<'b>(
    headers: &[Header<'b>],
    fields: &mut Fields,
) -> Result<Option<&'b [u8]>, Refusal> {
    let mut host = None;
    for header in headers {
        if framing::too_long(header) {
            return Err(Refusal::HeadTooLarge);
        }
        let name = header.name.as_bytes();
        let value = header.value.trim_ascii();
        if name.len() == 4 && name.eq_ignore_ascii_case(b"host") {
            if host.replace(value).is_some() {
                return Err(Refusal::SeveralHosts);
            }
            continue;
        }
        fields.push(name, value);
    }
    Ok(host)
}

/// Splits the target into authority and path (RFC 9112 sections 3.2 and 3.3).
fn place(target: &[u8], host: Option<&[u8]>, head: &mut RequestHead) -> Result<(), Refusal> {
    let connect = head.method == Method::Connect;
    let options = head.method == Method::Options;
    let form = target::form(target, connect, options).ok_or(Refusal::Target)?;
    let host = match host {
        Some(text) => Some(target::authority(text).ok_or(Refusal::Host)?),
        // RFC 9112 section 3.2: a server MUST respond with 400 to an HTTP/1.1 request without Host.
        None if head.version == Version::Http11 => return Err(Refusal::NoHost),
        None => None,
    };
    let (named, path): (Option<&[u8]>, &[u8]) = match form {
        Form::Origin(path) => (None, path),
        Form::Asterisk => (None, b"*"),
        Form::Absolute {
            authority,
            default_port,
            rest,
        } => {
            let named = target::authority(authority).ok_or(Refusal::Target)?;
            if host.is_some_and(|h| !target::same(h, named, default_port)) {
                return Err(Refusal::HostDiffers);
            }
            match rest.first() {
                None if options => (Some(named), b"*"),
                None => (Some(named), b"/"),
                Some(b'?') => {
                    head.target.push(b'/');
                    (Some(named), rest)
                }
                Some(_) => (Some(named), rest),
            }
        }
        Form::Authority(text) => {
            let named = target::authority(text).ok_or(Refusal::Target)?;
            // The port is not optional here.
            if named.last() == Some(&b']') || !named.contains(&b':') {
                return Err(Refusal::Target);
            }
            if host.is_some_and(|h| {
                !target::same(h, named, b":443") && !target::same(h, named, b":80")
            }) {
                return Err(Refusal::HostDiffers);
            }
            (Some(named), b"")
        }
    };
    head.target.extend_from_slice(path);
    // RFC 9112 section 3.2.2: the authority of the target wins; here they are the same place.
    let authority = named.or(host).unwrap_or_default();
    head.authority
        .extend(authority.iter().map(u8::to_ascii_lowercase));
    Ok(())
}

/// Where the message ends (RFC 9112 section 6.3), and what becomes of the connection (section 9.3).
fn frame(head: &RequestHead) -> Result<RequestFraming, Refusal> {
    let fields = &head.fields;
    let http11 = head.version == Version::Http11;
    let length =
        framing::only(fields, Known::ContentLength).map_err(|()| Refusal::ContentLength)?;
    let body = if fields.has(Known::TransferEncoding) {
        if length.is_some() {
            return Err(Refusal::BothLengths);
        }
        if !http11 {
            return Err(Refusal::TransferEncodingInHttp10);
        }
        transfer_encoding(fields)?;
        BodyFraming::Chunked
    } else if let Some(value) = length {
        BodyFraming::Length(framing::content_length(value).ok_or(Refusal::ContentLength)?)
    } else {
        BodyFraming::None
    };
    if !body.is_empty() && matches!(head.method, Method::Connect | Method::Trace) {
        return Err(Refusal::BodyNotAllowed);
    }
    let options = framing::connection(fields);
    let mut expect_continue = false;
    if http11 && fields.has(Known::Expect) {
        for member in fields.members(Known::Expect) {
            if !member.eq_ignore_ascii_case(b"100-continue") {
                return Err(Refusal::Expectation);
            }
        }
        expect_continue = !body.is_empty();
    }
    Ok(RequestFraming {
        body,
        keep_alive: !options.close && (http11 || options.keep_alive),
        upgrade: http11 && options.upgrade && fields.has(Known::Upgrade),
        expect_continue,
    })
}

/// The only transfer coding that is taken is one `chunked`.
fn transfer_encoding(fields: &Fields) -> Result<(), Refusal> {
    let chunked = |c: &[u8]| c.eq_ignore_ascii_case(b"chunked");
    match framing::only(fields, Known::TransferEncoding) {
        Ok(Some(value)) if chunked(value) => return Ok(()),
        Ok(_) => {}
        Err(()) => return Err(Refusal::TransferEncoding),
    }
    // RFC 9112 section 6.3: not chunked at the end: the length cannot be determined, 400.
    let members = fields.members(Known::TransferEncoding);
    let (all, chunks, last) = members.fold((0, 0, false), |(all, chunks, _), m| {
        (all + 1, chunks + usize::from(chunked(m)), chunked(m))
    });
    match (all, chunks, last) {
        (2.., 1, true) => Err(Refusal::UnknownCoding),
        _ => Err(Refusal::TransferEncoding),
    }
}

#[cfg(test)]
mod tests;
