//! Upstreams, with the backends that a node uses.

use hashbrown::HashMap;

use crate::config::Spec;
use crate::config::spec::{BackendSpec, UpstreamSpec};
use crate::ids::UpstreamId;
use crate::traffic::Upstream;

use super::Problems;

/// The upstreams, and their ids by name.
#[derive(Debug, Default)]
pub(super) struct Upstreams<'s> {
    /// By id, sorted by name.
    pub(super) list: Vec<Upstream>,
    /// By name.
    pub(super) by_name: HashMap<&'s str, UpstreamId>,
}

/// All upstreams, sorted by name as their backends are, so that the order of the file does not matter
/// (O6). `region`: where the node stands; without one the backends of all regions are taken.
pub(super) fn upstreams<'s>(
    spec: &'s Spec,
    region: Option<&str>,
    p: &mut Problems,
) -> Upstreams<'s> {
    let mut specs: Vec<&UpstreamSpec> = spec.upstreams.iter().collect();
    specs.sort_by(|a, b| a.name.value.cmp(&b.name.value));
    let mut out = Upstreams::default();
    for u in specs {
        check(u, region, p);
        let id = UpstreamId::from_index(out.list.len());
        if out.by_name.insert(&u.name, id).is_some() {
            p.dangling(); // two upstreams of one name
        }
        let mut upstream = u.settings.clone();
        let used = u.backends.iter().filter(|b| used(b, region));
        upstream.backends = used.map(|b| b.settings.clone()).collect();
        upstream.backends.sort_by(|a, b| a.name.cmp(&b.name));
        out.list.push(upstream);
    }
    out
}

/// Whether a proxy in `region` uses the backend.
fn used(b: &BackendSpec, region: Option<&str>) -> bool {
    let here = |r: &str| region.is_none_or(|region| region == r);
    b.enabled && b.region.as_ref().is_none_or(|r| here(r))
}

/// An upstream that can answer nobody is probably a mistake.
fn check(u: &UpstreamSpec, region: Option<&str>, p: &mut Problems) {
    if !u.complete {
        return;
    }
    let name = &u.name;
    let what = format!("upstream `{}`", name.value);
    if !u.backends.iter().any(|b| b.enabled) {
        p.warning(
            name.span,
            format!("{what} has no enabled backend: its requests are answered with 503"),
        )
        .help = Some("enable one of its backends, or remove it".to_owned());
        return;
    }
    let mut here = u.backends.iter().filter(|b| used(b, region)).peekable();
    if let (None, Some(region)) = (here.peek(), region) {
        p.warning(
            name.span,
            format!(
                "{what} has no enabled backend for region `{region}`: there its requests are \
                 answered with 503"
            ),
        )
        .help = Some(format!(
            "add a backend with `region = \"{region}\"`, or one without `region`"
        ));
        return;
    }
    if here.all(|b| b.settings.weight == 0) {
        p.warning(
            name.span,
            format!("all backends of {what} have weight 0: it takes no new clients"),
        )
        .help = Some("give one of them a weight of 1 or more".to_owned());
    }
}
