//! `[listeners.NAME.udp]`.

use crate::config::Marked;
use crate::config::diagnostic::Diagnostic;
use crate::config::spec::UdpSpec;
use crate::ids::UpstreamId;
use crate::traffic::UdpRules;
use crate::traffic::udp::Affinity;

use super::context::Context;
use super::reader::Reader;

/// Options that speak of sessions, which a listener without answers has none of.
const OF_SESSIONS: [&str; 4] = ["idle-timeout", "max-sessions", "requests", "affinity"];

/// What a listener does with datagrams; the upstream is not known here.
pub(super) fn decode(cx: &mut Context<'_>, listener: &Reader<'_>) -> UdpSpec {
    let r = listener.sub(cx, "udp");
    let instead = UdpRules::to(UpstreamId::default());
    let affinity = r.get_or(cx, "affinity", "tuple".to_owned());
    let responses: Option<Marked<u32>> = r.get(cx, "responses");
    let requests: Option<Marked<u32>> = r.get(cx, "requests");
    let rules = UdpRules {
        idle: r.get_or(cx, "idle-timeout", instead.idle).value,
        max_sessions: r.get_or(cx, "max-sessions", instead.max_sessions).value,
        responses: responses.as_ref().map(|n| n.value),
        requests: requests.map(|n| n.value),
        affinity: match affinity.as_str() {
            "quic" => Affinity::Quic,
            _ => Affinity::Tuple,
        },
        ..instead
    };
    if rules.is_one_way() {
        let own = OF_SESSIONS.iter().filter(|key| r.has(key));
        let own = own.map(|key| (r.span_of(key), r.name_of(key)));
        let limits = [
            "connections-per-source",
            "connection-rate",
            "source-prefix4",
            "source-prefix6",
        ];
        let limits = limits.iter().filter(|key| listener.has(key));
        let limits = limits.map(|key| (listener.span_of(key), listener.name_of(key)));
        let all: Vec<_> = own.chain(limits).collect();
        let at = responses.map(|n| n.span);
        for (span, name) in all {
            let mut error = Diagnostic::error(
                span,
                format!("{name} is set, but `responses` is 0: then there are no sessions"),
            )
            .help("take it out, or say how many answers come");
            if let Some(at) = at {
                error = error.related(at, "it is 0 here");
            }
            cx.push(error);
        }
    } else if rules.affinity == Affinity::Quic && (rules.responses, rules.requests) != (None, None)
    {
        cx.push(
            Diagnostic::error(
                affinity.span,
                format!(
                    "{} is \"quic\", but `responses` or `requests` ends its sessions by number",
                    r.name_of("affinity")
                ),
            )
            .help("QUIC connections end by themselves: take `responses` and `requests` out"),
        );
    }
    UdpSpec { rules }
}
