//! `[listeners.NAME]` and `[nodes.NAME.proxy]`.

use std::net::SocketAddr;

use hashbrown::HashMap;

use crate::config::diagnostic::Diagnostic;
use crate::config::spec::{ListenerSpec, NodeProxySpec, ProtocolSpec};
use crate::config::tree::Table;
use crate::config::{Marked, Span};
use crate::traffic::access_log::{AccessLog, LogFormat, LogTarget};
use crate::traffic::listener::{HttpLimits, HttpTimeouts, Listener};
use crate::traffic::{ClientRules, Protocol};

use super::context::Context;
use super::features;
use super::layer4;
use super::objects::objects;
use super::proxy_tls;
use super::reader::Reader;
use super::xdp;

/// The proxy's part of a node's table.
pub(super) fn node(cx: &mut Context<'_>, r: &Reader<'_>) -> NodeProxySpec {
    let r = r.sub(cx, "proxy");
    let workers: Option<Marked<u32>> = r.get(cx, "workers");
    let zone: Option<Marked<String>> = r.get(cx, "zone");
    let clients = ClientRules::default();
    let leave_delay: Option<Marked<std::time::Duration>> = r.get(cx, "leave-delay");
    NodeProxySpec {
        listeners: r.list(cx, "listeners"),
        workers: workers.map(|w| w.value),
        zone: zone.map(|z| z.value),
        drain_timeout: r
            .get_or(cx, "drain-timeout", std::time::Duration::ZERO)
            .value,
        clients: ClientRules {
            prefixes: r.get_or(cx, "client-prefixes", clients.prefixes).value,
            samples: r.get_or(cx, "client-samples", clients.samples).value,
            tell: r.get_or(cx, "client-tell", clients.tell).value,
        },
        addresses: r.list(cx, "addresses").unwrap_or_default(),
        leave_delay: leave_delay.map(|d| d.value),
    }
}

pub(super) fn decode(cx: &mut Context<'_>, root: &Table) -> Vec<ListenerSpec> {
    let mut taken: HashMap<(SocketAddr, bool), (String, Span)> = HashMap::new();
    let mut lacking = Vec::new();
    let readers = objects(cx, root, "listeners", false).into_iter();
    let listeners: Vec<ListenerSpec> = readers
        .enumerate()
        .map(|(at, (name, r))| {
            let listener = listener(cx, name, &r);
            if r.lacks("bind") {
                lacking.push((at, r.span()));
            }
            let is_udp = matches!(listener.protocol, ProtocolSpec::Udp(_));
            for bind in listener.bind.iter().filter(|b| b.port() != 0) {
                let first = taken.insert(
                    (bind.value, is_udp),
                    (listener.name.value.clone(), bind.span),
                );
                if let Some((first, at)) = first {
                    cx.push(
                        Diagnostic::error(
                            bind.span,
                            format!(
                                "{} wants {}, which listener `{first}` has",
                                r.subject(),
                                bind.value
                            ),
                        )
                        .related(at, "it is taken here")
                        .help("choose another port or address"),
                    );
                }
            }
            listener
        })
        .collect();
    super::sni::wants_way_in(cx, &listeners, &lacking);
    listeners
}

fn upgrades(cx: &mut Context<'_>, r: &Reader<'_>) -> Vec<Box<[u8]>> {
    let names: Option<Vec<Marked<String>>> = r.list(cx, "upgrades");
    let lower = |name: Marked<String>| name.to_ascii_lowercase().into_bytes().into();
    names.into_iter().flatten().map(lower).collect()
}

fn access_log(cx: &mut Context<'_>, r: &Reader<'_>) -> Option<AccessLog> {
    let r = r.sub(cx, "access-log");
    let to: Option<Marked<String>> = r.get(cx, "to");
    let format: Marked<String> = r.get_or(cx, "format", String::new());
    let percent: Marked<u32> = r.get_or(cx, "sample", 100);
    let to = to?;
    Some(AccessLog {
        to: match to.as_str() {
            "stdout" => LogTarget::Stdout,
            _ => LogTarget::File(super::path(cx, to.map(Into::into)).value),
        },
        format: match format.as_str() {
            "combined" => LogFormat::Combined,
            _ => LogFormat::Json,
        },
        sample: percent.value * 100,
    })
}

fn listener(cx: &mut Context<'_>, name: Marked<String>, r: &Reader<'_>) -> ListenerSpec {
    let bind: Vec<Marked<SocketAddr>> = r.list(cx, "bind").unwrap_or_default();
    let (limits, timeouts) = (HttpLimits::default(), HttpTimeouts::default());
    let (own, features) = features::listener(cx, r);
    let size = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    let mut files = Vec::new();
    let settings = Listener {
        name: name.as_str().into(),
        bind: bind.iter().map(|b| b.value).collect(),
        // Resolved when all upstreams are known.
        protocol: Protocol::Http,
        xdp: xdp::xdp(cx, r, &bind),
        http2: r.get_or(cx, "http2", true).value,
        limits: HttpLimits {
            connections: r.get_or(cx, "max-connections", limits.connections).value,
            head: size(r.get_or(cx, "max-head", limits.head as u64).value),
            fields: r.get_or(cx, "max-fields", limits.fields as u32).value as usize,
            target: size(r.get_or(cx, "max-target", limits.target as u64).value),
            body: r.get_or(cx, "max-body", limits.body).value,
            streams: r.get_or(cx, "max-streams", limits.streams).value,
        },
        timeouts: HttpTimeouts {
            head: r.get_or(cx, "head-timeout", timeouts.head).value,
            body: r.get_or(cx, "body-timeout", timeouts.body).value,
            idle: r.get_or(cx, "idle-timeout", timeouts.idle).value,
            write: r.get_or(cx, "write-timeout", timeouts.write).value,
            tunnel: r.get_or(cx, "tunnel-timeout", timeouts.tunnel).value,
        },
        compression: super::caches::compression(cx, r),
        upgrades: upgrades(cx, r),
        access_log: r.has("access-log").then(|| access_log(cx, r)).flatten(),
        tls: proxy_tls::listener(cx, r, &mut files),
        proxy_protocol: proxy_tls::proxy_protocol(cx, r),
        features: own,
    };
    let protocol = layer4::protocol(cx, r);
    if protocol != ProtocolSpec::Http {
        layer4::log_is_json(cx, r, settings.access_log.as_ref());
    }
    ListenerSpec {
        name,
        settings,
        features,
        bind,
        files,
        protocol,
        forward: r.get(cx, "forward"),
        tls_mode: super::sni::mode(cx, r),
    }
}
