//! SNI rules: what they refer to, and whether it can take their connections.

use hashbrown::HashMap;

use crate::config::Spec;
use crate::config::spec::{ListenerSpec, ProtocolSpec, Role, SniSpec, SniTarget};
use crate::ids::{ListenerId, UpstreamId};
use crate::traffic::{SniRule, SniRules, Target};

use super::{Problems, node};

/// The rules of a listener. `places`: the listeners of the node.
pub(super) fn rules(
    s: &SniSpec,
    upstreams: &HashMap<&str, UpstreamId>,
    places: &HashMap<&str, ListenerId>,
    p: &mut Problems,
) -> SniRules {
    let rules = s.rules.iter().map(|rule| {
        let target = match &rule.target {
            SniTarget::Upstream(name) => {
                let id = upstreams.get(name.as_str());
                id.map(|id| Target::Upstream(*id))
            }
            SniTarget::Listener(name) => {
                let id = places.get(name.as_str());
                id.map(|id| Target::Listener(*id))
            }
            SniTarget::Unread => None,
        };
        if target.is_none() {
            // Reported, here or when it was read.
            p.dangling();
        }
        SniRule {
            names: rule.names.clone(),
            alpn: rule.alpn.clone(),
            target: target.unwrap_or(Target::Close),
        }
    });
    SniRules::new(s.timeout, s.most, rules.collect())
}

/// The rules of a listener, if it has any.
pub(super) fn of(listener: &ListenerSpec) -> Option<&SniSpec> {
    match &listener.protocol {
        ProtocolSpec::Tcp(tcp) => tcp.sni.as_ref(),
        _ => None,
    }
}

/// Whether listeners that connections are handed to can take them, on every node.
pub(super) fn check(spec: &Spec, p: &mut Problems) {
    for listener in &spec.listeners {
        let rules = of(listener).into_iter().flat_map(|sni| &sni.rules);
        for (at, rule) in (1..).zip(rules) {
            let SniTarget::Listener(to) = &rule.target else {
                continue;
            };
            let Some(target) = spec.listeners.iter().find(|l| *l.name == **to) else {
                p.dangling();
                continue;
            };
            let (from, name) = (&listener.name.value, &to.value);
            let why = match &target.protocol {
                _ if from == name => Some((
                    "hands over to itself".to_owned(),
                    "name another listener, or an upstream with `forward`".to_owned(),
                )),
                ProtocolSpec::Udp(_) => Some((
                    format!("hands a connection to listener `{name}`, which carries datagrams"),
                    "name a listener of HTTP or TCP".to_owned(),
                )),
                _ if of(target).is_some() => Some((
                    format!("hands over to listener `{name}`, which has `sni` rules itself"),
                    "put all rules into one listener".to_owned(),
                )),
                _ if target.settings.tls.is_none() => Some((
                    format!(
                        "hands TLS to listener `{name}`, which has no `tls` and could not read it"
                    ),
                    format!("give that listener certificates with `[listeners.{name}.tls]`"),
                )),
                _ => None,
            };
            if let Some((what, help)) = why {
                let d = p.error(
                    to.span,
                    format!("SNI rule {at} of listener `{from}` {what}"),
                );
                d.related
                    .push((target.name.span, "this listener".to_owned()));
                d.help = Some(help);
            }
            check_nodes(spec, (at, from), to, p);
        }
    }
}

/// A node that has the one listener needs the other.
fn check_nodes(
    spec: &Spec,
    (at, from): (usize, &str),
    to: &crate::config::Marked<String>,
    p: &mut Problems,
) {
    for node in spec.nodes.iter().filter(|n| node::has(n, Role::Proxy)) {
        let Some(some) = &node.proxy.listeners else {
            continue;
        };
        let has = |name: &str| some.iter().any(|l| l.value == name);
        if has(from) && !has(&to.value) {
            let d = p.error(
                to.span,
                format!(
                    "SNI rule {at} of listener `{from}` hands over to listener `{}`, which node `{}` does not have",
                    to.value, node.name.value
                ),
            );
            d.related.push((node.name.span, "this node".to_owned()));
            d.help = Some(format!(
                "add `{}` to `proxy.listeners` of the node",
                to.value
            ));
        }
    }
}
