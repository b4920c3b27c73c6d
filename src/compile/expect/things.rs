//! What an expectation names: endpoints, pools and regions.

use std::collections::HashMap;

use crate::config::Span;
use crate::config::spec::ThingSpec;
use crate::health::Scope;
use crate::ids::EndpointId;
use crate::overrides::{Class, ScopeKind, Subject};
use crate::snapshot::orders;
use crate::steer::Steering;

use crate::compile::Problems;

/// A thing, with the endpoints that it stands for, ascending.
#[derive(Clone, Debug)]
pub(super) struct Thing {
    pub(super) scope: Scope,
    pub(super) endpoints: Vec<EndpointId>,
}

/// Things that were looked up before: an expectation names few, ten thousand name the same few.
#[derive(Debug, Default)]
pub(super) struct Things {
    known: HashMap<(Option<ScopeKind>, String), Option<Thing>>,
}

impl Things {
    /// What is meant. A name that stands for several kinds is an error, unless these are the same endpoints.
    pub(super) fn find(
        &mut self,
        thing: &ThingSpec,
        span: Span,
        steering: &Steering,
        p: &mut Problems,
    ) -> Option<Thing> {
        let key = (thing.kind, thing.name.clone());
        if let Some(found) = self.known.get(&key) {
            if found.is_none() {
                p.dangling();
            }
            return found.clone();
        }
        let found = look(thing, span, steering, p);
        self.known.insert(key, found.clone());
        found
    }

    /// What was found before.
    pub(super) fn get(&self, thing: &ThingSpec) -> Option<&Thing> {
        let key = (thing.kind, thing.name.clone());
        self.known.get(&key).and_then(Option::as_ref)
    }
}

fn look(thing: &ThingSpec, span: Span, steering: &Steering, p: &mut Problems) -> Option<Thing> {
    let kinds = [ScopeKind::Endpoint, ScopeKind::Pool, ScopeKind::Region];
    let mut found: Vec<(ScopeKind, Thing)> = Vec::new();
    for kind in kinds {
        if thing.kind.is_some_and(|k| k != kind) {
            continue;
        }
        let subject = Subject {
            scope: kind,
            name: thing.name.as_str().into(),
            class: Class::State,
        };
        if let Some(scope) = orders::scope(&subject, steering) {
            let mut endpoints = orders::covered(scope, steering);
            endpoints.sort_unstable();
            found.push((kind, Thing { scope, endpoints }));
        }
    }
    match &found[..] {
        // Reported where it was read.
        [] => p.dangling(),
        [(a, first), rest @ ..] => {
            if let Some((b, _)) = rest.iter().find(|(_, t)| t.endpoints != first.endpoints) {
                let name = &thing.name;
                p.error(
                    span,
                    format!(
                        "`{name}` is {} and {} with other endpoints",
                        with_article(*a),
                        with_article(*b)
                    ),
                )
                .help = Some(format!(
                    "say which: `{} {name}` or `{} {name}`",
                    a.word(),
                    b.word()
                ));
                return None;
            }
        }
    }
    found.into_iter().next().map(|(_, t)| t)
}

fn with_article(kind: ScopeKind) -> String {
    match kind {
        ScopeKind::Endpoint => "an endpoint".to_owned(),
        other => format!("a {}", other.word()),
    }
}

/// As a person writes it: `region eu`, or the name alone where no kind was said.
pub(super) fn text(thing: &ThingSpec) -> String {
    match thing.kind {
        Some(kind) => format!("{} {}", kind.word(), thing.name),
        None => thing.name.clone(),
    }
}
