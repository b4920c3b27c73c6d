//! Rows of `[listeners]`: where a proxy takes traffic.

use super::super::Presence::{Default, Optional, Required};
use super::super::{Kind, OptionRow};
use super::{DAY, HOUR, ms, opt, secs};

pub(super) const ROWS: &[OptionRow] = &[
    opt(
        "listeners.NAME.bind",
        Kind::List(&Kind::Socket, 1),
        Optional("required, unless an `sni` rule of another listener hands over to it"),
        "Addresses; port 0 picks a free one.",
        r#"["0.0.0.0:80", "[::]:80"]"#,
    ),
    opt(
        "listeners.NAME.http2",
        Kind::Bool,
        Default("true"),
        "Whether HTTP/2 is spoken: chosen by ALPN over TLS, with prior knowledge without.",
        "true",
    ),
    opt(
        "listeners.NAME.max-connections",
        Kind::Integer(1, 10_000_000),
        Default("100000"),
        "Connections open at once; more are closed at once.",
        "100000",
    ),
    opt(
        "listeners.NAME.max-head",
        Kind::Size(1 << 10, 1 << 20),
        Default(r#""32KiB""#),
        "Octets of a request's head. A longer one gets 431.",
        r#""32KiB""#,
    ),
    opt(
        "listeners.NAME.max-fields",
        Kind::Integer(10, 1000),
        Default("100"),
        "Header fields of a request. More get 431.",
        "100",
    ),
    opt(
        "listeners.NAME.max-target",
        Kind::Size(256, 1 << 20),
        Default(r#""8KiB""#),
        "Octets of a request's target, path and query. A longer one gets 414.",
        r#""8KiB""#,
    ),
    opt(
        "listeners.NAME.max-body",
        Kind::Size(0, 1 << 40),
        Default(r#""64MiB""#),
        "Octets of a request's body. A longer one gets 413.",
        r#""64MiB""#,
    ),
    opt(
        "listeners.NAME.max-streams",
        Kind::Integer(1, 10_000),
        Default("128"),
        "Requests under way on one HTTP/2 connection.",
        "128",
    ),
    opt(
        "listeners.NAME.head-timeout",
        Kind::Duration(ms(100), HOUR, false),
        Default(r#""10s""#),
        "For a whole request head, from its first octet on; also for the TLS handshake. Later it gets 408.",
        r#""10s""#,
    ),
    opt(
        "listeners.NAME.body-timeout",
        Kind::Duration(ms(100), HOUR, false),
        Default(r#""30s""#),
        "Between two parts of a request's body. Later it gets 408.",
        r#""30s""#,
    ),
    opt(
        "listeners.NAME.idle-timeout",
        Kind::Duration(ms(100), DAY, false),
        Default(r#""60s""#),
        "Between two requests; then the connection is closed.",
        r#""60s""#,
    ),
    opt(
        "listeners.NAME.write-timeout",
        Kind::Duration(ms(100), HOUR, false),
        Default(r#""30s""#),
        "How long a client may take in nothing of what is sent to it.",
        r#""30s""#,
    ),
    opt(
        "listeners.NAME.tunnel-timeout",
        Kind::Duration(secs(1), DAY, false),
        Default(r#""1h""#),
        "How long a WebSocket may be silent in both directions.",
        r#""1h""#,
    ),
    opt(
        "listeners.NAME.trusted-proxies",
        Kind::List(&Kind::Network, 0),
        Default("[]"),
        "Sources whose `Forwarded` and `X-Forwarded-*` fields are believed. Of others they are replaced.",
        r#"["10.0.0.0/8"]"#,
    ),
    opt(
        "listeners.NAME.upgrades",
        Kind::List(&Kind::Token, 0),
        Default(r#"["websocket"]"#),
        "Protocols that a client of HTTP/1.1 may go on with after `Upgrade`. Of others the request is passed on without the wish.",
        r#"["websocket"]"#,
    ),
    opt(
        "listeners.NAME.access-log.to",
        Kind::Text,
        Required,
        "`stdout`, or the path of a file, which is opened again when it was moved away.",
        r#""stdout""#,
    ),
    opt(
        "listeners.NAME.access-log.format",
        Kind::Choice(&["json", "combined"]),
        Default(r#""json""#),
        "One JSON object per line, or the combined format of Apache and nginx.",
        r#""json""#,
    ),
    opt(
        "listeners.NAME.access-log.sample",
        Kind::Percent(0, 100),
        Default(r#""100%""#),
        "Of exchanges that went well so many are written; those that failed always are.",
        r#""10%""#,
    ),
];
