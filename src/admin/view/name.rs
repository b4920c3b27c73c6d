//! One steered name as shown: its policy, its pools, and what every group of clients gets now.

use serde::Serialize;
use utoipa::ToSchema;

use super::condition::{Capacity, Counts, Ordered};
use super::names::Name;
use crate::health::Scope;
use crate::ids::{NameId, PlanId, PoolId};
use crate::net::Family;
use crate::snapshot::View;
use crate::steer::partition::Space;
use crate::steer::stand::{Offered, Stand, tiers_now};
use crate::steer::{
    Chooser, GeoMode, GeoRule, Known, LastResort, Policy, Stage, Steering, Tolerance,
};
use crate::time::Moment;

/// Plans shown one by one.
const PLANS: usize = 200;

/// Endpoints shown of one offer.
const CANDIDATES: usize = 64;

/// A steered name with what it answers now.
#[derive(Debug, Serialize, ToSchema)]
pub struct NameDetail {
    /// The view's number.
    pub generation: u64,
    /// What a list shows of it.
    #[serde(flatten)]
    pub name: Name,
    /// The stages of its policy, in their order.
    pub stages: Vec<StageText>,
    /// What is answered when nothing else is left.
    pub last_resort: String,
    /// Its pools as they stand, in the order of their names.
    pub members: Vec<MemberNow>,
    /// Ranges of client addresses that are told apart: the partitions of ECS. 1: everybody is alike.
    pub ecs_partitions: usize,
    /// What clients get, by plan: all clients of a plan get the same. 200 plans at most are shown.
    pub by_plan: Vec<PlanNow>,
    /// Orders that act on the name or its pools: `drain of region eu`.
    pub orders: Vec<String>,
}

/// A stage.
#[derive(Debug, Serialize, ToSchema)]
pub struct StageText {
    /// `failover`, `geo`, `proximity`, `latency`, or how endpoints are chosen.
    pub stage: String,
    /// Its settings in words.
    pub says: String,
}

/// A pool of a name, as it stands.
#[derive(Debug, Serialize, ToSchema)]
pub struct MemberNow {
    /// Name.
    pub pool: String,
    /// Its region.
    pub region: String,
    /// Share of the pool.
    pub weight: u32,
    /// Priority; lower first.
    pub priority: u32,
    /// Serves only after the others.
    pub backup: bool,
    /// Its endpoints by condition.
    pub endpoints: Counts,
    /// How much of it serves.
    pub capacity: Capacity,
}

/// What the clients of one plan get.
#[derive(Debug, Serialize, ToSchema)]
pub struct PlanNow {
    /// Its number.
    pub plan: u32,
    /// One of the places where its clients are.
    pub place: Place,
    /// The pools in the order of this plan as it stands: those of the first tier that has something
    /// to offer answer.
    pub tiers: Vec<Vec<String>>,
    /// The answers, by type.
    pub offers: Vec<OfferNow>,
}

/// A place.
#[derive(Debug, Serialize, ToSchema)]
pub struct Place {
    /// Continent code.
    pub continent: Option<String>,
    /// Country code.
    pub country: Option<String>,
    /// Subdivision code.
    pub subdivision: Option<String>,
    /// Autonomous system.
    pub asn: Option<u32>,
    /// Degrees north.
    pub latitude: Option<f64>,
    /// Degrees east.
    pub longitude: Option<f64>,
}

/// What is answered.
#[derive(Debug, Serialize, ToSchema)]
pub struct OfferNow {
    /// `A`, `AAAA` or `CNAME`.
    #[serde(rename = "type")]
    pub qtype: &'static str,
    /// `normal`, `held`, `degraded` or `last-resort`.
    pub standing: &'static str,
    /// Seconds.
    pub ttl: u32,
    /// Whether an operator's order takes part.
    pub overridden: bool,
    /// What may be answered, 64 at most.
    pub endpoints: Vec<Candidate>,
    /// How many endpoints may be answered.
    pub endpoints_total: usize,
    /// In words what is answered where it is no endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otherwise: Option<String>,
}

/// An endpoint that may be answered.
#[derive(Debug, Serialize, ToSchema)]
pub struct Candidate {
    /// Its name.
    pub endpoint: String,
    /// Its pool.
    pub pool: String,
    /// The pool's region.
    pub region: String,
    /// The chance that it is answered first, in percent.
    pub share_percent: f64,
}

