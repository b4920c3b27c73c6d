//! Regions, pools, endpoints and what is probed of them.

use std::collections::BTreeMap;

use hashbrown::HashMap;

use crate::config::Spec;
use crate::config::spec::{EndpointSpec, PoolSpec};
use crate::health::Monitor;
use crate::ids::{EndpointId, MonitorId, PoolId, RegionId, TargetId};
use crate::net::Family;
use crate::snapshot::ProbeTarget;
use crate::steer::{Endpoint, Pool, Region};

use super::{Problems, monitors};

/// The regions, and their ids by name.
#[derive(Debug, Default)]
pub(super) struct Regions<'s> {
    /// By id.
    pub(super) list: Vec<Region>,
    /// By name.
    pub(super) by_name: HashMap<&'s str, RegionId>,
}

/// All regions, sorted by name so that the order of the file does not matter (O6).
pub(super) fn regions<'s>(spec: &'s Spec, p: &mut Problems) -> Regions<'s> {
    if !spec.declared.any_region {
        p.general("the configuration has no region").help =
            Some("add a table such as [regions.eu] with `latitude` and `longitude`".to_owned());
    }
    let mut specs: Vec<_> = spec.regions.iter().collect();
    specs.sort_by(|a, b| a.name.value.cmp(&b.name.value));
    let mut regions = Regions::default();
    for r in specs {
        regions
            .by_name
            .insert(&r.name, RegionId::from_index(regions.list.len()));
        regions.list.push(Region {
            name: r.name.as_str().into(),
            coordinates: r.coordinates,
        });
    }
    regions
}

/// The pools with their endpoints, and their ids by name.
#[derive(Debug, Default)]
pub(super) struct Pools<'s> {
    /// By id, sorted by name.
    pub(super) pools: Vec<Pool>,
    /// By id, sorted by name.
    pub(super) endpoints: Vec<Endpoint>,
    /// By pool id.
    facts: Vec<Facts>,
    /// Monitor and probed port of each endpoint.
    pub(super) probing: Vec<Option<(MonitorId, u16)>>,
    /// By name.
    pub(super) by_name: HashMap<&'s str, PoolId>,
    /// By name.
    pub(super) endpoint_by_name: HashMap<&'s str, EndpointId>,
}

/// What is known of a pool beyond its endpoints' list.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// Whether all of it was read; from what it lacks follows nothing otherwise.
    pub(super) complete: bool,
    /// Whether its endpoints are CNAME targets.
    pub(super) cname: bool,
    /// The families it has addresses of.
    pub(super) families: Vec<Family>,
    /// The families it has enabled addresses of.
    pub(super) enabled: Vec<Family>,
    /// The CNAME targets of its endpoints.
    pub(super) targets: Vec<EndpointId>,
    /// The monitor of its endpoints, when one is probed: disabled ones are not.
    pub(super) monitor: Option<MonitorId>,
}

impl Pools<'_> {
    /// What is known of `pool`.
    pub(super) fn facts(&self, pool: PoolId) -> &Facts {
        &self.facts[pool.index()]
    }

    /// Gathers the facts once: names ask for them, and there may be many names.
    fn gather(&mut self) {
        for (e, probing) in self.endpoints.iter().zip(&self.probing) {
            let facts = &mut self.facts[e.pool.index()];
            facts.cname |= e.cname.is_some();
            if let Some(family) = e.address.map(Family::of) {
                if !facts.families.contains(&family) {
                    facts.families.push(family);
                }
                if e.enabled && !facts.enabled.contains(&family) {
                    facts.enabled.push(family);
                }
            }
            if let (Some((monitor, _)), true) = (probing, e.enabled) {
                facts.monitor = Some(*monitor);
            }
        }
        for (i, e) in self.endpoints.iter().enumerate() {
            if e.cname.is_some() {
                self.facts[e.pool.index()]
                    .targets
                    .push(EndpointId::from_index(i));
            }
        }
    }
}

