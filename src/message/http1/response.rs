//! Heads of answers (RFC 9112 sections 4, 5 and 6).

use httparse::{Error, Status};

use super::framing::{self, BodyFraming, HeadRules, Parsed};
use crate::message::{Fields, Known, Method, ResponseHead};

/// What an answer is for the exchange.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AnswerKind {
    /// 1xx other than 101: another answer follows.
    Interim,
    /// 101: what follows is another protocol.
    Switching,
    /// The answer.
    Final,
}

/// What an answer's head says about what follows it, and about the connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ResponseFraming {
    /// How the end of the body is found.
    pub body: BodyFraming,
    /// Whether the connection can carry another exchange after this one.
    pub keep_alive: bool,
    /// What the answer is for the exchange.
    pub kind: AnswerKind,
}

/// Why an answer of a backend is not passed on; the client gets 502 and the connection is closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadAnswer {
    /// The octets do not start with a status line of HTTP/1.0 or HTTP/1.1.
    #[error("no HTTP/1 status line")]
    StatusLine,
    /// A line ends with CR or LF alone.
    #[error("CR or LF alone in the head")]
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
    /// `Content-Length` and `Transfer-Encoding` in one answer.
    #[error("Content-Length beside Transfer-Encoding")]
    BothLengths,
    /// Several `Content-Length`, or one that is not a number.
    #[error("several or malformed Content-Length")]
    ContentLength,
    /// A transfer coding other than one `chunked`, or one in HTTP/1.0.
    #[error("Transfer-Encoding is not one chunked")]
    TransferEncoding,
}

/// Reads the head of an answer from all octets of it that have come so far.
///
/// `head` is emptied first and then holds the answer when the result is [`Parsed::Whole`]. Whether the
/// client had asked for another protocol when the answer is 101 is for the caller to know.
///
/// # Errors
/// Why it is no answer; more octets would not change that.
pub fn response(
    octets: &[u8],
    rules: &HeadRules,
    request_method: &Method,
    head: &mut ResponseHead,
) -> Result<Parsed<ResponseFraming>, BadAnswer> {
    head.status = 0;
    head.fields.clear();
    // The parser would skip empty lines; a backend that sends octets behind its last answer is lost.
    let start = octets.len().min(5);
    if octets[..start] != b"HTTP/"[..start] {
        return Err(BadAnswer::StatusLine);
    }
    framing::with_room(rules, |room| {
        let mut parts = httparse::Response::new(&mut []);
        let config = httparse::ParserConfig::default();
        match config.parse_response_with_uninit_headers(&mut parts, octets, room) {
            Ok(Status::Complete(n)) => {
                let framing = whole(&octets[..n], &parts, rules, request_method, head)?;
                Ok(Parsed::Whole { octets: n, framing })
            }
            Ok(Status::Partial) if octets.len() >= rules.head => Err(BadAnswer::HeadTooLarge),
            Ok(Status::Partial) => Ok(Parsed::Partial),
            Err(error) => Err(bad(error)),
        }
    })
}

fn bad(error: Error) -> BadAnswer {
    match error {
        Error::HeaderName => BadAnswer::FieldName,
        Error::HeaderValue => BadAnswer::FieldValue,
        Error::NewLine => BadAnswer::LineEnd,
        Error::TooManyHeaders => BadAnswer::TooManyFields,
        Error::Version | Error::Token | Error::Status => BadAnswer::StatusLine,
    }
}

fn whole(
    octets: &[u8],
    parts: &httparse::Response<'_, '_>,
    rules: &HeadRules,
    request_method: &Method,
    head: &mut ResponseHead,
) -> Result<ResponseFraming, BadAnswer> {
    if octets.len() > rules.head {
        return Err(BadAnswer::HeadTooLarge);
    }
    if framing::has_bare_lf(octets) {
        return Err(BadAnswer::LineEnd);
    }
    head.status = match parts.code {
        Some(code @ 100..=599) => code,
        _ => return Err(BadAnswer::StatusLine),
    };
    for header in parts.headers.iter() {
        if framing::too_long(header) {
            return Err(BadAnswer::HeadTooLarge);
        }
        let value = header.value.trim_ascii();
        head.fields.push(header.name.as_bytes(), value);
    }
    frame(head, parts.version != Some(0), request_method)
}

/// Where the answer ends (RFC 9112 section 6.3), and what becomes of the connection (section 9.3).
fn frame(
    head: &ResponseHead,
    http11: bool,
    request_method: &Method,
) -> Result<ResponseFraming, BadAnswer> {
    let fields = &head.fields;
    let told = told(fields, http11)?;
    let options = framing::connection(fields);
    let persistent = !options.close && (http11 || options.keep_alive);
    let kind = match head.status {
        101 => AnswerKind::Switching,
        100..=199 => AnswerKind::Interim,
        _ => AnswerKind::Final,
    };
    // Answers that end with their head, whatever it says.
    let no_body = matches!(head.status, 100..=199 | 204 | 304) || *request_method == Method::Head;
    let body = match told {
        _ if no_body => BodyFraming::None,
        BodyFraming::None => BodyFraming::UntilClose,
        told => told,
    };
    // What says that it has a body where it can have none may send one all the same: nothing after it
    // can be trusted.
    let lies = matches!(head.status, 100..=199 | 204) && !told.is_empty();
    Ok(ResponseFraming {
        body,
        keep_alive: persistent && !lies && body != BodyFraming::UntilClose,
        kind,
    })
}

/// What the fields say of the length.
fn told(fields: &Fields, http11: bool) -> Result<BodyFraming, BadAnswer> {
    let length =
        framing::only(fields, Known::ContentLength).map_err(|()| BadAnswer::ContentLength)?;
    if fields.has(Known::TransferEncoding) {
        if length.is_some() {
            return Err(BadAnswer::BothLengths);
        }
        return match framing::only(fields, Known::TransferEncoding) {
            Ok(Some(value)) if http11 && value.eq_ignore_ascii_case(b"chunked") => {
                Ok(BodyFraming::Chunked)
            }
            _ => Err(BadAnswer::TransferEncoding),
        };
    }
    let Some(value) = length else {
        return Ok(BodyFraming::None);
    };
    let octets = framing::content_length(value).ok_or(BadAnswer::ContentLength)?;
    Ok(BodyFraming::Length(octets))
}

#[cfg(test)]
mod tests;
