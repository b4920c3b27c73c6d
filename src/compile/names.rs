//! Steered names: members, families, bounds, last resort.

use hashbrown::{HashMap, HashSet};

use crate::config::spec::{LastResortSpec, NameSpec};
use crate::config::{Marked, Span, Spec};
use crate::dns::name::WireName;
use crate::dns::svcb::Service;
use crate::ids::{EndpointId, PolicyId};
use crate::net::Family;
use crate::steer::refine::MAX_MEMBERS;
use crate::steer::{Chooser, LastResort, Member, NameInput, Stage};
use crate::traffic::Vip;
use crate::units::Weight;

use super::Problems;
use super::alpn;
use super::policies::Policies;
use super::pools::Pools;

/// A name as far as it is sound; what is wrong with the rest has been reported.
#[derive(Debug)]
pub(super) struct CheckedName<'s> {
    /// What the file says.
    pub(super) spec: &'s NameSpec,
    /// Its pools that exist.
    pub(super) members: Vec<Member>,
    /// Whether it is answered with a CNAME; `None` when that cannot be told.
    pub(super) cname: Option<bool>,
    /// When nothing is live; `None` when it refers to nothing.
    pub(super) last_resort: Option<LastResort>,
    policy: Option<PolicyId>,
    families: Option<Vec<Family>>,
    https: Option<Service>,
    /// Sound aliases of it.
    pub(super) aliases: Vec<WireName>,
}

impl CheckedName<'_> {
    /// What steering needs; `None` when something is wrong.
    pub(super) fn input(self) -> Option<NameInput> {
        Some(NameInput {
            owner: self.spec.name.value.clone(),
            policy: self.policy?,
            members: self.members,
            families: self.families?,
            cname: self.cname?,
            ttl_min: self.spec.ttl.0.value,
            ttl_max: self.spec.ttl.1.value,
            last_resort: self.last_resort?,
            answers: self.spec.answers.value,
            ignore_ecs: self.spec.ignore_ecs,
            https: self.https,
            aliases: self.aliases,
        })
    }
}

/// All names, sorted by owner.
pub(super) fn names<'s>(
    spec: &'s Spec,
    pools: &Pools<'_>,
    policies: &Policies<'_>,
    vips: &[Vip],
    p: &mut Problems,
) -> Vec<CheckedName<'s>> {
    let mut out: Vec<CheckedName<'_>> = spec
        .names
        .iter()
        .map(|n| {
            let https = alpn::service(spec, vips, n, p);
            let checked = name(n, pools, policies, p);
            CheckedName { https, ..checked }
        })
        .collect();
    out.sort_by(|a, b| a.spec.name.value.cmp(&b.spec.name.value));
    out
}

fn name<'s>(
    n: &'s NameSpec,
    pools: &Pools<'_>,
    policies: &Policies<'_>,
    p: &mut Problems,
) -> CheckedName<'s> {
    let what = format!("name `{}`", n.name.value);
    let policy = policies.by_name.get(n.policy.as_str()).copied();
    if policy.is_none() || !n.complete || n.ttl.0.value > n.ttl.1.value {
        p.dangling();
    }
    let members = members(n, &what, pools, p);
    check_tables(n, &what, &members, policy, policies, p);
    let cname = check_kinds(n, &what, &members, pools, p);
    let families = match cname {
        None => None,
        Some(true) => Some(Vec::new()),
        Some(false) => families(n, &what, &members, pools, p),
    };
    if cname == Some(true) && n.answers.value != 1 {
        p.error(
            n.answers.span,
            format!(
                "{what} is answered with a CNAME, of which there can be only 1, but `answers` is {}",
                n.answers.value
            ),
        )
        .help = Some("remove `answers`".to_owned());
    }
    if let (Some(true), Some(https)) = (cname, &n.https) {
        p.error(
            https.span,
            format!("{what} is answered with a CNAME, which stands alone, but has `https`"),
        )
        .help = Some("remove `https`; the name that the CNAME leads to has its own".to_owned());
    }
    let last_resort = last_resort(n, &what, pools, families.as_deref(), p);
    CheckedName {
        spec: n,
        members: members.into_iter().map(|(_, m)| m).collect(),
        cname,
        last_resort,
        policy,
        families,
        https: None,
        aliases: Vec::new(),
    }
}

/// The members that exist.
fn members<'s>(
    n: &'s NameSpec,
    what: &str,
    pools: &Pools<'_>,
    p: &mut Problems,
) -> Vec<(&'s Marked<String>, Member)> {
    if let Some(beyond) = n.pools.get(MAX_MEMBERS) {
        let count = n.pools.len();
        p.error(
            beyond.span,
            format!("{what} has {count} pools; at most {MAX_MEMBERS} are possible"),
        )
        .help = Some("put several endpoints into one pool".to_owned());
    }
    let mut members: Vec<(&Marked<String>, Member)> = Vec::with_capacity(n.pools.len());
    let weights: HashMap<&str, Weight> = n.weights.iter().map(|(k, w)| (k.as_str(), *w)).collect();
    let priorities: HashMap<&str, u32> =
        n.priorities.iter().map(|(k, v)| (k.as_str(), *v)).collect();
    let backups: HashSet<&str> = n.backup.iter().map(|b| b.as_str()).collect();
    for (i, m) in n.pools.iter().enumerate() {
        let Some(&pool) = pools.by_name.get(m.as_str()) else {
            p.dangling();
            continue;
        };
        let priority = match priorities.get(m.as_str()) {
            Some(priority) => *priority,
            // Without `priorities` the order of `pools` is the priority.
            None if n.priorities.is_empty() => i as u32 + 1,
            // One of those that could not be read may be this one.
            None if !n.complete => 0,
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
                0
            }
        };
        members.push((
            m,
            Member {
                pool,
                weight: weights.get(m.as_str()).copied().unwrap_or(Weight::ONE),
                priority,
                backup: backups.contains(m.as_str()),
            },
        ));
    }
    members
}

