//! Rows of `version`, `[dns]`.

use super::super::Presence::{Default, Optional, Required};
use super::super::{Kind, OptionRow};
use super::{DAY, opt, secs};

pub(super) const ROWS: &[OptionRow] = &[
    opt(
        "version",
        Kind::Integer(1, 1),
        Required,
        "Version of this format; this release reads version 1.",
        "1",
    ),
    opt(
        "dns.explain-allow",
        Kind::List(&Kind::Network, 0),
        Default(r#"["127.0.0.0/8", "::1/128"]"#),
        "Sources that may ask `_explain.NAME TXT`.",
        r#"["127.0.0.0/8", "::1/128"]"#,
    ),
    opt(
        "dns.failover-slo",
        Kind::Duration(secs(1), DAY, false),
        Optional("no limit"),
        "A name whose computed worst-case failover time exceeds this is an error.",
        r#""2m""#,
    ),
    opt(
        "dns.first-round",
        Kind::Duration(secs(0), secs(300), false),
        Default(r#""10s""#),
        "Longest wait for the first probe results before a starting node answers.",
        r#""10s""#,
    )
    .restart(),
    opt(
        "dns.access.allow",
        Kind::List(&Kind::Network, 0),
        Default("[]"),
        "Networks that may ask; empty: everybody. Of this list and `deny`, the longest network around a client decides.",
        r#"["192.0.2.0/24"]"#,
    ),
    opt(
        "dns.access.deny",
        Kind::List(&Kind::Network, 0),
        Default("[]"),
        "Networks that may not ask.",
        r#"["198.51.100.0/24"]"#,
    ),
    opt(
        "dns.access.denied",
        Kind::Choice(&["refuse", "drop"]),
        Default(r#""refuse""#),
        "What they get: REFUSED (a stream is closed after it), or no answer.",
        r#""refuse""#,
    ),
    opt(
        "dns.rate-limit.responses-per-second",
        Kind::Integer(0, 100_000_000),
        Default("1000"),
        "Answers of one kind that a client prefix gets over UDP in a second, and at once; 0: no limit. A kind is a name's data, or what does not exist in a zone, or a delegation, or errors. Clients with a good cookie have no limit.",
        "1000",
    ),
    opt(
        "dns.rate-limit.queries-per-second",
        Kind::Integer(0, 100_000_000),
        Default("0"),
        "Queries taken from a client prefix in a second, and at once, over all transports; 0: no limit. Further datagrams are dropped, streams refused and closed.",
        "50000",
    ),
    opt(
        "dns.rate-limit.slip",
        Kind::Integer(0, 255),
        Default("2"),
        "One of so many answers over the limit is sent all the same, small: truncated, or BADCOOKIE to a client that uses cookies; 0: none.",
        "2",
    ),
    opt(
        "dns.rate-limit.prefix4",
        Kind::Integer(8, 32),
        Default("24"),
        "IPv4 clients that share so many bits are one.",
        "24",
    ),
    opt(
        "dns.rate-limit.prefix6",
        Kind::Integer(16, 64),
        Default("56"),
        "IPv6 clients that share so many bits are one.",
        "56",
    ),
    opt(
        "dns.rate-limit.table-size",
        Kind::Size(64 * 1024, 1024 * 1024 * 1024),
        Default(r#""1MiB""#),
        "Memory of the table of rates at most, 16 bytes for a prefix and kind. A new size forgets all rates.",
        r#""1MiB""#,
    ),
    opt(
        "dns.rate-limit.exempt",
        Kind::List(&Kind::Network, 0),
        Default(r#"["127.0.0.0/8", "::1/128"]"#),
        "Networks without limits, which need no cookies either: say, monitoring, and resolvers that ask for many client subnets.",
        r#"["127.0.0.0/8", "::1/128"]"#,
    ),
    opt(
        "dns.cookies.enforce",
        Kind::Choice(&["off", "always"]),
        Default(r#""off""#),
        "With `always` a client that uses cookies is answered over UDP only with a good one, else BADCOOKIE with a fresh one.",
        r#""off""#,
    ),
    opt(
        "dns.cookies.secrets",
        Kind::List(&Kind::Secret, 0),
        Default("[]"),
        "Secrets that the nodes of an anycast address share (RFC 9018): the first makes cookies, all verify them. Empty: each process draws its own.",
        r#"["00000000000000000000000000000000"]"#,
    ),
    opt(
        "dns.cookies.rotate",
        Kind::Duration(secs(3_600), secs(30 * 86_400), false),
        Default(r#""1d""#),
        "How long a process makes cookies with a secret it drew itself; the one before is good until the next.",
        r#""1d""#,
    ),
    opt(
        "dns.chaos.version",
        Kind::Phrase(255),
        Default(r#""tradewind""#),
        "What `version.bind CH TXT` and `version.server CH TXT` say; empty: REFUSED.",
        r#""tradewind""#,
    ),
    opt(
        "dns.chaos.id",
        Kind::Phrase(255),
        Optional("the node's name"),
        "What `id.server CH TXT` and `hostname.bind CH TXT` say; empty: REFUSED.",
        r#""fra1""#,
    ),
];
