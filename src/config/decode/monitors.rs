//! `[monitors.NAME]`

mod secure;

use std::net::IpAddr;
use std::time::Duration;

use crate::config::Marked;
use crate::config::diagnostic::Diagnostic;
use crate::config::quantity::show_duration;
use crate::config::spec::MonitorSpec;
use crate::config::tree::Table;
use crate::health::{HttpCheck, HttpVersion, Monitor, MonitorKind};
use crate::net::Family;

use super::composites::{self, CompositeSpec};
use super::context::Context;
use super::monitor_kinds as kinds;
use super::objects::objects;
use super::reader::Reader;

pub(super) fn decode(cx: &mut Context<'_>, root: &Table) -> Vec<MonitorSpec> {
    let mut monitors: Vec<Decoded> = Vec::new();
    for (name, r) in objects(cx, root, "monitors", false) {
        monitors.extend(monitor(cx, name, &r));
    }
    composites::resolve(cx, monitors)
}

/// A monitor, or what it is made of.
pub(super) enum Decoded {
    /// As it is.
    Plain(Box<MonitorSpec>),
    /// Its parts are still names.
    Composite(CompositeSpec),
}

/// The kinds; exactly one is given.
const KINDS: &[&str] = &[
    "tcp",
    "http",
    "tls",
    "grpc",
    "udp",
    "dns",
    "icmp",
    "exec",
    "composite",
];

fn monitor(cx: &mut Context<'_>, name: Marked<String>, r: &Reader<'_>) -> Option<Decoded> {
    if r.has("composite") && KINDS.iter().filter(|k| r.has(k)).count() == 1 {
        return composites::composite(cx, name, r).map(Decoded::Composite);
    }
    let mark = cx.mark();
    let interval: Option<Marked<Duration>> = r.get(cx, "interval");
    let timeout: Option<Marked<Duration>> = r.get(cx, "timeout");
    if let (Some(interval), Some(timeout)) = (&interval, &timeout)
        && timeout.value >= interval.value
    {
        let what = r.name_of("timeout");
        let (t, i) = (show_duration(timeout.value), show_duration(interval.value));
        let stated = |key| if r.has(key) { "" } else { " (the default)" };
        cx.push(
            Diagnostic::error(
                timeout.span,
                format!(
                    "{what} is {t}{}; it must be less than `interval`, which is {i}{}",
                    stated("timeout"),
                    stated("interval")
                ),
            )
            .related(interval.span, "`interval` is set here")
            .help("shorten `timeout` or lengthen `interval`"),
        );
    }
    let rise: Option<Marked<u32>> = r.get(cx, "rise");
    let fall: Option<Marked<u32>> = r.get(cx, "fall");
    if let (Some(rise), Some(fall)) = (&rise, &fall)
        && rise.value < fall.value
    {
        cx.push(
            Diagnostic::warning(
                r.span_of(if r.has("rise") { "rise" } else { "fall" }),
                format!(
                    "{} has `rise` {}, which is less than its `fall` of {}: endpoints come up sooner \
                     than they go down",
                    r.subject(),
                    rise.value,
                    fall.value
                ),
            )
            .help(
                "recovery should be slower than failure, or a flapping endpoint stays in: \
                 raise `rise` to at least `fall`",
            ),
        );
    }
    let jitter: Option<Marked<u32>> = r.get(cx, "jitter");
    let port: Option<Marked<u16>> = r.get(cx, "port");
    let source = sources(cx, r);
    let family = r.get::<String>(cx, "family").map(|f| match f.as_str() {
        "v4" => Family::V4,
        _ => Family::V6,
    });
    let retries: Option<Marked<u32>> = r.get(cx, "retries");
    // All kinds are read when several are given, so that their errors show too.
    let mut kind = None;
    for word in KINDS.iter().filter(|k| r.has(k)) {
        let sub = r.sub(cx, word);
        kind = match *word {
            "http" => http_check(cx, &sub).map(MonitorKind::Http),
            "tls" => secure::tls_check(cx, &sub).map(MonitorKind::Tls),
            "grpc" => secure::grpc_check(cx, &sub).map(MonitorKind::Grpc),
            other => kinds::kind(cx, other, &sub),
        };
    }
    r.one_of(cx, KINDS, "kind")?;
    let kind = kind?;
    Some(Decoded::Plain(Box::new(MonitorSpec {
        monitor: Monitor {
            name: name.value.clone().into(),
            kind,
            interval: interval?.value,
            timeout: timeout?.value,
            rise: rise?.value,
            fall: fall?.value,
            jitter_percent: jitter?.value,
            port: port.map(|p| p.value),
            source,
            family,
            retries: retries?.value,
        },
        name,
        complete: cx.clean_since(mark) && r.misspelt().is_empty(),
    })))
}

