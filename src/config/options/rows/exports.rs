//! Rows of `[telemetry.otlp]` and `[telemetry.dnstap]`.

use super::super::Kind;
use super::super::Presence::{Default, Optional};
use super::{HOUR, OptionRow, opt, secs};

pub(super) const ROWS: &[OptionRow] = &[
    opt(
        "telemetry.otlp.endpoint",
        Kind::Text,
        Optional("nothing is exported"),
        "Where metrics and traces go by OpenTelemetry's protocol over HTTP, in JSON: an `http://` or `https://` URL, to which `/v1/metrics` and `/v1/traces` are added. Usually the collector on the same machine.",
        r#""http://127.0.0.1:4318""#,
    )
    .restart(),
    opt(
        "telemetry.otlp.interval",
        Kind::Duration(secs(1), HOUR, false),
        Default(r#""15s""#),
        "Time between two exports.",
        r#""15s""#,
    )
    .restart(),
    opt(
        "telemetry.otlp.traces",
        Kind::Bool,
        Default("true"),
        "Whether requests of the admin API are exported as traces, too.",
        "true",
    )
    .restart(),
    opt(
        "telemetry.otlp.proxy-traces",
        Kind::Bool,
        Default("false"),
        "Whether requests that the proxy passes on over HTTP are exported as traces: a span for the request, and one for each try at a backend, which is told of it in `traceparent`. A request with a good `traceparent` is part of that trace, and recorded where that is marked as sampled; others begin a trace.",
        "true",
    )
    .restart(),
    opt(
        "telemetry.otlp.proxy-sample",
        Kind::Number(0.0, 1.0, "of all traces"),
        Default("0.01"),
        "Of the traces that begin at the proxy this share is recorded, and marked as sampled for backends; on listeners with `trace-context = \"start\"` their `trace-sampled` says it.",
        "0.001",
    )
    .restart(),
    opt(
        "telemetry.otlp.proxy-parents",
        Kind::Choice(&["anyone", "trusted"]),
        Default(r#""anyone""#),
        "Whose `traceparent` counts for the proxy: everybody's, or only that of a listener's `trusted-proxies`. With `trusted`, requests of others begin a trace of their own, so that no client chooses what is recorded.",
        r#""trusted""#,
    )
    .restart(),
    opt(
        "telemetry.dnstap.socket",
        Kind::Path,
        Optional("no queries are logged, unless there is `file`"),
        "The Unix socket of a collector that listens for dnstap.",
        r#""/run/dnstap.sock""#,
    )
    .restart(),
    opt(
        "telemetry.dnstap.file",
        Kind::Path,
        Optional("no queries are logged, unless there is `socket`"),
        "The file that queries are logged to in dnstap form, begun anew with each start.",
        r#""/var/log/tradewind/queries.fstrm""#,
    )
    .restart(),
    opt(
        "telemetry.dnstap.max-per-second",
        Kind::Integer(1, 100_000),
        Default("100"),
        "How many queries a second are logged with their answers, all DNS threads together: all of them while there are fewer, else a fair sample of so many.",
        "100",
    )
    .restart(),
    opt(
        "telemetry.dnstap.max-size",
        Kind::Size(1 << 16, 1 << 40),
        Default(r#""100MiB""#),
        "Of `file`: when it has this size it is renamed to the same name with `.1`, which takes the place of an earlier one, and begun anew.",
        r#""100MiB""#,
    )
    .restart(),
];
