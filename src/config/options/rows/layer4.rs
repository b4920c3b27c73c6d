//! Rows of `[listeners]` that carry connections or datagrams instead of HTTP.

use super::super::Presence::{Default, Optional};
use super::super::{Kind, OptionRow};
use super::{DAY, ms, opt};

pub(super) const ROWS: &[OptionRow] = &[
    opt(
        "listeners.NAME.protocol",
        Kind::Choice(&["http", "tcp", "udp"]),
        Default(r#""http""#),
        "What comes in: HTTP, whose requests find their way by `[routes]`; connections of any protocol; or datagrams.",
        r#""tcp""#,
    ),
    opt(
        "listeners.NAME.forward",
        Kind::Ref("upstreams"),
        Optional("requests are sent on by routes"),
        "The upstream whose backends get the connections or datagrams. Only with `protocol` \"tcp\" or \"udp\".",
        r#""mail""#,
    ),
    opt(
        "listeners.NAME.tcp.idle-timeout",
        Kind::Duration(ms(100), DAY, false),
        Default(r#""10m""#),
        "How long a connection may be silent in both directions; then it is closed.",
        r#""1h""#,
    ),
    opt(
        "listeners.NAME.tcp.half-close-timeout",
        Kind::Duration(ms(100), DAY, false),
        Default(r#""1m""#),
        "How long a connection may be silent once one side has ended its direction.",
        r#""1m""#,
    ),
];
