//! Rows of connections as such, whatever is spoken on them: how often clients may connect, and where
//! connections to backends come from.

use super::super::Presence::{Default, Optional};
use super::super::{Kind, OptionRow};
use super::{HOUR, ms, opt};

pub(super) const ROWS: &[OptionRow] = &[
    opt(
        "listeners.NAME.total-connection-rate",
        Kind::Text,
        Optional("any"),
        "How often all sources together may connect to the listener at one proxy; more are closed at once, before TLS. Those that `connection-rate` turns away do not count.",
        r#""2000/s""#,
    ),
    opt(
        "listeners.NAME.source-prefix4",
        Kind::Integer(1, 32),
        Default("32"),
        "IPv4 addresses that share so many bits are one source, for `connections-per-source` and `connection-rate`.",
        "32",
    ),
    opt(
        "listeners.NAME.source-prefix6",
        Kind::Integer(1, 64),
        Default("64"),
        "IPv6 addresses that share so many bits are one source.",
        "56",
    ),
    opt(
        "listeners.NAME.tcp.refuse-with",
        Kind::Choice(&["close", "reset"]),
        Default(r#""close""#),
        "What a client sees whose connection is not carried: because there is no backend for it, or because of a bound of the listener. `close`: it ends without an octet; `reset`: it is reset, for clients that take an end for an answer.",
        r#""reset""#,
    ),
    opt(
        "upstreams.NAME.source",
        Kind::Address,
        Optional("the address that the routing table names"),
        "Address of this machine that connections to the backends come from; all backends must be of its family. Each backend can then have some 28,000 connections from it, or as many as `net.ipv4.ip_local_port_range` says.",
        r#""10.0.0.5""#,
    ),
    opt(
        "upstreams.NAME.transparent",
        Kind::Bool,
        Default("false"),
        "Connections to the backends come from the client's own address, with another port. Needs the capability CAP_NET_ADMIN, and routes that lead the backends' answers back through this machine; see `proxy_layer4`.",
        "false",
    ),
    opt(
        "upstreams.NAME.passive.early-close",
        Kind::Duration(ms(1), HOUR, false),
        Optional("it is no failure"),
        "At layer 4, a connection that the backend closes within this time without having sent an octet counts as a failure of the kind `reset`. Leave it out where a backend may do so: clients can then make it.",
        r#""50ms""#,
    ),
];
