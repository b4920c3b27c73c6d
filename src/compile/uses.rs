//! Who uses an upstream: listeners that carry connections or datagrams, or requests; and whether what it
//! says means something to them.

use crate::config::spec::{
    ActionSpec, ListenerSpec, OneLayer, ProtocolSpec, SniTarget, UpstreamSpec,
};
use crate::config::{Diagnostic, Marked, Span, Spec};
use crate::health::backend::{Fault, FaultSet};
use crate::traffic::session::Binding;
use crate::traffic::{Algorithm, HashKey, Origin};

use super::Problems;

/// Who uses one upstream: the first of each kind.
#[derive(Debug, Default)]
struct Users<'s> {
    /// A listener of layer 4.
    listener: Option<&'s Marked<String>>,
    /// Whether some of those carry connections.
    streams: bool,
    /// What sends it requests: a word, and its name.
    requests: Option<(&'static str, &'s Marked<String>)>,
}

/// Tells what upstreams say that whoever uses them cannot heed.
pub(super) fn check(spec: &Spec, p: &mut Problems) {
    for upstream in spec.upstreams.iter().filter(|u| u.complete) {
        let users = users(spec, &upstream.name);
        if let Some(listener) = users.listener {
            of_connections(upstream, listener, p);
            if users.requests.is_none() {
                idle(upstream, &upstream.one_layer.of_requests, listener, p);
                if !users.streams {
                    streams_only(upstream, listener, p);
                }
            }
        }
        if let Some((word, name)) = users.requests {
            of_requests(upstream, word, name, p);
            match users.listener {
                Some(listener) => of_both(upstream, listener, (word, name), p),
                None => requests_only(upstream, (word, name), p),
            }
        }
    }
}

/// The upstreams that a listener of layer 4 sends to.
fn targets(listener: &ListenerSpec) -> impl Iterator<Item = &Marked<String>> {
    let sni = match &listener.protocol {
        ProtocolSpec::Tcp(tcp) => tcp.sni.as_ref(),
        ProtocolSpec::Http | ProtocolSpec::Udp(_) => None,
    };
    let rules = sni.into_iter().flat_map(|sni| &sni.rules);
    let of_rules = rules.filter_map(|rule| match &rule.target {
        SniTarget::Upstream(name) => Some(name),
        SniTarget::Listener(_) | SniTarget::Unread => None,
    });
    listener.forward.iter().chain(of_rules)
}

fn users<'s>(spec: &'s Spec, upstream: &str) -> Users<'s> {
    let is_it = |name: &Marked<String>| name.value == upstream;
    let mut users = Users::default();
    let carries = |l: &&ListenerSpec| l.protocol != ProtocolSpec::Http;
    let carrying = spec.listeners.iter().filter(carries);
    for listener in carrying.filter(|l| targets(l).any(is_it)) {
        users.listener.get_or_insert(&listener.name);
        users.streams |= !matches!(listener.protocol, ProtocolSpec::Udp(_));
    }
    let route = spec.routes.iter().find(|r| {
        let forwards = match &r.action {
            ActionSpec::Forward(name) => is_it(name),
            ActionSpec::Split { shares, .. } => shares.iter().any(|(name, _)| is_it(name)),
            ActionSpec::Unread | ActionSpec::Own(_) => false,
        };
        forwards || r.mirror.as_ref().is_some_and(|(name, _)| is_it(name))
    });
    let auth = spec.auths.iter().find(|a| is_it(&a.upstream));
    users.requests = route
        .map(|r| ("route", &r.name))
        .or_else(|| auth.map(|a| ("authorisation", &a.name)));
    users
}

/// What a connection has nothing of.
fn of_connections(u: &UpstreamSpec, listener: &Marked<String>, p: &mut Problems) {
    let (name, settings) = (&u.name, &u.settings);
    let carried = format!("listener `{}`, which carries no HTTP", listener.value);
    if let Algorithm::Hash(hashing) = &settings.algorithm
        && !hashing.on.is_of_connections()
    {
        let d = p.error(
            at(u.one_layer.hash, name),
            format!(
                "upstream `{}` chooses by a hash of something of requests, but is used by {carried}",
                name.value
            ),
        );
        d.related
            .push((listener.span, "it is used here".to_owned()));
        d.help = Some(
            "hash the client's address, `on = \"source\"`, or the connection, `on = \"tuple\"`; or \
             give the listener an upstream of its own"
                .to_owned(),
        );
    }
    if let Some(session) = &settings.session
        && session.binding != Binding::Key(HashKey::Source)
    {
        let d = p.error(
            at(u.one_layer.session, name),
            format!(
                "upstream `{}` has sessions told by something of requests, but is used by {carried}",
                name.value
            ),
        );
        d.related
            .push((listener.span, "it is used here".to_owned()));
        d.help = Some(
            "bind sources to backends, `session = { on = \"source\" }`; or give the listener an \
             upstream of its own"
                .to_owned(),
        );
    }
}

fn at(known: Option<Span>, name: &Marked<String>) -> Span {
    known.unwrap_or(name.span)
}

