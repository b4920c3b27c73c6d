//! Monitors, and what composites among them mean for what is probed.

use std::net::IpAddr;

use hashbrown::{HashMap, HashSet};

use crate::config::spec::{MonitorSpec, Role};
use crate::config::{Marked, Spec};
use crate::health::{Monitor, MonitorKind, Need};
use crate::ids::{MonitorId, TargetId};
use crate::snapshot::ProbeTarget;

use super::Problems;
use super::pools::Pools;

/// What makes two targets the same.
type Place = (IpAddr, u16, MonitorId);

/// All monitors, in the order of the file. Commands run only where every node that would run them says
/// so.
pub(super) fn monitors(spec: &Spec, p: &mut Problems) -> Vec<Monitor> {
    let probing =
        |n: &&crate::config::spec::NodeSpec| n.roles.iter().any(|r| r.value == Role::Probe);
    let refusing: Vec<_> = spec
        .nodes
        .iter()
        .filter(probing)
        .filter(|n| !n.allow_exec)
        .collect();
    for m in &spec.monitors {
        if let (MonitorKind::Exec(_), Some(node)) = (&m.monitor.kind, refusing.first()) {
            let others = match refusing.len() - 1 {
                0 => String::new(),
                1 => " and 1 other".to_owned(),
                n => format!(" and {n} others"),
            };
            let d = p.error(
                m.name.span,
                format!(
                    "monitor `{}` runs a command, but node `{}`{others} with role `probe` does not \
                     allow that",
                    m.name.value, node.name.value
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
    }
    spec.monitors.iter().map(|m| m.monitor.clone()).collect()
}

/// The names of monitors that others are made of.
pub(super) fn used_as_parts(spec: &Spec) -> impl Iterator<Item = &str> {
    spec.monitors.iter().flat_map(|m| {
        let parts = match &m.monitor.kind {
            MonitorKind::Composite(c) => c.parts.as_slice(),
            _ => &[],
        };
        parts.iter().map(|part| &*part.name)
    })
}

/// Whether enough of a composite's parts have a say about an endpoint.
pub(super) fn check_parts(
    monitor: &MonitorSpec,
    endpoint: &str,
    address: &Marked<IpAddr>,
    p: &mut Problems,
) {
    let MonitorKind::Composite(check) = &monitor.monitor.kind else {
        return;
    };
    let parts = check.parts_of(address.value).count();
    if let Need::AtLeast(need) = check.need
        && (need as usize) > parts
        && monitor.complete
    {
        let d = p.error(
            address.span,
            format!(
                "{endpoint} would always be down: monitor `{}` needs {need} parts up, but only {parts} \
                 of its {} parts probe {}",
                monitor.name.value,
                check.parts.len(),
                crate::net::Family::of(address.value)
            ),
        );
        d.related
            .push((monitor.name.span, "the monitor is here".to_owned()));
        d.help = Some(
            "lower its `at-least`, or use another monitor for endpoints of this family".to_owned(),
        );
    }
}

/// The targets that are probed for composites' sake, each once.
pub(super) fn parts_to_probe(
    pools: &Pools<'_>,
    monitors: &[Monitor],
) -> (Vec<ProbeTarget>, HashMap<Place, TargetId>) {
    let mut targets: Vec<ProbeTarget> = Vec::new();
    let mut known: HashMap<Place, TargetId> = HashMap::new();
    let by_name: HashMap<&str, MonitorId> = monitors
        .iter()
        .enumerate()
        .map(|(i, m)| (&*m.name, MonitorId::from_index(i)))
        .collect();
    let mut done: HashSet<Place> = HashSet::new();
    for (e, probing) in pools.endpoints.iter().zip(&pools.probing) {
        let (Some((monitor, port)), Some(addr), true) = (probing, e.address, e.enabled) else {
            continue;
        };
        let mut open = vec![(*monitor, *port)];
        while let Some((whole, port)) = open.pop() {
            let MonitorKind::Composite(check) = &monitors[whole.index()].kind else {
                continue;
            };
            if !done.insert((addr, port, whole)) {
                continue;
            }
            for part in check.parts_of(addr) {
                let number = by_name.get(&*part.name).copied();
                let Some(number) = number.filter(|n| monitors[n.index()] == **part) else {
                    continue;
                };
                let port = part.probed_port(port);
                known.entry((addr, port, number)).or_insert_with(|| {
                    targets.push(ProbeTarget {
                        addr,
                        port,
                        monitor: number,
                        endpoints: Vec::new(),
                    });
                    TargetId::from_index(targets.len() - 1)
                });
                open.push((number, port));
            }
        }
    }
    (targets, known)
}

/// Puts the composites behind the others, so that what is probed is the beginning of all targets.
pub(super) fn composites_last(
    targets: &mut Vec<ProbeTarget>,
    target_of: &mut [Option<TargetId>],
    monitors: &[Monitor],
) {
    let composite = |t: &ProbeTarget| monitors[t.monitor.index()].kind.is_composite();
    if !targets.iter().any(composite) {
        return;
    }
    let mut order: Vec<usize> = (0..targets.len()).collect();
    order.sort_by_key(|i| composite(&targets[*i]));
    let mut moved = vec![TargetId::from_index(0); targets.len()];
    for (to, from) in order.iter().enumerate() {
        moved[*from] = TargetId::from_index(to);
    }
    *targets = order.into_iter().map(|i| targets[i].clone()).collect();
    for target in target_of.iter_mut().flatten() {
        *target = moved[target.index()];
    }
}
