//! `mode = "xdp"` of a listener, and its table.

use std::net::SocketAddr;

use crate::config::Marked;
use crate::config::diagnostic::Diagnostic;
use crate::traffic::xdp::{FLOWS, XdpRules};

use super::context::Context;
use super::reader::Reader;

/// Keys that mean something to packets.
const KEYS: &[&str] = &["bind", "protocol", "forward", "mode", "xdp"];

/// The longest name of an interface, as the kernel has it.
const NAME: usize = 15;

/// The XDP data path of a listener; `None`: it has the ordinary one.
pub(super) fn xdp(
    cx: &mut Context<'_>,
    r: &Reader<'_>,
    bind: &[Marked<SocketAddr>],
) -> Option<Box<XdpRules>> {
    let mode: Marked<String> = r.get_or(cx, "mode", String::new());
    if mode.value != "xdp" {
        if r.has("xdp") {
            cx.push(
                Diagnostic::error(
                    r.span_of("xdp"),
                    format!("{} has `xdp`, but its `mode` is `proxy`", r.subject()),
                )
                .help("write `mode = \"xdp\"` or remove the table"),
            );
        }
        return None;
    }
    let protocol: Marked<String> = r.get_or(cx, "protocol", String::new());
    if !matches!(protocol.as_str(), "tcp" | "udp") {
        cx.push(
            Diagnostic::error(
                mode.span,
                format!(
                    "{} has `mode = \"xdp\"` and carries HTTP, but packets are forwarded unread",
                    r.subject()
                ),
            )
            .help("set `protocol` to \"tcp\" or \"udp\", or remove `mode`"),
        );
        return None;
    }
    only(cx, r);
    addresses(cx, r, bind);
    if !r.has("xdp") {
        cx.absence(
            Diagnostic::error(
                mode.span,
                format!(
                    "{} has `mode = \"xdp\"` but no `xdp.interface`",
                    r.subject()
                ),
            )
            .help("add `xdp = { interface = \"eth0\" }`, the interface that packets come in on"),
        );
        return None;
    }
    let x = r.sub(cx, "xdp");
    let interface: Option<Marked<String>> = x.get(cx, "interface");
    let neighbours: Option<Marked<String>> = x.get(cx, "neighbour-interface");
    let flows = x.get_or(cx, "max-flows", FLOWS).value;
    for name in [&interface, &neighbours].into_iter().flatten() {
        if name.is_empty() || name.len() > NAME {
            cx.push(
                Diagnostic::error(
                    name.span,
                    format!(
                        "`{}` is no name of an interface: it has {} octets, names have 1 to {NAME}",
                        name.value,
                        name.len()
                    ),
                )
                .help("`ip link` lists the interfaces of a machine"),
            );
            return None;
        }
    }
    let interface = interface?.value;
    Some(Box::new(XdpRules {
        neighbours: neighbours.map_or_else(|| interface.as_str().into(), |n| n.value.into()),
        interface: interface.into(),
        flows,
    }))
}

/// Reports what can only be done with connections that end here.
fn only(cx: &mut Context<'_>, r: &Reader<'_>) {
    let strange: Vec<_> = r.keys().filter(|(key, _)| !KEYS.contains(key)).collect();
    for (key, span) in strange {
        cx.push(
            Diagnostic::error(
                span,
                format!(
                    "{} has `{key}`, but with `mode = \"xdp\"` packets are forwarded one by one: \
                     there is no connection here that `{key}` could be about",
                    r.subject()
                ),
            )
            .help(format!("take `{key}` out, or remove `mode`")),
        );
    }
}

/// What clients send to must be known before a packet comes.
fn addresses(cx: &mut Context<'_>, r: &Reader<'_>, bind: &[Marked<SocketAddr>]) {
    for address in bind {
        let ip = address.ip();
        let what = if ip.is_unspecified() {
            "is every address of the machine"
        } else if ip.is_multicast() || ip.is_loopback() {
            "is no address that clients on a network send to"
        } else if address.port() == 0 {
            "has no port"
        } else {
            continue;
        };
        cx.push(
            Diagnostic::error(
                address.span,
                format!(
                    "{} has `mode = \"xdp\"`, but {} {what}",
                    r.subject(),
                    address.value
                ),
            )
            .help("name the virtual address and port that clients send to"),
        );
    }
}