impl NameDetail {
    /// All that `view` knows of `id` as of `now`.
    pub fn of(view: &View, id: NameId, now: Moment) -> NameDetail {
        let steering = &view.snapshot.steering;
        let ordered = Ordered::of(view, now);
        let shape = steering.shape_of(id);
        let group = steering.group_of(id);
        let policy = &steering.policies[shape.policy.index()];
        let members = group.members.iter().map(|m| {
            let pool = &steering.pools[m.pool.index()];
            let (endpoints, capacity) = ordered.count(pool.endpoints.iter().copied());
            MemberNow {
                pool: pool.name.to_string(),
                region: steering.regions[pool.region.index()].name.to_string(),
                weight: m.weight.0,
                priority: m.priority,
                backup: m.backup,
                endpoints,
                capacity,
            }
        });
        let plans = (0..shape.partition.plans.len()).map(PlanId::from_index);
        NameDetail {
            generation: view.generation.0,
            name: Name::of(view, id, view.live.standing(steering, id)),
            stages: stages(steering, policy),
            last_resort: last_resort(steering, &group.last_resort),
            members: members.collect(),
            ecs_partitions: match &shape.partition.space {
                Space::Blind(_) => 1,
                Space::ByAddress { v4, v6 } => v4.len() + v6.len(),
            },
            by_plan: plans
                .take(PLANS)
                .map(|plan| PlanNow::of(view, id, plan, now))
                .collect(),
            orders: orders(view, id, now),
        }
    }
}

impl PlanNow {
    fn of(view: &View, id: NameId, plan: PlanId, now: Moment) -> PlanNow {
        let steering = &view.snapshot.steering;
        let members = &steering.group_of(id).members;
        let known = Known {
            board: &view.board,
            measurements: &view.measurements,
            overrides: &view.overrides,
        };
        let tiers = tiers_now(steering, known, id, plan, now);
        let pool = |m: &u16| {
            steering.pools[members[usize::from(*m)].pool.index()]
                .name
                .to_string()
        };
        let sample = steering.shape_of(id).partition.sample[plan.index()];
        let place = view.snapshot.geo.location(sample);
        let stands = view.live.stands(steering, id, plan);
        PlanNow {
            plan: plan.0,
            place: Place {
                continent: place.continent.map(|c| c.to_string()),
                country: place.country.map(|c| c.to_string()),
                subdivision: place.subdivision.map(|c| c.to_string()),
                asn: place.asn,
                latitude: place.coordinates.map(|c| c.latitude()),
                longitude: place.coordinates.map(|c| c.longitude()),
            },
            tiers: tiers
                .0
                .iter()
                .map(|t| t.iter().map(pool).collect())
                .collect(),
            offers: stands
                .into_iter()
                .map(|s| OfferNow::of(steering, id, s))
                .collect(),
        }
    }
}

impl OfferNow {
    fn of(steering: &Steering, id: NameId, stand: Stand) -> OfferNow {
        let (all, otherwise) = match stand.offered {
            Offered::Endpoints(all) => (all, None),
            Offered::Cname => {
                let target = match &steering.group_of(id).last_resort {
                    LastResort::Cname(target) => target.to_string(),
                    _ => String::new(),
                };
                (Vec::new(), Some(format!("CNAME {target}")))
            }
            Offered::ServFail => (Vec::new(), Some("SERVFAIL".to_owned())),
        };
        OfferNow {
            qtype: match stand.family {
                Some(Family::V4) => "A",
                Some(Family::V6) => "AAAA",
                None => "CNAME",
            },
            standing: stand.standing.text(),
            ttl: stand.ttl.secs(),
            overridden: stand.overridden,
            endpoints_total: all.len(),
            endpoints: all
                .into_iter()
                .take(CANDIDATES)
                .map(|(e, share)| {
                    let endpoint = &steering.endpoints[e.index()];
                    let pool = &steering.pools[endpoint.pool.index()];
                    Candidate {
                        endpoint: endpoint.name.to_string(),
                        pool: pool.name.to_string(),
                        region: steering.regions[pool.region.index()].name.to_string(),
                        // Four digits: what people read, and the same on every machine.
                        share_percent: (share * 1e6).round() / 1e4,
                    }
                })
                .collect(),
            otherwise,
        }
    }
}

