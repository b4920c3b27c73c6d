//! Whether what an upstream says can hold where its packets are forwarded in the kernel.

use std::collections::{BTreeMap, BTreeSet};

use hashbrown::HashSet;

use crate::config::spec::{ListenerSpec, NodeSpec, UpstreamSpec};
use crate::config::{Span, Spec};
use crate::traffic::xdp::{self, XdpRules};
use crate::traffic::{Algorithm, HashMethod, Origin, QueueRules};

use super::Problems;
use super::listeners::{listeners_of, nodes_with_proxy};

/// Checks the listeners that have `mode = "xdp"`, and the upstreams they forward to: each for itself, and
/// those of the node called `wanted`, or of every node, together.
pub(super) fn check(spec: &Spec, wanted: Option<&str>, p: &mut Problems) {
    for listener in &spec.listeners {
        check_one(spec, listener, p);
    }
    let mut told = HashSet::new();
    for node in nodes_with_proxy(spec, wanted) {
        check_node(spec, node, &mut told, p);
    }
}

/// Checks what the listeners of one node are together. `told` are the places of which something was said.
fn check_node(spec: &Spec, node: &NodeSpec, told: &mut HashSet<Span>, p: &mut Problems) {
    let in_kernel = || {
        let all = listeners_of(spec, node);
        all.filter_map(|l| Some((l, l.settings.xdp.as_deref()?, l.forward.as_ref()?)))
    };
    let mut first: BTreeMap<&str, (&ListenerSpec, &XdpRules)> = BTreeMap::new();
    for (listener, rules, forward) in in_kernel() {
        let (other, others) = first.entry(forward.as_str()).or_insert((listener, rules));
        if (&others.interface, &others.neighbours) == (&rules.interface, &rules.neighbours)
            || !told.insert(forward.span)
        {
            continue;
        }
        let d = p.error(
            forward.span,
            format!(
                "listener `{}` forwards to upstream `{}` on interface `{}`, but listener `{}` does so \
                 on `{}`: with `mode = \"xdp\"` a backend has one hardware address",
                listener.name.value, forward.value, rules.interface, other.name.value, others.interface
            ),
        );
        d.related
            .push((other.name.span, "the other listener is here".to_owned()));
        d.help = Some("give each interface an upstream of its own".to_owned());
    }
    let vips = in_kernel().map(|(l, ..)| l.bind.len()).sum();
    let backends = spec.upstreams.iter();
    let backends = backends.filter(|u| first.contains_key(u.name.as_str()));
    let backends = backends.map(|u| u.backends.iter().filter(|b| b.enabled).count());
    let interfaces: BTreeSet<_> = in_kernel().map(|(_, r, _)| &r.interface).collect();
    for (what, count, most) in [
        ("upstreams", first.len(), xdp::UPSTREAMS),
        ("virtual addresses", vips, xdp::VIPS),
        ("backends", backends.sum(), xdp::BACKENDS),
        ("interfaces", interfaces.len(), xdp::INTERFACES),
    ] {
        if count > most {
            p.general(format!(
                "the listeners of node `{}` with `mode = \"xdp\"` have {count} {what}; there may be {most}",
                node.name.value
            ))
            .help = Some("spread them over several nodes, or remove `mode` from some".to_owned());
        }
    }
}

fn check_one(spec: &Spec, listener: &ListenerSpec, p: &mut Problems) {
    let (Some(_), Some(forward)) = (&listener.settings.xdp, &listener.forward) else {
        return;
    };
    let Some(upstream) = spec
        .upstreams
        .iter()
        .find(|u| u.name.value == forward.value)
    else {
        return; // reported as missing
    };
    let (name, upstream_name) = (&listener.name.value, &upstream.name.value);
    for (what, why) in impossible(upstream) {
        let d = p.error(
            forward.span,
            format!(
                "listener `{name}` has `mode = \"xdp\"`, but its upstream `{upstream_name}` has {what}: {why}"
            ),
        );
        d.related
            .push((upstream.name.span, "the upstream is here".to_owned()));
        d.help = Some(format!(
            "take it out of [upstreams.{upstream_name}], or remove `mode` from [listeners.{name}]"
        ));
    }
    if !hashes_packets(&upstream.settings.algorithm) {
        p.error(
            forward.span,
            format!(
                "listener `{name}` has `mode = \"xdp\"`, which chooses by a Maglev hash of each \
                 packet, but upstream `{upstream_name}` chooses otherwise"
            ),
        )
        .help = Some(
            "write `algorithm = \"hash\"` and `hash = { on = \"tuple\" }` or `{ on = \"source\" }` \
             into the upstream, without `bound`"
                .to_owned(),
        );
    }
    if upstream.monitor.is_none() {
        p.warning(
            forward.span,
            format!(
                "upstream `{upstream_name}` has no monitor: with `mode = \"xdp\"` nothing else notices \
                 that a backend has failed"
            ),
        )
        .help = Some(format!("add `monitor` to [upstreams.{upstream_name}]"));
    }
    for bind in &listener.bind {
        for backend in upstream.backends.iter().filter(|b| b.enabled) {
            let port = backend.settings.address.port();
            if port == bind.port() || bind.port() == 0 {
                continue;
            }
            let d = p.error(
                bind.span,
                format!(
                    "listener `{name}` has `mode = \"xdp\"`, which leaves ports as they are: packets \
                     come for port {}, but backend `{}` of upstream `{upstream_name}` has port {port}",
                    bind.port(),
                    backend.name.value,
                ),
            );
            d.related
                .push((backend.name.span, "the backend is here".to_owned()));
            d.help = Some("give both the same port, or remove `mode`".to_owned());
        }
    }
}

/// What needs connections that end here, and why.
fn impossible(upstream: &UpstreamSpec) -> Vec<(&'static str, &'static str)> {
    const UNREAD: &str = "packets are forwarded unread";
    const THEIRS: &str = "nothing is connected from here, backends see the client's own address";
    const UNCOUNTED: &str = "answers bypass this node, so nobody knows what is under way";
    let u = &upstream.settings;
    let r = &u.resilience;
    let limited = |b: &crate::config::spec::BackendSpec| b.settings.max_connections.is_some();
    let all = [
        (u.tls.is_some(), "`tls`", UNREAD),
        (u.http2, "`http2`", UNREAD),
        (u.session.is_some(), "`session`", UNREAD),
        (u.proxy_protocol.is_some(), "`proxy-protocol`", UNREAD),
        (
            r.max_connections.is_some() || upstream.backends.iter().any(limited),
            "`max-connections`",
            UNCOUNTED,
        ),
        (r.max_requests.is_some(), "`max-requests`", UNCOUNTED),
        (r.circuit.is_some(), "`circuit`", UNCOUNTED),
        (r.queue != QueueRules::default(), "`queue`", UNCOUNTED),
        (matches!(u.origin, Origin::Address(_)), "`source`", THEIRS),
        (u.origin == Origin::Client, "`transparent`", THEIRS),
    ];
    let set = all.into_iter().filter(|(is_set, ..)| *is_set);
    set.map(|(_, what, why)| (what, why)).collect()
}

/// Whether a choice is one that the kernel can make of a packet.
fn hashes_packets(algorithm: &Algorithm) -> bool {
    matches!(algorithm, Algorithm::Hash(h)
        if h.method == HashMethod::Maglev
            && h.bound.is_none()
            && h.on.is_of_connections())
}