/// What requests have nothing of.
fn of_requests(u: &UpstreamSpec, word: &str, user: &Marked<String>, p: &mut Problems) {
    let Algorithm::Hash(hashing) = &u.settings.algorithm else {
        return;
    };
    if hashing.on != HashKey::Tuple {
        return;
    }
    let d = p.error(
        at(u.one_layer.hash, &u.name),
        format!(
            "upstream `{}` chooses by a hash of the connection, but {word} `{}` sends it requests",
            u.name.value, user.value
        ),
    );
    d.related.push((user.span, "it is used here".to_owned()));
    d.help = Some("hash the client's address: `on = \"source\"`".to_owned());
}

/// What cannot be compared where both use it.
fn of_both(
    u: &UpstreamSpec,
    listener: &Marked<String>,
    (word, user): (&str, &Marked<String>),
    p: &mut Problems,
) {
    let outlier = u.settings.resilience.passive.as_ref();
    let what = match u.settings.algorithm {
        Algorithm::LeastTime => "the algorithm `least-time`",
        _ if outlier.is_some_and(|passive| passive.outlier.is_some()) => "`passive.outlier`",
        _ => return,
    };
    let d = p.error(
        u.name.span,
        format!(
            "upstream `{}` has {what}, but both {word} `{}` and listener `{}` use it: the times of \
             answers and of connecting say nothing of each other",
            u.name.value, user.value, listener.value
        ),
    );
    d.related
        .push((listener.span, "connections come from here".to_owned()));
    d.related
        .push((user.span, "requests come from here".to_owned()));
    d.help = Some("give each an upstream of its own".to_owned());
}

/// What is set and does nothing.
fn idle(
    u: &UpstreamSpec,
    options: &[Marked<&'static str>],
    listener: &Marked<String>,
    p: &mut Problems,
) {
    for option in options {
        let message = format!(
            "`{}` of upstream `{}` has no effect: listener `{}`, which uses it, carries no HTTP",
            option.value, u.name.value, listener.value
        );
        p.push(no_effect(option.span, message));
    }
    let OneLayer {
        passive, circuit, ..
    } = u.one_layer;
    let rules = &u.settings.resilience;
    let sets = [
        (
            "passive.on",
            passive,
            rules.passive.as_ref().map(|r| r.counts),
        ),
        (
            "circuit.on",
            circuit,
            rules.circuit.as_ref().map(|r| r.counts),
        ),
    ];
    for (option, span, counts) in sets {
        if let (Some(span), Some(counts)) = (span, counts)
            && !is_of_connections(counts)
        {
            let message = format!(
                "`{option}` of upstream `{}` names no failure of a connection: listener `{}`, which \
                 uses it, carries no HTTP",
                u.name.value, listener.value
            );
            p.push(no_effect(span, message)).help =
                Some("add `connect`, and `reset` with `passive.early-close`".to_owned());
        }
    }
}

fn is_of_connections(counts: FaultSet) -> bool {
    counts.has(Fault::Connect) || counts.has(Fault::Reset)
}

fn requests_only(u: &UpstreamSpec, (word, user): (&str, &Marked<String>), p: &mut Problems) {
    for option in &u.one_layer.of_connections {
        let message = format!(
            "`{}` of upstream `{}` has no effect: {word} `{}` sends it requests",
            option.value, u.name.value, user.value
        );
        p.push(no_effect(option.span, message));
    }
}

fn streams_only(u: &UpstreamSpec, listener: &Marked<String>, p: &mut Problems) {
    for option in &u.one_layer.of_streams {
        let message = format!(
            "`{}` of upstream `{}` has no effect: listener `{}`, which uses it, carries datagrams",
            option.value, u.name.value, listener.value
        );
        p.push(no_effect(option.span, message));
    }
}

fn no_effect(span: Span, message: String) -> Diagnostic {
    Diagnostic::warning(span, message).help("remove it")
}

/// What listeners bind to does not fit the family of transparent backends.
pub(super) fn families(spec: &Spec, p: &mut Problems) {
    for u in spec.upstreams.iter().filter(|u| u.complete) {
        if u.settings.origin != Origin::Client {
            continue;
        }
        let Some(backend) = u.backends.first() else {
            continue;
        };
        let carries = spec.listeners.iter().filter(|l| {
            matches!(l.protocol, ProtocolSpec::Tcp(_))
                && l.settings.proxy_protocol.is_none()
                && targets(l).any(|name| name.value == u.name.value)
        });
        for listener in carries {
            let v4 = backend.settings.address.is_ipv4();
            let Some(bind) = listener.bind.iter().find(|b| b.is_ipv4() != v4) else {
                continue;
            };
            let d = p.error(
                bind.span,
                format!(
                    "listener `{}` takes clients at {}, but upstream `{}` is `transparent` and backend \
                     `{}` is at {}: a client's address of one family cannot be used with the other",
                    listener.name.value,
                    bind.value,
                    u.name.value,
                    backend.name.value,
                    backend.settings.address
                ),
            );
            d.related.push((u.name.span, "the upstream".to_owned()));
            d.help = Some(
                "give each family a listener and an upstream of its own, or tell backends the client \
                 by `proxy-protocol`"
                    .to_owned(),
            );
        }
    }
}
