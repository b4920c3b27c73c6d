//! `protocol` of a listener, and the tables of those that carry no HTTP.

use crate::config::Marked;
use crate::config::diagnostic::Diagnostic;
use crate::config::spec::{ProtocolSpec, TcpSpec};
use crate::traffic::access_log::{AccessLog, LogFormat};
use crate::traffic::{Refusal, TcpTimeouts};

use super::context::Context;
use super::reader::Reader;
use super::udp;

/// Keys that mean something whatever a listener carries.
const COMMON: &[&str] = &[
    "bind",
    "protocol",
    "forward",
    "mode",
    "xdp",
    "connections-per-source",
    "connection-rate",
    "source-prefix4",
    "source-prefix6",
    "access-log",
];

/// Keys that only connections know.
const TCP: &[&str] = &[
    "tcp",
    "max-connections",
    "tls",
    "tls-mode",
    "sni",
    "proxy-protocol",
    "total-connection-rate",
];

/// Keys that only datagrams know.
const UDP: &[&str] = &["udp"];

/// What a listener carries.
pub(super) fn protocol(cx: &mut Context<'_>, r: &Reader<'_>) -> ProtocolSpec {
    let word: Marked<String> = r.get_or(cx, "protocol", String::new());
    match word.as_str() {
        "tcp" => {
            only(cx, r, "connections (`protocol = \"tcp\"`)", TCP);
            if !r.has("sni") {
                wants_target(cx, r, "tcp");
            }
            ProtocolSpec::Tcp(tcp(cx, r))
        }
        "udp" => {
            only(cx, r, "datagrams (`protocol = \"udp\"`)", UDP);
            wants_target(cx, r, "udp");
            ProtocolSpec::Udp(udp::decode(cx, r))
        }
        "http" => {
            for key in ["forward", "sni", "tcp", "udp"] {
                if r.has(key) {
                    cx.push(
                        Diagnostic::error(
                            r.span_of(key),
                            format!("{} carries HTTP, of which `{key}` says nothing", r.subject()),
                        )
                        .help("requests are sent on by `[routes]`; or set `protocol` to \"tcp\" or \"udp\""),
                    );
                }
            }
            ProtocolSpec::Http
        }
        // What it is was reported; what the rest means depends on it.
        _ => ProtocolSpec::Http,
    }
}

/// Reports the keys that mean nothing to what the listener carries.
fn only(cx: &mut Context<'_>, r: &Reader<'_>, what: &str, own: &[&str]) {
    let strange: Vec<_> = r
        .keys()
        .filter(|(key, _)| !COMMON.contains(key) && !own.contains(key))
        .collect();
    for (key, span) in strange {
        cx.push(
            Diagnostic::error(
                span,
                format!(
                    "{} carries {what}, of which `{key}` says nothing",
                    r.subject()
                ),
            )
            .help(format!(
                "take `{key}` out, or set `protocol` to one that knows it"
            )),
        );
    }
}

fn wants_target(cx: &mut Context<'_>, r: &Reader<'_>, word: &str) {
    if r.lacks("forward") {
        cx.absence(
            Diagnostic::error(
                r.span(),
                format!(
                    "{} lacks `forward`, which `protocol = \"{word}\"` needs",
                    r.subject()
                ),
            )
            .help("add `forward = \"UPSTREAM\"`, the upstream that gets what comes in"),
        );
    }
}

fn tcp(cx: &mut Context<'_>, listener: &Reader<'_>) -> TcpSpec {
    let r = listener.sub(cx, "tcp");
    let timeouts = TcpTimeouts::default();
    TcpSpec {
        timeouts: TcpTimeouts {
            idle: r.get_or(cx, "idle-timeout", timeouts.idle).value,
            half_close: r
                .get_or(cx, "half-close-timeout", timeouts.half_close)
                .value,
        },
        refusal: match r.get_or(cx, "refuse-with", String::new()).as_str() {
            "reset" => Refusal::Reset,
            _ => Refusal::Close,
        },
        sni: super::sni::sni(cx, listener, &r),
    }
}

/// Reports a form of the access log that has no place for what a listener carries.
pub(super) fn log_is_json(cx: &mut Context<'_>, r: &Reader<'_>, log: Option<&AccessLog>) {
    if log.is_none_or(|log| log.format != LogFormat::Combined) {
        return;
    }
    cx.push(
        Diagnostic::error(
            r.span_of("access-log"),
            format!(
                "{} carries no requests, and `format = \"combined\"` of its access log has a place for nothing else",
                r.subject()
            ),
        )
        .help("set `format` to \"json\", or leave it out: that is the default"),
    );
}
