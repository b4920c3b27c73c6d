//! Rows of `[monitors]`.

use super::super::Presence::{Default, Optional};
use super::super::{Kind, OptionRow};
use super::{HOUR, ms, opt};

pub(super) const ROWS: &[OptionRow] = &[
    opt(
        "monitors.NAME.interval",
        Kind::Duration(ms(100), HOUR, false),
        Default(r#""5s""#),
        "Time between the starts of two probes of one target.",
        r#""5s""#,
    ),
    opt(
        "monitors.NAME.timeout",
        Kind::Duration(ms(10), HOUR, false),
        Default(r#""2s""#),
        "A probe that takes longer fails; must be less than `interval`.",
        r#""2s""#,
    ),
    opt(
        "monitors.NAME.rise",
        Kind::Integer(1, 100),
        Default("5"),
        "Consecutive passes that bring a target up, or clear its failures.",
        "5",
    ),
    opt(
        "monitors.NAME.fall",
        Kind::Integer(1, 100),
        Default("3"),
        "Accumulated failures that bring a target down.",
        "3",
    ),
    opt(
        "monitors.NAME.jitter",
        Kind::Percent(0, 50),
        Default(r#""10%""#),
        "Largest random shift of a probe's start, as a share of `interval`.",
        r#""10%""#,
    ),
    opt(
        "monitors.NAME.port",
        Kind::Integer(1, 65_535),
        Optional("the endpoint's own"),
        "Probe this port instead of the endpoint's.",
        "8081",
    ),
    opt(
        "monitors.NAME.tcp",
        Kind::Table,
        Optional("exactly one of `tcp`, `http`, `tls`, `grpc`"),
        "Passes when a connection is established. Has no options.",
        "{}",
    ),
    opt(
        "monitors.NAME.http",
        Kind::Table,
        Optional("exactly one of `tcp`, `http`, `tls`, `grpc`"),
        "Asks over HTTP or HTTPS.",
        "{}",
    ),
    opt(
        "monitors.NAME.http.tls",
        Kind::Bool,
        Default("false"),
        "HTTPS instead of HTTP.",
        "true",
    ),
    verify("monitors.NAME.http.verify"),
    ca_file("monitors.NAME.http.ca-file"),
    server_name("monitors.NAME.http.server-name", "`host` without its port"),
    warn_days("monitors.NAME.http.warn-days"),
    opt(
        "monitors.NAME.http.version",
        Kind::Choice(&["1.1", "2", "auto"]),
        Default(r#""1.1""#),
        "Version of HTTP. 2: by ALPN over TLS, in cleartext without asking first. auto: what the \
         server chooses over TLS, 1.1 in cleartext.",
        r#""auto""#,
    ),
    opt(
        "monitors.NAME.http.host",
        Kind::Text,
        Optional("the address"),
        "`Host` header, `:authority` of HTTP/2.",
        r#""www.gslb.example""#,
    ),
    opt(
        "monitors.NAME.http.method",
        Kind::Token,
        Default(r#""GET""#),
        "Request method.",
        r#""GET""#,
    ),
    opt(
        "monitors.NAME.http.path",
        Kind::UrlPath,
        Default(r#""/""#),
        "Path and query.",
        r#""/healthz""#,
    ),
    opt(
        "monitors.NAME.http.headers.HEADER",
        Kind::Text,
        Optional("none"),
        "A further request header.",
        r#""tradewind""#,
    ),
    opt(
        "monitors.NAME.http.body",
        Kind::Text,
        Optional("none"),
        "Request body.",
        r#""ping""#,
    ),
    opt(
        "monitors.NAME.http.expect-status",
        Kind::List(&Kind::Status, 1),
        Default(r#"["200-299"]"#),
        "Accepted status codes and ranges of them.",
        r#"["200", "204-299"]"#,
    ),
    opt(
        "monitors.NAME.http.expect-body",
        Kind::Text,
        Optional("not looked at"),
        "Text the body must contain.",
        r#""ok""#,
    ),
    opt(
        "monitors.NAME.http.expect-body-regex",
        Kind::Text,
        Optional("not looked at"),
        "Regular expression the body must match.",
        r#""^ok""#,
    ),
    opt(
        "monitors.NAME.http.follow-redirects",
        Kind::Integer(0, 10),
        Default("0"),
        "Redirects followed; with 0 a redirect's own status is judged.",
        "0",
    ),
    opt(
        "monitors.NAME.http.max-body",
        Kind::Size(0, 16 * 1024 * 1024),
        Default(r#""64KiB""#),
        "Body bytes read at most.",
        r#""64KiB""#,
    ),
    opt(
        "monitors.NAME.tls",
        Kind::Table,
        Optional("exactly one of `tcp`, `http`, `tls`, `grpc`"),
        "Passes when a TLS handshake does.",
        "{}",
    ),
    verify("monitors.NAME.tls.verify"),
    ca_file("monitors.NAME.tls.ca-file"),
    server_name("monitors.NAME.tls.server-name", "the address"),
    warn_days("monitors.NAME.tls.warn-days"),
    opt(
        "monitors.NAME.tls.alpn",
        Kind::List(&Kind::Text, 0),
        Default("[]"),
        "Protocols offered by ALPN, of which the server must choose one.",
        r#"["h2", "http/1.1"]"#,
    ),
    opt(
        "monitors.NAME.grpc",
        Kind::Table,
        Optional("exactly one of `tcp`, `http`, `tls`, `grpc`"),
        "Asks `grpc.health.v1.Health/Check`; only SERVING passes. NOT_FOUND and UNIMPLEMENTED say \
         that the wrong question was asked: they count neither for nor against the target.",
        "{}",
    ),
    opt(
        "monitors.NAME.grpc.service",
        Kind::Text,
        Optional("the server as a whole"),
        "Service asked for.",
        r#""shop.Orders""#,
    ),
    opt(
        "monitors.NAME.grpc.host",
        Kind::Text,
        Optional("the address"),
        "`:authority` of the request.",
        r#""orders.gslb.example""#,
    ),
    opt(
        "monitors.NAME.grpc.tls",
        Kind::Bool,
        Default("false"),
        "Over TLS instead of in cleartext.",
        "true",
    ),
    verify("monitors.NAME.grpc.verify"),
    ca_file("monitors.NAME.grpc.ca-file"),
    server_name("monitors.NAME.grpc.server-name", "`host` without its port"),
    warn_days("monitors.NAME.grpc.warn-days"),
];

const fn verify(path: &'static str) -> OptionRow {
    opt(
        path,
        Kind::Bool,
        Default("true"),
        "Verify certificate and name.",
        "true",
    )
}

const fn ca_file(path: &'static str) -> OptionRow {
    opt(
        path,
        Kind::Path,
        Optional("the public trust anchors"),
        "Extra trust anchors, PEM.",
        r#""ca.pem""#,
    )
}

const fn server_name(path: &'static str, absent: &'static str) -> OptionRow {
    opt(
        path,
        Kind::Text,
        Optional(absent),
        "Name for SNI and certificate verification.",
        r#""www.gslb.example""#,
    )
}

const fn warn_days(path: &'static str) -> OptionRow {
    opt(
        path,
        Kind::Integer(0, 365),
        Default("14"),
        "Warn of a certificate that expires within so many days; 0: only of one that has expired.",
        "30",
    )
}
