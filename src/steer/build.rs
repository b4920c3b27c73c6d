//! Building [`Steering`]: names that look the same share shapes and groups.

use hashbrown::HashMap;

use crate::dns::name::WireName;
use crate::dns::svcb::Service;
use crate::geo::GeoTable;
use crate::health::Sites;
use crate::ids::{GroupId, NameId, PolicyId, PoolId, RegionId, ShapeId};
use crate::net::Family;
use crate::units::Ttl;

use super::dense::Dense;
use super::partition::Partition;
use super::{
    Endpoint, Group, LastResort, Member, Policy, Pool, Region, Shape, Stage, SteeredName, Steering,
};

/// What a steered name is built from.
#[derive(Clone, PartialEq, Debug)]
pub struct NameInput {
    /// The owner.
    pub owner: WireName,
    /// Its pools, in any order, each once.
    pub members: Vec<Member>,
    /// Its policy.
    pub policy: PolicyId,
    /// Address families it answers, in any order; empty for CNAME names.
    pub families: Vec<Family>,
    /// Whether the answer is a CNAME.
    pub cname: bool,
    /// Smallest TTL.
    pub ttl_min: Ttl,
    /// Largest TTL.
    pub ttl_max: Ttl,
    /// When nothing is live.
    pub last_resort: LastResort,
    /// Number of addresses answered at most, 1 to 32.
    pub answers: u8,
    /// The client's ECS option is ignored.
    pub ignore_ecs: bool,
    /// What HTTPS answers say beside the hints; `None`: none are given. Not for CNAME names.
    pub https: Option<Service>,
    /// Further owners with the same answers.
    pub aliases: Vec<WireName>,
}

/// What makes two names share a shape.
#[derive(PartialEq, Eq, Hash)]
struct ShapeKey {
    policy: PolicyId,
    regions: Vec<RegionId>,
    pools: Vec<PoolId>,
    priorities: Vec<u32>,
}

impl Steering {
    /// Builds everything that steers. `pools` and `endpoints` must be sorted by name, so that their
    /// order in the configuration means nothing (requirement O6); names come in any order.
    pub fn build(
        regions: Vec<Region>,
        pools: Vec<Pool>,
        endpoints: Vec<Endpoint>,
        policies: Vec<Policy>,
        names: Vec<NameInput>,
        geo: &GeoTable,
    ) -> Steering {
        let sites = Sites::default();
        Steering::build_seen_from(sites, regions, pools, endpoints, policies, names, geo)
    }

    /// [`Steering::build`] where vantages at these sites measure round-trip times.
    pub fn build_seen_from(
        sites: Sites,
        regions: Vec<Region>,
        pools: Vec<Pool>,
        endpoints: Vec<Endpoint>,
        policies: Vec<Policy>,
        mut names: Vec<NameInput>,
        geo: &GeoTable,
    ) -> Steering {
        debug_assert!(pools.is_sorted_by(|a, b| a.name < b.name));
        debug_assert!(endpoints.is_sorted_by(|a, b| a.name < b.name));
        names.sort_by(|a, b| a.owner.cmp(&b.owner));
        let mut steering = Steering {
            regions,
            pools,
            endpoints,
            policies,
            sites,
            ..Steering::default()
        };
        let mut shapes: HashMap<ShapeKey, ShapeId> = HashMap::new();
        let mut groups: HashMap<Group, GroupId> = HashMap::new();
        for name in names {
            let mut members = name.members;
            members.sort_by_key(|m| m.pool);
            let mut families = name.families;
            families.sort();
            families.dedup();
            let key = steering.shape_key(name.policy, &members);
            let shape = match shapes.get(&key) {
                Some(id) => *id,
                None => {
                    let id = ShapeId::from_index(steering.shapes.len());
                    let policy = &steering.policies[key.policy.index()];
                    let partition = Partition::build(
                        policy,
                        &key.regions,
                        &key.pools,
                        &key.priorities,
                        &steering.regions,
                        &steering.sites,
                        geo,
                    );
                    steering.shapes.push(Shape {
                        policy: key.policy,
                        regions: key.regions.clone(),
                        pools: key.pools.clone(),
                        priorities: key.priorities.clone(),
                        partition,
                    });
                    shapes.insert(key, id);
                    id
                }
            };
            let group = Group {
                shape,
                members,
                families,
                cname: name.cname,
                ttl_min: name.ttl_min,
                ttl_max: name.ttl_max,
                last_resort: name.last_resort,
            };
            let group = match groups.get(&group) {
                Some(id) => *id,
                None => {
                    let id = GroupId::from_index(steering.groups.len());
                    steering.groups.push(group.clone());
                    groups.insert(group, id);
                    id
                }
            };
            steering.names.push(SteeredName {
                owner: name.owner,
                group,
                answers: name.answers,
                ignore_ecs: name.ignore_ecs,
                https: name.https,
                aliases: name.aliases,
            });
        }
        steering.dense = Dense::of(&steering);
        steering
    }

    /// The steered name at `owner`.
    pub fn name_id(&self, owner: &WireName) -> Option<NameId> {
        self.names
            .binary_search_by(|n| n.owner.cmp(owner))
            .ok()
            .map(NameId::from_index)
    }

    fn shape_key(&self, policy: PolicyId, members: &[Member]) -> ShapeKey {
        let stages = &self.policies[policy.index()].stages;
        let names_pools = stages.iter().any(
            |s| matches!(s, Stage::Geo { rules, .. } if rules.iter().any(|r| !r.pools.is_empty())),
        );
        let fails_over = stages.iter().any(|s| matches!(s, Stage::Failover));
        ShapeKey {
            policy,
            regions: members
                .iter()
                .map(|m| self.pools[m.pool.index()].region)
                .collect(),
            pools: if names_pools {
                members.iter().map(|m| m.pool).collect()
            } else {
                Vec::new()
            },
            priorities: if fails_over {
                members.iter().map(|m| m.priority).collect()
            } else {
                Vec::new()
            },
        }
    }
}
