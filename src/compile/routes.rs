//! Routes, in order, and whether all of them can be reached.

use hashbrown::HashMap;

use crate::config::spec::{ActionSpec, ListenerSpec, ProtocolSpec, RouteSpec};
use crate::config::{Marked, Spec};
use crate::ids::{CacheId, ListenerId, UpstreamId};
use crate::traffic::route::{Conflict, Mirror, Split};
use crate::traffic::{Action, Listener, Route, Routes};

use super::Problems;
use super::features::Shared;

/// All routes, sorted by name, so that the order of the file does not matter (O6), as far as they are
/// for one of the listeners `here`.
pub(super) fn routes(
    spec: &Spec,
    upstreams: &HashMap<&str, UpstreamId>,
    here: &[Listener],
    caches: &HashMap<&str, CacheId>,
    shared: &Shared<'_>,
    p: &mut Problems,
) -> Routes {
    let mut specs: Vec<&RouteSpec> = spec.routes.iter().collect();
    specs.sort_by(|a, b| a.name.value.cmp(&b.name.value));
    let list: Vec<Route> = specs
        .iter()
        .map(|s| route(spec, s, upstreams, caches, shared, p))
        .collect();
    // What is wrong is wrong on all nodes, so it is looked for with the listeners of all.
    let (routes, conflicts) = Routes::build(list, spec.routing);
    for conflict in conflicts {
        tell(&specs, conflict, p);
    }
    let places: Vec<Option<ListenerId>> = spec
        .listeners
        .iter()
        .map(|l| {
            let at = here.iter().position(|h| *h.name == **l.name);
            at.map(ListenerId::from_index)
        })
        .collect();
    let list = routes.list.into_iter().filter_map(|mut route| {
        let everywhere = route.rule.listeners.is_empty();
        let known = route.rule.listeners.iter();
        route.rule.listeners = known.filter_map(|id| places[id.index()]).collect();
        (everywhere || !route.rule.listeners.is_empty()).then_some(route)
    });
    Routes::ordered(list.collect(), spec.routing)
}

/// A route is asked for requests only.
fn carries_http(
    listener: &ListenerSpec,
    (route, named): (&RouteSpec, &Marked<String>),
    p: &mut Problems,
) {
    let what = match listener.protocol {
        ProtocolSpec::Http => return,
        ProtocolSpec::Tcp(_) => "connections (`protocol = \"tcp\"`)",
        ProtocolSpec::Udp(_) => "datagrams (`protocol = \"udp\"`)",
    };
    let d = p.error(
        named.span,
        format!(
            "route `{}` is for listener `{}`, which carries {what} and no requests",
            route.name.value, named.value
        ),
    );
    let here = (listener.name.span, "this listener".to_owned());
    d.related.push(here);
    d.help = Some("name a listener of HTTP; what layer 4 carries goes to its `forward`".to_owned());
}

/// One route. Its listeners are positions among all of the configuration.
fn route(
    spec: &Spec,
    s: &RouteSpec,
    upstreams: &HashMap<&str, UpstreamId>,
    caches: &HashMap<&str, CacheId>,
    shared: &Shared<'_>,
    p: &mut Problems,
) -> Route {
    let mut upstream = |name: &str| {
        let found = upstreams.get(name).copied();
        if found.is_none() {
            p.dangling();
        }
        found.unwrap_or_default()
    };
    let action = match &s.action {
        ActionSpec::Forward(name) => Action::Forward(upstream(name)),
        ActionSpec::Split { by, shares } => Action::Split(Split {
            by: by.clone(),
            shares: shares
                .iter()
                .map(|(name, share)| (upstream(name), *share))
                .collect(),
        }),
        ActionSpec::Own(action) => action.clone(),
        ActionSpec::Unread => Action::Drop,
    };
    let mirror = s.mirror.as_ref().map(|(name, percent)| Mirror {
        upstream: upstream(name),
        percent: *percent,
    });
    let mut rule = s.rule.clone();
    for name in &s.listeners {
        let mut all = spec.listeners.iter();
        match all.position(|l| l.name.value == name.value) {
            Some(at) => {
                carries_http(&spec.listeners[at], (s, name), p);
                rule.listeners.push(ListenerId::from_index(at));
            }
            None => p.dangling(),
        }
    }
    let waf = s.waf.as_ref().map(|name| {
        let at = spec.waf.iter().position(|w| w.name.value == name.value);
        if at.is_none() {
            p.dangling();
        }
        at.unwrap_or_default()
    });
    if s.action == ActionSpec::Unread {
        p.dangling();
    }
    Route {
        name: s.name.as_str().into(),
        rule,
        action,
        rewrite: s.rewrite.clone(),
        mirror,
        waf,
        // A cache that is not there was reported.
        cache: s
            .cache
            .as_ref()
            .and_then(|c| caches.get(c.as_str()))
            .copied(),
        compression: s.compression.clone(),
        features: shared.features(&s.features, p),
    }
}

/// Reports a conflict. Of routes that were not read in full nothing is said: they may be for less.
fn tell(specs: &[&RouteSpec], conflict: Conflict, p: &mut Problems) {
    match conflict {
        Conflict::Shadowed { route, by } => {
            let hidden = specs[route.index()];
            let by: Vec<&RouteSpec> = by.iter().map(|id| specs[id.index()]).collect();
            if !hidden.complete || by.iter().any(|s| !s.complete) {
                return;
            }
            let shown = by.len().min(3);
            let mut names: Vec<String> = by[..shown]
                .iter()
                .map(|s| format!("`{}` (priority {})", s.name.value, s.rule.priority))
                .collect();
            if by.len() > shown {
                names.push(format!("{} more", by.len() - shown));
            }
            let d = p.error(
                hidden.name.span,
                format!(
                    "route `{}` (priority {}) can never match: every request for it is taken by {}",
                    hidden.name.value,
                    hidden.rule.priority,
                    names.join(" and ")
                ),
            );
            for s in &by[..shown] {
                d.related.push((s.name.span, "comes before it".to_owned()));
            }
            d.help = Some(format!(
                "give `{}` a higher `priority`, or remove it",
                hidden.name.value
            ));
        }
        Conflict::Ambiguous {
            first,
            second,
            host,
            path,
        } => {
            let (first, second) = (specs[first.index()], specs[second.index()]);
            if !first.complete || !second.complete {
                return;
            }
            let d = p.error(
                second.name.span,
                format!(
                    "routes `{}` and `{}` can match the same request (host {host}, {path}), and both have priority {}",
                    first.name.value, second.name.value, second.rule.priority
                ),
            );
            d.related
                .push((first.name.span, "the other one".to_owned()));
            d.help = Some("give the one that is meant a higher `priority`".to_owned());
        }
    }
}
