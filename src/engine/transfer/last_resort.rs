//! What a steered name is to a secondary, which cannot steer: its last-resort set.
//!
//! A secondary knows neither health nor who asks. It gets what this server would itself answer when it
//! knew nothing: the last resort, at the smallest TTL of the name (requirement T3).

use std::net::IpAddr;

use crate::dns::name::WireName;
use crate::ids::{EndpointId, NameId};
use crate::net::Family;
use crate::steer::{Endpoint, Group, LastResort, Steering};

/// What stands for a steered name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Stand {
    /// Addresses of the name's families, ordered, each once; none where all endpoints are disabled.
    Addresses(Vec<IpAddr>),
    /// An alias.
    Cname(WireName),
}

/// The last-resort set of a name. `alone`: nothing else stands at its owner, so that an alias may.
pub(super) fn stand(steering: &Steering, name: NameId, alone: bool) -> Stand {
    let group = steering.group_of(name);
    if let LastResort::Cname(target) = &group.last_resort
        && alone
    {
        return Stand::Cname(target.clone());
    }
    let endpoints = endpoints(steering, group);
    if group.cname {
        // One of them, the same at every transfer.
        let target = endpoints.iter().find_map(|e| e.cname.clone());
        return target.map_or(Stand::Addresses(Vec::new()), Stand::Cname);
    }
    let mut addresses: Vec<IpAddr> = endpoints
        .iter()
        .filter_map(|e| e.address)
        .filter(|a| group.families.contains(&Family::of(*a)))
        .collect();
    addresses.sort_unstable();
    addresses.dedup();
    Stand::Addresses(addresses)
}

/// The enabled endpoints of the last resort: those of the first choice, or all where there are none
/// (requirement F2). Where the last resort names no endpoints, those of the name's own pools.
fn endpoints<'s>(steering: &'s Steering, group: &Group) -> Vec<&'s Endpoint> {
    let pool = |ids: &'s [EndpointId], prime: bool| {
        ids.iter()
            .map(|id| &steering.endpoints[id.index()])
            .filter(|e| e.enabled)
            .map(move |e| (e, prime && e.weight.0 > 0 && !e.backup))
    };
    let all: Vec<(&Endpoint, bool)> = match &group.last_resort {
        LastResort::Endpoints(ids) => ids
            .iter()
            .flat_map(|id| {
                let e = &steering.endpoints[id.index()];
                e.enabled.then_some((e, e.weight.0 > 0 && !e.backup))
            })
            .collect(),
        LastResort::Pool(p) => pool(&steering.pools[p.index()].endpoints, true).collect(),
        LastResort::AllEligible | LastResort::Cname(_) | LastResort::ServFail => group
            .members
            .iter()
            .flat_map(|m| {
                let prime = m.weight.0 > 0 && !m.backup;
                pool(&steering.pools[m.pool.index()].endpoints, prime)
            })
            .collect(),
    };
    let any_prime = all.iter().any(|(_, prime)| *prime);
    all.into_iter()
        .filter(|(_, prime)| *prime || !any_prime)
        .map(|(e, _)| e)
        .collect()
}
