//! Cycles among steered CNAMEs, last-resort CNAMEs and static CNAMEs (requirement O8).

use std::collections::HashSet;
use std::collections::hash_map::{Entry, HashMap};

use crate::dns::name::WireName;
use crate::steer::LastResort;
use crate::zone::{Found, ZoneSet};

use super::Problems;
use super::names::CompiledName;
use super::pools::Pools;

/// Type code of A: a static CNAME is followed for it.
const A: u16 = 1;

/// Reports every steered name that can lead back to itself.
pub(super) fn check(names: &[CompiledName], pools: &Pools<'_>, zones: &ZoneSet, p: &mut Problems) {
    let index: HashMap<&WireName, usize> = names
        .iter()
        .enumerate()
        .map(|(i, n)| (&n.input.owner, i))
        .collect();
    let mut reported: HashSet<usize> = HashSet::new();
    for (start, n) in names.iter().enumerate() {
        if reported.contains(&start) {
            continue;
        }
        if let Some(path) = path_back(start, names, &index, pools, zones) {
            let steps: Vec<String> = path
                .iter()
                .map(|i| names[*i].input.owner.to_string())
                .collect();
            p.error(
                n.span,
                format!(
                    "name `{}` leads back to itself through CNAMEs: {} → {0}",
                    n.input.owner,
                    steps.join(" → ")
                ),
            )
            .help = Some("point one of them elsewhere".to_owned());
            reported.extend(path);
        }
    }
}

/// The names on a way from `start` back to it, if there is one.
fn path_back(
    start: usize,
    names: &[CompiledName],
    index: &HashMap<&WireName, usize>,
    pools: &Pools<'_>,
    zones: &ZoneSet,
) -> Option<Vec<usize>> {
    let mut from: HashMap<usize, usize> = HashMap::new();
    let mut open = vec![start];
    while let Some(at) = open.pop() {
        for target in targets(&names[at], pools) {
            let Some(next) = resolve(target, index, zones) else {
                continue;
            };
            if next == start {
                let mut path = vec![at];
                let mut step = at;
                while step != start {
                    step = from[&step];
                    path.push(step);
                }
                path.reverse();
                return Some(path);
            }
            if let Entry::Vacant(unseen) = from.entry(next) {
                unseen.insert(at);
                open.push(next);
            }
        }
    }
    None
}

/// Where the name can send a client by CNAME.
fn targets<'a>(n: &'a CompiledName, pools: &'a Pools<'_>) -> Vec<&'a WireName> {
    let endpoints = n
        .input
        .members
        .iter()
        .flat_map(|m| &pools.pools[m.pool.index()].endpoints)
        .chain(match &n.input.last_resort {
            LastResort::Endpoints(list) => list.as_slice(),
            LastResort::Pool(pool) => &pools.pools[pool.index()].endpoints,
            _ => &[],
        });
    let mut targets: Vec<&WireName> = endpoints
        .filter_map(|e| pools.endpoints[e.index()].cname.as_ref())
        .collect();
    if let LastResort::Cname(target) = &n.input.last_resort {
        targets.push(target);
    }
    targets
}

/// The steered name that `target` is or leads to through static CNAMEs of our zones.
fn resolve(target: &WireName, index: &HashMap<&WireName, usize>, zones: &ZoneSet) -> Option<usize> {
    let mut at = target.clone();
    // Cycles among static CNAMEs are the zones' own check; this bound only ends the walk.
    for _ in 0..64 {
        if let Some(i) = index.get(&at) {
            return Some(*i);
        }
        match zones.lookup(at.as_bytes(), A).found {
            Found::Cname { target, .. } => at = target.to_name(),
            Found::Steered { name } => return Some(name.index()),
            _ => return None,
        }
    }
    None
}
