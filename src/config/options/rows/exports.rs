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
