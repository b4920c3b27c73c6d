//! Upstreams, with the backends that a node uses.

use std::sync::Arc;

use hashbrown::HashMap;

use crate::config::Spec;
use crate::config::spec::{BackendSpec, NodeSpec, Role, UpstreamSpec};
use crate::health::{Monitor, MonitorKind};
use crate::ids::UpstreamId;
use crate::traffic::Upstream;

use super::{Problems, node};

/// The upstreams, and their ids by name.
#[derive(Debug, Default)]
pub(super) struct Upstreams<'s> {
    /// By id, sorted by name.
    pub(super) list: Vec<Upstream>,
    /// By name.
    pub(super) by_name: HashMap<&'s str, UpstreamId>,
}

/// All upstreams, sorted by name as their backends are, so that the order of the file does not matter
/// (O6). `this`: the proxy that uses them; without one the backends of all regions are taken.
pub(super) fn upstreams<'s>(
    spec: &'s Spec,
    this: Option<&NodeSpec>,
    p: &mut Problems,
) -> Upstreams<'s> {
    let region = this.map(|n| n.region.as_str());
    let mut specs: Vec<&UpstreamSpec> = spec.upstreams.iter().collect();
    specs.sort_by(|a, b| a.name.value.cmp(&b.name.value));
    let mut out = Upstreams::default();
    for u in specs {
        check(u, region, p);
        if let Some(this) = this {
            check_shared(u, this, p);
        }
        let id = UpstreamId::from_index(out.list.len());
        if out.by_name.insert(&u.name, id).is_some() {
            p.dangling(); // two upstreams of one name
        }
        let mut upstream = u.settings.clone();
        let used = u.backends.iter().filter(|b| used(b, region));
        upstream.resilience.monitor = monitor(spec, u, p);
        upstream.backends = used.map(|b| b.settings.clone()).collect();
        upstream.backends.sort_by(|a, b| a.name.cmp(&b.name));
        out.list.push(upstream);
    }
    out
}

/// The names of the monitors of upstreams.
pub(super) fn monitors(spec: &Spec) -> impl Iterator<Item = &str> {
    let named = spec.upstreams.iter().filter_map(|u| u.monitor.as_ref());
    named.map(|m| m.value.as_str())
}

/// The monitor of an upstream's backends. Commands run only where every proxy that would run them says
/// so.
fn monitor(spec: &Spec, u: &UpstreamSpec, p: &mut Problems) -> Option<Arc<Monitor>> {
    let wanted = u.monitor.as_ref()?;
    let Some(found) = spec.monitors.iter().find(|m| m.name.value == wanted.value) else {
        p.dangling();
        return None;
    };
    let refuses = |n: &&NodeSpec| node::has(n, Role::Proxy) && !n.allow_exec;
    if runs_command(&found.monitor)
        && let Some(node) = spec.nodes.iter().find(refuses)
    {
        let d = p.error(
            wanted.span,
            format!(
                "upstream `{}` has monitor `{}`, which runs a command, but node `{}` with role `proxy` \
                 does not allow that",
                u.name.value, wanted.value, node.name.value
            ),
        );
        d.related
            .push((node.name.span, "`allow-exec` is not set here".to_owned()));
        d.help = Some(format!(
            "add `allow-exec = true` to [nodes.{}]: whoever writes this configuration can then run \
             programs there",
            node.name.value
        ));
    }
    Some(Arc::new(found.monitor.clone()))
}

fn runs_command(monitor: &Monitor) -> bool {
    match &monitor.kind {
        MonitorKind::Exec(_) => true,
        MonitorKind::Composite(c) => c.parts.iter().any(|part| runs_command(part)),
        _ => false,
    }
}

/// Whether a proxy in `region` uses the backend.
fn used(b: &BackendSpec, region: Option<&str>) -> bool {
    let here = |r: &str| region.is_none_or(|region| region == r);
    b.enabled && b.region.as_ref().is_none_or(|r| here(r))
}

/// Sessions can only be shared through the fleet, and only a member of it hears what others say.
fn check_shared(u: &UpstreamSpec, this: &NodeSpec, p: &mut Problems) {
    if !u.settings.session.as_ref().is_some_and(|s| s.is_shared) {
        return;
    }
    let (name, node) = (&u.name.value, &this.name.value);
    let (why, help) = match &this.fleet {
        None => (
            format!("node `{node}` is in no fleet: it remembers alone"),
            format!("add [nodes.{node}.fleet], or remove `share`"),
        ),
        Some(fleet) if !fleet.push_to.is_empty() => (
            format!(
                "node `{node}` pushes: others hear of its sessions, and it hears of none of theirs"
            ),
            format!("make it a member with `listen` in [nodes.{node}.fleet], or remove `share`"),
        ),
        Some(_) => return,
    };
    p.warning(
        u.name.span,
        format!("upstream `{name}` has `session.share`, but {why}"),
    )
    .help = Some(help);
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
