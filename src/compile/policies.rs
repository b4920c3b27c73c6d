//! Policies: stages in an order that makes sense.

use hashbrown::HashMap;

use crate::config::Spec;
use crate::config::spec::{GeoRuleSpec, PolicySpec, StageSpec};
use crate::geo::table::EMBEDDED;
use crate::ids::PolicyId;
use crate::net::Prefix;
use crate::steer::{Chooser, Criterion, GeoMode, GeoRule, Policy, Stage, Tolerance};

use super::Problems;
use super::pools::{Pools, Regions};

/// The policies, and their ids by name.
#[derive(Debug, Default)]
pub(super) struct Policies<'s> {
    /// By id.
    pub(super) list: Vec<Policy>,
    /// Whether all of it was read, by id.
    pub(super) complete: Vec<bool>,
    /// By name.
    pub(super) by_name: HashMap<&'s str, PolicyId>,
}

/// All policies.
pub(super) fn policies<'s>(
    spec: &'s Spec,
    regions: &Regions<'_>,
    pools: &Pools<'_>,
    p: &mut Problems,
) -> Policies<'s> {
    let mut out = Policies::default();
    for policy in &spec.policies {
        check_order(policy, p);
        let mut stages = Vec::new();
        let mut chooser = Chooser::Weighted;
        for s in &policy.stages {
            let what = format!("stage `{}` of policy `{}`", s.keyword(), policy.name.value);
            match &s.value {
                StageSpec::Failover => stages.push(Stage::Failover),
                StageSpec::Geo { mode, rules } => {
                    if *mode == GeoMode::Fence
                        && policy.complete
                        && !rules.iter().any(|r| r.default)
                    {
                        p.warning(
                            s.span,
                            format!("{what} fences clients that match no rule out of every pool: they get the last resort, or SERVFAIL"),
                        )
                        .help = Some("add a rule with `default = true` if that is not meant".to_owned());
                    }
                    let rules = rules
                        .iter()
                        .map(|r| rule(r, &what, regions, pools, p))
                        .collect();
                    stages.push(Stage::Geo { mode: *mode, rules });
                }
                StageSpec::Proximity { band_km, bias_km } => {
                    let bias_km = bias_km
                        .iter()
                        .filter_map(|(region, km)| {
                            let id = regions.by_name.get(region.as_str());
                            if id.is_none() {
                                p.dangling();
                            }
                            Some((*id?, *km))
                        })
                        .collect();
                    stages.push(Stage::Proximity {
                        band_km: *band_km,
                        bias_km,
                    });
                }
                StageSpec::Latency {
                    tolerance,
                    tolerance_percent,
                    fallback_band_km,
                    clients,
                } => stages.push(Stage::Latency {
                    tolerance: Tolerance {
                        width: *tolerance,
                        percent: *tolerance_percent,
                    },
                    fallback_band_km: *fallback_band_km,
                    clients: *clients,
                }),
                StageSpec::Weighted => chooser = Chooser::Weighted,
                StageSpec::RoundRobin => chooser = Chooser::RoundRobin,
                StageSpec::Random => chooser = Chooser::Random,
                StageSpec::Sticky { prefix4, prefix6 } => {
                    chooser = Chooser::Sticky {
                        prefix4: *prefix4,
                        prefix6: *prefix6,
                    };
                }
            }
        }
        out.by_name
            .insert(&policy.name, PolicyId::from_index(out.list.len()));
        out.complete.push(policy.complete);
        out.list.push(Policy {
            name: policy.name.as_str().into(),
            stages,
            chooser,
        });
    }
    out
}

/// Which order of stages makes sense.
fn check_order(policy: &PolicySpec, p: &mut Problems) {
    let mut chooser: Option<&crate::config::Marked<StageSpec>> = None;
    let mut latency: Option<&crate::config::Marked<StageSpec>> = None;
    for s in &policy.stages {
        let word = s.keyword();
        let name = &policy.name.value;
        if let Some(before) = chooser {
            let d = p.error(
                s.span,
                format!("stage `{word}` of policy `{name}` would never run: `{}` before it already chooses", before.keyword()),
            );
            d.related
                .push((before.span, "this stage chooses".to_owned()));
            d.help = Some("a policy has at most one of weighted, round-robin, random, sticky, as its last stage".to_owned());
            continue;
        }
        match &s.value {
            StageSpec::Weighted
            | StageSpec::RoundRobin
            | StageSpec::Random
            | StageSpec::Sticky { .. } => {
                chooser = Some(s);
            }
            StageSpec::Latency { .. } | StageSpec::Geo { .. } | StageSpec::Proximity { .. } => {
                if let Some(before) = latency {
                    let d = p.error(
                        s.span,
                        format!("stage `{word}` of policy `{name}` comes after `latency`"),
                    );
                    d.related
                        .push((before.span, "`latency` stands here".to_owned()));
                    d.help = Some("`latency` already falls back to distance where it knows nothing: put location stages before it".to_owned());
                }
                if matches!(s.value, StageSpec::Latency { .. }) {
                    latency = Some(s);
                }
            }
            StageSpec::Failover => {}
        }
    }
    let failovers: Vec<_> = policy
        .stages
        .iter()
        .filter(|s| s.value == StageSpec::Failover)
        .collect();
    if let [_, again, ..] = failovers[..] {
        p.warning(
            again.span,
            format!(
                "policy `{}` has `failover` twice; the second changes nothing",
                policy.name.value
            ),
        )
        .help = Some("remove one of them".to_owned());
    }
}

fn rule(
    r: &GeoRuleSpec,
    what: &str,
    regions: &Regions<'_>,
    pools: &Pools<'_>,
    p: &mut Problems,
) -> GeoRule {
    let mut matches = Vec::new();
    matches.extend(r.continents.iter().map(|c| Criterion::Continent(c.value)));
    matches.extend(r.countries.iter().map(|c| Criterion::Country(c.value)));
    matches.extend(
        r.subdivisions
            .iter()
            .map(|s| Criterion::Subdivision(s.value.0, s.value.1)),
    );
    matches.extend(r.asns.iter().map(|a| Criterion::Asn(a.value)));
    for n in &r.networks {
        if let Some(block) = embedding(n.value) {
            p.error(
                n.span,
                format!("network {} in a rule of {what} lies in {block}, whose addresses carry IPv4 clients", n.value),
            )
            .help = Some("name the IPv4 network instead; it covers its mapped, NAT64, 6to4 and Teredo forms".to_owned());
            continue;
        }
        matches.push(Criterion::Network(n.value));
    }
    if r.default {
        matches.push(Criterion::Default);
    }
    let region_ids = r.regions.iter().filter_map(|n| {
        let id = regions.by_name.get(n.as_str()).copied();
        if id.is_none() {
            p.dangling();
        }
        id
    });
    let region_ids = region_ids.collect();
    let pool_ids = r.pools.iter().filter_map(|n| {
        let id = pools.by_name.get(n.as_str()).copied();
        if id.is_none() {
            p.dangling();
        }
        id
    });
    let pool_ids = pool_ids.collect();
    GeoRule {
        matches,
        regions: region_ids,
        pools: pool_ids,
    }
}

/// The IPv4-carrying block that `prefix` lies in.
fn embedding(prefix: Prefix) -> Option<Prefix> {
    EMBEDDED
        .iter()
        .map(|(addr, len, _)| Prefix::containing((*addr).into(), *len))
        .find(|block| block.contains(prefix.addr()) && prefix.len() >= block.len())
}