fn orders(view: &View, id: NameId, now: Moment) -> Vec<String> {
    let steering = &view.snapshot.steering;
    let members = &steering.group_of(id).members;
    let has = |pool: PoolId| members.iter().any(|m| m.pool == pool);
    let in_force = view.overrides.0.iter();
    let in_force = in_force.filter(|o| o.expires.is_none_or(|end| end > now));
    in_force
        .filter_map(|o| {
            let kind = super::condition::kind_text(o.kind);
            let subject = match o.scope {
                Scope::Name(n) if n == id => format!("name {}", steering.names[n.index()].owner),
                Scope::Pool(p) if has(p) => format!("pool {}", steering.pools[p.index()].name),
                Scope::Endpoint(e) if has(steering.endpoints[e.index()].pool) => {
                    format!("endpoint {}", steering.endpoints[e.index()].name)
                }
                Scope::Region(r)
                    if members
                        .iter()
                        .any(|m| steering.pools[m.pool.index()].region == r) =>
                {
                    format!("region {}", steering.regions[r.index()].name)
                }
                _ => return None,
            };
            Some(format!("{kind} of {subject}"))
        })
        .collect()
}

fn last_resort(steering: &Steering, last: &LastResort) -> String {
    match last {
        LastResort::AllEligible => "all eligible endpoints, as if they were up".to_owned(),
        LastResort::Endpoints(list) => {
            let names = list.iter().map(|e| &*steering.endpoints[e.index()].name);
            format!("endpoints {}", names.collect::<Vec<_>>().join(", "))
        }
        LastResort::Pool(pool) => format!("pool {}", steering.pools[pool.index()].name),
        LastResort::Cname(target) => format!("CNAME {target}"),
        LastResort::ServFail => "SERVFAIL".to_owned(),
    }
}

fn stages(steering: &Steering, policy: &Policy) -> Vec<StageText> {
    let text = |stage: &str, says: String| StageText {
        stage: stage.to_owned(),
        says,
    };
    let refining = policy.stages.iter().map(|stage| match stage {
        Stage::Failover => text("failover", "by priority, lower first".to_owned()),
        Stage::Geo { mode, rules } => {
            let mode = match mode {
                GeoMode::Prefer => "prefers",
                GeoMode::Fence => "keeps to",
            };
            let rules: Vec<String> = rules.iter().map(|r| rule(steering, r)).collect();
            text("geo", format!("{mode} {}", rules.join("; ")))
        }
        Stage::Proximity { band_km, bias_km } => {
            let mut says = format!("by distance, {band_km} km count as equal");
            for (region, km) in bias_km {
                let region = &steering.regions[region.index()].name;
                says.push_str(&format!(", {region} nearer by {km} km"));
            }
            text("proximity", says)
        }
        Stage::Latency {
            tolerance,
            fallback_band_km,
            clients,
        } => {
            let Tolerance { width, percent } = tolerance;
            let tolerance = format!("{} ms or {percent} %", width.as_secs_f64() * 1e3);
            text(
                "latency",
                format!(
                    "by measured round-trip time, {tolerance} count as equal; by distance with a band \
                     of {fallback_band_km} km where none is known{}",
                    if *clients {
                        "; clients' own times first where they say who is nearer"
                    } else {
                        ""
                    }
                ),
            )
        }
    });
    let chooser = match policy.chooser {
        Chooser::Weighted => text("weighted", "by weight, at random".to_owned()),
        Chooser::RoundRobin => text("round-robin", "in turn".to_owned()),
        Chooser::Random => text("random", "at random".to_owned()),
        Chooser::Sticky { prefix4, prefix6 } => text(
            "sticky",
            format!("by hash of the client's /{prefix4}, or /{prefix6} of IPv6"),
        ),
    };
    refining.chain([chooser]).collect()
}

fn rule(steering: &Steering, rule: &GeoRule) -> String {
    let matches = rule.matches.iter().map(ToString::to_string);
    let regions = rule.regions.iter();
    let regions = regions.map(|r| format!("region {}", steering.regions[r.index()].name));
    let pools = rule.pools.iter();
    let pools = pools.map(|p| format!("pool {}", steering.pools[p.index()].name));
    format!(
        "{} for {}",
        regions.chain(pools).collect::<Vec<_>>().join(", "),
        matches.collect::<Vec<_>>().join(", ")
    )
}
