//! Whether `tls-mode` agrees with the certificates of the listener and with its upstreams.

use crate::config::Marked;
use crate::config::Spec;
use crate::config::spec::{
    ActionSpec, ListenerSpec, ProtocolSpec, RouteSpec, SniTarget, UpstreamSpec,
};
use crate::traffic::tls::TlsMode;

use super::{Problems, sni};

/// Looks at every listener that says where TLS ends, or whose rules imply that its clients speak TLS.
pub(super) fn check(spec: &Spec, p: &mut Problems) {
    for listener in &spec.listeners {
        let has_tls = listener.settings.tls.is_some();
        match &listener.tls_mode {
            Some(mode) => {
                let is_sound = own(listener, mode, has_tls, p);
                if is_sound {
                    for (way, upstream) in ways(spec, listener) {
                        behind(listener, mode, &way, upstream, p);
                    }
                }
            }
            // Whoever goes by SNI speaks TLS; without certificates it ends at the backend.
            None if !has_tls && sni::of(listener).is_some() => {
                for (way, upstream) in ways(spec, listener) {
                    if upstream.settings.tls.is_some() && way.is_rule {
                        twice(listener, None, &way, upstream, p);
                    }
                }
            }
            None => {}
        }
    }
}

/// How a listener comes to an upstream.
struct Way<'s> {
    /// "`forward`", "route `api`"
    by: String,
    /// Where that stands.
    name: &'s Marked<String>,
    /// Whether an SNI rule leads there.
    is_rule: bool,
}

/// All upstreams that connections or requests of a listener may go to.
fn ways<'s>(spec: &'s Spec, listener: &'s ListenerSpec) -> Vec<(Way<'s>, &'s UpstreamSpec)> {
    let mut names = Vec::new();
    match &listener.protocol {
        ProtocolSpec::Http => {
            let is_here = |r: &&RouteSpec| {
                r.listeners.is_empty()
                    || r.listeners.iter().any(|l| *l.value == *listener.name.value)
            };
            for route in spec.routes.iter().filter(is_here) {
                let targets: Vec<&Marked<String>> = match &route.action {
                    ActionSpec::Forward(name) => vec![name],
                    ActionSpec::Split { shares, .. } => shares.iter().map(|(n, _)| n).collect(),
                    ActionSpec::Own(_) | ActionSpec::Unread => Vec::new(),
                };
                let by = format!("route `{}` leads to", route.name.value);
                names.extend(targets.into_iter().map(|name| Way {
                    by: by.clone(),
                    name,
                    is_rule: false,
                }));
            }
        }
        ProtocolSpec::Tcp(_) | ProtocolSpec::Udp(_) => {
            names.extend(listener.forward.iter().map(|name| Way {
                by: "`forward` names".to_owned(),
                name,
                is_rule: false,
            }));
            let rules = sni::of(listener).into_iter().flat_map(|sni| &sni.rules);
            for (at, rule) in (1..).zip(rules) {
                if let SniTarget::Upstream(name) = &rule.target {
                    names.push(Way {
                        by: format!("SNI rule {at} names"),
                        name,
                        is_rule: true,
                    });
                }
            }
        }
    }
    let found = |name: &str| spec.upstreams.iter().find(|u| u.name.value == name);
    let ways = names.into_iter();
    ways.filter_map(|way| found(&way.name.value).map(|u| (way, u)))
        .collect()
}

/// What the listener itself must have; whether it has.
fn own(listener: &ListenerSpec, mode: &Marked<TlsMode>, has_tls: bool, p: &mut Problems) -> bool {
    let name = &listener.name.value;
    let word = mode.value.as_str();
    let is_http = listener.protocol == ProtocolSpec::Http;
    let (what, help) = match (mode.value, has_tls) {
        (TlsMode::PassThrough, _) if is_http => (
            "but it carries HTTP, which cannot be read through the client's TLS".to_owned(),
            "write `protocol = \"tcp\"` to pass TLS on unread, or `tls-mode = \"terminate\"`".to_owned(),
        ),
        (TlsMode::PassThrough, true) => (
            "but also `tls` with certificates, which no client would ever see: its TLS ends at the backend"
                .to_owned(),
            format!("remove `[listeners.{name}.tls]`; or write \"terminate\", or \"re-encrypt\" with `tls` in the upstream"),
        ),
        (TlsMode::Terminate | TlsMode::ReEncrypt, false) => (
            "but no `tls` with certificates: the client's TLS cannot end here".to_owned(),
            format!(
                "add `[listeners.{name}.tls]` with `certificates`{}",
                if is_http { "" } else { ", or write `tls-mode = \"pass-through\"`" }
            ),
        ),
        _ => return true,
    };
    p.error(
        mode.span,
        format!("listener `{name}` has `tls-mode = \"{word}\"`, {what}"),
    )
    .help = Some(help);
    false
}

/// What an upstream must have, or must not.
fn behind(
    listener: &ListenerSpec,
    mode: &Marked<TlsMode>,
    way: &Way<'_>,
    upstream: &UpstreamSpec,
    p: &mut Problems,
) {
    let (name, to) = (&listener.name.value, &upstream.name.value);
    let by = &way.by;
    let (what, help) = match (mode.value, upstream.settings.tls.is_some()) {
        (TlsMode::PassThrough, true) => return twice(listener, Some(mode), way, upstream, p),
        (TlsMode::Terminate, true) => (
            format!("{by} upstream `{to}`, which has `tls`: that is re-encryption"),
            format!(
                "write `tls-mode = \"re-encrypt\"`, or remove `[upstreams.{to}.tls]` to speak without TLS behind"
            ),
        ),
        (TlsMode::ReEncrypt, false) => (
            format!(
                "{by} upstream `{to}`, which has no `tls`: what was decrypted here would go on in the clear"
            ),
            format!("add `[upstreams.{to}.tls]`, or write `tls-mode = \"terminate\"`"),
        ),
        _ => return,
    };
    let word = mode.value.as_str();
    let d = p.error(
        mode.span,
        format!("listener `{name}` has `tls-mode = \"{word}\"`, but {what}"),
    );
    d.related.push((way.name.span, "named here".to_owned()));
    d.related
        .push((upstream.name.span, "this upstream".to_owned()));
    d.help = Some(help);
}

/// The client's own TLS would be carried within another.
fn twice(
    listener: &ListenerSpec,
    mode: Option<&Marked<TlsMode>>,
    way: &Way<'_>,
    upstream: &UpstreamSpec,
    p: &mut Problems,
) {
    let (name, to) = (&listener.name.value, &upstream.name.value);
    let has = match mode {
        Some(mode) => format!("`tls-mode = \"{}\"`", mode.value.as_str()),
        None => "`sni` rules and no certificates".to_owned(),
    };
    let d = p.error(
        mode.map_or(way.name.span, |m| m.span),
        format!(
            "listener `{name}` has {has}, but {} upstream `{to}`, which has `tls`: the client's TLS would be wrapped in another",
            way.by
        ),
    );
    d.related
        .push((upstream.name.span, "this upstream".to_owned()));
    d.help = Some(format!(
        "remove `[upstreams.{to}.tls]`: the client's TLS goes to the backend as it is; or end it here with `[listeners.{name}.tls]` and `tls-mode = \"re-encrypt\"`"
    ));
}
