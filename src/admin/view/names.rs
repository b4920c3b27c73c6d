//! Steered names as shown.

use serde::Serialize;

use crate::ids::NameId;
use crate::snapshot::View;
use crate::snapshot::failover::worst_case;

/// All steered names at one generation.
#[derive(Debug, Serialize)]
pub struct Names {
    /// The view's number.
    pub generation: u64,
    /// Sorted by owner.
    pub names: Vec<Name>,
}

/// A steered name.
#[derive(Debug, Serialize)]
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
    /// Worst-case failover time; absent where nothing is monitored.
    pub failover: Option<Failover>,
}

/// A pool's place in a name.
#[derive(Debug, Serialize)]
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
#[derive(Debug, Serialize)]
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
    /// The names of `view`.
    pub fn of(view: &View) -> Names {
        let snapshot = &view.snapshot;
        let steering = &snapshot.steering;
        let mut names: Vec<Name> = steering
            .names
            .iter()
            .enumerate()
            .map(|(i, n)| {
                let group = &steering.groups[n.group.index()];
                let shape = &steering.shapes[group.shape.index()];
                Name {
                    name: n.owner.to_string(),
                    policy: steering.policies[shape.policy.index()].name.to_string(),
                    pools: group
                        .members
                        .iter()
                        .map(|m| {
                            let pool = &steering.pools[m.pool.index()];
                            Member {
                                pool: pool.name.to_string(),
                                region: steering.regions[pool.region.index()].name.to_string(),
                                weight: m.weight.0,
                                priority: m.priority,
                                backup: m.backup,
                            }
                        })
                        .collect(),
                    aliases: n.aliases.iter().map(ToString::to_string).collect(),
                    types: if group.cname {
                        vec!["CNAME"]
                    } else {
                        group
                            .families
                            .iter()
                            .map(|f| match f {
                                crate::net::Family::V4 => "A",
                                crate::net::Family::V6 => "AAAA",
                            })
                            .chain(n.https.is_some().then_some("HTTPS"))
                            .collect()
                    },
                    answers: n.answers,
                    ttl_min: group.ttl_min.secs(),
                    ttl_max: group.ttl_max.secs(),
                    plans: shape.partition.plans.len(),
                    failover: worst_case(snapshot, NameId::from_index(i)).map(|f| Failover {
                        worst_case_seconds: f.total().as_secs_f64(),
                        detection_seconds: f.detection.as_secs_f64(),
                        publish_seconds: f.publish.as_secs_f64(),
                        ttl_seconds: f.ttl.secs(),
                    }),
                }
            })
            .collect();
        names.sort_by(|a, b| a.name.cmp(&b.name));
        Names {
            generation: view.generation.0,
            names,
        }
    }
}
