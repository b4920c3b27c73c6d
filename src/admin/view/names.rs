//! Steered names as shown.

use serde::Serialize;
use utoipa::ToSchema;

use super::endpoints::contains;
use crate::dns::name::WireName;
use crate::ids::NameId;
use crate::net::Family;
use crate::snapshot::View;
use crate::snapshot::failover::worst_case;
use crate::steer::decision::Standing;

/// Some steered names at one generation.
#[derive(Debug, Serialize, ToSchema)]
pub struct Names {
    /// The view's number.
    pub generation: u64,
    /// All that there are.
    pub total: usize,
    /// Those that the filter lets through.
    pub matching: usize,
    /// Some of those, in the order of their owners' labels.
    pub names: Vec<Name>,
    /// Give it as `after` for those that follow; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A steered name.
#[derive(Debug, Serialize, ToSchema)]
pub struct Name {
    /// Owner.
    pub name: String,
    /// Policy.
    pub policy: String,
    /// Members.
    pub pools: Vec<Member>,
    /// Further owners with the same answers.
    pub aliases: Vec<String>,
    /// `A`, `AAAA`, `HTTPS` or `CNAME`.
    pub types: Vec<&'static str>,
    /// Addresses answered at most.
    pub answers: u8,
    /// Smallest TTL in seconds.
    pub ttl_min: u32,
    /// Largest TTL in seconds.
    pub ttl_max: u32,
    /// Number of different answers by client network (plans); 1: the same for everybody.
    pub plans: usize,
    /// The worst that any client gets now: `normal`, `held`, `degraded` or `last-resort`.
    pub standing: &'static str,
    /// Worst-case failover time; absent where nothing is monitored.
    pub failover: Option<Failover>,
}

/// A pool's place in a name.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NameMember)]
pub struct Member {
    /// Pool.
    pub pool: String,
    /// Region.
    pub region: String,
    /// Share.
    pub weight: u32,
    /// Priority; lower first.
    pub priority: u32,
    /// Serves only after the others.
    pub backup: bool,
}

/// From death to the last cached answer's end.
#[derive(Debug, Serialize, ToSchema)]
pub struct Failover {
    /// The sum.
    pub worst_case_seconds: f64,
    /// Probing.
    pub detection_seconds: f64,
    /// Publication.
    pub publish_seconds: f64,
    /// Caches.
    pub ttl_seconds: u32,
}

impl Names {
    /// The names of `view` with `q` in their owner or an alias, and `standing`, after `after`.
    pub fn of(
        view: &View,
        (q, standing): (Option<&str>, Option<&str>),
        after: Option<&WireName>,
        limit: usize,
    ) -> Names {
        let steering = &view.snapshot.steering;
        let mut page = Names {
            generation: view.generation.0,
            total: steering.names.len(),
            matching: 0,
            names: Vec::new(),
            next: None,
        };
        // Only where all have to be looked at.
        let standings = standing.map(|_| view.live.standings(steering));
        let now = |i: usize| {
            let all = standings.as_ref();
            all.map_or_else(
                || view.live.standing(steering, NameId::from_index(i)),
                |all| all[i],
            )
        };
        let first = after.map_or(0, |after| {
            steering.names.partition_point(|n| n.owner <= *after)
        });
        let everything = q.is_none() && standing.is_none();
        let start = if everything { first } else { 0 };
        page.matching = start;
        for (i, name) in steering.names.iter().enumerate().skip(start) {
            if everything && page.names.len() == limit {
                page.matching = page.total;
                page.next = page.names.last().map(|n| n.name.clone());
                break;
            }
            let fits = q.is_none_or(|q| {
                let mut owners = std::iter::once(&name.owner).chain(&name.aliases);
                owners.any(|o| contains(&o.to_string(), q))
            }) && standing.is_none_or(|s| now(i).text() == s);
            if !fits {
                continue;
            }
            page.matching += 1;
            if i < first {
                continue;
            }
            if page.names.len() < limit {
                page.names
                    .push(Name::of(view, NameId::from_index(i), now(i)));
            } else if page.next.is_none() {
                page.next = page.names.last().map(|n| n.name.clone());
            }
        }
        page
    }
}

impl Name {
    /// What a list shows of `id`.
    pub(super) fn of(view: &View, id: NameId, standing: Standing) -> Name {
        let snapshot = &view.snapshot;
        let steering = &snapshot.steering;
        let n = &steering.names[id.index()];
        let group = steering.group_of(id);
        let shape = steering.shape_of(id);
        let members = group.members.iter().map(|m| {
            let pool = &steering.pools[m.pool.index()];
            Member {
                pool: pool.name.to_string(),
                region: steering.regions[pool.region.index()].name.to_string(),
                weight: m.weight.0,
                priority: m.priority,
                backup: m.backup,
            }
        });
        let families = group.families.iter().map(|f| match f {
            Family::V4 => "A",
            Family::V6 => "AAAA",
        });
        Name {
            name: n.owner.to_string(),
            policy: steering.policies[shape.policy.index()].name.to_string(),
            pools: members.collect(),
            aliases: n.aliases.iter().map(ToString::to_string).collect(),
            types: match group.cname {
                true => vec!["CNAME"],
                false => families
                    .chain(n.https.is_some().then_some("HTTPS"))
                    .collect(),
            },
            answers: n.answers,
            ttl_min: group.ttl_min.secs(),
            ttl_max: group.ttl_max.secs(),
            plans: shape.partition.plans.len(),
            standing: standing.text(),
            failover: worst_case(snapshot, id).map(|f| Failover {
                worst_case_seconds: f.total().as_secs_f64(),
                detection_seconds: f.detection.as_secs_f64(),
                publish_seconds: f.publish.as_secs_f64(),
                ttl_seconds: f.ttl.secs(),
            }),
        }
    }
}