/// All pools.
pub(super) fn pools<'s>(spec: &'s Spec, regions: &Regions<'_>, p: &mut Problems) -> Pools<'s> {
    let by_name: HashMap<&str, MonitorId> = spec
        .monitors
        .iter()
        .enumerate()
        .map(|(i, m)| (m.name.as_str(), MonitorId::from_index(i)))
        .collect();
    let mut specs: Vec<&PoolSpec> = spec.pools.iter().collect();
    specs.sort_by(|a, b| a.name.value.cmp(&b.name.value));
    let mut out = Pools::default();
    let mut found: Vec<(&EndpointSpec, PoolId, Option<MonitorId>)> = Vec::new();
    for pool in specs {
        let what = format!("pool `{}`", pool.name.value);
        let region = regions.by_name.get(pool.region.as_str()).copied();
        if region.is_none() {
            p.dangling();
        }
        let monitor = pool.monitor.as_ref().and_then(|m| {
            let found = by_name.get(m.as_str()).copied();
            if found.is_none() {
                p.dangling();
            }
            found
        });
        check_endpoints(pool, &what, p);
        let id = PoolId::from_index(out.pools.len());
        found.extend(pool.endpoints.iter().map(|e| (e, id, monitor)));
        out.by_name.insert(&pool.name, id);
        out.facts.push(Facts {
            complete: pool.complete,
            ..Facts::default()
        });
        out.pools.push(Pool {
            name: pool.name.as_str().into(),
            region: region.unwrap_or_default(),
            endpoints: Vec::new(),
            min_live: pool.min_live.value,
        });
    }
    endpoints(spec, found, &mut out, p);
    out.gather();
    out
}

/// Numbers the endpoints by name, over all pools.
fn endpoints<'s>(
    spec: &'s Spec,
    mut found: Vec<(&'s EndpointSpec, PoolId, Option<MonitorId>)>,
    out: &mut Pools<'s>,
    p: &mut Problems,
) {
    found.sort_by(|(a, ..), (b, ..)| {
        a.name
            .value
            .cmp(&b.name.value)
            .then(a.name.span.cmp(&b.name.span))
    });
    let mut before: Option<&str> = None;
    for (e, pool, monitor) in found {
        let pool_name = out.pools[pool.index()].name.clone();
        let complete = out.facts[pool.index()].complete;
        if before == Some(e.name.as_str()) {
            p.dangling(); // two endpoints of one name
            continue;
        }
        before = Some(&e.name);
        let id = EndpointId::from_index(out.endpoints.len());
        out.endpoint_by_name.insert(&e.name, id);
        out.pools[pool.index()].endpoints.push(id);
        out.probing
            .push(probing(spec, (&pool_name, complete), e, monitor, p));
        out.endpoints.push(Endpoint {
            name: e.name.as_str().into(),
            pool,
            address: e.address.as_ref().map(|a| a.value),
            cname: e.cname.as_ref().map(|c| c.value.clone()),
            port: e.port.as_ref().map_or(0, |p| p.value),
            weight: e.weight,
            backup: e.backup,
            enabled: e.enabled,
        });
    }
}

