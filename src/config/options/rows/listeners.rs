//! Rows of `[nodes.NAME.proxy]` and `[listeners]`: where a proxy takes traffic.

use super::super::Presence::{Default, Optional, Required};
use super::super::{Kind, OptionRow};
use super::{DAY, HOUR, ms, opt, secs};

pub(super) const ROWS: &[OptionRow] = &[
    opt(
        "nodes.NAME.proxy.listeners",
        Kind::List(&Kind::Ref("listeners"), 1),
        Optional("all"),
        "The listeners that this node has.",
        r#"["web", "web-tls"]"#,
    ),
    opt(
        "nodes.NAME.proxy.workers",
        Kind::Integer(1, 1024),
        Optional("one per core"),
        "Threads that carry traffic. A connection stays on the thread that accepted it.",
        "2",
    )
    .restart(),
    opt(
        "nodes.NAME.proxy.zone",
        Kind::NewName,
        Optional("none"),
        "Zone within the region: backends of the same zone come first.",
        r#""a""#,
    ),
    opt(
        "nodes.NAME.proxy.drain-timeout",
        Kind::Duration(ms(0), HOUR, false),
        Default(r#""30s""#),
        "How long a proxy that is drained or stopped waits for what is under way.",
        r#""30s""#,
    ),
    opt(
        "listeners.NAME.bind",
        Kind::List(&Kind::Socket, 1),
        Required,
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
];
