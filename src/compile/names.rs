//! Steered names: members, families, bounds, last resort.

use std::collections::HashMap;

use crate::config::spec::{LastResortSpec, NameSpec};
use crate::config::{Marked, Span, Spec};
use crate::ids::{EndpointId, PoolId};
use crate::net::Family;
use crate::steer::refine::MAX_MEMBERS;
use crate::steer::{Chooser, LastResort, Member, NameInput, Policy, Stage};
use crate::units::Weight;

use super::Problems;
use super::policies::Policies;
use super::pools::Pools;

/// A name ready for steering, with the place it came from.
#[derive(Debug)]
pub(super) struct CompiledName {
    /// For [`crate::steer::Steering::build`].
    pub(super) input: NameInput,
    /// Where its name stood.
    pub(super) span: Span,
}

/// All names, sorted by owner.
pub(super) fn names(
    spec: &Spec,
    pools: &Pools<'_>,
    policies: &Policies<'_>,
    p: &mut Problems,
) -> Vec<CompiledName> {
    let mut out: Vec<CompiledName> = spec
        .names
        .iter()
        .filter_map(|n| name(n, pools, policies, p))
        .collect();
    out.sort_by(|a, b| a.input.owner.cmp(&b.input.owner));
    out
}

fn name(
    n: &NameSpec,
    pools: &Pools<'_>,
    policies: &Policies<'_>,
    p: &mut Problems,
) -> Option<CompiledName> {
    let what = format!("name `{}`", n.name.value);
    let policy = policies.by_name.get(n.policy.as_str()).copied();
    if policy.is_none() {
        p.dangling();
    }
    let (ttl_min, ttl_max) = &n.ttl;
    if ttl_min.value > ttl_max.value {
        p.dangling();
    }
    let members = members(n, &what, pools, p)?;
    check_tables(
        n,
        &what,
        &members,
        policy.map(|id| &policies.list[id.index()]),
        p,
    );

    let cname = check_kinds(&what, &members, pools, p)?;
    let families = if cname {
        Vec::new()
    } else {
        families(n, &what, &members, pools, p)?
    };
    if cname && n.answers.value != 1 {
        p.error(
            n.answers.span,
            format!("{what} is answered with a CNAME, of which there can be only 1, but `answers` is {}", n.answers.value),
        );
    }
    let last_resort = last_resort(n, &what, pools, &families, p)?;
    Some(CompiledName {
        input: NameInput {
            owner: n.name.value.clone(),
            policy: policy?,
            members: members.into_iter().map(|(_, m)| m).collect(),
            families,
            cname,
            ttl_min: ttl_min.value,
            ttl_max: ttl_max.value,
            last_resort,
            answers: n.answers.value,
            ignore_ecs: n.ignore_ecs,
        },
        span: n.name.span,
    })
}

/// The members; `None` when a pool does not exist.
fn members<'s>(
    n: &'s NameSpec,
    what: &str,
    pools: &Pools<'_>,
    p: &mut Problems,
) -> Option<Vec<(&'s Marked<String>, Member)>> {
    let mut members: Vec<(&Marked<String>, Member)> = Vec::new();
    let mut seen: HashMap<PoolId, Span> = HashMap::new();
    let mut whole = true;
    for (i, m) in n.pools.iter().enumerate() {
        let Some(&pool) = pools.by_name.get(m.as_str()) else {
            p.dangling();
            whole = false;
            continue;
        };
        if let Some(first) = seen.insert(pool, m.span) {
            let d = p.error(m.span, format!("{what} names pool `{}` twice", m.value));
            d.related.push((first, "first named here".to_owned()));
            d.help = Some("use `weights` for a larger share".to_owned());
            continue;
        }
        let weight = n
            .weights
            .iter()
            .find(|(k, _)| k.value == m.value)
            .map_or(Weight::ONE, |(_, w)| *w);
        let stated = n
            .priorities
            .iter()
            .find(|(k, _)| k.value == m.value)
            .map(|(_, v)| *v);
        let priority = match stated {
            Some(priority) => priority,
            // Without `priorities` the order of `pools` is the priority.
            None if n.priorities.is_empty() => i as u32 + 1,
            None => {
                let table = n.priorities[0].0.span;
                let d = p.error(
                    m.span,
                    format!("`priorities` of {what} leaves out pool `{}`", m.value),
                );
                d.related
                    .push((table, "`priorities` stands here".to_owned()));
                d.help = Some(
                    "state the priority of every pool, or of none: then their order counts"
                        .to_owned(),
                );
                continue;
            }
        };
        let backup = n.backup.iter().any(|b| b.value == m.value);
        members.push((
            m,
            Member {
                pool,
                weight,
                priority,
                backup,
            },
        ));
    }
    if members.len() > MAX_MEMBERS {
        p.error(
            n.pools[MAX_MEMBERS].span,
            format!(
                "{what} has {} pools; at most {MAX_MEMBERS} are possible",
                members.len()
            ),
        );
        return None;
    }
    (whole && !members.is_empty()).then_some(members)
}

/// `weights`, `priorities` and `backup` do something.
fn check_tables(
    n: &NameSpec,
    what: &str,
    members: &[(&Marked<String>, Member)],
    policy: Option<&Policy>,
    p: &mut Problems,
) {
    if !members.is_empty() && members.iter().all(|(_, m)| m.backup) {
        p.warning(n.name.span, format!("every pool of {what} is a backup"));
    }
    let Some(policy) = policy else { return };
    let weighs = matches!(policy.chooser, Chooser::Weighted | Chooser::Sticky { .. });
    if let Some((key, _)) = n.weights.iter().find(|(_, w)| w.0 > 0)
        && !weighs
    {
        p.warning(
            key.span,
            format!(
                "policy `{}` of {what} ignores `weights` (only 0 matters to it)",
                policy.name
            ),
        );
    }
    if let Some((key, _)) = n.priorities.first()
        && !policy.stages.contains(&Stage::Failover)
    {
        p.warning(
            key.span,
            format!(
                "policy `{}` of {what} has no `failover` stage, so `priorities` does nothing",
                policy.name
            ),
        );
    }
}