/// The source addresses; those that no target can have one of are reported.
fn sources(cx: &mut Context<'_>, r: &Reader<'_>) -> Vec<IpAddr> {
    let sources: Vec<Marked<IpAddr>> = r.list(cx, "source").unwrap_or_default();
    let kind = r.has("exec").then_some("exec");
    if let (Some(kind), Some(first)) = (kind, sources.first()) {
        cx.push(
            Diagnostic::warning(
                first.span,
                format!("{} has no effect with `{kind}`", r.name_of("source")),
            )
            .help("remove it, or hand it to the command as an argument"),
        );
    }
    sources.into_iter().map(|s| s.value).collect()
}

pub(super) fn text(cx: &mut Context<'_>, r: &Reader<'_>, key: &str) -> Option<Box<str>> {
    r.get::<String>(cx, key).map(|t| t.value.into())
}

fn http_check(cx: &mut Context<'_>, r: &Reader<'_>) -> Option<HttpCheck> {
    let tls = secure::trust_if_tls(cx, r);
    let version: Option<Marked<String>> = r.get(cx, "version");
    let host = text(cx, r, "host");
    let method = text(cx, r, "method");
    let path = text(cx, r, "path");
    let headers = r
        .map::<String>(cx, "headers", "HEADER")
        .into_iter()
        .map(|(name, value)| (name.value.into(), value.into()))
        .collect();
    let body = text(cx, r, "body");
    let expect_status = r.list::<(u16, u16)>(cx, "expect-status");
    let expect_body = text(cx, r, "expect-body");
    let expect_body_regex = text(cx, r, "expect-body-regex");
    if let Some(pattern) = &expect_body_regex
        && let Err(e) = regex::bytes::Regex::new(pattern)
    {
        cx.push(not_a_regex(r, "expect-body-regex", "expect-body", &e));
    }
    let follow_redirects: Option<Marked<u32>> = r.get(cx, "follow-redirects");
    let max_body: Option<Marked<usize>> = r.get(cx, "max-body");
    Some(HttpCheck {
        tls: tls?,
        version: match version?.value.as_str() {
            "2" => HttpVersion::Http2,
            "auto" => HttpVersion::Auto,
            _ => HttpVersion::Http11,
        },
        host,
        method: method?,
        path: path?,
        headers,
        body,
        expect_status: expect_status?.into_iter().map(|s| s.value).collect(),
        expect_body,
        expect_body_regex,
        follow_redirects: follow_redirects?.value,
        max_body: max_body?.value,
    })
}

/// The pattern's own place of the error is lost in one line; its kind is what helps.
pub(super) fn not_a_regex(r: &Reader<'_>, key: &str, plain: &str, e: &regex::Error) -> Diagnostic {
    let text = e.to_string();
    let last = text.lines().last().unwrap_or_default();
    let reason = last.strip_prefix("error: ").unwrap_or(last);
    Diagnostic::error(
        r.span_of(key),
        format!("{} is not a regular expression: {reason}", r.name_of(key)),
    )
    .help(format!(
        "use `{plain}` for plain text; write special characters as `\\\\.` and `\\\\(`"
    ))
}