/// Rules inside one pool.
fn check_endpoints(pool: &PoolSpec, what: &str, p: &mut Problems) {
    let cnames = pool.endpoints.iter().filter(|e| e.cname.is_some()).count();
    // An endpoint whose `cname` could not be read has neither.
    let plain = |e: &&EndpointSpec| e.cname.is_none() && e.address.is_some();
    let addresses = pool.endpoints.iter().filter(plain).count();
    if cnames > 0 && addresses > 0 && pool.complete {
        let count = |n: usize| format!("{n} endpoint{}", if n == 1 { "" } else { "s" });
        p.error(
            pool.name.span,
            format!(
                "{what} mixes {} with `cname` and {} without",
                count(cnames),
                count(addresses)
            ),
        )
        .help = Some(
            "a name is answered with addresses or with a CNAME, never both: make two pools"
                .to_owned(),
        );
        return;
    }
    let mut by_address: BTreeMap<_, &EndpointSpec> = BTreeMap::new();
    for e in pool.endpoints.iter().filter(|_| cnames == 0) {
        let Some(a) = &e.address else { continue };
        if let Some(first) = by_address.insert(a.value, e) {
            let first_span = first.address.as_ref().map_or(first.name.span, |a| a.span);
            let message = format!(
                "endpoints `{}` and `{}` of {what} have the same address {}",
                first.name.value, e.name.value, a.value
            );
            let d = p.error(a.span, message);
            d.related
                .push((first_span, "the same address here".to_owned()));
            d.help = Some("keep one of them and give it twice the weight".to_owned());
        }
    }
    if cnames > 0 || !pool.complete {
        return;
    }
    for f in Family::ALL {
        let enabled = |e: &&EndpointSpec| {
            e.enabled && e.address.as_ref().is_some_and(|a| Family::of(a.value) == f)
        };
        let count = pool.endpoints.iter().filter(enabled).count();
        if count > 0 && (count as u64) < u64::from(pool.min_live.value) {
            p.error(
                pool.min_live.span,
                format!(
                    "{what} can never serve {f}: `min-live` is {}, but it has {count} enabled {f} endpoint{}",
                    pool.min_live.value,
                    if count == 1 { "" } else { "s" }
                ),
            )
            .help = Some(format!(
                "lower `min-live` to {count}, or add {f} endpoints"
            ));
        }
    }
}

/// What is probed of an endpoint.
fn probing(
    spec: &Spec,
    (pool, complete): (&str, bool),
    e: &EndpointSpec,
    monitor: Option<MonitorId>,
    p: &mut Problems,
) -> Option<(MonitorId, u16)> {
    let id = monitor?;
    let monitor = &spec.monitors[id.index()];
    let check = &monitor.monitor;
    let subject = format!("endpoint `{}` of pool `{}`", e.name.value, pool);
    let Some(address) = &e.address else {
        if !complete {
            return None;
        }
        p.error(
            e.name.span,
            format!(
                "{subject} has no `address` for monitor `{}` to probe",
                monitor.name.value
            ),
        )
        .help = Some(
            "add the `address` that stands behind the `cname`, or remove the pool's monitor"
                .to_owned(),
        );
        return None;
    };
    if check.needs_port() && e.port.is_none() {
        p.dangling(); // no port to probe
        return None;
    }
    // One of the other family counts as having no monitor.
    if !check.probes(address.value) {
        return None;
    }
    monitors::check_parts(monitor, &subject, address, p);
    let port = check.probed_port(e.port.as_ref().map_or(0, |p| p.value));
    Some((id, port))
}

/// What is probed, each (address, port, monitor) once (requirement H7), and each endpoint's target.
/// Disabled endpoints are not probed. Composites come last, after all that is probed; their parts are
/// targets without endpoints, unless a pool uses them too.
pub(super) fn targets(
    pools: &Pools<'_>,
    monitors: &[Monitor],
) -> (Vec<ProbeTarget>, Vec<Option<TargetId>>) {
    let (mut targets, mut known) = monitors::parts_to_probe(pools, monitors);
    let mut target_of = Vec::with_capacity(pools.endpoints.len());
    for (i, (e, probing)) in pools.endpoints.iter().zip(&pools.probing).enumerate() {
        let (Some((monitor, port)), Some(addr), true) = (probing, e.address, e.enabled) else {
            target_of.push(None);
            continue;
        };
        let id = *known.entry((addr, *port, *monitor)).or_insert_with(|| {
            targets.push(ProbeTarget {
                addr,
                port: *port,
                monitor: *monitor,
                endpoints: Vec::new(),
            });
            TargetId::from_index(targets.len() - 1)
        });
        targets[id.index()]
            .endpoints
            .push(EndpointId::from_index(i));
        target_of.push(Some(id));
    }
    monitors::composites_last(&mut targets, &mut target_of, monitors);
    (targets, target_of)
}
