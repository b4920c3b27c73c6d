//! Routes, in order, and whether all of them can be reached.

use hashbrown::HashMap;

use crate::config::Spec;
use crate::config::spec::{ActionSpec, RouteSpec};
use crate::ids::{CacheId, UpstreamId};
use crate::traffic::route::Conflict;
use crate::traffic::{Action, PathRules, Route, Routes};

use super::Problems;
use super::features::Shared;

/// All routes, sorted by name, so that the order of the file does not matter (O6).
pub(super) fn routes(
    spec: &Spec,
    upstreams: &HashMap<&str, UpstreamId>,
    caches: &HashMap<&str, CacheId>,
    shared: &Shared<'_>,
    p: &mut Problems,
) -> Routes {
    let mut specs: Vec<&RouteSpec> = spec.routes.iter().collect();
    specs.sort_by(|a, b| a.name.value.cmp(&b.name.value));
    let mut list = Vec::with_capacity(specs.len());
    for s in &specs {
        let action = match &s.action {
            ActionSpec::Forward(name) => {
                upstreams.get(name.as_str()).map(|id| Action::Forward(*id))
            }
            ActionSpec::Unread => None,
        };
        if action.is_none() {
            p.dangling();
        }
        list.push(Route {
            name: s.name.as_str().into(),
            rule: s.rule.clone(),
            action: action.unwrap_or(Action::Forward(UpstreamId(0))),
            // A cache that is not there was reported.
            cache: s
                .cache
                .as_ref()
                .and_then(|c| caches.get(c.as_str()))
                .copied(),
            compression: s.compression.clone(),
            features: shared.features(&s.features, p),
        });
    }
    let (routes, conflicts) = Routes::build(list, PathRules::default());
    for conflict in conflicts {
        tell(&specs, conflict, p);
    }
    routes
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
