//! Rows of `[fleet]` and `[nodes.NAME.fleet]`.

use super::super::Presence::{Default, Optional};
use super::super::{Kind, OptionRow};
use super::{ms, opt, secs};

pub(super) const ROWS: &[OptionRow] = &[
    opt(
        "fleet.name",
        Kind::NewName,
        Default(r#""tradewind""#),
        "Name of the cluster, as `tradewind fleet init --name` wrote it into the CA: certificates of another cluster are refused.",
        r#""tradewind""#,
    )
    .restart(),
    opt(
        "fleet.ca",
        Kind::Path,
        Optional("required where a node has `fleet`"),
        "CA certificates of the fleet, PEM; several while the CA is replaced. A changed file is noticed within seconds; connections stay.",
        r#""fleet/ca.pem""#,
    )
    .restart(),
    opt(
        "fleet.gossip-interval",
        Kind::Duration(ms(100), secs(10), false),
        Default(r#""500ms""#),
        "Time between two rounds of gossip. Shorter spreads a change sooner and costs more traffic.",
        r#""500ms""#,
    )
    .restart(),
    opt(
        "nodes.NAME.fleet.listen",
        Kind::Socket,
        Optional("required unless `push-to` is given"),
        "UDP address on which other members reach this one, over QUIC with mutual TLS; port 0 picks a free one.",
        r#""0.0.0.0:7946""#,
    )
    .restart(),
    opt(
        "nodes.NAME.fleet.advertise",
        Kind::Socket,
        Optional("`listen`, when that is no wildcard"),
        "The address others connect to.",
        r#""192.0.2.1:7946""#,
    )
    .restart(),
    opt(
        "nodes.NAME.fleet.certificate",
        Kind::Path,
        Optional("required with `fleet`"),
        "The node's certificate, as `tradewind fleet issue` wrote it. Needed on that node only. A changed file is noticed within seconds; connections stay.",
        r#""fleet/eu1.pem""#,
    )
    .restart(),
    opt(
        "nodes.NAME.fleet.key",
        Kind::Path,
        Optional("required with `fleet`"),
        "Private key of the certificate; nobody else may be able to read it.",
        r#""fleet/eu1.key""#,
    )
    .restart(),
    opt(
        "nodes.NAME.fleet.ingest",
        Kind::Socket,
        Optional("takes no pushes"),
        "TCP address for nodes that push instead of being members (HTTP/2 with mutual TLS); needs role `dns`.",
        r#""0.0.0.0:7947""#,
    )
    .restart(),
    opt(
        "nodes.NAME.fleet.push-to",
        Kind::List(&Kind::Ref("nodes"), 1),
        Optional("the node is a member"),
        "This node is no member of the gossip: it pushes what it sees to these nodes, which need `ingest`. Two or more, so that one may fail. For nodes behind address translation, little trusted ones, and those beyond some 80 members.",
        r#"["dns1", "dns2"]"#,
    )
    .restart(),
];
