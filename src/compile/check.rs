//! Checks over the whole configuration.

use std::cell::LazyCell;
use std::collections::BTreeSet;
use std::time::Duration;

use hashbrown::{HashMap, HashSet};

use crate::config::spec::LastResortSpec;
use crate::config::{Marked, Spec};
use crate::ids::MonitorId;
use crate::snapshot::failover::worst_of;

use super::Problems;
use super::names::CheckedName;
use super::pools::Pools;

/// Objects that nothing refers to are probably a mistake. Only objects of kinds that were all read can
/// be known to refer to nothing.
pub(super) fn unused(spec: &Spec, p: &mut Problems) {
    if spec.declared.names_complete {
        unused_pools(spec, p);
        let policies: HashSet<&str> = spec.names.iter().map(|n| n.policy.as_str()).collect();
        for policy in &spec.policies {
            if !policies.contains(policy.name.as_str()) {
                warn(p, &policy.name, "policy", "name");
            }
        }
    }
    if spec.declared.pools_complete {
        let monitors = spec.pools.iter().filter_map(|p| p.monitor.as_ref());
        let mut monitors: HashSet<&str> = monitors.map(|m| m.as_str()).collect();
        monitors.extend(super::monitors::used_as_parts(spec));
        monitors.extend(super::upstreams::monitors(spec));
        for m in &spec.monitors {
            if !monitors.contains(m.name.as_str()) {
                warn(p, &m.name, "monitor", "pool");
            }
        }
    }
}

fn warn(p: &mut Problems, name: &Marked<String>, word: &str, user: &str) {
    p.warning(
        name.span,
        format!("{word} `{}` is used by no {user}", name.value),
    )
    .help = Some(format!("use it in a {user}, or remove it"));
}

fn unused_pools(spec: &Spec, p: &mut Problems) {
    let members = spec.names.iter().flat_map(|n| &n.pools);
    let mut used: HashSet<&str> = members.map(|m| m.as_str()).collect();
    // Only where a name asks: there may be 100,000 endpoints.
    let pool_of: LazyCell<HashMap<&str, &str>, _> = LazyCell::new(|| {
        let pools = spec.pools.iter().flat_map(|pool| {
            let endpoints = pool.endpoints.iter();
            endpoints.map(|e| (e.name.as_str(), pool.name.as_str()))
        });
        pools.collect()
    });
    for n in &spec.names {
        match &n.last_resort.value {
            LastResortSpec::Pool(pool) => {
                used.insert(pool);
            }
            LastResortSpec::Endpoints(list) => {
                used.extend(list.iter().filter_map(|e| pool_of.get(e.as_str())));
            }
            _ => {}
        }
    }
    for pool in &spec.pools {
        if !used.contains(pool.name.as_str()) {
            warn(p, &pool.name, "pool", "name");
        }
    }
}

/// No name's worst-case failover time exceeds `failover-slo` (requirement O11).
pub(super) fn failover_slo(
    spec: &Spec,
    names: &[CheckedName<'_>],
    pools: &Pools<'_>,
    alone: bool,
    p: &mut Problems,
) {
    let Some(slo) = &spec.dns.failover_slo else {
        return;
    };
    for n in names {
        let (min, max) = (&n.spec.ttl.0, &n.spec.ttl.1);
        if !n.spec.complete || min.value > max.value {
            continue;
        }
        let probed = n.members.iter().filter_map(|m| pools.facts(m.pool).monitor);
        let probed: BTreeSet<MonitorId> = probed.collect();
        // What a monitor does that was not read in full is not known.
        let probed = probed.into_iter().map(|m| &spec.monitors[m.index()]);
        let probed = probed.filter(|m| m.complete).map(|m| &m.monitor);
        let Some(worst) = worst_of(probed, min.value, alone) else {
            continue;
        };
        if worst.total() <= slo.value {
            continue;
        }
        let seconds = |d: Duration| format!("{:.1} s", d.as_secs_f64());
        let d = p.error(
            n.spec.name.span,
            format!(
                "name `{}` takes up to {} to fail over, more than the `failover-slo` of {}",
                n.spec.name.value,
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
            seconds(worst.ttl.duration())
        ));
    }
}
