//! The members of a name as they stand now: endpoints, stages, orders.

use std::collections::HashMap;
use std::time::Duration;

use crate::health::{Override, OverrideKind, Scope, State};
use crate::ids::EndpointId;
use crate::overrides::Drill;
use crate::snapshot::View;
use crate::steer::{Ranked, Share, Steering, Step};

use super::whatif::Supposition;
use super::{Query, Told};

/// Most endpoints that an explanation lists.
pub(super) const MOST: usize = 1_000;

/// An endpoint that could be answered.
#[derive(Clone, PartialEq, Debug)]
pub struct CandidateNow {
    /// Which.
    pub id: EndpointId,
    /// Its name.
    pub endpoint: String,
    /// Its pool.
    pub pool: String,
    /// The pool's region.
    pub region: String,
    /// The address, or the CNAME target.
    pub data: String,
    /// What probes say of it, whatever is ordered: `up`, `down` or `unknown`.
    pub state: &'static str,
    /// Whether it is in service by the configuration.
    pub enabled: bool,
    /// What is ordered of it, narrowest scope first.
    pub ordered: Option<&'static str>,
    /// Its weight within the pool, as configured.
    pub weight: u32,
    /// The pool's weight in the name, as configured.
    pub pool_weight: u32,
    /// Whether it or its pool is a backup.
    pub backup: bool,
    /// Round-trip time from the nearest site of the client that knows one.
    pub rtt: Option<Duration>,
    /// That site.
    pub rtt_from: Option<String>,
    /// The tier of its pool, counted from 1; `None` where it is fenced out.
    pub tier: Option<usize>,
    /// Percent of such queries that it is the first answer of.
    pub share: f64,
    /// Whether it is answered.
    pub chosen: bool,
}

/// The tiers after a stage.
#[derive(Clone, PartialEq, Debug)]
pub struct StageTold {
    /// Its key in the configuration.
    pub stage: &'static str,
    /// What it went by; may be empty.
    pub by: String,
    /// The tiers after it.
    pub tiers: Vec<Vec<Ranked>>,
    /// Pools that a fence put out.
    pub fenced: Vec<String>,
}

/// An override in force.
#[derive(Clone, PartialEq, Debug)]
pub struct OrderNow {
    /// `drain`, `disable`, `force-up`, `force-down` or `weight`.
    pub kind: &'static str,
    /// The weight ordered.
    pub weight: Option<u32>,
    /// `endpoint`, `pool`, `region` or `name`.
    pub scope: &'static str,
    /// Which.
    pub subject: String,
    /// Who gave it.
    pub owner: String,
    /// Why.
    pub reason: String,
    /// Until its end.
    pub ends_in: Option<Duration>,
    /// The drill whose order it is; `None`: it is an operator's.
    pub drill: Option<Drill>,
}

/// The stages that `steps` tell, of the first family.
pub(super) fn stages(steps: &[Step]) -> Vec<StageTold> {
    let mut families = 0;
    let mut all = Vec::new();
    for step in steps {
        match step {
            Step::Members { .. } => families += 1,
            Step::Stage {
                stage,
                by,
                tiers,
                fenced,
            } if families <= 1 => all.push(StageTold {
                stage,
                by: by.clone(),
                tiers: tiers.clone(),
                fenced: fenced.clone(),
            }),
            _ => {}
        }
    }
    all
}

/// The endpoints of the name's pools, and how many they are.
pub(super) fn candidates(
    view: &View,
    q: &Query<'_>,
    told: &Told<'_>,
    shares: &[Share],
    stages: &[StageTold],
) -> (Vec<CandidateNow>, usize) {
    let steering = &view.snapshot.steering;
    let group = steering.group_of(q.id);
    let (slot, _) = steering.slot(q.id, told.who.client.addr);
    let plan = &steering.shape_of(q.id).partition.plans[slot.plan.index()];
    let percent: HashMap<EndpointId, f64> =
        shares.iter().map(|s| (s.endpoint, s.percent)).collect();
    let tier = |pool: &str| match stages.last() {
        None => Some(1),
        Some(last) => {
            let has = |t: &Vec<Ranked>| t.iter().any(|r| r.pool == pool);
            last.tiers.iter().position(has).map(|at| at + 1)
        }
    };
    let mut all = Vec::new();
    let mut count = 0;
    for member in &group.members {
        let pool = &steering.pools[member.pool.index()];
        count += pool.endpoints.len();
        let tier = tier(&pool.name);
        for id in pool.endpoints.iter().copied() {
            if all.len() == MOST {
                break;
            }
            let e = &steering.endpoints[id.index()];
            let mut sites = plan.sites.sites().iter();
            let rtt = sites.find_map(|s| Some((*s, view.measurements.sites.get(*s, id).rtt?)));
            let data = match group.cname {
                true => e.cname.as_ref().map(ToString::to_string),
                false => e.address.map(|a| a.to_string()),
            };
            all.push(CandidateNow {
                id,
                endpoint: e.name.to_string(),
                pool: pool.name.to_string(),
                region: steering.regions[pool.region.index()].name.to_string(),
                data: data.unwrap_or_default(),
                state: match view.board.verdict(id).state {
                    State::Up => "up",
                    State::Down => "down",
                    State::Unknown { .. } => "unknown",
                },
                enabled: e.enabled,
                ordered: ordered(view, q, id),
                weight: e.weight.0,
                pool_weight: member.weight.0,
                backup: e.backup || member.backup,
                rtt: rtt.map(|(_, rtt)| rtt),
                rtt_from: rtt.map(|(site, _)| steering.sites.site(site).name.to_string()),
                tier,
                share: percent.get(&id).copied().unwrap_or(0.0),
                chosen: told.picks.contains(&id),
            });
        }
    }
    (all, count)
}

