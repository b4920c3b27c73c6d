//! `[nodes.NAME]`

use std::net::SocketAddr;

use crate::config::Marked;
use crate::config::diagnostic::Diagnostic;
use crate::config::spec::{NodeSpec, Role};
use crate::config::tree::Table;

use super::context::Context;
use super::encrypted;
use super::fleet;
use super::objects::objects;
use super::reader::Reader;

pub(super) fn decode(cx: &mut Context<'_>, root: &Table) -> Vec<NodeSpec> {
    let mut nodes = Vec::new();
    for (name, r) in objects(cx, root, "nodes", false) {
        nodes.extend(node(cx, name, &r));
    }
    nodes
}

fn node(cx: &mut Context<'_>, name: Marked<String>, r: &Reader<'_>) -> Option<NodeSpec> {
    let region = r.get(cx, "region");
    let asn: Option<Marked<u32>> = r.get(cx, "asn");
    let roles: Option<Vec<Marked<Role>>> = r.list::<String>(cx, "roles").map(|words| {
        words
            .into_iter()
            .map(|word| {
                word.map(|w| match w.as_str() {
                    "dns" => Role::Dns,
                    "probe" => Role::Probe,
                    "proxy" => Role::Proxy,
                    _ => Role::Admin,
                })
            })
            .collect()
    });
    let dns = r.sub(cx, "dns");
    let listen: Option<Vec<Marked<SocketAddr>>> = dns.list(cx, "listen");
    let workers = dns.get(cx, "workers");
    let connections: Option<Marked<u32>> = dns.get(cx, "tcp-max-connections");
    let idle = dns.get(cx, "tcp-idle-timeout");
    let state_dir = r.get(cx, "state-dir").map(|d| super::path(cx, d));
    let allow_exec: Option<Marked<bool>> = r.get(cx, "allow-exec");
    let admin = r.sub(cx, "admin");
    let admin_listen: Option<Marked<SocketAddr>> = admin.get(cx, "listen");
    let of_admin = super::admin::node(cx, &admin);
    let roles = roles?;
    let has = |role| roles.iter().any(|r| r.value == role);
    let encrypted = encrypted::decode(cx, &dns, has(Role::Dns));
    let fleet = fleet::node(cx, r, has(Role::Dns));
    let proxy = super::listeners::node(cx, r);
    if has(Role::Dns) && dns.lacks("listen") {
        cx.absence(
            Diagnostic::error(
                r.span(),
                format!("{} has role `dns` but no `dns.listen`", r.subject()),
            )
            .help("add `dns.listen = [\"192.0.2.1:53\"]` or remove the role"),
        );
    }
    for (section, role) in [
        ("dns", Role::Dns),
        ("admin", Role::Admin),
        ("proxy", Role::Proxy),
    ] {
        if r.has(section) && !has(role) {
            cx.push(
                Diagnostic::warning(
                    r.span_of(section),
                    format!(
                        "{} sets `{section}` but lacks role `{section}`, so it is not used",
                        r.subject()
                    ),
                )
                .help(format!(
                    "add `\"{section}\"` to `roles` or remove the table"
                )),
            );
        }
    }
    let admin_listen = admin_listen.or_else(|| {
        (has(Role::Admin) && !admin.has("listen"))
            .then(|| Marked::new(SocketAddr::from(([127, 0, 0, 1], 8053)), r.span()))
    });
    let node = NodeSpec {
        name,
        region: region?,
        asn: asn.map(|a| a.value),
        roles,
        dns_listen: listen.unwrap_or_default(),
        dns_workers: workers,
        tcp_max_connections: connections?.value,
        tcp_idle_timeout: idle.map(|d: Marked<_>| d.value)?,
        admin_listen,
        admin: of_admin,
        encrypted,
        state_dir,
        fleet,
        proxy,
        allow_exec: allow_exec?.value,
    };
    encrypted::check_ports(cx, &node, r.subject());
    fleet::check_ports(cx, &node, r.subject());
    Some(node)
}
