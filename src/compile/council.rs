//! Who judges: the vantages, their sites, and the rules of the council.

use hashbrown::HashMap;

use crate::config::Spec;
use crate::config::spec::{NodeSpec, Role};
use crate::health::council::{Circles, Failback, PoolRule, Quorum, Rules, Site, Vantage};
use crate::ids::{SiteId, VantageId};
use crate::steer::Steering;

use super::{Node, Problems};

/// Whether `n` probes.
fn probes(n: &NodeSpec) -> bool {
    n.roles.iter().any(|r| r.value == Role::Probe)
}

/// Whether `node` is told what others see, and somebody looks: it has a table `fleet`, and so has a node
/// that probes. Without a node: whether any has.
pub(super) fn shared(spec: &Spec, node: Option<&str>) -> bool {
    together(spec, node) && in_fleet(spec).any(probes)
}

/// Whether the node called `node`, or any, is in the fleet.
fn together(spec: &Spec, node: Option<&str>) -> bool {
    in_fleet(spec).any(|n| node.is_none_or(|name| n.name.value == name))
}

/// The nodes of the fleet; the others are alone.
fn in_fleet(spec: &Spec) -> impl Iterator<Item = &NodeSpec> {
    spec.nodes.iter().filter(|n| n.fleet.is_some())
}

/// The rules for `node`. Nodes that are no fleet are not told what others see: each is alone.
pub(super) fn rules(spec: &Spec, node: Option<&Node>, p: &mut Problems) -> Rules {
    let together = together(spec, node.map(|n| n.name.as_str()));
    let mut rules = Rules {
        quorum: spec.health.quorum.value,
        brake: spec.health.brake,
        discount_suspects: spec.health.discount_suspects,
        references: spec.health.references.iter().map(|r| r.value).collect(),
        ..Rules::default()
    };
    let mut nodes: Vec<&NodeSpec> = spec.nodes.iter().filter(|n| probes(n)).collect();
    nodes.sort_by(|a, b| a.name.value.cmp(&b.name.value));
    for n in nodes {
        let own = node.is_some_and(|node| node.name == n.name.value);
        let heard = together && n.fleet.is_some();
        if !heard && !own {
            continue;
        }
        let site = Site {
            region: n.region.as_str().into(),
            asn: n.asn,
        };
        let known = rules.sites.iter().position(|s| *s == site);
        let site = SiteId::from_index(known.unwrap_or_else(|| {
            rules.sites.push(site);
            rules.sites.len() - 1
        }));
        if own {
            rules.own = Some(VantageId::from_index(rules.vantages.len()));
        }
        rules.vantages.push(Vantage {
            name: n.name.as_str().into(),
            site,
        });
    }
    if let Quorum::Number(n) = rules.quorum
        && together
        && n as usize > rules.sites.len()
    {
        let sites = rules.sites.len();
        p.error(
            spec.health.quorum.span,
            format!(
                "`quorum` of [health] is {n}, but the probing nodes stand at {sites} site{}: \
                 nothing could ever be down",
                if sites == 1 { "" } else { "s" }
            ),
        )
        .help = Some(format!(
            "lower it to {} or less, or write `quorum = \"majority\"`",
            sites.max(1)
        ));
    }
    rules
}

/// Which endpoints stand together behind names, and how they come back. Names are grouped already.
pub(super) fn circles(spec: &Spec, steering: &Steering) -> Circles {
    let failback: HashMap<&str, Failback> = spec
        .pools
        .iter()
        .filter(|p| p.failback != Failback::Auto)
        .map(|p| (p.name.as_str(), p.failback))
        .collect();
    let relative: HashMap<&str, f64> = spec
        .pools
        .iter()
        .filter_map(|p| Some((p.name.as_str(), p.relative?)))
        .collect();
    let pools = steering.pools.iter().map(|pool| PoolRule {
        relative: relative.get(&*pool.name).copied(),
        region: pool.region.0,
        endpoints: pool
            .endpoints
            .iter()
            .map(|e| (*e, &steering.endpoints[e.index()]))
            .filter(|(_, e)| e.enabled)
            .map(|(id, e)| (id, e.weight.0))
            .collect(),
        failback: failback.get(&*pool.name).copied().unwrap_or_default(),
    });
    let groups = steering.groups.iter();
    let sets = groups.map(|g| g.members.iter().map(|m| m.pool).collect());
    Circles::new(
        pools.collect(),
        steering.endpoints.iter().map(|e| e.pool).collect(),
        sets,
    )
}
