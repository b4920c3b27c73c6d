//! The pages of the proxy itself: a status, and no more than a client needs to know.

use crate::message::Fields;

use super::acceptable;

/// What a status means (RFC 9110 section 15, RFC 6585); of one that nobody registered its class.
pub fn reason(status: u16) -> &'static str {
    match (crate::message::http1::write::reason(status), status) {
        ("", 200..=299) => "OK",
        ("", 300..=399) => "Redirection",
        ("", 400..=499) => "Client Error",
        ("", _) => "Server Error",
        (phrase, _) => phrase,
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
