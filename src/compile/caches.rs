//! Caches, and which of them routes use.

use hashbrown::HashMap;

use crate::caching::Rules;
use crate::config::Spec;
use crate::config::spec::{CacheSpec, NodeSpec, Role};
use crate::ids::CacheId;

use super::{Problems, node};

/// The caches, and their ids by name.
#[derive(Debug, Default)]
pub(super) struct Caches<'s> {
    /// By id, sorted by name.
    pub(super) list: Vec<Rules>,
    /// By name.
    pub(super) by_name: HashMap<&'s str, CacheId>,
}

/// All caches, sorted by name.
pub(super) fn caches<'s>(spec: &'s Spec, p: &mut Problems) -> Caches<'s> {
    let mut specs: Vec<&CacheSpec> = spec.caches.iter().collect();
    specs.sort_by(|a, b| a.name.value.cmp(&b.name.value));
    let mut out = Caches::default();
    for s in specs {
        let id = CacheId::from_index(out.list.len());
        if out.by_name.insert(&s.name, id).is_some() {
            p.dangling(); // two caches of one name
        }
        out.list.push(s.rules.clone());
        check(spec, s, p);
    }
    out
}

/// A cache that nobody uses is probably a mistake; one on disk needs a place there.
fn check(spec: &Spec, s: &CacheSpec, p: &mut Problems) {
    let name = &s.name.value;
    let used =
        |c: &Option<crate::config::Marked<String>>| c.as_ref().is_some_and(|c| c.value == *name);
    if !spec.routes.iter().any(|r| used(&r.cache)) && spec.routes.iter().all(|r| r.complete) {
        p.warning(
            s.name.span,
            format!("cache `{name}` is used by no route: it stays empty"),
        )
        .help = Some(format!("add `cache = \"{name}\"` to a route, or remove it"));
    }
    let Some(disk) = &s.disk else { return };
    let homeless = |n: &&NodeSpec| node::has(n, Role::Proxy) && n.state_dir.is_none();
    if let Some(homeless) = spec.nodes.iter().find(homeless) {
        let d = p.error(
            disk.span,
            format!(
                "cache `{name}` is kept on disk, but node `{}` has no `state-dir`",
                homeless.name.value
            ),
        );
        d.related
            .push((homeless.name.span, "the node is here".to_owned()));
        d.help = Some("give the node a `state-dir`, or remove `disk`".to_owned());
    }
}
