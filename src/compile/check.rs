//! Checks over the whole configuration.

use std::collections::HashSet;
use std::time::Duration;

use crate::config::Spec;
use crate::config::spec::LastResortSpec;
use crate::ids::NameId;
use crate::snapshot::Snapshot;
use crate::snapshot::failover::worst_case;

use super::Problems;

/// Objects that nothing refers to are probably a mistake.
pub(super) fn unused(spec: &Spec, p: &mut Problems) {
    let mut pools: HashSet<&str> = spec
        .names
        .iter()
        .flat_map(|n| n.pools.iter().map(|m| m.as_str()))
        .collect();
    for n in &spec.names {
        match &n.last_resort.value {
            LastResortSpec::Pool(pool) => {
                pools.insert(pool);
            }
            LastResortSpec::Endpoints(list) => {
                let named = |e: &str| list.iter().any(|l| l.as_str() == e);
                let of = spec
                    .pools
                    .iter()
                    .filter(|p| p.endpoints.iter().any(|e| named(&e.name)));
                pools.extend(of.map(|p| p.name.as_str()));
            }
            _ => {}
        }
    }
    for pool in spec
        .pools
        .iter()
        .filter(|pool| !pools.contains(pool.name.as_str()))
    {
        p.warning(
            pool.name.span,
            format!("pool `{}` is used by no name", pool.name.value),
        );
    }
    let monitors: HashSet<&str> = spec
        .pools
        .iter()
        .filter_map(|p| p.monitor.as_ref().map(|m| m.as_str()))
        .collect();
    for m in spec
        .monitors
        .iter()
        .filter(|m| !monitors.contains(m.name.as_str()))
    {
        p.warning(
            m.name.span,
            format!("monitor `{}` is used by no pool", m.name.value),
        );
    }
    let policies: HashSet<&str> = spec.names.iter().map(|n| n.policy.as_str()).collect();
    for policy in spec
        .policies
        .iter()
        .filter(|x| !policies.contains(x.name.as_str()))
    {
        p.warning(
            policy.name.span,
            format!("policy `{}` is used by no name", policy.name.value),
        );
    }
}

/// No name's worst-case failover time exceeds `failover-slo` (requirement O11).
pub(super) fn failover_slo(spec: &Spec, snapshot: &Snapshot, p: &mut Problems) {
    let Some(slo) = &spec.dns.failover_slo else {
        return;
    };
    for n in &spec.names {
        let found = snapshot
            .steering
            .names
            .binary_search_by(|s| s.owner.cmp(&n.name.value));
        let Some(worst) = found
            .ok()
            .and_then(|i| worst_case(snapshot, NameId::from_index(i)))
        else {
            continue;
        };
        if worst.total() <= slo.value {
            continue;
        }
        let seconds = |d: Duration| format!("{:.1} s", d.as_secs_f64());
        let d = p.error(
            n.name.span,
            format!(
                "name `{}` takes up to {} to fail over, more than the `failover-slo` of {}",
                n.name.value,
                seconds(worst.total()),
                seconds(slo.value)
            ),
        );
        d.related
            .push((slo.span, "`failover-slo` is set here".to_owned()));
        d.help = Some(format!(
            "detection takes {}, publication {:.2} s, caches {}: probe more often, need fewer \
             failures (`fall`), or lower `ttl.min`",
            seconds(worst.detection),
            worst.publish.as_secs_f64(),
            worst.ttl
        ));
    }
}