/// What is ordered of an endpoint's state, by the narrowest scope.
fn ordered(view: &View, q: &Query<'_>, id: EndpointId) -> Option<&'static str> {
    let steering = &view.snapshot.steering;
    let pool = steering.endpoints[id.index()].pool;
    let scopes = [
        Scope::Endpoint(id),
        Scope::Pool(pool),
        Scope::Name(q.id),
        Scope::Region(steering.pools[pool.index()].region),
    ];
    scopes.iter().find_map(|scope| {
        let standing = view.overrides.0.iter().rev().filter(|o| o.scope == *scope);
        standing
            .filter(|o| o.expires.is_none_or(|end| end > q.now))
            .find(|o| !matches!(o.kind, OverrideKind::Weight(_)))
            .map(|o| kind(o.kind).0)
    })
}

/// The positions of the orders in force that may take part in answers of the name.
pub(super) fn positions(view: &View, q: &Query<'_>) -> Vec<usize> {
    let steering = &view.snapshot.steering;
    let members = &steering.group_of(q.id).members;
    let has_pool = |p| members.iter().any(|m| m.pool == p);
    let concerns = |scope| match scope {
        Scope::Name(name) => name == q.id,
        Scope::Pool(pool) => has_pool(pool),
        Scope::Endpoint(e) => has_pool(steering.endpoints[e.index()].pool),
        Scope::Region(region) => members
            .iter()
            .any(|m| steering.pools[m.pool.index()].region == region),
    };
    let all = view.overrides.0.iter().enumerate();
    all.filter(|(_, o)| concerns(o.scope) && o.expires.is_none_or(|end| end > q.now))
        .map(|(i, _)| i)
        .collect()
}

/// The orders in force that may take part in answers of the name.
pub(super) fn orders(view: &View, q: &Query<'_>) -> Vec<OrderNow> {
    let steering = &view.snapshot.steering;
    let all = positions(view, q).into_iter().map(|i| &view.overrides.0[i]);
    all.map(|o| {
        let (kind, weight) = kind(o.kind);
        let (scope, subject) = subject(steering, o.scope);
        OrderNow {
            kind,
            weight,
            scope,
            subject,
            owner: o.owner.to_string(),
            reason: o.reason.to_string(),
            ends_in: o.expires.map(|end| q.now.until(end)),
            drill: drill_of(view, o),
        }
    })
    .collect()
}

/// The drill that an order is of.
pub(super) fn drill_of(view: &View, order: &Override) -> Option<Drill> {
    let of = view.drills.iter().find(|d| d.orders.contains(order))?;
    Some(Drill {
        id: of.id.clone(),
        reach: of.reach,
    })
}

/// Whether it is supposed that this drill is over.
pub(super) fn ends(view: &View, supposed: &Supposition, drill: &str) -> bool {
    match supposed {
        Supposition::Ended(at) => {
            let of = drill_of(view, &view.overrides.0[*at]);
            of.is_some_and(|d| *d.id == *drill)
        }
        _ => false,
    }
}

pub(super) fn kind(kind: OverrideKind) -> (&'static str, Option<u32>) {
    match kind {
        OverrideKind::Drain => ("drain", None),
        OverrideKind::Disable => ("disable", None),
        OverrideKind::ForceUp => ("force-up", None),
        OverrideKind::ForceDown => ("force-down", None),
        OverrideKind::Weight(w) => ("weight", Some(w.0)),
    }
}

/// What a scope is called.
pub(super) fn subject(steering: &Steering, scope: Scope) -> (&'static str, String) {
    match scope {
        Scope::Endpoint(e) => ("endpoint", steering.endpoints[e.index()].name.to_string()),
        Scope::Pool(p) => ("pool", steering.pools[p.index()].name.to_string()),
        Scope::Region(r) => ("region", steering.regions[r.index()].name.to_string()),
        Scope::Name(n) => ("name", steering.names[n.index()].owner.to_string()),
    }
}
