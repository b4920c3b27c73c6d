//! Rows of `[monitors]`.

use super::super::Presence::{Default, Optional, Required};
use super::super::{Kind, OptionRow};
use super::{HOUR, ms, opt};

const KINDS: &str =
    "exactly one of `tcp`, `http`, `tls`, `grpc`, `udp`, `dns`, `icmp`, `exec`, `composite`";
const NEEDS: &str = "exactly one of `all`, `any`, `of`";
const SEND: &str = "What to send, of octets as text with the escapes `\\r`, `\\n`, `\\t`, `\\0`, `\\\\` and \
                    `\\xHH`; single quotes keep TOML from reading them first.";
const EXPECT: &str = "What the answer must have in it, written as `send` is.";
/// Response codes of an answer without EDNS.
pub(in crate::config) const RCODES: &[&str] = &[
    "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "NOTAUTH",
];

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
        "monitors.NAME.source",
        Kind::List(&Kind::Address, 1),
        Optional("the kernel chooses"),
        "Addresses that probes leave from: of the target's family the first that the node has, so that \
         one list serves all nodes. A node that has none of several, or not the only one, has no \
         opinion.",
        r#"["192.0.2.9", "2001:db8::9"]"#,
    ),
    opt(
        "monitors.NAME.family",
        Kind::Choice(&["v4", "v6"]),
        Optional("both"),
        "Probe only endpoints of this address family; the others count as having no monitor.",
        r#""v4""#,
    ),
    opt(
        "monitors.NAME.retries",
        Kind::Integer(0, 5),
        Default("0"),
        "How often a failed probe is repeated at once before it counts. All tries of a probe share its \
         `timeout`: each may take its equal part of what is left.",
        "1",
    ),
    opt(
        "monitors.NAME.tcp",
        Kind::Table,
        Optional(KINDS),
        "Passes when a connection is established and, where asked for, the answer is right.",
        "{}",
    ),
    opt(
        "monitors.NAME.tcp.send",
        Kind::Octets(1024),
        Optional("nothing"),
        SEND,
        r#"'PING\r\n'"#,
    ),
    opt(
        "monitors.NAME.tcp.expect",
        Kind::Octets(1024),
        Optional("not looked at"),
        EXPECT,
        r#"'+PONG'"#,
    ),
    opt(
        "monitors.NAME.tcp.expect-regex",
        Kind::Text,
        Optional("not looked at"),
        "Regular expression that what was read so far must match.",
        r#"'^220 '"#,
    ),
    opt(
        "monitors.NAME.tcp.max-answer",
        Kind::Size(1, 1024 * 1024),
        Default(r#""16KiB""#),
        "Octets of the answer read at most.",
        r#""4KiB""#,
    ),
    opt(
        "monitors.NAME.http",
        Kind::Table,
        Optional(KINDS),
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
        Optional(KINDS),
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
        Optional(KINDS),
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
    opt(
        "monitors.NAME.udp",
        Kind::Table,
        Optional(KINDS),
        "Sends a datagram and passes when an answer comes, and is right where that is asked for.",
        r#"{ send = 'ping' }"#,
    ),
    opt(
        "monitors.NAME.udp.send",
        Kind::Octets(1024),
        Required,
        SEND,
        r#"'\x00\x01ping'"#,
    ),
    opt(
        "monitors.NAME.udp.expect",
        Kind::Octets(1024),
        Optional("any answer passes"),
        EXPECT,
        r#"'pong'"#,
    ),
    opt(
        "monitors.NAME.udp.expect-regex",
        Kind::Text,
        Optional("any answer passes"),
        "Regular expression that the answer must match.",
        r#"'^pong'"#,
    ),
    opt(
        "monitors.NAME.udp.max-answer",
        Kind::Size(1, 64 * 1024),
        Default(r#""2KiB""#),
        "Octets of the answer looked at at most.",
        r#""512B""#,
    ),
    opt(
        "monitors.NAME.dns",
        Kind::Table,
        Optional(KINDS),
        "Asks a name server.",
        r#"{ query = "www.gslb.example" }"#,
    ),
    opt(
        "monitors.NAME.dns.query",
        Kind::Domain,
        Required,
        "The name asked for.",
        r#""www.gslb.example""#,
    ),
    opt(
        "monitors.NAME.dns.type",
        Kind::Rtype,
        Default(r#""A""#),
        "The record type asked for, as a name or as TYPE and its number.",
        r#""SOA""#,
    ),
    opt(
        "monitors.NAME.dns.transport",
        Kind::Choice(&["udp", "tcp"]),
        Default(r#""udp""#),
        "What carries the query; an answer cut over UDP is asked for again over TCP.",
        r#""tcp""#,
    ),
    opt(
        "monitors.NAME.dns.recursion-desired",
        Kind::Bool,
        Default("false"),
        "Ask for recursion, as of a resolver.",
        "true",
    ),
    opt(
        "monitors.NAME.dns.expect-rcode",
        Kind::Choice(RCODES),
        Default(r#""NOERROR""#),
        "The response code that passes.",
        r#""NXDOMAIN""#,
    ),
    opt(
        "monitors.NAME.dns.expect-answer",
        Kind::Text,
        Optional("not looked at"),
        "The data of a record that must be among the answers: an address, a text without quotes, or as \
         zone files write it.",
        r#""192.0.2.1""#,
    ),
    opt(
        "monitors.NAME.icmp",
        Kind::Table,
        Optional(KINDS),
        "Passes when an echo request is answered; the port has no meaning. Needs `ping_group_range` or \
         CAP_NET_RAW; without them there is no opinion. Has no options.",
        "{}",
    ),
    opt(
        "monitors.NAME.exec",
        Kind::Table,
        Optional(KINDS),
        "Runs a command and passes when it ends with code 0. Every node with the role `probe` must have \
         `allow-exec`. It sees TRADEWIND_ADDRESS, TRADEWIND_PORT, TRADEWIND_MONITOR, PATH and LANG, and \
         is killed with its process group at the timeout.",
        r#"{ command = ["/usr/local/lib/checks/replica"] }"#,
    ),
    opt(
        "monitors.NAME.exec.command",
        Kind::Array(&Kind::Phrase(4096), 1),
        Required,
        "The program's absolute path and its arguments. No shell sees them.",
        r#"["/usr/local/lib/checks/replica", "--lag", "30"]"#,
    ),
    opt(
        "monitors.NAME.exec.max-output",
        Kind::Size(0, 1024 * 1024),
        Default(r#""16KiB""#),
        "A command that writes more fails. The first line is shown as the error.",
        r#""4KiB""#,
    ),
    opt(
        "monitors.NAME.composite",
        Kind::Table,
        Optional(KINDS),
        "Follows from other monitors of the same endpoint, which are probed instead of it. A part for \
         the other address family has no say.",
        r#"{ all = ["web-http", "web-tcp"] }"#,
    ),
    opt(
        "monitors.NAME.composite.all",
        Kind::List(&Kind::Ref("monitors"), 1),
        Optional(NEEDS),
        "Up when all of these are.",
        r#"["web-http", "web-tcp"]"#,
    ),
    opt(
        "monitors.NAME.composite.any",
        Kind::List(&Kind::Ref("monitors"), 1),
        Optional(NEEDS),
        "Up when one of these is.",
        r#"["web-http", "web-tcp"]"#,
    ),
    opt(
        "monitors.NAME.composite.of",
        Kind::List(&Kind::Ref("monitors"), 1),
        Optional(NEEDS),
        "Up when `at-least` of these are.",
        r#"["web-http", "web-tcp", "web-ping"]"#,
    ),
    opt(
        "monitors.NAME.composite.at-least",
        Kind::Integer(1, 64),
        Optional("required with `of`"),
        "How many of `of` must be up.",
        "2",
    ),
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
