//! Rows of `[admin]` and of what `[nodes.NAME.admin]` says about TLS.

use super::super::Presence::{Default, Optional, Required};
use super::super::{Kind, OptionRow};
use super::{WEEK, opt, secs};

const ROLE: Kind = Kind::Choice(&["viewer", "operator", "admin"]);

pub(super) const ROWS: &[OptionRow] = &[
    opt(
        "nodes.NAME.admin.certificate",
        Kind::Path,
        Optional("the admin API is served without TLS, on a loopback address only"),
        "Certificate chain of the admin API, PEM, the node's own first. A changed file is noticed within seconds; connections stay. Whether there is TLS at all changes with a restart only.",
        r#""/etc/tradewind/admin.pem""#,
    ),
    opt(
        "nodes.NAME.admin.key",
        Kind::Path,
        Optional("required with `certificate`"),
        "Private key of the certificate, PEM, not encrypted.",
        r#""/etc/tradewind/admin.key""#,
    ),
    opt(
        "nodes.NAME.admin.max-connections",
        Kind::Integer(4, 100_000),
        Default("512"),
        "Connections to the admin API that are open at once. One source (an IPv4 address or an IPv6 /64) may have half of them.",
        "512",
    )
    .restart(),
    opt(
        "admin.client-ca",
        Kind::Path,
        Optional("no client certificates"),
        "Authorities of client certificates, PEM. Who shows a certificate of theirs has the role that `[admin.certificates]` gives it. A changed file is noticed within seconds.",
        r#""admin-clients.pem""#,
    ),
    opt(
        "admin.loopback",
        Kind::Choice(&["none", "viewer", "operator", "admin"]),
        Default(r#""admin""#),
        "The role of who asks from the node's own machine without credentials. Lower it where people who may not give orders can log in, or where another program passes requests of others on.",
        r#""viewer""#,
    ),
    opt(
        "admin.metrics",
        Kind::Choice(&["open", "viewer"]),
        Default(r#""viewer""#),
        "Who may read `/metrics`: everybody, or who may see the rest as well.",
        r#""viewer""#,
    ),
    opt(
        "admin.requests-per-second",
        Kind::Integer(0, 1_000_000),
        Default("1000"),
        "Requests of one source (an IPv4 address or an IPv6 /64) in a second; the others are told when to come back. 0: no limit.",
        "1000",
    ),
    opt(
        "admin.failures-per-minute",
        Kind::Integer(1, 100_000),
        Default("10"),
        "Credentials that are refused to one source in a minute with a reason; then it is only told when to come back.",
        "10",
    ),
    opt(
        "admin.body-limit",
        Kind::Size(1 << 10, 256 << 20),
        Default(r#""8MiB""#),
        "The longest body of a request of somebody who is known. Strangers may send 4KiB.",
        r#""8MiB""#,
    ),
    opt(
        "admin.session",
        Kind::Duration(secs(60), WEEK, false),
        Default(r#""12h""#),
        "How long a browser stays signed in; never longer than its token is valid.",
        r#""12h""#,
    ),
    opt(
        "admin.tokens.NAME.hash",
        Kind::Text,
        Required,
        "SHA-256 of the token, as `tradewind admin token NAME` prints it; the token itself stands nowhere.",
        r#""sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08""#,
    ),
    opt(
        "admin.tokens.NAME.role",
        ROLE,
        Required,
        "What its holder may do: see (`viewer`), give orders too (`operator`), reload too (`admin`).",
        r#""operator""#,
    ),
    opt(
        "admin.tokens.NAME.expires",
        Kind::Text,
        Optional("never"),
        "When it ends to be valid, in UTC.",
        r#""2027-01-31T00:00:00Z""#,
    ),
    opt(
        "admin.tokens.NAME.from",
        Kind::List(&Kind::Network, 1),
        Optional("anywhere"),
        "Where it may be used from.",
        r#"["192.0.2.0/24"]"#,
    ),
    opt(
        "admin.certificates.NAME.subject",
        Kind::Text,
        Optional("one of `subject`, `san`, `fingerprint` is required"),
        "The certificate's subject, in the form of RFC 4514 (the last attribute first).",
        r#""CN=ann,O=Example""#,
    ),
    opt(
        "admin.certificates.NAME.san",
        Kind::Text,
        Optional("one of `subject`, `san`, `fingerprint` is required"),
        "One of the certificate's alternative names: a mail address, a DNS name or a URI.",
        r#""ann@example.com""#,
    ),
    opt(
        "admin.certificates.NAME.fingerprint",
        Kind::Text,
        Optional("one of `subject`, `san`, `fingerprint` is required"),
        "SHA-256 of the certificate in DER.",
        r#""sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08""#,
    ),
    opt(
        "admin.certificates.NAME.role",
        ROLE,
        Required,
        "What its holder may do, as with tokens.",
        r#""admin""#,
    ),
    opt(
        "admin.certificates.NAME.from",
        Kind::List(&Kind::Network, 1),
        Optional("anywhere"),
        "Where it may be used from.",
        r#"["192.0.2.0/24"]"#,
    ),
];
