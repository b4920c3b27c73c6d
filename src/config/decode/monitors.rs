//! `[monitors.NAME]`

mod secure;

use std::time::Duration;

use crate::config::Marked;
use crate::config::diagnostic::Diagnostic;
use crate::config::quantity::show_duration;
use crate::config::spec::MonitorSpec;
use crate::config::tree::Table;
use crate::health::Monitor;
use crate::health::monitor::{HttpCheck, HttpVersion, MonitorKind, TcpCheck};

use super::context::Context;
use super::objects::objects;
use super::reader::Reader;

pub(super) fn decode(cx: &mut Context<'_>, root: &Table) -> Vec<MonitorSpec> {
    let mut monitors = Vec::new();
    for (name, r) in objects(cx, root, "monitors", false) {
        monitors.extend(monitor(cx, name, &r));
    }
    monitors
}

fn monitor(cx: &mut Context<'_>, name: Marked<String>, r: &Reader<'_>) -> Option<MonitorSpec> {
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
    // All kinds that are given are read, so that their errors show too.
    let http = r.has("http").then(|| r.sub(cx, "http"));
    let tcp = r.has("tcp").then(|| r.sub(cx, "tcp"));
    let http = http.map(|h| http_check(cx, &h));
    let tls = r.has("tls").then(|| r.sub(cx, "tls"));
    let tls = tls.map(|t| secure::tls_check(cx, &t));
    let grpc = r.has("grpc").then(|| r.sub(cx, "grpc"));
    let grpc = grpc.map(|g| secure::grpc_check(cx, &g));
    let kind = match r.one_of(cx, &["tcp", "http", "tls", "grpc"], "kind")? {
        "http" => MonitorKind::Http(http??),
        "tls" => MonitorKind::Tls(tls??),
        "grpc" => MonitorKind::Grpc(grpc??),
        _ => MonitorKind::Tcp(tcp.map(|_| TcpCheck::default())?),
    };
    Some(MonitorSpec {
        monitor: Monitor {
            name: name.value.clone().into(),
            kind,
            interval: interval?.value,
            timeout: timeout?.value,
            rise: rise?.value,
            fall: fall?.value,
            jitter_percent: jitter?.value,
            port: port.map(|p| p.value),
        },
        name,
        complete: cx.clean_since(mark) && r.misspelt().is_empty(),
    })
}

fn text(cx: &mut Context<'_>, r: &Reader<'_>, key: &str) -> Option<Box<str>> {
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
        cx.push(not_a_regex(r, &e));
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
fn not_a_regex(r: &Reader<'_>, e: &regex::Error) -> Diagnostic {
    let text = e.to_string();
    let last = text.lines().last().unwrap_or_default();
    let reason = last.strip_prefix("error: ").unwrap_or(last);
    Diagnostic::error(
        r.span_of("expect-body-regex"),
        format!(
            "{} is not a regular expression: {reason}",
            r.name_of("expect-body-regex")
        ),
    )
    .help("use `expect-body` for plain text; write special characters as `\\\\.` and `\\\\(`")
}
