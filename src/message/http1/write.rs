//! Heads to octets (RFC 9112).

use super::framing::BodyFraming;
use crate::message::{Fields, Known, RequestHead, ResponseHead};

/// What is said about the connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Persistence {
    /// Nothing: HTTP/1.1 goes on.
    #[default]
    Implied,
    /// `keep-alive`, for a client of HTTP/1.0 that asked for it.
    KeepAlive,
    /// `close`: this is the last message.
    Close,
    /// `upgrade`: the head's `upgrade` field says to what.
    Upgrade,
}

/// Writes one field line.
pub(super) fn field(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Writes a request in HTTP/1.1 and origin-form, `host` first.
///
/// Fields that say where the body ends or what becomes of the connection are written from `framing` and
/// `persistence`, not from the head's fields. [`BodyFraming::UntilClose`] is not for requests.
pub fn write_request(
    head: &RequestHead,
    framing: BodyFraming,
    persistence: Persistence,
    out: &mut Vec<u8>,
) {
    debug_assert_ne!(framing, BodyFraming::UntilClose);
    out.extend_from_slice(head.method.as_bytes());
    out.push(b' ');
    out.extend_from_slice(&head.target);
    out.extend_from_slice(b" HTTP/1.1\r\nhost: ");
    out.extend_from_slice(&head.authority);
    out.extend_from_slice(b"\r\n");
    fields(&head.fields, false, out);
    body(framing, out);
    // RFC 9110 section 10.1.4: who sends TE names it in Connection, since it is hop by hop.
    let te = head.fields.has(Known::Te);
    out.extend_from_slice(match (persistence, te) {
        (Persistence::Implied, false) => b"\r\n",
        (Persistence::Implied, true) => b"connection: te\r\n\r\n",
        (Persistence::KeepAlive, false) => b"connection: keep-alive\r\n\r\n",
        (Persistence::KeepAlive, true) => b"connection: keep-alive, te\r\n\r\n",
        (Persistence::Close, false) => b"connection: close\r\n\r\n",
        (Persistence::Close, true) => b"connection: close, te\r\n\r\n",
        (Persistence::Upgrade, false) => b"connection: upgrade\r\n\r\n",
        (Persistence::Upgrade, true) => b"connection: upgrade, te\r\n\r\n",
    });
}

/// Writes a final answer, or 101, in HTTP/1.1.
///
/// Fields that say where the body ends or what becomes of the connection are written from `framing` and
/// `persistence`. With [`BodyFraming::None`] a `content-length` of the head is passed on where it speaks
/// of a body that is not sent (answers to HEAD, and 304); an answer with an empty body has
/// `Length(0)`.
pub fn write_response(
    head: &ResponseHead,
    framing: BodyFraming,
    persistence: Persistence,
    out: &mut Vec<u8>,
) {
    status_line(head.status, out);
    let lengthless = matches!(head.status, 100..=199 | 204);
    let own_length = framing == BodyFraming::None && !lengthless;
    fields(&head.fields, own_length, out);
    // RFC 9110 section 8.6: no Content-Length in 1xx and 204.
    if !lengthless {
        body(framing, out);
    }
    out.extend_from_slice(match (persistence, framing) {
        (Persistence::Close, _) | (_, BodyFraming::UntilClose) => b"connection: close\r\n\r\n",
        (Persistence::Implied, _) => b"\r\n",
        (Persistence::KeepAlive, _) => b"connection: keep-alive\r\n\r\n",
        (Persistence::Upgrade, _) => b"connection: upgrade\r\n\r\n",
    });
}

/// Writes an interim answer (1xx other than 101).
pub fn write_interim(head: &ResponseHead, out: &mut Vec<u8>) {
    status_line(head.status, out);
    fields(&head.fields, false, out);
    out.extend_from_slice(b"\r\n");
}

fn status_line(status: u16, out: &mut Vec<u8>) {
    if status == 200 {
        out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
        return;
    }
    out.extend_from_slice(b"HTTP/1.1 ");
    let digit = |n: u16| b'0' + (n % 10) as u8;
    out.extend_from_slice(&[digit(status / 100), digit(status / 10), digit(status), b' ']);
    out.extend_from_slice(reason(status).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// The phrase of a status code (RFC 9110 section 15); empty for one that nobody registered.
pub fn reason(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        101 => "Switching Protocols",
        102 => "Processing",
        103 => "Early Hints",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        203 => "Non-Authoritative Information",
        204 => "No Content",
        205 => "Reset Content",
        206 => "Partial Content",
        207 => "Multi-Status",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        423 => "Locked",
        425 => "Too Early",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        451 => "Unavailable For Legal Reasons",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        507 => "Insufficient Storage",
        508 => "Loop Detected",
        511 => "Network Authentication Required",
        _ => "",
    }
}

/// The head's fields, without those that are written from the framing.
fn fields(fields: &Fields, own_length: bool, out: &mut Vec<u8>) {
    for (known, name, value) in fields.iter_known() {
        match known {
            Some(Known::ContentLength) if !own_length => {}
            Some(Known::TransferEncoding | Known::Connection | Known::Host) => {}
            _ => field(name, value, out),
        }
    }
}

fn body(framing: BodyFraming, out: &mut Vec<u8>) {
    match framing {
        BodyFraming::None | BodyFraming::UntilClose => {}
        BodyFraming::Length(octets) => {
            out.extend_from_slice(b"content-length: ");
            decimal(octets, out);
            out.extend_from_slice(b"\r\n");
        }
        BodyFraming::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
    }
}

/// Writes a number.
pub fn decimal(mut n: u64, out: &mut Vec<u8>) {
    let mut text = [0; 20];
    let mut at = text.len();
    loop {
        at -= 1;
        text[at] = b'0' + (n % 10) as u8;
        n /= 10;
        if n == 0 {
            break;
        }
    }
    out.extend_from_slice(&text[at..]);
}

#[cfg(test)]
mod tests;
