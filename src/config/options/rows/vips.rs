//! Rows of `[vips]`, and what nodes say for them.

use super::super::Presence::{Default, Optional, Required};
use super::super::{Kind, OptionRow};
use super::{HOUR, ms, opt, secs};

pub(super) const NODE: &[OptionRow] = &[
    opt(
        "nodes.NAME.proxy.addresses",
        Kind::List(&Kind::Address, 0),
        Default("[]"),
        "The node's own addresses, one per family, under which the other nodes of its VIPs reach it; for VIPs with `peers = \"unicast\"`.",
        r#"["10.0.0.1", "fd00::1"]"#,
    ),
    opt(
        "nodes.NAME.proxy.leave-delay",
        Kind::Duration(ms(0), HOUR, false),
        Optional("`3s` on a node of a VIP, `0s` elsewhere"),
        "How long a node that stops says that it is not ready and still takes connections, before it drains: the time VRRP or a balancer in front needs to send clients elsewhere.",
        r#""3s""#,
    ),
];

pub(super) const ROWS: &[OptionRow] = &[
    opt(
        "vips.NAME.address",
        Kind::List(&Kind::HostAddress, 1),
        Required,
        "The virtual addresses with the prefix lengths of their networks; they move together.",
        r#"["192.0.2.10/24", "2001:db8::10/64"]"#,
    ),
    opt(
        "vips.NAME.nodes",
        Kind::List(&Kind::Ref("nodes"), 1),
        Required,
        "The proxies that may have it, the preferred one first; all of one region.",
        r#"["fra1", "fra2"]"#,
    ),
    opt(
        "vips.NAME.interface",
        Kind::LinkName,
        Optional("every node is in `interfaces`"),
        "The network interface that gets the addresses and speaks VRRP.",
        r#""eth0""#,
    ),
    opt(
        "vips.NAME.interfaces.NODE",
        Kind::LinkName,
        Optional("`interface`"),
        "The interface of a node that calls it otherwise.",
        r#""ens3""#,
    ),
    opt(
        "vips.NAME.router-id",
        Kind::Integer(1, 255),
        Required,
        "VRRP's number of the virtual router (VRID), the same on all its nodes and no other one's in their network; every VIP of a region needs its own.",
        "51",
    ),
    opt(
        "vips.NAME.advert-interval",
        Kind::Duration(ms(10), ms(40_950), false),
        Default(r#""200ms""#),
        "Time between two advertisements, in steps of 10ms. Peers take over after a little more than three of them are lost.",
        r#""200ms""#,
    ),
    opt(
        "vips.NAME.preempt",
        Kind::Bool,
        Default("true"),
        "Whether a node that comes back takes the VIP from one that is less preferred.",
        "true",
    ),
    opt(
        "vips.NAME.preempt-delay",
        Kind::Duration(ms(0), secs(1000), true),
        Default(r#""10s""#),
        "How long such a node waits first.",
        r#""10s""#,
    ),
    opt(
        "vips.NAME.peers",
        Kind::Choice(&["multicast", "unicast"]),
        Default(r#""multicast""#),
        "Where advertisements go: to VRRP's multicast group, or from node to node by `nodes.NAME.proxy.addresses` where a network carries no multicast.",
        r#""multicast""#,
    ),
    opt(
        "vips.NAME.track",
        Kind::List(&Kind::LinkName, 0),
        Default("[]"),
        "Further interfaces: a node on which one is down gives the VIP away.",
        r#"["eth1"]"#,
    ),
];