/// Whether the name is answered with a CNAME; `None` when its pools disagree.
fn check_kinds(
    what: &str,
    members: &[(&Marked<String>, Member)],
    pools: &Pools<'_>,
    p: &mut Problems,
) -> Option<bool> {
    let cname = members.first().is_some_and(|(_, m)| pools.is_cname(m.pool));
    let Some((other, _)) = members
        .iter()
        .find(|(_, m)| pools.is_cname(m.pool) != cname)
    else {
        return Some(cname);
    };
    let kind = |c: bool| if c { "CNAME targets" } else { "addresses" };
    p.error(
        other.span,
        format!(
            "{what} mixes pool `{}` of {} with pool `{}` of {}",
            members[0].0.value,
            kind(cname),
            other.value,
            kind(!cname)
        ),
    )
    .help = Some("a name is answered with addresses or with a CNAME, never both".to_owned());
    None
}

/// The families the name answers: those every pool has, so that NODATA never differs by client
/// (requirement E5) and both families come from the same pools (A4). One that is disabled everywhere
/// is not answered, so that the other is not taken for degraded; unless both are, which is for the
/// last resort.
fn families(
    n: &NameSpec,
    what: &str,
    members: &[(&Marked<String>, Member)],
    pools: &Pools<'_>,
    p: &mut Problems,
) -> Option<Vec<Family>> {
    let wanted: Option<Vec<Family>> = n
        .families
        .as_ref()
        .map(|list| list.iter().map(|f| f.value).collect());
    let enabled = |f: Family| members.iter().any(|m| pools.has_enabled(m.1.pool, f));
    let any_enabled = Family::ALL.into_iter().any(enabled);
    let mut whole = true;
    let mut families = Vec::new();
    for f in Family::ALL {
        if wanted.as_ref().is_some_and(|w| !w.contains(&f)) {
            continue;
        }
        let has = |m: &&(&Marked<String>, Member)| pools.has(m.1.pool, f);
        let with = members.iter().find(has);
        if wanted.is_none() && any_enabled && !enabled(f) {
            if with.is_some() {
                p.warning(
                    n.name.span,
                    format!(
                        "{what} does not answer {f}: every {f} endpoint of its pools is disabled"
                    ),
                );
            }
            continue;
        }
        let without = members.iter().find(|m| !has(m));
        match (with, without) {
            (Some(_), None) => families.push(f),
            (None, _) if wanted.is_none() => {}
            (with, Some(without)) => {
                whole = false;
                let message = match with {
                    Some(with) => format!(
                        "{what} would have {f} addresses for some clients only: pool `{}` has {f} endpoints, pool `{}` has none",
                        with.0.value, without.0.value
                    ),
                    None => {
                        format!("`families` of {what} asks for {f}, but no pool has {f} endpoints")
                    }
                };
                let keep = match f {
                    Family::V4 => "ipv6",
                    Family::V6 => "ipv4",
                };
                p.error(without.0.span, message).help = Some(format!(
                    "give pool `{}` an {f} endpoint, or set `families = [\"{keep}\"]` on the name",
                    without.0.value
                ));
            }
            (None, None) => {}
        }
    }
    whole.then_some(families)
}

/// The last resort; `None` when it refers to nothing.
fn last_resort(
    n: &NameSpec,
    what: &str,
    pools: &Pools<'_>,
    families: &[Family],
    p: &mut Problems,
) -> Option<LastResort> {
    let what = format!("`last-resort` of {what}");
    match &n.last_resort.value {
        LastResortSpec::All => Some(LastResort::AllEligible),
        LastResortSpec::ServFail => Some(LastResort::ServFail),
        LastResortSpec::Cname(target) => Some(LastResort::Cname(target.value.clone())),
        LastResortSpec::Endpoints(list) => {
            let mut ids: Vec<EndpointId> = Vec::new();
            let mut whole = true;
            for e in list {
                match pools.endpoint_by_name.get(e.as_str()) {
                    Some(id) => ids.push(*id),
                    None => {
                        whole = false;
                        p.dangling();
                    }
                }
            }
            ids.sort_unstable();
            let has = |f: Family| {
                ids.iter().any(|e| {
                    pools.endpoints[e.index()].address.map(Family::of) == Some(f)
                        && pools.endpoints[e.index()].enabled
                })
            };
            whole &= covers(&what, n.last_resort.span, families, has, p);
            whole.then_some(LastResort::Endpoints(ids))
        }
        LastResortSpec::Pool(pool) => {
            let Some(&id) = pools.by_name.get(pool.as_str()) else {
                p.dangling();
                return None;
            };
            let has = |f: Family| pools.has_enabled(id, f);
            covers(&what, pool.span, families, has, p).then_some(LastResort::Pool(id))
        }
    }
}

/// The last resort has every family the name answers.
fn covers(
    what: &str,
    span: Span,
    families: &[Family],
    has: impl Fn(Family) -> bool,
    p: &mut Problems,
) -> bool {
    let missing: Vec<String> = families
        .iter()
        .filter(|f| !has(**f))
        .map(|f| f.to_string())
        .collect();
    if missing.is_empty() {
        return true;
    }
    p.error(
        span,
        format!(
            "{what} has no enabled {} endpoint, but the name answers {0}",
            missing.join(" and ")
        ),
    );
    false
}
