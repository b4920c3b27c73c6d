//! `[telemetry.otlp]` and `[telemetry.dnstap]`.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::Marked;
use crate::config::diagnostic::Diagnostic;
use crate::config::spec::{DnstapSpec, DnstapTarget, OtlpSpec, ProxyTraces};

use super::context::Context;
use super::reader::Reader;

/// Where OpenTelemetry goes; `None`: nowhere.
pub(super) fn otlp(cx: &mut Context<'_>, telemetry: &Reader<'_>) -> Option<OtlpSpec> {
    let r = telemetry.sub(cx, "otlp");
    let endpoint: Option<Marked<String>> = r.get(cx, "endpoint");
    let interval = r.get_or(cx, "interval", Duration::from_secs(15)).value;
    let traces = r.get_or(cx, "traces", true).value;
    let proxy = proxy_traces(cx, &r);
    let Some(endpoint) = endpoint else {
        if r.lacks("endpoint") && OTLP_MORE.iter().any(|more| r.has(more)) {
            cx.push(
                Diagnostic::warning(
                    r.span(),
                    "`telemetry.otlp` has no `endpoint`: nothing is exported".to_owned(),
                )
                .help("add `endpoint = \"http://127.0.0.1:4318\"`, or remove the table"),
            );
        }
        return None;
    };
    let rest = endpoint
        .strip_prefix("http://")
        .or_else(|| endpoint.strip_prefix("https://"));
    let good = |rest: &str| {
        let host = rest.split('/').next().unwrap_or_default();
        !host.is_empty() && rest.bytes().all(|b| b.is_ascii_graphic()) && !rest.contains(['?', '#'])
    };
    if !rest.is_some_and(good) {
        cx.push(
            Diagnostic::error(
                endpoint.span,
                format!(
                    "{} is `{}`, which is no http or https URL without a query",
                    r.name_of("endpoint"),
                    endpoint.value
                ),
            )
            .help("write it like \"http://127.0.0.1:4318\""),
        );
        return None;
    }
    Some(OtlpSpec {
        endpoint: endpoint.value.trim_end_matches('/').to_owned(),
        interval,
        traces,
        proxy,
    })
}

/// What is said of an export beside where it goes.
const OTLP_MORE: [&str; 5] = [
    "interval",
    "traces",
    "proxy-traces",
    "proxy-sample",
    "proxy-parents",
];

fn proxy_traces(cx: &mut Context<'_>, r: &Reader<'_>) -> Option<ProxyTraces> {
    let wanted = r.get_or(cx, "proxy-traces", false).value;
    let share: f64 = r.get_or(cx, "proxy-sample", 0.01).value;
    let parents = r.get_or(cx, "proxy-parents", String::new()).value;
    wanted.then(|| ProxyTraces {
        // Rounded, so that a small share is not none; the whole of them stays all.
        share: (share * (1_u64 << 32) as f64).round() as u64,
        anyones: parents != "trusted",
    })
}

/// Where dnstap goes; `None`: nowhere.
pub(super) fn dnstap(cx: &mut Context<'_>, telemetry: &Reader<'_>) -> Option<DnstapSpec> {
    let r = telemetry.sub(cx, "dnstap");
    let socket: Option<Marked<PathBuf>> = r.get(cx, "socket").map(|f| super::path(cx, f));
    let file: Option<Marked<PathBuf>> = r.get(cx, "file").map(|f| super::path(cx, f));
    let per_second = r.get_or(cx, "max-per-second", 100).value;
    let size = r.get_or(cx, "max-size", 100 << 20).value;
    let target = match (socket, file) {
        (Some(socket), Some(file)) => {
            cx.push(
                Diagnostic::error(
                    file.span,
                    "`telemetry.dnstap` has both `socket` and `file`; it goes to one of them"
                        .to_owned(),
                )
                .related(socket.span, "the other one")
                .help("remove one of the two"),
            );
            return None;
        }
        (Some(socket), None) => DnstapTarget::Socket(socket.value),
        (None, Some(file)) => DnstapTarget::File(file.value, size),
        (None, None) => {
            let neither = r.lacks("socket") && r.lacks("file");
            if neither && (r.has("max-per-second") || r.has("max-size")) {
                cx.push(
                    Diagnostic::warning(
                        r.span(),
                        "`telemetry.dnstap` has neither `socket` nor `file`: nothing is logged"
                            .to_owned(),
                    )
                    .help("add one of them, or remove the table"),
                );
            }
            return None;
        }
    };
    Some(DnstapSpec { target, per_second })
}
