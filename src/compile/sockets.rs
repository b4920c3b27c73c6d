//! Addresses that a node's proxy and something else of the node both want.
//!
//! Sockets are shared by several threads (SO_REUSEPORT), so the system would give the same address to both
//! without a word, and each would get some of what comes in.

use std::net::SocketAddr;

use hashbrown::HashSet;

use crate::config::spec::{NodeSpec, ProtocolSpec, Role};
use crate::config::{Marked, Span, Spec};

use super::Problems;
use super::listeners::{listeners_of, nodes_with_proxy};
use super::node::{ADMIN, has};

/// An address that a node listens on, and for what.
struct Taken {
    address: SocketAddr,
    is_udp: bool,
    what: &'static str,
    at: Span,
}

/// Reports listeners whose addresses the node called `wanted`, or any node, has for something else.
pub(super) fn check(spec: &Spec, wanted: Option<&str>, p: &mut Problems) {
    let mut told = HashSet::new();
    for node in nodes_with_proxy(spec, wanted) {
        let taken = taken(node);
        for listener in listeners_of(spec, node) {
            let is_udp = matches!(listener.protocol, ProtocolSpec::Udp(_));
            for bind in listener.bind.iter().filter(|b| b.value.port() != 0) {
                let same = |t: &&Taken| t.is_udp == is_udp && t.address == bind.value;
                let Some(other) = taken.iter().find(same) else {
                    continue;
                };
                if !told.insert(bind.span) {
                    continue;
                }
                let d = p.error(
                    bind.span,
                    format!(
                        "listener `{}` wants {} ({}), which node `{}` has for {}",
                        listener.name.value,
                        bind.value,
                        if is_udp { "UDP" } else { "TCP" },
                        node.name.value,
                        other.what
                    ),
                );
                d.related.push((other.at, "it is taken here".to_owned()));
                d.help = Some(format!(
                    "choose another port or address, or leave `{}` out of \
                     `nodes.{}.proxy.listeners`",
                    listener.name.value, node.name.value
                ));
            }
        }
    }
}

/// What a node listens on beside its proxy.
fn taken(n: &NodeSpec) -> Vec<Taken> {
    let mut all = Vec::new();
    let mut add = |listen: &[Marked<SocketAddr>], is_udp: bool, what: &'static str| {
        all.extend(listen.iter().map(|a| Taken {
            address: a.value,
            is_udp,
            what,
            at: a.span,
        }));
    };
    if has(n, Role::Dns) {
        add(&n.dns_listen, true, "DNS");
        add(&n.dns_listen, false, "DNS");
        add(&n.encrypted.tls, false, "DNS over TLS");
        add(&n.encrypted.https, false, "DNS over HTTPS");
        add(&n.encrypted.quic, true, "DNS over QUIC");
    }
    if let Some(fleet) = &n.fleet {
        add(fleet.listen.as_slice(), true, "its fleet");
        add(fleet.ingest.as_slice(), true, "what others push");
    }
    if has(n, Role::Admin) {
        let at = n.admin_listen.as_ref();
        all.push(Taken {
            address: at.map_or(ADMIN, |a| a.value),
            is_udp: false,
            what: "its admin API",
            at: at.map_or(n.name.span, |a| a.span),
        });
    }
    all
}
