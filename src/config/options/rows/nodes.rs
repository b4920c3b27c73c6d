//! Rows of `[regions]`, `[nodes]`.

use super::super::Presence::{Default, Optional, Required};
use super::super::{Kind, OptionRow};
use super::{HOUR, ms, opt};

pub(super) const ROWS: &[OptionRow] = &[
    opt(
        "regions.NAME.latitude",
        Kind::Number(-90.0, 90.0, "degrees north"),
        Required,
        "Latitude of the region.",
        "50.11",
    ),
    opt(
        "regions.NAME.longitude",
        Kind::Number(-180.0, 180.0, "degrees east"),
        Required,
        "Longitude of the region.",
        "8.68",
    ),
    opt(
        "nodes.NAME.region",
        Kind::Ref("regions"),
        Required,
        "Region the node stands in.",
        r#""eu""#,
    )
    .restart(),
    opt(
        "nodes.NAME.asn",
        Kind::Integer(1, 4_294_967_295),
        Optional("unknown"),
        "Autonomous system the node stands in. Probing nodes of one region and one system are one site: they have one vote.",
        "64500",
    ),
    opt(
        "nodes.NAME.roles",
        Kind::List(&Kind::Choice(&["dns", "probe", "proxy", "admin"]), 1),
        Required,
        "What the node does: answers DNS, probes, carries traffic, serves the admin API.",
        r#"["dns", "probe", "admin"]"#,
    )
    .restart(),
    opt(
        "nodes.NAME.dns.listen",
        Kind::List(&Kind::Socket, 1),
        Optional("required with role `dns`"),
        "Addresses for DNS over UDP and TCP; port 0 picks a free one.",
        r#"["127.0.0.1:5300", "[::1]:5300"]"#,
    )
    .restart(),
    opt(
        "nodes.NAME.dns.workers",
        Kind::Integer(1, 1024),
        Optional("one per core"),
        "UDP worker threads.",
        "2",
    )
    .restart(),
    opt(
        "nodes.NAME.dns.tcp-max-connections",
        Kind::Integer(1, 1_000_000),
        Default("1000"),
        "Connections that each TCP, TLS, HTTPS or QUIC listener holds at once; when one more comes, the longest idle is closed. One source (an IPv4 address or an IPv6 /64) may have a quarter of them.",
        "1000",
    )
    .restart(),
    opt(
        "nodes.NAME.dns.tcp-idle-timeout",
        Kind::Duration(ms(100), HOUR, false),
        Default(r#""10s""#),
        "A TCP, TLS, HTTPS or QUIC connection without a query for so long is closed (RFC 7766 section 6.2.3).",
        r#""10s""#,
    )
    .restart(),
    opt(
        "nodes.NAME.dns.tls.listen",
        Kind::List(&Kind::Socket, 1),
        Optional("no DNS over TLS"),
        "Addresses for DNS over TLS (RFC 7858), usually port 853; port 0 picks a free one.",
        r#"["192.0.2.1:853"]"#,
    )
    .restart(),
    opt(
        "nodes.NAME.dns.https.listen",
        Kind::List(&Kind::Socket, 1),
        Optional("no DNS over HTTPS"),
        "Addresses for DNS over HTTPS (RFC 8484), HTTP/2 and HTTP/1.1, usually port 443; port 0 picks a free one.",
        r#"["192.0.2.1:443"]"#,
    )
    .restart(),
    opt(
        "nodes.NAME.dns.https.path",
        Kind::UrlPath,
        Default(r#""/dns-query""#),
        "Path of DNS over HTTPS, without `{?dns}`.",
        r#""/dns-query""#,
    )
    .restart(),
    opt(
        "nodes.NAME.dns.quic.listen",
        Kind::List(&Kind::Socket, 1),
        Optional("no DNS over QUIC"),
        "Addresses for DNS over QUIC (RFC 9250), usually port 853; port 0 picks a free one.",
        r#"["192.0.2.1:853"]"#,
    )
    .restart(),
    opt(
        "nodes.NAME.dns.certificate",
        Kind::Path,
        Optional("required with `tls`, `https` or `quic`"),
        "Certificate chain of the encrypted listeners, PEM, the node's own first. A changed file is noticed within seconds; connections stay.",
        r#""/etc/tradewind/certificate.pem""#,
    ),
    opt(
        "nodes.NAME.dns.key",
        Kind::Path,
        Optional("required with `certificate`"),
        "Private key of the certificate, PEM, not encrypted.",
        r#""/etc/tradewind/key.pem""#,
    ),
    opt(
        "nodes.NAME.dns.proxy-protocol.from",
        Kind::List(&Kind::Network, 0),
        Default("[]"),
        "Proxies that say who asks: every datagram and every TCP, TLS or HTTPS connection from here must begin with a PROXY protocol header of version 2, or is dropped. QUIC takes none.",
        r#"["192.0.2.53/32"]"#,
    )
    .restart(),
    opt(
        "nodes.NAME.admin.listen",
        Kind::Socket,
        Optional("`127.0.0.1:8053` with role `admin`"),
        "Address of the admin API; port 0 picks a free one.",
        r#""127.0.0.1:8053""#,
    )
    .restart(),
    opt(
        "nodes.NAME.state-dir",
        Kind::Path,
        Optional("required where a zone is signed"),
        "Folder of what must outlive the process, such as DNSSEC keys; nothing is written elsewhere. Made when it is missing.",
        r#""/var/lib/tradewind""#,
    )
    .restart(),
    opt(
        "nodes.NAME.allow-exec",
        Kind::Bool,
        Default("false"),
        "Whether monitors may run commands here (`monitors.NAME.exec`). Whoever writes the configuration can then run programs as the user of the process.",
        "true",
    ),
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
];
