//! One HTTP request with a DNS query in it, and its response (RFC 8484 section 4).

use data_encoding::BASE64URL_NOPAD;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};
use tokio::time::timeout;

use crate::dns::message::freshness;
use crate::engine::{Inbound, Transport};
use crate::server::hall::{Answer, MESSAGE};
use crate::telemetry::DnsEvent;

use super::Guest;

/// RFC 8484 section 6.
const DNS_MESSAGE: &str = "application/dns-message";

/// Octets of a request's URI at most.
const URI: usize = 16 * 1024;

/// A request that holds no DNS query.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Refusal(StatusCode, &'static str);

/// Answers one request.
pub(super) async fn respond(guest: &Guest, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let peer = guest.peer;
    let (head, mut body) = request.into_parts();
    let answered = match query(guest, &head, &mut body).await {
        Ok(query) => {
            guest.lease.touch(guest.hall.clock.now());
            let inbound = Inbound {
                packet: &query,
                peer,
                transport: Transport::Https,
            };
            match guest.hall.answer(&inbound, 0) {
                Answer::Octets { octets, last } => {
                    if last {
                        guest.refused.notify_one();
                    }
                    Ok(octets)
                }
                // The engine keeps silent; HTTP cannot.
                Answer::NoQuery => Err(Refusal(StatusCode::BAD_REQUEST, "not a DNS query")),
                Answer::ShutOut => {
                    guest.refused.notify_one();
                    Err(Refusal(StatusCode::FORBIDDEN, "not for you"))
                }
            }
        }
        Err(refusal) => Err(refusal),
    };
    let mut response = match answered {
        Ok(answer) => dns_message(answer),
        Err(refusal) => {
            guest.hall.count(DnsEvent::HttpRefused);
            tracing::trace!(%peer, ?refusal, "no DNS query in an HTTP request");
            // A client that still sends may take the end of its stream for a failure (RFC 9113
            // section 8.1), and over HTTP/1.1 its octets would follow it into the next request.
            let rest = discard(&mut body);
            drop(timeout(guest.hall.limits.message_timeout, rest).await);
            refused(refusal)
        }
    };
    if head.method == Method::HEAD {
        // RFC 9110 section 9.3.2: as GET, length and all, but without content.
        let length = response.body().size_hint().lower();
        response.headers_mut().insert(CONTENT_LENGTH, length.into());
        *response.body_mut() = Full::default();
    }
    response
}

/// Reads a body to its end, or for some more than the longest message.
async fn discard(body: &mut Incoming) {
    let mut rest = Limited::new(body, 4 * MESSAGE);
    while let Some(Ok(_)) = rest.frame().await {}
}

/// The response with a DNS answer: 200 whatever its response code (RFC 8484 section 4.2.1).
fn dns_message(answer: Vec<u8>) -> Response<Full<Bytes>> {
    // Section 5.1: the freshness lifetime "MUST be less than or equal to the smallest TTL in the
    // Answer section". Steered answers are made for one client, so no cache shared by several may
    // keep them.
    let keep = match freshness(&answer) {
        Some(seconds) => format!("private, max-age={seconds}"),
        None => "no-store".to_owned(),
    };
    let mut response = Response::new(Full::new(Bytes::from(answer)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(DNS_MESSAGE));
    if let Ok(keep) = HeaderValue::try_from(keep) {
        headers.insert(CACHE_CONTROL, keep);
    }
    response
}

fn refused(Refusal(status, text): Refusal) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(format!("{text}\n"))));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    headers.insert(CONTENT_TYPE, plain);
    if status == StatusCode::METHOD_NOT_ALLOWED {
        // RFC 9110 section 15.5.6: "The origin server MUST generate an Allow header field".
        headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD, POST"));
    }
    response
}

