//! `[vips.NAME]`: what each says alone.

use std::time::Duration;

use crate::config::Marked;
use crate::config::diagnostic::Diagnostic;
use crate::config::quantity::show_duration;
use crate::config::spec::VipSpec;
use crate::config::tree::Table;
use crate::traffic::vip::{CENTISECOND, MOST_NODES};

use super::context::Context;
use super::objects::objects;
use super::reader::Reader;

pub(super) fn decode(cx: &mut Context<'_>, root: &Table) -> Vec<VipSpec> {
    let readers = objects(cx, root, "vips", false);
    let vips = readers.into_iter();
    vips.filter_map(|(name, r)| vip(cx, name, &r)).collect()
}

fn vip(cx: &mut Context<'_>, name: Marked<String>, r: &Reader<'_>) -> Option<VipSpec> {
    let mark = cx.mark();
    let addresses: Option<Vec<_>> = r.list(cx, "address");
    let nodes: Option<Vec<Marked<String>>> = r.list(cx, "nodes");
    let router_id: Option<Marked<u8>> = r.get(cx, "router-id");
    let unicast: Marked<String> = r.get_or(cx, "peers", String::new());
    let interfaces = r.map(cx, "interfaces", "NODE");
    if let Some(one) = nodes.as_ref().and_then(|n| n.get(MOST_NODES)) {
        let count = nodes.as_ref().map_or(0, Vec::len);
        cx.error(
            one.span,
            format!(
                "{} has {count} items; the largest allowed number is {MOST_NODES}",
                r.name_of("nodes")
            ),
        );
    }
    let spec = VipSpec {
        name,
        addresses: addresses.unwrap_or_default(),
        interface: r.get(cx, "interface"),
        interfaces,
        router_id: router_id.unwrap_or_else(|| Marked::new(1, r.span())),
        advert_interval: advert_interval(cx, r),
        preempt: preempt(cx, r),
        track: r.list(cx, "track").unwrap_or_default(),
        unicast: Marked::new(unicast.value == "unicast", unicast.span),
        nodes: nodes.unwrap_or_default(),
        complete: true,
    };
    interfaces_of_nodes(cx, r, &spec);
    let complete = cx.clean_since(mark);
    (!spec.addresses.is_empty() && !spec.nodes.is_empty()).then_some(VipSpec { complete, ..spec })
}

/// VRRP counts in centiseconds (RFC 9568 section 5.2.7).
fn advert_interval(cx: &mut Context<'_>, r: &Reader<'_>) -> Duration {
    let interval: Marked<Duration> = r.get_or(cx, "advert-interval", Duration::ZERO);
    let over = interval.as_millis() % CENTISECOND.as_millis();
    if over != 0 {
        let below = interval.value - Duration::from_millis(over as u64);
        cx.push(
            Diagnostic::error(
                interval.span,
                format!(
                    "{} is {}, which is not a whole number of steps of {}",
                    r.name_of("advert-interval"),
                    show_duration(interval.value),
                    show_duration(CENTISECOND)
                ),
            )
            .help(format!(
                "write \"{}\" or \"{}\"",
                show_duration(below),
                show_duration(below + CENTISECOND)
            )),
        );
    }
    interval.value
}

fn preempt(cx: &mut Context<'_>, r: &Reader<'_>) -> Option<Duration> {
    let preempt = r.get_or(cx, "preempt", true);
    let delay = r.get_or(cx, "preempt-delay", Duration::ZERO);
    if !preempt.value && r.has("preempt-delay") {
        cx.push(
            Diagnostic::warning(
                delay.span,
                format!(
                    "{} is not used: with `preempt = false` no node takes the VIP from another",
                    r.name_of("preempt-delay")
                ),
            )
            .help("remove one of the two"),
        );
    }
    preempt.value.then_some(delay.value)
}

/// Every node needs an interface, and nobody else does.
fn interfaces_of_nodes(cx: &mut Context<'_>, r: &Reader<'_>, spec: &VipSpec) {
    let named = |node: &str| spec.interfaces.iter().any(|(n, _)| n.as_str() == node);
    let without: Vec<&str> = spec.nodes.iter().map(|n| n.as_str()).collect();
    let without: Vec<&str> = without.into_iter().filter(|n| !named(n)).collect();
    if let (Some(first), true) = (without.first(), r.lacks("interface")) {
        cx.absence(
            Diagnostic::error(
                r.span(),
                format!("{} says no interface for node `{first}`", r.subject()),
            )
            .help(format!(
                "add `interface = \"eth0\"`, or `interfaces.{first} = \"eth0\"`"
            )),
        );
    }
    for (node, _) in &spec.interfaces {
        if !spec.nodes.iter().any(|n| n.value == node.value) {
            cx.push(
                Diagnostic::warning(
                    node.span,
                    format!(
                        "{} says an interface of node `{}`, which is not among its `nodes`",
                        r.subject(),
                        node.value
                    ),
                )
                .help("remove it, or add the node to `nodes`"),
            );
        }
    }
}
