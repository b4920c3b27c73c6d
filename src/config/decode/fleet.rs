//! `[fleet]` and `[nodes.NAME.fleet]`: what each says alone.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::Marked;
use crate::config::diagnostic::Diagnostic;
use crate::config::spec::{FleetSpec, NodeFleetSpec, NodeSpec};

use super::context::Context;
use super::reader::{Reader, Subject};

pub(super) fn fleet(cx: &mut Context<'_>, top: &Reader<'_>) -> FleetSpec {
    let r = top.sub(cx, "fleet");
    let name = r.get_or(cx, "name", String::new());
    let ca: Option<Marked<PathBuf>> = r.get(cx, "ca");
    FleetSpec {
        span: top.has("fleet").then(|| top.span_of("fleet")),
        name: name.value,
        ca: ca.map(|f| super::path(cx, f)),
        gossip_interval: r.get_or(cx, "gossip-interval", Duration::ZERO).value,
    }
}

/// What the node says about its place in the fleet; `is_dns`: it has the role.
pub(super) fn node(cx: &mut Context<'_>, node: &Reader<'_>, is_dns: bool) -> Option<NodeFleetSpec> {
    if !node.has("fleet") {
        return None;
    }
    let mark = cx.mark();
    let r = node.sub(cx, "fleet");
    let mut file = |key: &str| -> Option<Marked<PathBuf>> {
        let path = r.get(cx, key)?;
        Some(super::path(cx, path))
    };
    let (certificate, key) = (file("certificate"), file("key"));
    let mut spec = NodeFleetSpec {
        span: node.span_of("fleet"),
        listen: r.get(cx, "listen"),
        advertise: r.get(cx, "advertise"),
        certificate,
        key,
        ingest: r.get(cx, "ingest"),
        push_to: r.list(cx, "push-to").unwrap_or_default(),
        complete: true,
    };
    for option in ["certificate", "key"] {
        if r.lacks(option) {
            let ending = if option == "key" { "key" } else { "pem" };
            cx.absence(
                Diagnostic::error(
                    r.span(),
                    format!("{} is missing", r.name_of(option)),
                )
                .help(format!(
                    "add `{option} = \"fleet/NODE.{ending}\"`, the file that `tradewind fleet issue \
                     NODE` writes"
                )),
            );
        }
    }
    check_kind(cx, &r, &spec);
    check_addresses(cx, &r, &spec);
    if let Some(ingest) = &spec.ingest
        && !is_dns
    {
        cx.push(
            Diagnostic::error(
                ingest.span,
                format!(
                    "{} is given, but the node lacks role `dns`: only DNS nodes take pushes",
                    r.name_of("ingest")
                ),
            )
            .help("add `\"dns\"` to `roles`, or remove `ingest`"),
        );
    }
    spec.complete = cx.clean_since(mark);
    Some(spec)
}

/// A node is a member, with `listen`, or pushes, with `push-to`: one of both.
fn check_kind(cx: &mut Context<'_>, r: &Reader<'_>, spec: &NodeFleetSpec) {
    let Some(first) = spec.push_to.first() else {
        if r.lacks("listen") && !r.has("push-to") {
            cx.absence(
                Diagnostic::error(
                    r.span(),
                    format!("{} and `push-to` are both missing", r.name_of("listen")),
                )
                .help(
                    "add `listen = \"0.0.0.0:7946\"` to make the node a member, or `push-to = \
                     [\"dns1\", \"dns2\"]` when others cannot connect to it",
                ),
            );
        }
        return;
    };
    for (option, place) in [
        ("listen", &spec.listen),
        ("advertise", &spec.advertise),
        ("ingest", &spec.ingest),
    ] {
        if let Some(place) = place {
            cx.push(
                Diagnostic::error(
                    place.span,
                    format!(
                        "{} is given together with `push-to`: a node that pushes is no member and \
                         nobody connects to it",
                        r.name_of(option)
                    ),
                )
                .related(first.span, "it pushes")
                .help("remove one of the two"),
            );
        }
    }
    if spec.push_to.len() == 1 {
        cx.push(
            Diagnostic::warning(
                first.span,
                format!(
                    "{} names 1 node; when that one fails, nobody hears this node (2 are wanted)",
                    r.name_of("push-to")
                ),
            )
            .help("name a second node with `ingest`"),
        );
    }
}

fn check_addresses(cx: &mut Context<'_>, r: &Reader<'_>, spec: &NodeFleetSpec) {
    if let Some(listen) = &spec.listen
        && listen.ip().is_unspecified()
        && r.lacks("advertise")
    {
        cx.absence(
            Diagnostic::error(
                listen.span,
                format!(
                    "{} is {}, which says not where others find the node, and `advertise` is \
                     missing",
                    r.name_of("listen"),
                    listen.value
                ),
            )
            .help(format!(
                "add `advertise = \"192.0.2.1:{}\"` with the node's own address",
                listen.port()
            )),
        );
    }
    if let Some(advertise) = &spec.advertise {
        let ip = advertise.ip();
        let why = if ip.is_unspecified() || ip.is_multicast() {
            "an address that nobody can connect to"
        } else if advertise.port() == 0 {
            "port 0, to which nobody can connect"
        } else {
            return;
        };
        cx.push(
            Diagnostic::error(
                advertise.span,
                format!("{} is {}: {why}", r.name_of("advertise"), advertise.value),
            )
            .help("write the address and port at which other nodes reach this one"),
        );
    }
}

/// Reports listeners of the fleet that want a port of DNS: members are UDP, pushes are TCP.
pub(super) fn check_ports(cx: &mut Context<'_>, node: &NodeSpec, subject: &Subject<'_>) {
    let Some(fleet) = &node.fleet else { return };
    let e = &node.encrypted;
    let of = |option: &'static str, list: &[Marked<SocketAddr>]| -> Vec<_> {
        list.iter().map(|a| (option, a.clone())).collect()
    };
    let datagrams = [
        of("dns.listen", &node.dns_listen),
        of("dns.quic.listen", &e.quic),
    ];
    let admin: Vec<_> = node.admin_listen.iter().cloned().collect();
    let streams = [
        of("dns.listen", &node.dns_listen),
        of("dns.tls.listen", &e.tls),
        of("dns.https.listen", &e.https),
        of("admin.listen", &admin),
    ];
    for (protocol, option, own, others) in [
        ("UDP", "fleet.listen", &fleet.listen, &datagrams[..]),
        ("TCP", "fleet.ingest", &fleet.ingest, &streams[..]),
    ] {
        let Some(own) = own else { continue };
        let taken = others
            .iter()
            .flatten()
            .find(|(_, a)| own.port() != 0 && a.value == own.value);
        if let Some((other, first)) = taken {
            cx.push(
                Diagnostic::error(
                    own.span,
                    format!(
                        "`{option}` of {subject} is {}, which `{other}` listens on, both over \
                         {protocol}",
                        own.value
                    ),
                )
                .related(first.span, "the other one")
                .help("give each its own port: usual are 7946 for members and 7947 for pushes"),
            );
        }
    }
}
