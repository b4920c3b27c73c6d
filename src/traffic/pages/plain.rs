//! The pages of the proxy itself: a status, and no more than a client needs to know.

use crate::message::Fields;

use super::acceptable;

/// What a status means (RFC 9110 section 15, RFC 6585).
pub fn reason(status: u16) -> &'static str {
    match status {
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
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
        508 => "Loop Detected",
        511 => "Network Authentication Required",
        200..=299 => "OK",
        300..=399 => "Redirection",
        400..=499 => "Client Error",
        _ => "Server Error",
    }
}

/// The media type and text of an error for a client: plain text, HTML, or problem details (RFC 9457),
/// whichever `Accept` prefers.
pub fn plain(status: u16, request: &Fields) -> (&'static str, Vec<u8>) {
    const TEXT: &str = "text/plain";
    const HTML: &str = "text/html";
    const JSON: &str = "application/json";
    const PROBLEM: &str = "application/problem+json";
    let title = reason(status);
    match acceptable(request, &[TEXT, PROBLEM, JSON, HTML]) {
        Some(HTML) => {
            let text = format!(
                "<!doctype html>\n<html lang=\"en\"><title>{status} {title}</title>\
                 <h1>{status} {title}</h1></html>\n"
            );
            ("text/html; charset=utf-8", text.into())
        }
        Some(JSON | PROBLEM) => {
            let text = format!("{{\"title\":\"{title}\",\"status\":{status}}}\n");
            (PROBLEM, text.into())
        }
        _ => (
            "text/plain; charset=utf-8",
            format!("{status} {title}\n").into(),
        ),
    }
}
