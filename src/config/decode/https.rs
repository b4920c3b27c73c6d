//! `https` of a name: what its HTTPS records say beside the hints.

use crate::config::Marked;
use crate::config::diagnostic::Diagnostic;
use crate::config::spec::HttpsSpec;
use crate::dns::svcb::{MAX_ALPN, MAX_ALPN_ID};

use super::context::Context;
use super::reader::Reader;

pub(super) fn https(cx: &mut Context<'_>, name: &Reader<'_>) -> Option<Marked<HttpsSpec>> {
    let span = name.span_of("https");
    let r = name.sub(cx, "https");
    let priority: Option<Marked<u16>> = r.get(cx, "priority");
    let alpn: Vec<Marked<String>> = r.list(cx, "alpn").unwrap_or_default();
    let no_default: Option<Marked<bool>> = r.get(cx, "no-default-alpn");
    let port: Option<Marked<u16>> = r.get(cx, "port");
    if let Some(beyond) = alpn.get(MAX_ALPN) {
        cx.error(
            beyond.span,
            format!(
                "{} has {} items; the largest allowed number is {MAX_ALPN}",
                r.name_of("alpn"),
                alpn.len()
            ),
        );
    }
    for id in alpn.iter().filter(|id| id.len() > MAX_ALPN_ID) {
        cx.error(
            id.span,
            format!(
                "{} has `{}` of {} octets; the largest allowed number is {MAX_ALPN_ID}",
                r.name_of("alpn"),
                id.value,
                id.len()
            ),
        );
    }
    let no_default = no_default?;
    // RFC 9460 section 7.1.1: the record would not be self-consistent.
    if no_default.value && alpn.is_empty() && r.lacks("alpn") {
        cx.push(
            Diagnostic::error(
                no_default.span,
                format!(
                    "{} leaves no protocol to speak: there is no `alpn` (RFC 9460 section 7.1.1)",
                    r.name_of("no-default-alpn")
                ),
            )
            .help("add `alpn = [\"h2\"]`, or remove `no-default-alpn`"),
        );
    }
    let said = HttpsSpec {
        priority: priority?.value,
        alpn: r.has("alpn").then_some(alpn),
        default_alpn: !no_default.value,
        port: port.map(|p| p.value),
    };
    Some(Marked::new(said, span))
}
