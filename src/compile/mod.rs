//! Spec and file contents → snapshot, or every error at once. Pure: files are already read.
//!
//! Each part checks what it refers to and goes on after an error, so that one run shows them all.

mod admin;
mod aliases;
mod alpn;
mod caches;
mod check;
mod council;
mod cycles;
#[cfg(test)]
mod disabled_tests;
mod dnssec;
mod expect;
mod features;
mod fleet;
mod geo;
mod layer4;
mod listeners;
mod monitors;
mod names;
mod node;
mod policies;
mod pools;
mod problems;
mod protection;
mod routes;
mod sites;
mod sni;
mod sockets;
#[cfg(test)]
mod tests;
mod tls_mode;
mod traffic;
#[cfg(test)]
mod traffic_tests;
mod transfers;
mod udp;
mod upstreams;
mod uses;
mod vips;
mod xdp;
mod zones;

use std::sync::Arc;

use crate::config::load::Inputs;
use crate::config::{Diagnostic, Sources, Spec};
use crate::dns::name::WireName;
use crate::snapshot::{Settings, Snapshot};
use crate::steer::Steering;
use crate::telemetry::RegionPlaces;
use crate::traffic::Vip;

pub use admin::{Access, CertificateAccess, Holder, TokenAccess};
pub use dnssec::{ImportedKey, SignedZone};
pub use fleet::{FleetMember, FleetNode, PushTarget};
pub use listeners::ListenerPlace;
use names::CheckedName;
pub use node::{Encrypted, Node};
use problems::Problems;

/// A configuration that may be served.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// What readers need.
    pub snapshot: Arc<Snapshot>,
    /// What this node does; `None` when no node was asked for.
    pub node: Option<Node>,
    /// The virtual addresses of all nodes, in the order of the configuration.
    pub vips: Vec<Vip>,
    /// The zones that are signed.
    pub signed: Vec<SignedZone>,
    /// The zones that are not.
    pub unsigned: Vec<WireName>,
}

/// Compiles `spec` for the node called `node`, or for none, which checks all the same.
///
/// Returns the diagnostics found, errors and warnings. The result is `Some` when none is an error, or when
/// expectations alone are broken ([`Settings::expectations`]): then it must not be served, but can be shown.
pub fn compile(
    spec: &Spec,
    inputs: &Inputs,
    sources: &Sources,
    node: Option<&str>,
) -> (Option<Compiled>, Vec<Diagnostic>) {
    let mut problems = Problems::default();
    let p = &mut problems;

    let this_node = node::node(spec, sources, node, p);
    fleet::check(spec, p);
    admin::check(spec, p);
    let regions = pools::regions(spec, p);
    let geo = geo::geo(spec, inputs, sources, p);
    let parsed_zones = zones::parse(spec, inputs, sources, p);
    let monitors = monitors::monitors(spec, p);
    let pools = pools::pools(spec, &regions, p);
    let policies = policies::policies(spec, &regions, &pools, p);
    let vips = vips::vips(spec, p);
    let mut names = names::names(spec, &pools, &policies, &vips, p);
    aliases::aliases(spec, &mut names, p);
    let signed = dnssec::zones(spec, inputs, &parsed_zones.largest_ttls(), &names, p);
    let zones = zones::build(spec, parsed_zones, &names, sources, p);
    let transfers = transfers::transfers(spec, inputs, p);
    let traffic = traffic::plan(spec, inputs, node, &vips, p);
    check::unused(spec, p);
    dnssec::unused(spec, p);
    cycles::check(&names, &pools, &zones, p);
    let mut rules = council::rules(spec, this_node.as_ref(), p);
    check::failover_slo(spec, &names, &pools, rules.alone(), p);
    let sites = sites::sites(&rules, &regions);

    let inputs: Option<Vec<_>> = names.into_iter().map(CheckedName::input).collect();
    let (Some(geo), Some(inputs), Some(sites), false) = (geo, inputs, sites, problems.any_error())
    else {
        return (None, problems.finish());
    };
    let (targets, target_of) = pools::targets(&pools, &monitors);
    let (targets, target_of, elsewhere) = match &this_node {
        // Nobody would tell it what to believe of them.
        Some(node) if !node.probes && !council::shared(spec, Some(&node.name)) => {
            let nothing = vec![None; pools.endpoints.len()];
            (Vec::new(), nothing, Some((targets, target_of)))
        }
        _ => (targets, target_of, None),
    };
    let vip_endpoints = vips::endpoints(spec, &vips, &pools.endpoints, node);
    let node_name = this_node.as_ref().map_or("", |n| n.name.as_str()).into();
    let steering = Steering::build_seen_from(
        sites,
        regions.list,
        pools.pools,
        pools.endpoints,
        policies.list,
        inputs,
        &geo,
    );
    rules.circles = council::circles(spec, &steering);
    let places = RegionPlaces::new(steering.regions.iter().map(|r| &*r.name));
    let snapshot = Snapshot {
        zones,
        geo,
        steering,
        monitors,
        targets,
        target_of,
        traffic,
        settings: Settings {
            node: node_name,
            nodes: node::all(spec),
            explain_allow: spec.dns.explain_allow.iter().map(|p| p.value).collect(),
            transfers,
            vips: vip_endpoints,
            council: Arc::new(rules),
            rules: protection::rules(spec),
            chaos: protection::chaos(spec, this_node.as_ref()),
            regions: places,
            expectations: Arc::default(),
            samples_per_second: spec.telemetry.samples_per_second,
            client_pace: spec.clients.pace(),
        },
    };
    let mut snapshot = Arc::new(snapshot);
    let probed = match &elsewhere {
        Some((targets, target_of)) => (&targets[..], &target_of[..]),
        None => (&snapshot.targets[..], &snapshot.target_of[..]),
    };
    let expectations = expect::tried(spec, sources, &snapshot, probed, &mut problems);
    if let Some(snapshot) = Arc::get_mut(&mut snapshot) {
        snapshot.settings.expectations = expectations;
    }
    (
        Some(Compiled {
            snapshot,
            node: this_node,
            vips,
            signed,
            unsigned: spec
                .zones
                .iter()
                .filter(|z| z.dnssec.is_none())
                .map(|z| z.name.value.clone())
                .collect(),
        }),
        problems.finish(),
    )
}