/// `weights`, `priorities` and `backup` do something.
fn check_tables(
    n: &NameSpec,
    what: &str,
    members: &[(&Marked<String>, Member)],
    policy: Option<PolicyId>,
    policies: &Policies<'_>,
    p: &mut Problems,
) {
    if n.complete && !members.is_empty() && members.iter().all(|(_, m)| m.backup) {
        p.warning(n.name.span, format!("every pool of {what} is a backup"))
            .help = Some("remove one of them from `backup`, or remove `backup`".to_owned());
    }
    let Some(policy) = policy.filter(|id| policies.complete[id.index()]) else {
        return;
    };
    let policy = &policies.list[policy.index()];
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
        )
        .help = Some(
            "remove `weights`, or use a policy that chooses by `weighted` or `sticky`".to_owned(),
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
        )
        .help = Some("remove `priorities`, or put a `failover` stage into the policy".to_owned());
    }
}

/// Whether the name is answered with a CNAME; `None` when its pools disagree or are not fully known.
fn check_kinds(
    n: &NameSpec,
    what: &str,
    members: &[(&Marked<String>, Member)],
    pools: &Pools<'_>,
    p: &mut Problems,
) -> Option<bool> {
    let mut known = members
        .iter()
        .filter(|(_, m)| pools.facts(m.pool).complete)
        .map(|(name, m)| (name, pools.facts(m.pool).cname));
    let (first, cname) = known.next()?;
    if let Some((other, _)) = known.find(|(_, c)| *c != cname) {
        let kind = |c: bool| if c { "CNAME targets" } else { "addresses" };
        let d = p.error(
            other.span,
            format!(
                "{what} mixes pool `{}` of {} with pool `{}` of {}",
                first.value,
                kind(cname),
                other.value,
                kind(!cname)
            ),
        );
        d.related
            .push((first.span, format!("this pool has {}", kind(cname))));
        d.help = Some(
            "a name is answered with addresses or with a CNAME, never both: make two names"
                .to_owned(),
        );
        return None;
    }
    // Where a pool is unknown the others tell, for what can be told of them.
    (!n.pools.is_empty()).then_some(cname)
}

/// The families the name answers: those every pool has, so that NODATA never differs by client
/// (requirement E5) and both families come from the same pools (A4).
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
    let known: Vec<&(&Marked<String>, Member)> = members
        .iter()
        .filter(|(_, m)| pools.facts(m.pool).complete)
        .collect();
    // All that can be said of pools that are not there, or of a name that is not read, is nothing.
    let all_known = n.complete && known.len() == n.pools.len();
    let enabled = |f: Family| {
        let mut pools_of = known.iter().map(|m| pools.facts(m.1.pool));
        pools_of.any(|facts| facts.enabled.contains(&f))
    };
    // With every endpoint disabled it is for the last resort to answer.
    let any_enabled = Family::ALL.into_iter().any(enabled);
    let mut whole = all_known;
    let mut families = Vec::new();
    for f in Family::ALL {
        if wanted.as_ref().is_some_and(|w| !w.contains(&f)) {
            continue;
        }
        if wanted.is_none() && all_known && any_enabled && !enabled(f) {
            if known
                .iter()
                .any(|m| pools.facts(m.1.pool).families.contains(&f))
            {
                p.warning(
                    n.name.span,
                    format!(
                        "{what} does not answer {f}: every {f} endpoint of its pools is disabled"
                    ),
                );
            }
            continue;
        }
        let has = |m: &&&(&Marked<String>, Member)| pools.facts(m.1.pool).families.contains(&f);
        let with = known.iter().find(has);
        let without = known.iter().find(|m| !has(m));
        match (with, without) {
            (Some(_), None) => families.push(f),
            (None, _) if wanted.is_none() || !all_known => {}
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
                let d = p.error(without.0.span, message);
                if let Some(with) = with {
                    d.related
                        .push((with.0.span, format!("this pool has {f} endpoints")));
                }
                d.help = Some(format!(
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
    families: Option<&[Family]>,
    p: &mut Problems,
) -> Option<LastResort> {
    let what = format!("`last-resort` of {what}");
    // Where the name's own families are not known, nothing is missing.
    let families = families.unwrap_or(&[]);
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
            let known = |e: &EndpointId| {
                let pool = pools.endpoints[e.index()].pool;
                pools.facts(pool).complete
            };
            if whole && ids.iter().all(known) {
                covers(&what, n.last_resort.span, families, has, p);
            }
            whole.then_some(LastResort::Endpoints(ids))
        }
        LastResortSpec::Pool(pool) => {
            let Some(&id) = pools.by_name.get(pool.as_str()) else {
                p.dangling();
                return None;
            };
            let facts = pools.facts(id);
            if facts.complete {
                let has = |f: Family| facts.enabled.contains(&f);
                covers(&what, pool.span, families, has, p);
            }
            Some(LastResort::Pool(id))
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
) {
    let missing: Vec<String> = families
        .iter()
        .filter(|f| !has(**f))
        .map(|f| f.to_string())
        .collect();
    if missing.is_empty() {
        return;
    }
    let missing = missing.join(" and ");
    p.error(
        span,
        format!("{what} has no enabled {missing} endpoint, but the name answers {missing}"),
    )
    .help = Some(format!(
        "add an {missing} endpoint to it, or choose another last resort"
    ));
}
