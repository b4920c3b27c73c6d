//! Rows of what a listener of layer 4 does with TLS: rules by what a client asks for, and where TLS ends.

use super::super::Presence::{Default, Optional, Required};
use super::super::{Kind, OptionRow};
use super::{HOUR, ms, opt};

pub(super) const ROWS: &[OptionRow] = &[
    opt(
        "listeners.NAME.tls-mode",
        Kind::Choice(&["pass-through", "terminate", "re-encrypt"]),
        Optional("follows from `tls` here and in the upstreams"),
        "Where the client's TLS ends. `pass-through`: at the backend, only with `protocol = \"tcp\"`. `terminate`: here, and backends are spoken to without TLS. `re-encrypt`: here, and backends are spoken to over TLS of their own. What does not agree with `tls` of the listener and of its upstreams is an error.",
        r#""pass-through""#,
    ),
    opt(
        "listeners.NAME.tls.alpn",
        Kind::List(&Kind::Text, 1),
        Optional("nothing is agreed on"),
        "Protocols that are agreed to within TLS (ALPN), the most wanted first. Only with `protocol = \"tcp\"`; a client that offers only others is refused. A backend over TLS is offered what was agreed on.",
        r#"["imap"]"#,
    ),
    opt(
        "listeners.NAME.sni",
        Kind::Tables(1),
        Optional("all connections go to `forward`"),
        "Where connections go by the server name (SNI) that their TLS asks for, read without taking part in it. The most specific name wins: the name itself, then the longest wildcard, then `*`; among rules of one name those whose `alpn` the client offers come first. Only with `protocol = \"tcp\"`.",
        r#"[{ names = ["mail.example.com"], forward = "mail" }]"#,
    ),
    opt(
        "listeners.NAME.sni[].names",
        Kind::List(&Kind::Text, 1),
        Required,
        "Names: `a.example.com`, all below one as `*.example.com`, or `*` for whatever begins like TLS, also without a name.",
        r#"["mail.example.com", "*.example.com"]"#,
    ),
    opt(
        "listeners.NAME.sni[].alpn",
        Kind::List(&Kind::Text, 1),
        Optional("whatever the client offers"),
        "Protocols of which the client must offer one.",
        r#"["h2"]"#,
    ),
    opt(
        "listeners.NAME.sni[].forward",
        Kind::Ref("upstreams"),
        Optional("the rule has `listener`"),
        "The upstream whose backends get these connections.",
        r#""mail""#,
    ),
    opt(
        "listeners.NAME.sni[].listener",
        Kind::Ref("listeners"),
        Optional("the rule has `forward`"),
        "Another listener of the same node, with `tls`, that serves these connections as if they had come there: its limits, its TLS, its routes.",
        r#""web-tls""#,
    ),
    opt(
        "listeners.NAME.tcp.hello-timeout",
        Kind::Duration(ms(100), HOUR, false),
        Default(r#""5s""#),
        "How long a client may take until its first message of TLS is whole, where there are `sni` rules; then the connection is closed.",
        r#""5s""#,
    ),
    opt(
        "listeners.NAME.tcp.max-hello",
        Kind::Size(1 << 10, 32 << 10),
        Default(r#""16KiB""#),
        "Octets of a client's first message of TLS, where there are `sni` rules. A longer one ends the connection.",
        r#""16KiB""#,
    ),
    opt(
        "listeners.NAME.tcp.unmatched",
        Kind::Choice(&["forward", "refuse"]),
        Default(r#""forward""#),
        "Connections for which no `sni` rule is, also those without a name and those that are not TLS: `forward` sends them to `forward` of the listener, `refuse` closes them, with the alert unrecognized_name where TLS was begun.",
        r#""refuse""#,
    ),
];