/// The DNS query in a request.
async fn query(guest: &Guest, head: &Parts, body: &mut Incoming) -> Result<Vec<u8>, Refusal> {
    let uri = &head.uri;
    let length = uri.path_and_query().map_or(0, |p| p.as_str().len());
    if length > URI {
        return Err(Refusal(StatusCode::URI_TOO_LONG, "the URI is over 16 KiB"));
    }
    if uri.path() != &*guest.path {
        return Err(Refusal(StatusCode::NOT_FOUND, "no such path"));
    }
    match head.method {
        Method::GET | Method::HEAD => in_uri(uri.query().unwrap_or("")),
        Method::POST => {
            let kind = head.headers.get(CONTENT_TYPE);
            if !kind.is_some_and(is_dns_message) {
                return Err(Refusal(
                    StatusCode::UNSUPPORTED_MEDIA_TYPE,
                    "POST takes application/dns-message",
                ));
            }
            in_body(guest, body).await
        }
        _ => Err(Refusal(
            StatusCode::METHOD_NOT_ALLOWED,
            "DNS over HTTPS takes GET and POST",
        )),
    }
}

/// Whether a Content-Type is that of DNS messages, in any case and with any parameters (RFC 9110
/// section 8.3.1).
fn is_dns_message(value: &HeaderValue) -> bool {
    let essence = value.to_str().unwrap_or("").split(';').next().unwrap_or("");
    essence.trim().eq_ignore_ascii_case(DNS_MESSAGE)
}

/// The query in the variable `dns` (RFC 8484 section 4.1), in base64url without padding (section 6).
fn in_uri(variables: &str) -> Result<Vec<u8>, Refusal> {
    let text = variables.split('&').find_map(|v| v.strip_prefix("dns="));
    let Some(text) = text else {
        return Err(Refusal(
            StatusCode::BAD_REQUEST,
            "the variable `dns` is missing",
        ));
    };
    BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| {
        Refusal(
            StatusCode::BAD_REQUEST,
            "`dns` is not base64url without padding",
        )
    })
}

/// The query that is the body.
async fn in_body(guest: &Guest, body: &mut Incoming) -> Result<Vec<u8>, Refusal> {
    let too_long = Refusal(
        StatusCode::PAYLOAD_TOO_LARGE,
        "a DNS message has at most 65535 octets",
    );
    let hint = body.size_hint();
    if hint.lower() > MESSAGE as u64 {
        return Err(too_long);
    }
    let read = async {
        // Without a length it may be the longest.
        let most = hint.upper().map_or(MESSAGE, |n| n as usize);
        let _room = guest.hall.room_for(most).await;
        Limited::new(body, MESSAGE).collect().await
    };
    match timeout(guest.hall.limits.message_timeout, read).await {
        Ok(Ok(whole)) => Ok(whole.to_bytes().into()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_long),
        Ok(Err(_)) => Err(Refusal(StatusCode::BAD_REQUEST, "the body broke off")),
        Err(_) => Err(Refusal(
            StatusCode::REQUEST_TIMEOUT,
            "the body came too slowly",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc8484_6_base64url_without_padding() {
        let id = |v: &str| in_uri(v);
        assert_eq!(id("dns=AAAB"), Ok(vec![0, 0, 1]));
        assert_eq!(id("a=b&dns=-_8&c"), Ok(vec![0xFB, 0xFF]));
        assert_eq!(id("dns="), Ok(vec![]));
        for bad in [
            "",
            "dn=AAAB",
            "dns=AAA=",
            "dns=A",
            "dns=AA+/",
            "dns=A%41AA",
            "DNS=AAAB",
        ] {
            assert_eq!(id(bad).unwrap_err().0, StatusCode::BAD_REQUEST, "{bad}");
        }
    }

    #[test]
    fn rfc9110_8_3_1_media_types() {
        for (value, good) in [
            ("application/dns-message", true),
            ("Application/DNS-Message; charset=x", true),
            ("application/dns-json", false),
            ("text/plain", false),
            ("", false),
        ] {
            assert_eq!(
                is_dns_message(&HeaderValue::from_static(value)),
                good,
                "{value}"
            );
        }
    }
}
